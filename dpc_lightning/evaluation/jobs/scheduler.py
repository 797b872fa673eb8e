"""Which job is done next, and what is written down when one ends."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dpc_lightning.evaluation.jobs.carry_out import KEPT, Task, is_kept
from dpc_lightning.evaluation.jobs.grid import Grid
from dpc_lightning.evaluation.jobs.job import Job
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import ResultsFile

__all__ = ["Executor", "Scheduler"]

PATIENCE = 0.5
"""Seconds from one look at the clock to the next."""


class Executor(Protocol):
    """Who does the jobs."""

    workers: int

    @property
    def free(self) -> int:
        """How many jobs can be taken now."""

    def submit(self, task: Task) -> None:
        """Begin a job."""

    def collect(self, timeout: float) -> list[tuple[Task, Outcome]]:
        """Wait until a job ends or the time is up, and give those that have ended."""

    def close(self) -> None:
        """End all that runs."""


@dataclass
class Scheduler:
    """Does the missing jobs of a grid.

    Args:
        grid: all jobs.
        results: what has been measured.
        run_dir: folder of the benchmark.
        retry_failed: whether jobs that have failed are tried again.
    """

    grid: Grid
    results: ResultsFile
    run_dir: Path
    retry_failed: bool = False
    done: dict[str, Outcome] = field(default_factory=dict, init=False)
    missing: dict[str, Job] = field(default_factory=dict, init=False)
    _stale: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """See what is there already."""
        known = self.results.outcomes()
        self.done = {
            key: outcome
            for key, outcome in known.items()
            if key in self.grid.jobs and (outcome.status == "done" or not self.retry_failed)
        }
        self._stale = {key for key, outcome in known.items() if outcome.status == "failed"} - self.done.keys()
        for key, job in self.grid.jobs.items():
            if job.kind == "start":
                self.done.pop(key, None)  # what counts are its files
            elif key not in self.done:
                self.missing[key] = job
        needed = {start for job in self.missing.values() for start in job.starts}
        starts = {key: self.grid.jobs[key] for key in needed if not is_kept(self._kept(key))}
        in_order = [key for key in self.grid.jobs if key in self.missing or key in starts]
        self.missing = {key: self.grid.jobs[key] for key in in_order}

    def run(
        self,
        executor: Executor,
        *,
        until: float = float("inf"),
        on_end: Callable[[Job, Outcome], object] | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        """Do the jobs that are missing.

        Args:
            executor: who does them.
            until: no job is begun after this time of `time.monotonic()`.
            on_end: is told each job that has ended.
            only: keys of the jobs to do; None for all.

        Raises:
            ResultsError: if an outcome cannot be written; the job's folder still has it.
            PreemptedError: if a job was asked to end.
        """
        waiting = [key for key in self.missing if only is None or key in only]
        running: set[str] = set()
        while waiting or running:
            while executor.free and time.monotonic() < until:
                ready = next((key for key in waiting if self._is_ready(key)), None)
                if ready is None:
                    break
                waiting.remove(ready)
                blocked = self._blocked_by(ready)
                if blocked is not None:
                    self._end(ready, Outcome.failed(blocked), on_end)
                    continue
                running.add(ready)
                if ready in self._stale:
                    shutil.rmtree(self.run_dir / "jobs" / ready, ignore_errors=True)  # what failed begins anew
                executor.submit(self._task(ready))
            if not running:
                break
            for task, outcome in executor.collect(PATIENCE):
                running.discard(task.job.key)
                self._end(task.job.key, outcome, on_end)

    def _end(self, key: str, outcome: Outcome, on_end: Callable[[Job, Outcome], object] | None) -> None:
        self.results.put(key, outcome)
        job = self.missing.pop(key)
        self.done[key] = outcome
        if on_end is not None:
            on_end(job, outcome)

    def _is_ready(self, key: str) -> bool:
        job = self.grid.jobs[key]
        needed = [*job.starts, *([job.buyer] if job.buyer else [])]
        return not any(each in self.missing for each in needed)

    def _blocked_by(self, key: str) -> str | None:
        """Say what a job lacks because another one has failed."""
        job = self.grid.jobs[key]
        for start in job.starts:
            if not is_kept(self._kept(start)):
                failed = self.done.get(start)
                return f"Its start model failed: {failed.error if failed else 'its files are missing'}"
        buyer = self.done.get(job.buyer) if job.buyer else None
        if buyer is not None and buyer.status == "failed":
            return f"The purchase that it judges failed: {buyer.error}"
        return None

    def _task(self, key: str) -> Task:
        job = self.grid.jobs[key]
        starts = {start: self._kept(start) for start in job.starts}
        buyer = self.done[job.buyer] if job.buyer else None
        if buyer is None:
            return Task(job, self.run_dir, starts)
        return Task(job, self.run_dir, starts, buyer.indices, buyer.spent)

    def _kept(self, key: str) -> Path:
        return self.run_dir / "jobs" / key / KEPT
