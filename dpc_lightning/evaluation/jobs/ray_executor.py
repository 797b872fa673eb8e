"""Jobs on the machines of a Ray cluster."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dpc_lightning.atomic import write_atomically
from dpc_lightning.errors import ConfigError, PreemptedError
from dpc_lightning.evaluation.jobs.carry_out import KEPT, START_FILES, Task, carry_out
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.kept_predictions import PREDICTIONS

__all__ = ["RayExecutor"]

ATTEMPTS = 3
"""How many workers are given a job, if they are lost, before it counts as failed."""

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class _Answer:
    outcome: Outcome
    kept: Files
    folder: Files


class RayExecutor:
    """Does jobs on the machines of a Ray cluster; needs the extra `[ray]`.

    The machines share nothing but the package: start models travel as bytes, and so do the small files of a job's
    folder on the way back. Sheets are generated, or data prepared, on each machine under its own temporary folder; a
    data root of your own must lie at the same place on all. A job whose worker or machine is lost goes to another one.

    Args:
        run_dir: folder of the benchmark, on this machine.
        address: of the cluster, `auto` for the one that this machine belongs to; None starts one here, which ends with
            the benchmark.
        workers: jobs at a time; None is as many as the cluster has processors, or GPUs where it has any.

    Raises:
        ConfigError: if Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, run_dir: Path, *, address: str | None = None, workers: int | None = None) -> None:
        try:
            import ray  # noqa: PLC0415  an extra
        except ImportError as error:
            msg = "`--executor ray` needs Ray: install it by `pip install 'dpc-lightning[ray]'`."
            raise ConfigError(msg) from error
        self._ray: Any = ray
        self._run_dir = run_dir
        environment = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "NO_ALBUMENTATIONS_UPDATE": "1"}
        options: dict[str, Any] = {"log_to_driver": False, "include_dashboard": False} if address is None else {}
        if address is None and workers is not None:
            options["num_cpus"] = workers
        try:
            ray.init(address=address, runtime_env={"env_vars": environment}, **options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            msg = f"`--ray_address`: cannot use a Ray cluster at {address!r}: {error}"
            raise ConfigError(msg) from error
        have = self._ray.cluster_resources()
        gpus = int(have.get("GPU", 0))
        self.workers = workers or gpus or max(int(have.get("CPU", 1)), 1)
        self._do = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_retries=ATTEMPTS - 1)(_do_remotely)
        self._running: dict[Any, Task] = {}
        self._starts: dict[str, Any] = {}

    @property
    def free(self) -> int:
        """How many jobs can be taken now."""
        return self.workers - len(self._running)

    def submit(self, task: Task) -> None:
        """Begin a job.

        Args:
            task: the job.
        """
        for key, folder in task.starts.items():
            if key not in self._starts:
                self._starts[key] = self._ray.put(_read_start(folder))
        starts = [self._starts[key] for key in task.starts]
        # references within a list would stay references: as arguments of their own they arrive as what they mean
        self._running[self._do.remote(task, str(self._run_dir), tuple(task.starts), *starts)] = task

    def collect(self, timeout: float) -> list[tuple[Task, Outcome]]:
        """Wait until a job ends, or the time is up.

        Args:
            timeout: seconds.

        Returns:
            The jobs that have ended, with what came out.

        Raises:
            PreemptedError: if a job was asked to end.
        """
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout)
        return [(self._running[each], self._answer_of(each, self._running.pop(each))) for each in list(ready)]

    def close(self) -> None:
        """Cancel all that runs, and leave the cluster; one that was started here ends."""
        for each in self._running:
            self._ray.cancel(each, force=True)
        self._running.clear()
        self._ray.shutdown()

    def _answer_of(self, reference: Any, task: Task) -> Outcome:  # noqa: ANN401  Ray has no types
        try:
            answer: _Answer = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, PreemptedError):
                raise PreemptedError(str(error.cause)) from error
            return Outcome.failed(str(error))
        except self._ray.exceptions.RayError as error:
            return Outcome.failed(f"Ray lost the job, {ATTEMPTS} times: {error}")
        _write(task.folder, answer.folder)
        _write(task.folder / KEPT, answer.kept)
        return answer.outcome


def _do_remotely(task: Task, run_dir: str, keys: tuple[str, ...], *starts: Files) -> _Answer:
    """Do a job on a machine of the cluster, in a folder that goes with it."""
    shared = Path(tempfile.gettempdir()) / f"dpc_lightning-{os.getuid()}" / Path(run_dir).name
    shared.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shared, prefix="job-") as folder:
        own = Path(folder)
        places = {}
        for key, files in zip(keys, starts, strict=True):
            places[key] = own / "starts" / key
            _write(places[key], files)
        # the data lie beside the jobs' folders, so that the next job of this machine finds them
        here = replace(task, run_dir=shared, starts=places)
        outcome = carry_out(here)
        kept = here.folder / KEPT
        made = _read_start(kept) if task.job.kind == "start" else {}
        answer = _Answer(outcome, made, _small_files(here.folder))
    shutil.rmtree(here.folder, ignore_errors=True)
    return answer


def _read_start(folder: Path) -> Files:
    return {name: (folder / name).read_bytes() for name in START_FILES if (folder / name).is_file()}


def _small_files(folder: Path) -> Files:
    names = ("config.yaml", "job.yaml", "metrics.csv", "purchases.csv", "summary.json", "ledger.sqlite", PREDICTIONS)
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}


def _write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, [content])
