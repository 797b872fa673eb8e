"""Predictions for a folder of images, from the final model of a run."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpc_lightning.__main__ import main


def test_probabilities_and_decisions_of_every_image(finished_run: tuple[Path, Path], tmp_path: Path) -> None:
    root, run_dir = finished_run
    out = tmp_path / "out.csv"
    words = ["--run_dir", str(run_dir), "--images", str(root / "test" / "images"), "--out", str(out)]
    assert main(["predict", *words]) == 0
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    classes = json.loads((run_dir / "summary.json").read_text())["classes"]
    assert [row["image"] for row in rows] == sorted(path.name for path in (root / "test" / "images").iterdir())
    assert list(rows[0]) == ["image", *(f"p_{name}" for name in classes), *classes]
    for name in classes:
        decided = [float(row[f"p_{name}"]) for row in rows if row[name] == "1"]
        refused = [float(row[f"p_{name}"]) for row in rows if row[name] == "0"]
        assert all(0 <= value <= 1 for value in decided + refused)
        assert min(decided, default=1) >= max(refused, default=0)


def test_predictions_are_those_that_the_test_scored(finished_run: tuple[Path, Path], tmp_path: Path) -> None:
    root, run_dir = finished_run
    out = tmp_path / "out.csv"
    assert main(["predict", f"--run_dir={run_dir}", f"--images={root / 'test' / 'images'}", f"--out={out}"]) == 0
    summary = json.loads((run_dir / "summary.json").read_text())
    with out.open(newline="") as stream:
        predicted = {row["image"]: row for row in csv.DictReader(stream)}
    with (root / "test" / "labels.csv").open(newline="") as stream:
        truth = {row["image"]: row for row in csv.DictReader(stream)}
    right = [all(predicted[image][name] == row[name] for name in summary["classes"]) for image, row in truth.items()]
    assert float(np.mean(right)) == pytest.approx(summary["test"]["exact_match"])


def test_images_of_any_size_and_mode(finished_run: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("L", (90, 40), 128).save(folder / "grey.png")
    Image.new("RGBA", (8, 8), (10, 200, 30, 128)).save(folder / "transparent.png")
    Image.new("CMYK", (50, 50), (0, 100, 100, 0)).save(folder / "print.jpg")
    out = tmp_path / "out.csv"
    assert main(["predict", f"--run_dir={finished_run[1]}", f"--images={folder}", f"--out={out}"]) == 0
    assert out.read_text().count("\n") == 4


def test_a_broken_image_is_named_and_nothing_is_written(
    finished_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out.csv"
    assert main(["predict", f"--run_dir={finished_run[1]}", f"--images={folder}", f"--out={out}"]) == 2
    assert "broken.png" in capsys.readouterr().err
    assert not out.exists()


def test_an_unfinished_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"--run_dir={tmp_path}", f"--images={tmp_path}", f"--out={tmp_path / 'out.csv'}"]) == 2
    assert "finished run" in capsys.readouterr().err
