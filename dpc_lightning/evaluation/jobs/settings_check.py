"""Whether `fit` takes the settings of a job: asked before the first job begins."""

import logging
import multiprocessing
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import yaml

from dpc_lightning.acquisition.rule_list import rules
from dpc_lightning.errors import ConfigError, DpcError
from dpc_lightning.evaluation.jobs.grid import Grid
from dpc_lightning.evaluation.jobs.job import Job, filled

__all__ = ["check_settings", "refusal_of"]

ANY_PLACE = {"run_dir": "runs", "start": "start.ckpt", "kept": "start", "labels": 1, "root": "data"}


def check_settings(grid: Grid, preloaded: str) -> None:
    """Let `fit` read the settings of each study, arm and pipeline once, without carrying them out.

    Args:
        grid: all jobs.
        preloaded: module that the process in which this happens has imported.

    Raises:
        ConfigError: if `fit` refuses them; names study, arm and pipeline.
    """
    jobs = _one_of_each(grid)
    context = multiprocessing.get_context("forkserver")  # a process of its own: Lightning is not imported in this one
    context.set_forkserver_preload([preloaded])
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=([job.settings for job in jobs], theirs))
    process.start()
    theirs.close()
    try:
        refused: tuple[int, str] | None = ours.recv()
    except EOFError as error:
        msg = "The process that was to read the settings ended without an answer."
        raise ConfigError(msg) from error
    finally:
        process.join()
    if refused is not None:
        case = jobs[refused[0]].case
        msg = (
            f"`fit` refuses the settings of study `{case.study}`, arm `{case.arm}`, pipeline `{case.pipeline}`: "
            f"{refused[1]}"
        )
        raise ConfigError(msg)


def _one_of_each(grid: Grid) -> list[Job]:
    """Choose jobs in which every study, arm and pipeline occurs."""
    seen: set[tuple[str, str]] = set()
    chosen = []
    for job in grid.jobs.values():
        case = job.case
        marks = {("study", case.study), ("arm", case.arm), ("pipeline", case.pipeline)}
        if job.kind == "buy" and case.labels and not marks <= seen:
            seen |= marks
            chosen.append(job)
    for job in grid.jobs.values():  # a pipeline that only judges
        if job.kind == "judge" and ("pipeline", job.case.pipeline) not in seen:
            seen.add(("pipeline", job.case.pipeline))
            chosen.append(job)
    return chosen


def _answer(settings: Sequence[Mapping[str, Any]], answer: Connection) -> None:
    logging.disable(logging.INFO)  # Lightning tells of seeds
    for number, each in enumerate(settings):
        reason = refusal_of(each)
        if reason is not None:
            answer.send((number, reason))
            return
    answer.send(None)


def refusal_of(settings: Mapping[str, Any]) -> str | None:
    """Say why `fit` refuses settings, or None.

    Args:
        settings: a configuration of `fit`.

    Returns:
        What the parser or a settings class says.
    """
    from dpc_lightning.cli import PurchaseCLI  # noqa: PLC0415  imports Lightning

    class Reader(PurchaseCLI):
        """Reads settings, and makes only those objects of them that cost nothing."""

        def instantiate_classes(self) -> None:
            cheap = self.config.clone()
            for group in ("model", "trainer"):
                cheap.pop(group)
            self.parser.instantiate_classes(cheap)

    said = StringIO()
    with tempfile.TemporaryDirectory() as folder:
        file, purchases = Path(folder) / "job.yaml", Path(folder) / "bought.txt"
        purchases.write_text("0\n", encoding="utf-8")
        content = filled(settings, {**ANY_PLACE, "purchases": str(purchases)})
        content["trainer"] = {key: value for key, value in content.get("trainer", {}).items() if key != "callbacks"}
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            with redirect_stdout(said), redirect_stderr(said):
                Reader(["--config", str(file)], run=False)
        except SystemExit:
            return _with_names(said.getvalue().partition("error:")[2].strip() or "they are not understood.")
        except (DpcError, ValueError, TypeError) as error:
            return str(error)
    return None


def _with_names(reason: str) -> str:
    if "purchase.acquisition" not in reason or "dot import path" not in reason:
        return reason
    known = ", ".join(rules())
    return f"{reason}\nThere is no such rule. There are: {known}, and any class of yours by its import path."
