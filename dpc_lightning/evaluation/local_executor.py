"""Jobs in processes of this machine, one each."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from dpc_lightning.errors import PreemptedError
from dpc_lightning.evaluation.carry_out import Task, carry_out
from dpc_lightning.evaluation.outcome import Outcome

__all__ = ["PRELOADED", "LocalExecutor"]

PRELOADED = "dpc_lightning.evaluation.preloaded"
"""What the server imports once, so that a job need not."""

LOG = "log.txt"


@dataclass
class _Running:
    task: Task
    process: BaseProcess
    answer: Connection
    slot: int
    attempt: int
    began: float = field(default_factory=time.monotonic)


class LocalExecutor:
    """Does jobs in processes of their own, so that none can end or disturb another.

    The processes are forked off a server that has imported everything and computed nothing. What a job prints goes to
    `log.txt` in its folder. A job whose process was killed is tried once more, from its last checkpoint.

    Args:
        workers: how many at a time.
        gpus: GPUs of this machine; each process is given one of them in turn. 0 leaves the choice to the configuration.
    """

    def __init__(self, workers: int, gpus: int = 0) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self.workers = workers
        self._gpus = gpus
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([PRELOADED])
        self._running: list[_Running] = []

    @property
    def free(self) -> int:
        """How many jobs can be taken now."""
        return self.workers - len(self._running)

    def submit(self, task: Task, attempt: int = 1) -> None:
        """Begin a job.

        Args:
            task: the job; there must be room for it.
            attempt: counts the processes that were given to it.
        """
        slot = min(set(range(self.workers)) - {each.slot for each in self._running})
        ours, theirs = self._context.Pipe()
        gpu = str(slot % self._gpus) if self._gpus else None
        process = self._context.Process(target=_work, args=(task, theirs, gpu), name=f"job {task.job.key}")
        process.start()
        theirs.close()
        self._running.append(_Running(task, process, ours, slot, attempt))

    def collect(self, timeout: float) -> list[tuple[Task, Outcome]]:
        """Wait until a job ends, or the time is up.

        Args:
            timeout: seconds.

        Returns:
            The jobs that have ended, with what came out.

        Raises:
            PreemptedError: if a job was asked to end by somebody else.
        """
        ended: list[tuple[Task, Outcome]] = []
        ready = wait([each.answer for each in self._running], timeout)
        for each in [each for each in self._running if each.answer in ready]:
            self._running.remove(each)
            outcome = self._answer_of(each)
            if outcome is not None:
                ended.append((each.task, outcome))
        return ended

    def close(self) -> None:
        """Ask all that runs to end; the jobs go on from their last checkpoints when they are begun again."""
        for each in self._running:
            each.process.terminate()
        for each in self._running:
            each.process.join(timeout=30)
            if each.process.is_alive():
                each.process.kill()
                each.process.join()
        self._running.clear()

    def _answer_of(self, each: _Running) -> Outcome | None:
        try:
            answer = each.answer.recv()
        except (EOFError, OSError):
            answer = None
        each.process.join()
        if isinstance(answer, Outcome):
            return answer
        if answer == PREEMPTED:
            msg = f"The job {each.task.job.key} was asked to end, so the benchmark ends too. The same command goes on."
            raise PreemptedError(msg)
        code = each.process.exitcode or 0
        reason = signal.Signals(-code).name if code < 0 else f"status {code}"
        if each.attempt < 2:
            self.submit(each.task, each.attempt + 1)
            return None
        return Outcome.failed(
            f"The process ended by {reason}, twice; see {each.task.folder / LOG}.", time.monotonic() - each.began
        )


PREEMPTED = "preempted"


def _work(task: Task, answer: Connection, gpu: str | None) -> None:
    """Do a job in this process."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    threading.Thread(target=_end_with_parent, args=(answer,), daemon=True).start()
    task.folder.mkdir(parents=True, exist_ok=True)
    with (task.folder / LOG).open("a", encoding="utf-8") as log:
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            os.dup2(log.fileno(), number)
        try:
            outcome: Outcome | str = carry_out(task)
        except PreemptedError:
            outcome = PREEMPTED
        sys.stdout.flush()
        sys.stderr.flush()
    answer.send(outcome)


def _end_with_parent(answer: Connection) -> None:
    """End this process, in the way of a scheduler, when the benchmark that started it is gone."""
    try:
        answer.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
