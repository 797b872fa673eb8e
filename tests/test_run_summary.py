"""`summary.json`: valid JSON also where something cannot be scored, and what it says about the start model."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.data.manifest import read_labelled
from dpc_lightning.errors import RunDirError
from dpc_lightning.run_dir import RunDir
from dpc_lightning.run_summary import write_summary
from tests.small_run import words


def no_nan(name: str) -> Any:
    raise AssertionError(name)


def test_a_class_without_positives_in_the_test_set_leaves_valid_json(
    small_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(small_root, root, ignore=shutil.ignore_patterns("sheets.json"))
    file = root / "test" / "labels.csv"
    with file.open(newline="") as stream:
        rows = list(csv.reader(stream))
    last = read_labelled(root / "training").classes[-1]
    place = rows[0].index(last)
    for row in rows[1:]:
        row[place] = "0"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    command = words(root, tmp_path / "run", "--data.generator=null", "--purchase.labels=0", "--evaluate.epochs=1")
    assert main([word for word in command if "--data.generator." not in word]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(), parse_constant=no_nan)
    assert summary["test"]["classes_without_positives"] == [last]
    assert summary["test"]["f1_per_class"][last] is None
    assert summary["test"]["f1_macro"] is not None
    assert summary["start_model_informed"] is None
    assert "no positive in test" in capsys.readouterr().out
    assert (tmp_path / "run" / "purchases.csv").read_text().count("\n") == 1  # a header: nothing was bought


def test_an_untested_model_has_no_summary(tmp_path: Path) -> None:
    class Untested:
        test_scores = None

    with pytest.raises(RunDirError, match="was not tested"):
        write_summary(RunDir(tmp_path), None, Untested(), None)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
