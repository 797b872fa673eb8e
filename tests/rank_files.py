"""Runs whose pool is scored into files, on one rank and two, some of them killed; a program, because it forks."""

import json
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import tests.rank_probes  # noqa: F401  the tiny network
from dpc_lightning.__main__ import main as dpc_lightning
from dpc_lightning.loops import filed_scoring, pool_scores, score_files, score_share
from dpc_lightning.loops.score_share import ScoreShare
from tests.small_run import words

SETTINGS = (
    "--model.backbone=dpc_test_tiny_linear",
    "--evaluate.backbone=dpc_test_tiny_linear",
    "--purchase.pretrain_epochs=1",
    "--evaluate.epochs=1",
    "--data.eval_batch_size=8",
    "--purchase.pseudo_labels=0.51",  # their scores are read after the files are removed
)
BATCHES = 7
"""Of the 50 images of the first round."""


@dataclass(frozen=True)
class Life:
    """A start of a run.

    Attributes:
        run: name of its folder.
        world: number of ranks.
        files: whether the scores go to files.
        killed: rank that is killed before it writes its batch of this number, from 0.
        hidden: whether rank 1 has another folder for the scores.
        copied: name of the folder of which this one is a copy.
    """

    run: str
    world: int = 1
    files: bool = True
    killed: tuple[int, int] | None = None
    hidden: bool = False
    copied: str = ""


LIVES = (
    *(Life(f"memory_{world}", world, files=False) for world in (1, 2)),
    Life("killed_1", killed=(0, 5)),
    Life("killed_1"),
    Life("killed_2", 2, killed=(1, 2)),
    Life("fewer", copied="killed_2"),
    Life("killed_2", 2),
    Life("hidden", 2, hidden=True),
)


def note(file: Path, **facts: object) -> None:
    """Append a line."""
    with file.open("a") as stream:
        stream.write(json.dumps(facts) + "\n")


def arm(life: Life, number: int, rank: int, out: Path) -> None:
    """Let this process write its scores down in files, batch by batch, and die where it is to."""
    score_share.MARK_EVERY = 0.0
    score_files.SEEN_WITHIN = 0.5 if life.hidden else 20.0
    if not life.files:
        return
    pool_scores.IN_MEMORY = 0
    put, score = ScoreShare.put, filed_scoring.score_to_files
    calls = 0

    def noted(share: ScoreShare, positions: Any, **tables: Any) -> None:
        nonlocal calls
        if life.killed == (rank, calls):
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        put(share, positions, **tables)
        facts = share.files.facts
        batch = int(positions[0]) // facts.batch
        note(out / "written.jsonl", life=number, world=life.world, round=facts.round, rank=rank, batch=batch)

    def told(module: Any, trainer: Any, batches: Any, folder: Path, facts: Any, *, on_batch: Any, **more: Any) -> Any:
        def tell(images: int) -> None:
            note(out / "told.jsonl", life=number, rank=rank, images=images)
            on_batch(images)

        place = out / "elsewhere" / "round" if life.hidden and rank else folder
        return score(module, trainer, batches, place, facts, on_batch=tell, **more)

    ScoreShare.put = noted  # type: ignore[method-assign, assignment]
    pool_scores.score_to_files = told  # type: ignore[attr-defined]


def live(life: Life, number: int, rank: int, root: Path, out: Path) -> None:
    """Be a rank."""
    log = os.open(out / f"{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    if life.world > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(life.world)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(life.world), "GROUP_WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "here"}
    arm(life, number, rank, out)
    try:
        status = dpc_lightning(words(root, out / life.run, *SETTINGS))
    except BaseException:  # noqa: BLE001  whatever it is belongs into the log
        traceback.print_exc()
        status = 70
    os._exit(status)


def carry_out(life: Life, number: int, root: Path, out: Path) -> Iterator[int]:
    """Start all ranks and give how they ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    target: Callable[..., None] = live
    ranks = [
        get_context("fork").Process(target=target, args=(life, number, rank, root, out)) for rank in range(life.world)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
        yield 99 if process.exitcode is None else process.exitcode
        process.kill()


def main(root: Path, out: Path) -> None:
    """Let the runs live one after the other; what is left of them between two lives is listed."""
    torch.set_num_threads(1)
    for number, life in enumerate(LIVES):
        if life.copied:
            shutil.copytree(out / life.copied, out / life.run)
        statuses = list(carry_out(life, number, root, out))
        left = sorted(str(path.relative_to(out / life.run)) for path in (out / life.run).glob("scores/**/*.*"))
        note(out / "lives.jsonl", **asdict(life), statuses=statuses, left=left)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
