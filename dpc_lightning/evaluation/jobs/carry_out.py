"""Carry out one job: a `fit` in a folder of its own, and what came out of it."""

import json
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dpc_lightning.acquisition.listed import read_indices
from dpc_lightning.atomic import write_atomically, write_text
from dpc_lightning.errors import DpcError, PreemptedError, ResultsError
from dpc_lightning.evaluation.jobs.job import Job, filled
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.result import ALL
from dpc_lightning.process_lock import ProcessLock

__all__ = ["KEPT", "SCORES", "START_FILES", "Task", "carry_out", "is_kept", "prepare_data"]

KEPT = "start"
"""Folder in a start's folder that other jobs begin with."""

START_FILES = ("weights.ckpt", "metrics.csv", "checkpoints/last.ckpt")
"""What it holds; the last one is written last."""

SCORES = ("f1_macro", "f1_macro_at_half", "map", "exact_match")
FACTS = ("versions", "hardware", "phases", "classes", "images", "rounds", "plans", "cut_short_by")


@dataclass(frozen=True)
class Task:
    """A job with what it needs.

    Attributes:
        job: the job.
        run_dir: folder of the benchmark on the machine that does it.
        starts: folders with the files of start models, by the keys of their jobs.
        purchases: image indices that the job is to judge, or None.
        spent: seconds that this purchase took, by activity, or None.
    """

    job: Job
    run_dir: Path
    starts: Mapping[str, Path]
    purchases: tuple[int, ...] | None = None
    spent: Mapping[str, float] | None = None

    @property
    def folder(self) -> Path:
        """The job's own folder."""
        return self.run_dir / "jobs" / self.job.key


def is_kept(folder: Path) -> bool:
    """Say whether a folder holds a whole start model."""
    return all((folder / name).is_file() for name in START_FILES)


def carry_out(task: Task) -> Outcome:
    """Do a job, or go on with it where an earlier start was stopped.

    Args:
        task: the job with what it needs.

    Returns:
        What came out; an error of the job is an outcome too.

    Raises:
        PreemptedError: if the process was asked to end; the same job goes on later.
    """
    began = time.monotonic()
    try:
        prepare_data(task)
        _prepare_folder(task)
        summary = _fit(task)
        outcome = _outcome(task, summary, time.monotonic() - began)
    except PreemptedError:
        raise
    except SystemExit as end:
        return Outcome.failed(f"The job ended itself with status {end.code}.", time.monotonic() - began)
    except DpcError as error:
        return Outcome.failed(str(error), time.monotonic() - began)
    except Exception:  # noqa: BLE001  whatever a rule or a library raised ends this job only
        return Outcome.failed(traceback.format_exc(limit=-4), time.monotonic() - began)
    shutil.rmtree(task.folder / "checkpoints", ignore_errors=True)  # large, and not needed any more
    return outcome


def prepare_data(task: Task) -> None:
    """Make the data root by the words of `prepare` where it is missing.

    Args:
        task: a job.

    Raises:
        ResultsError: if it cannot be made, or if other words made the one that is there.
    """
    root = Path(_root(task))
    if task.job.prepare is None:
        return
    made_by = root.with_name(f".{root.name}.prepare")
    if root.exists():
        _check_words(task, root, made_by)
        return
    from dpc_lightning.__main__ import main  # noqa: PLC0415  the front door imports the benchmark

    root.parent.mkdir(parents=True, exist_ok=True)
    lock = ProcessLock(
        root.with_name(f".{root.name}.lock"),
        name=f"The data root {root}",
        way_out="Start again.",
        error=ResultsError,
        wait_seconds=3600,
    )
    try:
        words = [str(word) for word in filled(list(task.job.prepare), {"root": root, "run_dir": task.run_dir})]
        if not root.exists() and main(words) != 0:
            msg = f"Making the data root failed: `{' '.join(words)}`. See the log of the job in {task.folder}."
            raise ResultsError(msg)
        if not made_by.exists():
            write_text(made_by, json.dumps(task.job.prepare) + "\n")
        _check_words(task, root, made_by)
    finally:
        lock.release()


def _check_words(task: Task, root: Path, made_by: Path) -> None:
    """Refuse a root that other words have made; one of which nothing is written down was made by hand."""
    if not root.exists():
        msg = f"Making the data root gave no {root}: expected `prepare` to name it by `{{root}}`, and `data.root` to."
        raise ResultsError(msg)
    words = list(task.job.prepare or ())
    there = json.loads(made_by.read_text(encoding="utf-8")) if made_by.exists() else words
    if _without_places(there) != _without_places(words):
        msg = (
            f"{root} was made by `{' '.join(there)}`, but `prepare` is `{' '.join(words)}` now. Give `data.root` "
            f"another name, or remove {root} and {made_by} to have it made again."
        )
        raise ResultsError(msg)


def _without_places(words: Sequence[str]) -> list[str]:
    return [word for word in words if "/" not in word]


def _prepare_folder(task: Task) -> None:
    """Put the start model into a new folder; one that is there goes on as it is."""
    folder = task.folder
    if task.job.kind == "start" and (folder / "summary.json").exists() and not is_kept(folder / KEPT):
        shutil.rmtree(folder)  # the files that others begin with were removed: only a new run makes them again
    folder.mkdir(parents=True, exist_ok=True)
    if task.job.start and not (folder / "config.yaml").exists():
        source = task.starts[task.job.start]
        for name in START_FILES[1:]:
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, [(source / name).read_bytes()])
    if task.purchases is not None:
        write_text(folder / "bought.txt", "".join(f"{index}\n" for index in task.purchases))


def _fit(task: Task) -> dict[str, Any]:
    from dpc_lightning.cli import run  # noqa: PLC0415  imports Lightning

    summary = task.folder / "summary.json"
    if not summary.exists():
        weights = task.starts[task.job.reference_start] / "weights.ckpt" if task.job.reference_start else ""
        places = {
            "run_dir": task.run_dir,
            "start": str(weights),
            "kept": str(task.folder / KEPT),
            "purchases": str(task.folder / "bought.txt"),
            "labels": len(task.purchases or ()),
        }
        settings = filled(task.job.settings, places)
        settings["data"] = {**settings.get("data", {}), "root": _root(task)}
        write_text(task.folder / "job.yaml", yaml.safe_dump(settings, sort_keys=False))
        run(["fit", "--config", str(task.folder / "job.yaml"), "--run_dir", str(task.folder)])
    found: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8"))
    return found


def _root(task: Task) -> str:
    return str(Path(str(filled(task.job.root, {"run_dir": task.run_dir}))).absolute())


def _outcome(task: Task, summary: Mapping[str, Any], seconds: float) -> Outcome:
    case = task.job.case
    bought = int(summary["labels_bought"])
    if task.job.kind == "buy" and case.arm != ALL and bought < case.labels and case.seconds is None:
        return Outcome.failed(
            f"{case.labels} labels were to be bought, but the pool has {bought} images: expected fewer in `pairs`.",
            seconds,
        )
    test = summary["test"]
    indices: Sequence[int] = ()
    if bought:
        indices = [int(index) for index in read_indices(task.folder / "purchases.csv")]
    trained = sum(phase["seconds"] for phase in summary["phases"] if phase["name"] == "evaluate")
    return Outcome(
        scores={name: test[name] for name in SCORES},
        f1_per_class=test["f1_per_class"],
        bought=bought,
        indices=tuple(indices),
        spent=summary["compute_spent_on_s"] if task.spent is None else task.spent,  # judging spends nothing on buying
        evaluate_seconds=trained,
        wall_seconds=round(seconds, 3),
        facts={name: summary[name] for name in FACTS if name in summary},
    )
