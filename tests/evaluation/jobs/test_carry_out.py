"""What a job does before and after its run."""

from pathlib import Path

import pytest

from dpc_lightning.errors import ResultsError
from dpc_lightning.evaluation.jobs.carry_out import Task, carry_out, prepare_data
from dpc_lightning.evaluation.jobs.grid import Grid
from tests.evaluation.jobs.small_benchmark import benchmark_of


def task(folder: Path, *words: str) -> Task:
    data = {"root": "{run_dir}/data/{seed}", "generator": None}
    grid = Grid(benchmark_of(folder, data=data, prepare=["data", *words]))
    return Task(next(iter(grid.jobs.values())), folder, {})


def made(folder: Path, px: int, place: str) -> Task:
    few = [word for split in ("training", "unlabelled", "validation", "test") for word in (f"--{split}", "4")]
    return task(folder, "synthetic", "--root", place, "--px", str(px), *few)


def test_a_data_root_is_made_once_and_only_by_the_same_words(tmp_path: Path) -> None:
    first = made(tmp_path, 32, "{root}")
    prepare_data(first)
    table = tmp_path / "data" / "1" / "training" / "labels.csv"
    before = table.stat().st_mtime_ns
    prepare_data(first)
    assert table.stat().st_mtime_ns == before
    failed = carry_out(made(tmp_path, 64, "{root}"))
    assert failed.status == "failed"
    assert "--px 32" in (failed.error or "")
    assert "but `prepare` is `data synthetic --root {root} --px 64" in (failed.error or "")
    (tmp_path / "data" / ".1.prepare").unlink()  # made by hand, or by a version that wrote nothing down
    prepare_data(made(tmp_path, 64, "{root}"))


def test_words_that_make_another_root_or_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="Making the data root gave no"):
        prepare_data(made(tmp_path, 32, str(tmp_path / "elsewhere")))
    with pytest.raises(ResultsError, match="Making the data root failed: `data check"):
        prepare_data(task(tmp_path, "check", "--root", "{root}"))
