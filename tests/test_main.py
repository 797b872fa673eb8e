"""The front door: what it dispatches, and what it says when it cannot."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dpc_lightning
from dpc_lightning.__main__ import main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in ("fit", "validate", "test", "predict", "data"):
        assert f"  {command} " in shown
    assert main([]) == 0


def test_the_help_of_fit_explains_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, line in (
        ("purchase.spend_all", "Whether the labels that are left when the seconds are up are bought at once"),
        ("purchase.rounds", "`auto` takes as many rounds and epochs as fit into `seconds`"),
        ("evaluate.epochs", ""),
        ("data.image_size", "side in pixels that all images are resized to"),
    ):
        assert line in shown[shown.index(f"--{name} ") :]


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fitt"]) == 2
    assert "no command `fitt`" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == dpc_lightning.__version__


def test_a_misspelt_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", "quickstart", "--purchase.lables=3"])
    assert ended.value.code == 2
    assert "purchase.lables" in capsys.readouterr().err


def test_an_unknown_configuration_is_named_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "nothing.yaml"]) == 2
    shown = capsys.readouterr().err
    assert "nothing.yaml" in shown
    assert "quickstart.yaml" in shown


def test_commands_that_do_not_train_import_no_lightning() -> None:
    code = (
        "import sys; from dpc_lightning.__main__ import main\n"
        "main(['--help'])\n"
        "try: main(['data', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'lightning', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["test", "validate"])
def test_a_run_that_is_not_there_is_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--run_dir", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["test", "validate"])
def test_a_run_is_looked_at_again_without_changing_it(
    command: str, finished_run: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = finished_run[1]
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    assert main([command, "--run_dir", str(run_dir)]) == 0
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == before
    summary = json.loads((run_dir / "summary.json").read_text())
    shown = re.findall(r"test/map\s+\W\s+([\d.]+)", capsys.readouterr().out)
    if command == "test":
        assert float(shown[0]) == pytest.approx(summary["test"]["map"], abs=1e-5)
