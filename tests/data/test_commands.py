"""`python -m dpc_lightning data …`, through its real `main`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dpc_lightning.data.commands import main
from tests.data.converters.test_deeppcb import make_board

SMALL = ["--training", "6", "--unlabelled", "10", "--validation", "0", "--test", "4", "--px", "16"]


def test_synthetic_then_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "sheets"
    rates = "[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]"
    words = ["synthetic", "--root", str(root), *SMALL, "--preset", "hard", "--shift", "0.5", "--prevalence", rates]
    assert main(words) == 0
    assert "training 6, unlabelled 10, test 4 images" in capsys.readouterr().out
    made_from = json.loads((root / "sheets.json").read_text(encoding="utf-8"))
    assert (made_from["shift"], made_from["difficulty"], made_from["prevalence"]) == (0.5, 1.0, [0.5] * 6)
    assert main(["check", "--root", str(root)]) == 0
    assert "0 errors" in capsys.readouterr().out
    (root / "test" / "images" / "sheet_000001.png").write_bytes(b"no image")
    assert main(["check", "--root", str(root)]) == 1
    assert "sheet_000001.png" in capsys.readouterr().out


def test_deeppcb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        make_board(tmp_path / "PCBData", "00041", number, ["1 1 9 9 1"])
    words = ["deeppcb", "--source", str(tmp_path / "PCBData"), "--root", str(tmp_path / "root"), "--tile", "40"]
    assert main([*words, "--training", "5", "--unlabelled", "7", "--test", "3"]) == 0
    assert "training 5, unlabelled 7, test 3 images" in capsys.readouterr().out
    assert main([*words, "--training", "5", "--unlabelled", "700", "--test", "3"]) == 1
    assert "3 boards give 48 tiles" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (2, "command")),
        (["syntetic"], (2, "syntetic")),
        (["synthetic"], (2, "root")),
        (["synthetic", "--root", "x", "--px", "large"], (2, "px")),
        (["synthetic", "--root", "x", "--px", "4"], (1, "Expected `--px` to be a whole number from 16 to 1024")),
        (["synthetic", "--root", "x", "--preset", "easy"], (2, "preset")),
        (["synthetic", "--root", "x", "--workers", "0"], (1, "workers")),
        (["deeppcb", "--source", "absent", "--root", "x"], (1, "PCBData")),
        (["deeppcb", "--source", "absent", "--root", "x", "--tile", "3"], (1, "`--tile`")),
        (["check", "--root", "absent"], (1, "no such folder")),
    ],
)
def test_wrong_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: tuple[int, str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, message = expected
    assert main(words) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--help"], "Read everything in a data root"),
        (["synthetic", "--help"], "Share of the pool in clusters of 12 near duplicates"),
        (["deeppcb", "--help"], "Side of a tile in pixels"),
        (["check", "--help"], "hidden labels"),
    ],
)
def test_help_comes_from_the_settings(capsys: pytest.CaptureFixture[str], words: list[str], sentence: str) -> None:
    assert main(words) == 0
    assert sentence in " ".join(capsys.readouterr().out.split())


def test_needs_neither_torch_nor_lightning() -> None:
    program = (
        "import sys; from dpc_lightning.data.commands import main; main(['synthetic', '--help']); "
        "print(sorted({'torch', 'lightning', 'timm', 'albumentations'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
