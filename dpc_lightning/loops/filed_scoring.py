"""Scoring a large pool into files, on one rank or many."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from dpc_lightning.errors import RunDirError
from dpc_lightning.loops.rank_zero import on_rank_zero
from dpc_lightning.loops.score_facts import ScoreFacts
from dpc_lightning.loops.score_files import ScoreFiles
from dpc_lightning.loops.score_share import ScoreShare
from dpc_lightning.loops.scoring import ImageScores, equal_buffers, score_batches
from dpc_lightning.models.backbone import Network
from dpc_lightning.models.classifier import MultiLabelClassifier

__all__ = ["FiledScores", "score_to_files"]


@dataclass(frozen=True)
class FiledScores:
    """Scores of a pool in files.

    Attributes:
        scores: mapped on rank 0; without columns on the others.
        resumed: whether an earlier start had scored some of the images.
    """

    scores: ImageScores
    resumed: bool


def score_to_files(
    module: MultiLabelClassifier,
    trainer: Trainer,
    batches: Callable[[int], Iterable[tuple[Tensor, Tensor]]],
    folder: Path,
    facts: Callable[[], ScoreFacts],
    *,
    members: Sequence[Network] = (),
    on_batch: Callable[[int], None],
) -> FiledScores:
    """Score every image of a pool once over all ranks and starts; each rank writes its rows in place.

    Nothing is sent between ranks, and no rank holds more than a batch. What an earlier start has written is kept if it
    is of the same network, pool and number of ranks: see `ScoreFacts`.

    Args:
        module: the classifier; its mode is restored afterwards.
        trainer: the trainer, which knows the ranks.
        batches: gives this rank's share without so many batches at its beginning: positions `(B,)` int64 in the pool
            and images `(B, 3, H, W)` uint8.
        folder: of the files of this round, as this rank sees it.
        facts: says on rank 0 what is to be scored.
        members: more networks whose logits are wanted, after those of the classifier.
        on_batch: called with the number of images after each batch, and once with those of an earlier start.

    Returns:
        The scores of all images, on rank 0.

    Raises:
        RunDirError: on all ranks, if there is no room, or if the ranks do not see each other's files. On one rank, if
            the disk fails later: the launcher then ends the others.
        RuntimeError: if the shares of the loader are wrong.
    """
    strategy, rank = trainer.strategy, trainer.global_rank
    equal_buffers(module, strategy)
    files = replace(on_rank_zero(trainer, lambda: ScoreFiles.prepare(folder, facts())), folder=folder)
    share = _open(trainer, files)
    with share:
        if share.earlier:
            on_batch(share.images(share.earlier))
        embeddings = "embeddings" in files.facts.columns
        left = batches(share.earlier)
        scored = score_batches(module, strategy, left, embeddings=embeddings, members=members, on_batch=on_batch)
        for positions, logits, features in scored:
            share.put(positions, logits=logits, embeddings=features)
    ends = [strategy.broadcast((share.complete, share.earlier), src=each) for each in range(trainer.world_size)]
    if not all(complete for complete, _ in ends):
        count = files.facts.images
        msg = f"Expected each of {count} images to be scored once over all ranks; the shares of the loader are wrong."
        raise RuntimeError(msg)
    resumed = any(earlier for _, earlier in ends)
    if rank:
        nothing = np.zeros((files.facts.images, 0), np.float32)
        return FiledScores(ImageScores(nothing, nothing), resumed)
    return FiledScores(ImageScores(files.read("logits"), files.read("embeddings")), resumed)


def _open(trainer: Trainer, files: ScoreFiles) -> ScoreShare:
    """Open the files on all ranks, or raise on all ranks what one says."""
    opened: ScoreShare | RunDirError
    try:
        files.require_seen(trainer.global_rank)
        opened = ScoreShare(files, trainer.global_rank, synchronous=trainer.num_nodes > 1)
    except RunDirError as error:
        opened = error
    fault = opened if isinstance(opened, RunDirError) else None
    faults = [trainer.strategy.broadcast(fault, src=rank) for rank in range(trainer.world_size)]
    for each in filter(None, faults):
        raise each
    assert isinstance(opened, ScoreShare)
    on_rank_zero(trainer, files.require_markers)
    before = sum(files.done(rank) or 0 for rank in range(files.facts.world))
    if before:
        rank_zero_info(f"scoring goes on: {before} batches of the pool were scored by an earlier start")
    return opened
