"""Jobs on the machines of a Ray cluster."""

import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dpc_lightning.atomic import write_atomically
from dpc_lightning.errors import ConfigError, PreemptedError, ResultsError
from dpc_lightning.evaluation.jobs.carry_out import KEPT, START_FILES, Task, carry_out
from dpc_lightning.evaluation.jobs.job import digest
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.kept_predictions import PREDICTIONS

__all__ = ["RayExecutor"]

ATTEMPTS = 3
"""How many workers are given a job, if they are lost, before it counts as failed."""

ANSWERS_WITHIN = 5.0
"""Seconds that the machine at `--ray_address` has to take a connection."""

A_CLUSTER_WITHIN = 30.0
"""Seconds that a first connection may take: where something else answers, Ray itself would wait for minutes."""

LOG = "log.txt"

SMALL_FILES = (
    "config.yaml",
    "job.yaml",
    "metrics.csv",
    "purchases.csv",
    "summary.json",
    "ledger.sqlite",
    PREDICTIONS,
    LOG,
)
"""What of a job's folder comes back."""

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
    data root of your own must lie at the same place on all, and rules of your own must be importable on all (on this
    one they are found in the current folder). A job whose worker or machine is lost goes to another one.

    Args:
        run_dir: folder of the benchmark, on this machine.
        address: of the cluster, `auto` for the one that this machine belongs to; None starts one here, which ends with
            the benchmark and leaves nothing behind.
        workers: jobs at a time; None is as many as the cluster has processors, or GPUs where it has any.

    Raises:
        ConfigError: if Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, run_dir: Path, *, address: str | None = None, workers: int | None = None) -> None:
        self._run_dir = run_dir.absolute()
        self._own: str | None = None
        self._ray: Any = self._connect(address, workers)
        have = self._ray.cluster_resources()
        gpus = int(have.get("GPU", 0))
        self.workers = workers or gpus or max(int(have.get("CPU", 1)), 1)
        resources = {"num_cpus": 1, "num_gpus": 1 if gpus else 0}
        self._do = self._ray.remote(**resources, max_retries=ATTEMPTS - 1)(_do_remotely)
        self._running: dict[Any, Task] = {}
        self._starts: dict[str, Any] = {}

    def _connect(self, address: str | None, workers: int | None) -> Any:  # noqa: ANN401  Ray has no types
        if address is None:
            # a cluster of our own lets nobody else in, without a token file in the home folder, and tells nobody
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray will do it, and without its warning
        try:
            import ray  # noqa: PLC0415  an extra
        except ImportError as error:
            msg = "`--executor ray` needs Ray: install it by `pip install 'dpc-lightning[ray]'`."
            raise ConfigError(msg) from error
        place: dict[str, Any] = {"address": address}
        if address is None:
            self._own = tempfile.mkdtemp(prefix="dpc_ray-")
            place = {"address": "local", "include_dashboard": False, "num_cpus": workers, "_temp_dir": self._own}
        else:
            _check_address(address)
        threads = os.environ.get("OMP_NUM_THREADS", "1")
        environment = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", "NO_ALBUMENTATIONS_UPDATE": "1"}
        try:
            ray.init(runtime_env={"env_vars": environment}, log_to_driver=False, logging_level=logging.ERROR, **place)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            self._remove_own()
            msg = f"`--executor ray`: cannot use the Ray cluster at {address or 'this machine'}: {error}"
            raise ConfigError(msg) from error
        return ray

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
                self._starts[key] = self._ray.put(_read(folder, START_FILES))
        starts = [self._starts[key] for key in task.starts]
        # references within a list would stay references: as arguments of their own they arrive as what they mean
        reference = self._do.remote(_portable(task), self._place_of(task), tuple(task.starts), *starts)
        self._running[reference] = task

    def collect(self, timeout: float) -> list[tuple[Task, Outcome]]:
        """Wait until a job ends, or the time is up.

        Args:
            timeout: seconds.

        Returns:
            The jobs that have ended, with what came out.

        Raises:
            PreemptedError: if a job, or this process, was asked to end.
            ResultsError: if the cluster is gone.
        """
        try:
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout)
        except self._ray.exceptions.RayError as error:
            msg = f"The Ray cluster is gone: {error} What was measured is kept; the same command goes on."
            raise ResultsError(msg) from error
        except SystemError as error:  # what a signal's handler raises arrives wrapped
            if isinstance(error.__cause__, PreemptedError):
                raise error.__cause__ from None
            raise
        return [(self._running[each], self._answer_of(each, self._running.pop(each))) for each in list(ready)]

    def close(self) -> None:
        """Cancel all that runs, and leave the cluster; one that was started here ends."""
        with suppress(self._ray.exceptions.RayError):
            for each in self._running:
                self._ray.cancel(each, force=True)
        self._running.clear()
        self._starts.clear()
        self._ray.shutdown()
        self._remove_own()

    def _place_of(self, task: Task) -> str:
        """Name the folder of a job's machine, the same for jobs with the same data of one benchmark, and for no other.

        The data lie in it beside the jobs' folders, so that the next job of this machine finds them.
        """
        name = digest("place", [socket.gethostname(), str(self._run_dir), task.job.root, task.job.prepare])[:16]
        base = Path(self._own) if self._own else Path(tempfile.gettempdir()) / f"dpc_lightning-{os.getuid()}"
        return str(base / f"{self._run_dir.name}-{name}")

    def _remove_own(self) -> None:
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

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


def _check_address(address: str) -> None:
    """See whether there is a cluster at an address, in a process of its own: a connection cannot be given up."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    way_out = (
        "Expected the address that `ray start --head` printed, for example 10.0.0.1:6379, or `auto` on a machine of "
        "the cluster."
    )
    if colon and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN).close()
        except (OSError, OverflowError) as error:
            msg = f"`--ray_address`: nothing answers at {address}: {error}. {way_out}"
            raise ConfigError(msg) from error
    try:
        trial = subprocess.run(
            [sys.executable, "-c", "import ray, sys; ray.init(sys.argv[1], log_to_driver=False)", address],
            capture_output=True,
            text=True,
            timeout=A_CLUSTER_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"`--ray_address`: no Ray cluster answers at {address} within {A_CLUSTER_WITHIN:g} seconds. {way_out}"
        raise ConfigError(msg) from error
    if trial.returncode != 0:
        said = (trial.stderr.strip().splitlines() or [f"status {trial.returncode}"])[-1]
        msg = f"`--ray_address`: cannot use a Ray cluster at {address}: {said} {way_out}"
        raise ConfigError(msg)


def _portable(task: Task) -> Task:
    """Name a data root of the user's from the root of the file system: workers run in another folder."""
    if not task.job.root or "{run_dir}" in task.job.root:
        return task
    return replace(task, job=replace(task.job, root=str(Path(task.job.root).absolute())))


def _do_remotely(task: Task, place: str, keys: tuple[str, ...], *starts: Files) -> _Answer:
    """Do a job on a machine of the cluster, in a folder that goes with it."""
    import torch  # noqa: PLC0415  the machine that sends jobs out does not compute

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # whatever the last job of this process has set
    shared = Path(place)
    shared.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shared, prefix="start-") as folder:
        places = {}
        for key, files in zip(keys, starts, strict=True):
            places[key] = Path(folder) / key
            _write(places[key], files)
        here = replace(task, run_dir=shared, starts=places)
        here.folder.mkdir(parents=True, exist_ok=True)
        with (here.folder / LOG).open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
            outcome = carry_out(here)
    kept = _read(here.folder / KEPT, START_FILES) if task.job.kind == "start" else {}
    answer = _Answer(outcome, kept, _read(here.folder, SMALL_FILES))
    shutil.rmtree(here.folder, ignore_errors=True)
    return answer


def _read(folder: Path, names: tuple[str, ...]) -> Files:
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}


def _write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, [content])
