"""A benchmark from its settings to its rows: `benchmark`."""

import math
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dpc_lightning.atomic import write_text
from dpc_lightning.errors import ConfigError, PreemptedError, RunDirError
from dpc_lightning.evaluation.jobs.ensembles import Added, add_ensembles
from dpc_lightning.evaluation.jobs.estimate import seconds_left, spoken
from dpc_lightning.evaluation.jobs.grid import Grid
from dpc_lightning.evaluation.jobs.job import Job, filled
from dpc_lightning.evaluation.jobs.local_executor import PRELOADED, LocalExecutor
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import RESULTS, ResultsFile
from dpc_lightning.evaluation.jobs.scheduler import Executor, Scheduler
from dpc_lightning.evaluation.jobs.settings import Benchmark, Pair, Sealed
from dpc_lightning.evaluation.jobs.settings_check import check_settings
from dpc_lightning.process_lock import ProcessLock

__all__ = ["Options", "drawn_pairs", "run_benchmark"]

JOBS_LEFT = 4
"""Exit status of a start that left jobs for another one."""

ROWS = "rows.jsonl"
"""The outcomes as text, for another machine."""


@dataclass(frozen=True)
class Options:
    """How a benchmark is carried out; nothing here changes a result."""

    workers: int | None = None
    """Jobs at a time; null is one a core, or one a GPU where there are any."""
    executor: Literal["local", "ray"] = "local"
    """Where jobs are done: in processes of this machine, or on the machines of a Ray cluster."""
    ray_address: str | None = None
    """Address of a Ray cluster, `auto` for the one that this machine belongs to; null starts one here."""
    minutes: float | None = None
    """Begin no job after so many minutes; the same command goes on later. Null does all."""
    dry_run: bool = False
    """Say what there is to do, and how long it will take after timing one job of each kind; those results are kept."""
    retry_failed: bool = False
    """Try jobs again that have failed."""
    rows: Sequence[str] = field(default_factory=tuple)
    """Files `rows.jsonl` of other folders or machines: results that are in them are not measured again."""
    wandb_project: str | None = None
    """Log the report to this project of Weights & Biases at the end of each start; null does not."""
    wandb_name: str | None = None
    """Name of the run there; null takes that of the folder."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.workers is not None and self.workers < 1:
            msg = f"Expected `--workers` to be at least 1, but got {self.workers}."
            raise ConfigError(msg)
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            msg = f"Expected `--minutes` to be a positive number, but got {self.minutes}."
            raise ConfigError(msg)


def run_benchmark(benchmark: Benchmark, run_dir: Path, options: Options, console: Console) -> int:
    """Do what is missing of a benchmark.

    Args:
        benchmark: what is compared.
        run_dir: folder of the results; the same command goes on in it.
        options: how it is carried out.
        console: where progress is shown.

    Returns:
        0 if every job has given a score, 1 if jobs have failed, 4 if some are left.

    Raises:
        ConfigError: if a setting is wrong.
        ResultsError: if results cannot be read or written.
        RunDirError: if another process uses the folder.
        PreemptedError: if a job was asked to end.
    """
    run_dir = run_dir.absolute()
    began = time.monotonic()
    with _held(run_dir), ResultsFile(run_dir / RESULTS) as results:
        grid = Grid(benchmark, drawn_pairs(benchmark, results))
        results.set_cases(grid.places)
        write_text(run_dir / "benchmark.yaml", yaml.safe_dump(filled(asdict(benchmark), {}), sort_keys=False))
        for file in options.rows:
            console.print(f"{results.take_rows(Path(file))} results taken from {file}", highlight=False)
        scheduler = Scheduler(grid, results, run_dir, options.retry_failed)
        console.print(_plan_table(scheduler))
        if scheduler.missing:
            check_settings(grid, PRELOADED)
            executor = _executor(options, run_dir)
            try:
                until = began + 60 * options.minutes if options.minutes is not None else math.inf
                only = _one_of_each(scheduler) if options.dry_run else None
                with _listening():
                    _run(scheduler, executor, console, until=until, only=only)
                _tell_rest(scheduler, executor, console)
            finally:
                executor.close()
                results.export_rows(run_dir / ROWS)
        _tell_ensembles(add_ensembles(grid.ensembles.values(), results, run_dir), console)
        results.export_rows(run_dir / ROWS)
        failed = _tell_failed(scheduler, console)
        return JOBS_LEFT if scheduler.missing else int(failed > 0)


def _run(
    scheduler: Scheduler, executor: Executor, console: Console, *, until: float, only: Sequence[str] | None
) -> None:
    total = len(scheduler.missing) if only is None else len(only)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("jobs", total=total, left="")

        def on_end(job: Job, outcome: Outcome) -> None:
            remaining = seconds_left(scheduler.grid.jobs, scheduler.done, scheduler.missing)
            left = "" if remaining is None or only is not None else f"{spoken(remaining / executor.workers)} left"
            progress.update(bar, advance=1, left=left)
            score = outcome.scores.get(scheduler.grid.benchmark.metric)
            said = "failed" if outcome.status == "failed" else "" if score is None else f"{score:.3f}"
            if job.kind == "start":
                said = said if outcome.status == "failed" else "start model"
            if not console.is_terminal:  # a log has no bar
                console.print(f"{job.case}: {said}, {outcome.wall_seconds:.0f} s; {left}", highlight=False)

        scheduler.run(executor, until=until, on_end=on_end, only=only)


@contextmanager
def _listening() -> Iterator[None]:
    """Let SIGTERM, as a scheduler sends it, and Ctrl-C end the benchmark in good order."""

    def end(number: int, _: object) -> None:
        msg = f"The benchmark was asked to end by {signal.Signals(number).name}. The same command goes on."
        raise PreemptedError(msg)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_rest(scheduler: Scheduler, executor: Executor, console: Console) -> None:
    if not scheduler.missing:
        return
    left = seconds_left(scheduler.grid.jobs, scheduler.done, scheduler.missing)
    estimate = "" if left is None else f", about {spoken(left / executor.workers)} on {executor.workers} workers"
    console.print(f"{len(scheduler.missing)} jobs are left{estimate}. The same command goes on.", highlight=False)


def _tell_failed(scheduler: Scheduler, console: Console) -> int:
    failed = {key: outcome for key, outcome in scheduler.done.items() if outcome.status == "failed"}
    for key, outcome in list(failed.items())[:5]:
        reason = (outcome.error or "").strip().splitlines()[-1:] or [""]
        console.print(f"failed: {scheduler.grid.jobs[key].case}: {reason[0]}", highlight=False, markup=False)
    if failed:
        console.print(f"{len(failed)} jobs failed. `--retry_failed true` tries them again.", highlight=False)
    return len(failed)


def _tell_ensembles(added: Added, console: Console) -> None:
    if added.made:
        console.print(f"{added.made} ensembles put together", highlight=False)
    for place, reason in list(added.skipped.items())[:5]:
        console.print(f"no ensemble: {place}: {reason}", highlight=False, markup=False)
    if added.skipped:
        console.print(
            f"{len(added.skipped)} ensembles are left out. Results that were taken from `--rows`, or measured before "
            "`ensembles` was asked for, have no predictions. Another `--run_dir` measures them anew.",
            highlight=False,
        )


def _plan_table(scheduler: Scheduler) -> Table:
    """Count the jobs by study and kind."""
    table = Table(title="Jobs", title_justify="left")
    for name in ("study", "start models", "purchases", "judgements", "missing"):
        table.add_column(name, justify="left" if name == "study" else "right")
    jobs = scheduler.grid.jobs
    kinds = Counter((job.case.study, job.kind) for job in jobs.values())
    missing = Counter(job.case.study for job in scheduler.missing.values())
    for study in dict.fromkeys(job.case.study for job in jobs.values()):
        counts = [str(kinds[study, kind]) for kind in ("start", "buy", "judge")]
        table.add_row(study, *counts, str(missing[study]))
    table.add_row("all", *[""] * 3, f"{len(scheduler.missing)} of {len(jobs)}")
    return table


def _one_of_each(scheduler: Scheduler) -> list[str]:
    """Choose the jobs that are timed: a start, a purchase that begins with it, and a judgement of that."""
    jobs = scheduler.missing
    for key, job in jobs.items():
        if job.kind == "judge" and job.buyer in jobs:
            return [*(start for start in job.starts if start in jobs), job.buyer, key]
    for key, job in jobs.items():
        if job.kind == "buy" and job.case.labels:
            return [*(start for start in job.starts if start in jobs), key]
    return list(jobs)[:1]


def _executor(options: Options, run_dir: Path) -> Executor:
    if options.executor == "ray":
        from dpc_lightning.evaluation.jobs.ray_executor import RayExecutor  # noqa: PLC0415  an extra

        return RayExecutor(run_dir, address=options.ray_address, workers=options.workers)
    gpus = _gpus()
    return LocalExecutor(options.workers or gpus or _cores(), gpus)


def _gpus() -> int:
    import torch  # noqa: PLC0415  `--help` need not wait for it

    return torch.cuda.device_count()


def _cores() -> int:
    import os  # noqa: PLC0415

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def drawn_pairs(benchmark: Benchmark, results: ResultsFile) -> dict[int, list[Pair]]:
    """Draw the sealed pairs, or take those that an earlier start has drawn.

    Args:
        benchmark: its studies say between which limits.
        results: where the draw is kept.

    Returns:
        The pairs by the number of their study.
    """
    drawn = {}
    seen: Counter[str] = Counter()
    for number, study in enumerate(benchmark.studies):
        if study.sealed is not None:
            asked = f"{study.name} {study.sealed}"  # a study that is put before this one changes nothing
            fresh = [asdict(pair) for pair in _draw(study.sealed)]
            kept: Any = results.note(f"sealed {seen[asked]} {asked}", fresh)
            seen[asked] += 1
            drawn[number] = [Pair(**pair) for pair in kept]
    return drawn


def _draw(sealed: Sealed) -> list[Pair]:
    chance = random.SystemRandom()

    def between(limits: tuple[float, float]) -> float:
        return math.exp(chance.uniform(math.log(limits[0]), math.log(limits[1])))

    return [
        Pair(round(between(sealed.labels)), None if sealed.seconds is None else round(between(sealed.seconds), 1))
        for _ in range(sealed.count)
    ]


@contextmanager
def _held(run_dir: Path) -> Iterator[None]:
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"Cannot make the folder {run_dir}: {error.strerror or error}. Give another one with `--run_dir`."
        raise RunDirError(msg) from error
    lock = ProcessLock(
        run_dir / ".lock",
        name=f"The benchmark's folder {run_dir}",
        way_out="Wait for it to end, or give another `--run_dir`.",
        error=RunDirError,
    )
    try:
        yield
    finally:
        lock.release()
