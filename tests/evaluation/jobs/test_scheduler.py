"""Which job is done when, with an executor that only pretends."""

from pathlib import Path

import pytest

from dpc_lightning.evaluation.jobs.carry_out import KEPT, START_FILES, Task
from dpc_lightning.evaluation.jobs.grid import Grid
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import RESULTS, ResultsFile
from dpc_lightning.evaluation.jobs.scheduler import Scheduler
from tests.evaluation.jobs.small_benchmark import benchmark_of


class Pretender:
    """Ends one job at each look, in the order in which they came."""

    def __init__(self, workers: int, failing: str = "") -> None:
        self.workers = workers
        self.failing = failing
        self.tasks: list[Task] = []
        self.done: list[Task] = []

    @property
    def free(self) -> int:
        return self.workers - len(self.tasks)

    def submit(self, task: Task) -> None:
        assert self.free > 0
        assert all(folder.is_dir() for folder in task.starts.values())
        self.tasks.append(task)

    def collect(self, timeout: float) -> list[tuple[Task, Outcome]]:
        task = self.tasks.pop(0)
        self.done.append(task)
        job = task.job
        if self.failing in {job.kind, job.case.arm}:
            return [(task, Outcome.failed("it was to fail"))]
        if job.kind == "start":
            for name in START_FILES:
                file = task.folder / KEPT / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        indices = tuple(range(job.case.labels)) if job.kind == "buy" else ()
        return [(task, Outcome(scores={"f1_macro": 0.5}, indices=indices, bought=job.case.labels))]

    def close(self) -> None:
        """Nothing runs."""


def laid_out(folder: Path, **changes: object) -> Grid:
    second = folder / "second.yaml"
    second.write_text("evaluate: {epochs: 3}\n")
    pipelines = [str(folder / "quick_look.yaml"), str(second)]
    return Grid(benchmark_of(folder, seeds=[1, 2], pipelines=pipelines, **changes))


@pytest.fixture
def results(tmp_path: Path) -> ResultsFile:
    return ResultsFile(tmp_path / RESULTS)


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_what_a_job_needs_is_done_before_it(tmp_path: Path, results: ResultsFile, workers: int) -> None:
    grid = laid_out(tmp_path)
    executor = Pretender(workers)
    Scheduler(grid, results, tmp_path).run(executor)
    order = [task.job.key for task in executor.done]
    assert sorted(order) == sorted(grid.jobs)
    for key, job in grid.jobs.items():
        for needed in (*job.starts, *([job.buyer] if job.buyer else [])):
            assert order.index(needed) < order.index(key)
    judged = [task for task in executor.done if task.job.kind == "judge"]
    assert judged
    assert all(task.purchases == tuple(range(6)) for task in judged)


def test_nothing_is_done_twice(tmp_path: Path, results: ResultsFile) -> None:
    grid = laid_out(tmp_path)
    Scheduler(grid, results, tmp_path).run(Pretender(2))
    again = Scheduler(grid, results, tmp_path)
    assert again.missing == {}
    more = Scheduler(laid_out(tmp_path, pairs=[{"labels": 6}, {"labels": 7}]), results, tmp_path)
    assert {(job.case.labels, job.kind) for job in more.missing.values()} == {(7, "buy"), (7, "judge")}


def test_a_start_model_is_made_only_for_jobs_that_are_missing(tmp_path: Path, results: ResultsFile) -> None:
    grid = laid_out(tmp_path)
    for key, job in grid.jobs.items():
        if job.case.seed == 1 and job.kind != "start":
            results.put(key, Outcome(indices=(1,)))
    starts = [job.case.seed for job in Scheduler(grid, results, tmp_path).missing.values() if job.kind == "start"]
    assert starts == [2]


def test_what_stands_on_a_failed_job_fails_with_its_reason(tmp_path: Path, results: ResultsFile) -> None:
    grid = laid_out(tmp_path)
    Scheduler(grid, results, tmp_path).run(Pretender(2, failing="entropy"))
    outcomes = results.outcomes()
    by_case = {(case.arm, case.seed, Path(case.pipeline).stem): outcomes[key] for case, key in grid.cases.items()}
    assert by_case["entropy", 1, "quick_look"].error == "it was to fail"
    failed = by_case["entropy", 1, "second"]
    assert (failed.status, failed.error) == ("failed", "The purchase that it judges failed: it was to fail")
    assert by_case["random", 1, "second"].status == "done"


def test_without_a_start_model_all_its_jobs_fail_and_are_tried_again_when_asked(
    tmp_path: Path, results: ResultsFile
) -> None:
    grid = laid_out(tmp_path)
    Scheduler(grid, results, tmp_path).run(Pretender(2, failing="start"))
    errors = {outcome.error for outcome in results.outcomes().values()}
    assert errors == {"it was to fail", "Its start model failed: it was to fail"}
    assert Scheduler(grid, results, tmp_path).missing == {}
    again = Scheduler(grid, results, tmp_path, retry_failed=True)
    executor = Pretender(2)
    again.run(executor)
    assert len(executor.done) == len(grid.jobs)
    assert {outcome.status for outcome in results.outcomes().values()} == {"done"}


def test_what_failed_begins_in_an_empty_folder(tmp_path: Path, results: ResultsFile) -> None:
    grid = laid_out(tmp_path)
    Scheduler(grid, results, tmp_path).run(Pretender(2, failing="random"))
    key = next(key for case, key in grid.cases.items() if case.arm == "random")
    left = tmp_path / "jobs" / key / "checkpoints" / "last.ckpt"
    left.parent.mkdir(parents=True)
    left.touch()
    Scheduler(grid, results, tmp_path, retry_failed=True).run(Pretender(2))
    assert not left.exists()
    assert results.outcomes()[key].status == "done"


def test_no_job_is_begun_after_the_time(tmp_path: Path, results: ResultsFile) -> None:
    executor = Pretender(2)
    Scheduler(laid_out(tmp_path), results, tmp_path).run(executor, until=0.0)
    assert executor.done == []


def test_an_outcome_is_written_when_its_job_ends(tmp_path: Path, results: ResultsFile) -> None:
    grid = laid_out(tmp_path)
    seen: list[tuple[int, int]] = []
    scheduler = Scheduler(grid, results, tmp_path)
    scheduler.run(Pretender(2), on_end=lambda job, outcome: seen.append((len(results.outcomes()), len(seen) + 1)))
    assert len(seen) == len(grid.jobs)
    assert all(written == ended for written, ended in seen)
