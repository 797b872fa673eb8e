"""The command `entry`, driven as a person drives it."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.errors import ConfigError
from dpc_lightning.starter_kit import commands
from dpc_lightning.starter_kit.examples import EXAMPLES

DESCRIBED = Path(__file__).parent / "entries" / "from_the_description" / "run.py"

CONFIG = {
    "seed_everything": 0,
    "threads": 1,
    "data": {
        "root": "nowhere",
        "image_size": 24,
        "generator": {"px": 24, "training": 100, "unlabelled": 60, "validation": 20, "test": 20, "seed": 0},
    },
    "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
    "purchase": {"labels": 10, "rounds": 1, "pretrain_epochs": 1, "round_epochs": 1, "acquisition": "Random"},
    "model": {"backbone": "compact_efficientnet"},
    "evaluate": {"backbone": "compact_efficientnet", "epochs": 1},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a small pool and one epoch of everything."""
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    return file


def entry(file: object, config: Path, run_dir: Path, *more: str) -> int:
    """Run the command."""
    words = ("entry", str(file), "--config", str(config), "--run_dir", str(run_dir), "--workers", "1")
    return main([*words, *more])


def record(run_dir: Path) -> dict[str, Any]:
    """What came of the entry."""
    found: dict[str, Any] = json.loads((run_dir / "entry" / "entry.json").read_text())
    return found


def test_an_entry_from_the_description_is_run_judged_and_reported(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    assert entry(DESCRIBED, config, run_dir, "--purchase.seconds", "60", "--references", "[none]") == 0
    told = capsys.readouterr().out
    assert "run.py finished: 10 of 10 labels bought" in told
    assert "sealed by namespaces" in told
    with (run_dir / "entry" / "purchases.csv").open(newline="") as stream:
        bought = [int(row["index"]) for row in csv.DictReader(stream)]
    assert len(set(bought)) == 10
    rows = [json.loads(line) for line in (run_dir / "rows.jsonl").read_text().splitlines()]
    judged = [row["outcome"] for row in rows if sorted(row["outcome"]["indices"]) == sorted(bought)]
    assert [outcome["status"] for outcome in judged] == ["done"]
    page = (run_dir / "report.html").read_text()
    assert "The entry" in page
    assert "UNSEALED" not in page
    assert record(run_dir)["code"][0]["sha256"] in page
    # the seed is secret: not that of the configuration, and not in what the entry printed
    made = yaml.safe_load((run_dir / "entry" / "config.yaml").read_text())["data"]
    assert made["generator"]["seed"] > 2**60
    assert Path(made["root"]) == run_dir / "data"
    # a second start with another budget is refused, and one with the same does nothing again
    assert entry(DESCRIBED, config, run_dir, "--purchase.seconds", "61", "--references", "[none]") == 2
    assert "other settings of `purchase:`" in capsys.readouterr().err
    before = (run_dir / "rows.jsonl").read_bytes()
    assert entry(DESCRIBED, config, run_dir, "--purchase.seconds", "60", "--references", "[none]") == 0
    assert (run_dir / "rows.jsonl").read_bytes() == before


HOSTILE = {
    "hangs": ("        while True: pass\n", "out of time", "nothing to judge"),
    "crashes": ("        import ctypes\n        ctypes.string_at(0)\n", "gone", "SIGSEGV"),
    "cheats": ("        return {index: [1] * 6 for index in range(60)}\n", "finished", "0 of 10 labels bought"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_entries_end_with_a_message(
    name: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, how, said = HOSTILE[name]
    file = tmp_path / "mine" / "run.py"
    file.parent.mkdir()
    file.write_text("class ZEWDPCBaseRun:\n    def purchase_phase(self, unlabelled_dataset):\n" + code)
    assert entry(file, config, tmp_path / "run", "--purchase.seconds", "1", "--grace", "0.5") == 1
    assert said in capsys.readouterr().out
    assert (record(tmp_path / "run")["how"], record(tmp_path / "run")["bought"]) == (how, 0)


def test_what_was_bought_before_the_end_is_judged(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine" / "run.py"
    file.parent.mkdir()
    file.write_text(
        "class ZEWDPCBaseRun:\n    def purchase_phase(self, unlabelled_dataset):\n"
        "        unlabelled_dataset.purchase_label(3)\n        raise RuntimeError('halfway')\n"
    )
    assert entry(file, config, tmp_path / "run", "--references", "[]", "--judge", "true") == 1
    assert "The entry" in (tmp_path / "run" / "report.html").read_text()
    rows = [json.loads(line) for line in (tmp_path / "run" / "rows.jsonl").read_text().splitlines()]
    assert [3] in [row["outcome"]["indices"] for row in rows]


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_host_that_is_asked_to_end_ends_the_entry_too(asked: signal.Signals, config: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine" / "run.py"
    file.parent.mkdir()
    file.write_text(
        "import time\nclass ZEWDPCBaseRun:\n    def purchase_phase(self, unlabelled_dataset):\n"
        "        unlabelled_dataset.purchase_label(3)\n        print('bought')\n        time.sleep(600)\n"
    )
    run_dir = tmp_path / "run"
    words = ["entry", str(file), "--config", str(config), "--run_dir", str(run_dir), "--judge", "false"]
    process = subprocess.Popen([sys.executable, "-m", "dpc_lightning", *words], stderr=subprocess.PIPE, text=True)
    log = run_dir / "entry" / "log.txt"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.exists() and "bought" in log.read_text()):
        time.sleep(0.05)
    process.send_signal(asked)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    assert f"Asked to end by {asked.name}" in said
    assert "Traceback" not in said
    assert main(words) == 1
    assert (record(run_dir)["how"], record(run_dir)["bought"]) == ("interrupted", 1)


def test_nothing_is_imported_from_the_current_folder(config: Path, tmp_path: Path) -> None:
    """It may be the entry's, and the host would run it unsealed."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "run.py").write_text("class ZEWDPCBaseRun:\n    def purchase_phase(self, pool): pool.purchase_label(1)\n")
    for name in ("yaml", "jsonargparse", "json", "signal"):
        (mine / f"{name}.py").write_text("raise SystemExit('LEAK')\n")
    words = ["entry", "run.py", "--config", str(config), "--run_dir", str(tmp_path / "run"), "--judge", "false"]
    done = subprocess.run(
        [sys.executable, "-m", "dpc_lightning", *words], cwd=mine, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert record(tmp_path / "run")["bought"] == 1


def test_unsealed_is_said_everywhere(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry("random", config, tmp_path / "no", "--seal", "none", "--judge", "false") == 2
    assert "UNSEALED" in capsys.readouterr().err
    more = ("--seal", "none", "--allow_unsealed", "true", "--references", "[]")
    assert entry("random", config, tmp_path / "run", *more) == 0
    assert "UNSEALED" in capsys.readouterr().out
    assert record(tmp_path / "run")["seal"] == ""
    assert "UNSEALED" in (tmp_path / "run" / "report.html").read_text()


def test_a_root_of_its_own_is_taken_as_it_is(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry("random", config, tmp_path / "first", "--judge", "false") == 0
    root = tmp_path / "root"
    shutil.copytree(tmp_path / "first" / "data", root)
    sheets = json.loads((root / "sheets.json").read_text())
    (root / "sheets.json").write_text(json.dumps(sheets | {"seed": 7}))
    assert "can compute every label" not in capsys.readouterr().out
    more = ("--data.root", str(root), "--judge", "false", "--purchase.labels", "3")
    assert entry("random", config, tmp_path / "second", *more) == 0
    told = capsys.readouterr().out
    assert "generated from the seed 7" in told.replace("\n", " ")
    assert "3 of 3 labels" in told


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--purchase.labels", "-1"), "`purchase.labels`"),
        (("--purchase.seconds", "0"), "`purchase.seconds`"),
        (("--data.root", "/nowhere/at/all"), "Expected a data root at /nowhere/at/all"),
        (("--data.image_size", "0"), "image_size"),
        (("--memory_gb", "0.1"), "--memory_gb"),
        (("--pipelines", "[nothing]"), "nothing"),
    ],
)
def test_wrong_settings_are_named(
    more: tuple[str, ...], said: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry("random", config, tmp_path / "run", *more) == 2
    assert said in capsys.readouterr().err


def test_a_missing_file_and_a_folder_are_named(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in (tmp_path / "run.py", tmp_path):
        assert entry(wrong, config, tmp_path / "run") == 2
        assert "Expected an entry's file" in capsys.readouterr().err


def test_a_configuration_without_data_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("seed_everything: 1\n")
    with pytest.raises(ConfigError, match="group `data:`"):
        commands.main(["random", "--config", str(file), "--run_dir", str(tmp_path / "run")])


def test_help_names_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["entry", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for name in EXAMPLES:
        assert name in told
