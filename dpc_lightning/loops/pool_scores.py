"""What a rule is told of the pool: which images are scored, by what, and the view that is made of it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from torch import Tensor, nn

from dpc_lightning.acquisition.base import IntArray, Need, PoolView
from dpc_lightning.acquisition.pool_view import Head
from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.callbacks.phase_callback import phase_callbacks
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.errors import AcquisitionError
from dpc_lightning.loops.committee_members import earlier_networks, member_phases
from dpc_lightning.loops.filed_scoring import score_to_files
from dpc_lightning.loops.rank_zero import on_rank_zero
from dpc_lightning.loops.score_facts import DTYPE, ScoreFacts, pool_digest, weights_digest
from dpc_lightning.loops.scoring import ImageScores, score_images
from dpc_lightning.loops.scoring_trial import ScoringTrial, try_scoring
from dpc_lightning.loops.wanted_rows import WantedRows
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.plan import PurchasePlan

__all__ = ["PoolScorer"]

IN_MEMORY = 2**30
"""Bytes of scores up to which a pool is scored in memory; more go to files."""
OWNED: frozenset[Need] = frozenset({"labelled_embeddings", "labelled_logits"})
"""For these the owned images are scored, too, by the present model alone."""
FOLDER = "scores"
"""Name of the folder of these files in that of the run."""


@dataclass(frozen=True)
class _Wanted:
    """Which images of the pool are scored in a round."""

    round: int
    indices: IntArray
    rows: IntArray | None
    """Their positions among the unbought images; None for all."""


class PoolScorer:
    """Scores what a rule needs, on all ranks, and gives rank 0 the view of the pool that the rule picks from.

    Args:
        trainer: the trainer of the run.
        plan: the rule, and how many labels may be bought.
        run_dir: folder of the run.
        seed: seed of the run.
        clock: times a trial.

    Attributes:
        wanted: which images the rule wants scored.
        scored: images that were scored for the last view, by all models of the rule; those that only some of them were
            asked about count for less. None if an earlier start had scored some of them.
    """

    def __init__(self, trainer: Trainer, plan: PurchasePlan, run_dir: Path, seed: int, clock: ComputeBudget) -> None:
        self.trainer = trainer
        self.plan = plan
        self.run_dir = run_dir
        self.seed = seed
        self.clock = clock
        self.wanted = WantedRows(plan, seed)
        self.scored: int | None = 0

    def try_scoring(self, data: PurchaseDataModule, module: MultiLabelClassifier) -> ScoringTrial:
        """Score a few batches of the pool and throw the scores away, to know what a purchase will take.

        Returns:
            What the work begins with, and what one image takes through all models of the rule, over all ranks.
        """
        share = data.pool_loader(self.trainer.global_rank, self.trainer.world_size)
        with_features = "embeddings" in self.plan.acquisition.needs
        trial = try_scoring(module, self.trainer.strategy, share, embeddings=with_features, clock=self.clock.now)
        return ScoringTrial(trial.start_seconds, trial.image_seconds / self.trainer.world_size * self._most_members)

    def view(
        self, data: PurchaseDataModule, module: MultiLabelClassifier, needs: set[Need], number: int, quota: int = 0
    ) -> PoolView:
        """Score what is needed.

        Args:
            data: the data; its bought images are not in the pool.
            module: the model that scores.
            needs: what is computed.
            number: the round, from 1.
            quota: how many labels are to be bought.

        Returns:
            The view of the pool, or of the images of it that the rule wants scored. Rank 0 gets the scores; the views
            of the other ranks have no columns.

        Raises:
            AcquisitionError: on all ranks, if scores are not finite, or the rule asks for images that there are not.
        """
        indices = data.unlabelled.indices
        rows = on_rank_zero(self.trainer, lambda: self.wanted.rows(len(indices), number, quota)) if needs else None
        wanted = _Wanted(number, indices if rows is None else indices[rows], rows)
        pool = self._pool(data, module, needs, wanted)
        labelled = self._labelled(data, module, needs)
        owned = data.aggregated

        def view() -> PoolView:
            return PoolView(
                indices=wanted.indices,
                logits=pool.logits[:, : module.num_classes],
                embeddings=pool.embeddings,
                labelled_labels=owned.labels.copy(),  # copies: a rule that writes into them must not change the run
                labelled_embeddings=labelled.embeddings,
                labelled_logits=labelled.logits if "labelled_logits" in needs else None,
                committee_logits=_by_model(pool, module.num_classes) if "committee_logits" in needs else None,
                head=_last_layer(module) if "head" in needs else None,
                validation_map=module.validation_map,
                f1=module.class_f1.copy(),
                thresholds=module.thresholds.copy(),
                budget_left=self.plan.labels - len(data.bought),
                bought=len(data.bought),
                round=number,
            )

        made: list[PoolView] = []
        # scores that are not finite are refused on rank 0, which alone has them: the others must hear of it
        on_rank_zero(self.trainer, lambda: made.append(view()))
        return made[0] if made else view()

    @property
    def owned_share(self) -> float:
        """What scoring an owned image takes beside one of the pool: 0 where the rule wants to know nothing of them."""
        return 1 / self._most_members if self.plan.acquisition.needs & OWNED else 0.0

    @property
    def _most_members(self) -> int:
        """Models through which an image goes at most."""
        rule = self.plan.acquisition
        return rule.members if "committee_logits" in rule.needs else 1

    def discard(self) -> None:
        """Remove the files of a large pool on rank 0. Their scores stay readable as long as a view has them mapped."""
        if self.trainer.is_global_zero:
            shutil.rmtree(self.run_dir / FOLDER, ignore_errors=True)

    def _pool(
        self,
        data: PurchaseDataModule,
        module: MultiLabelClassifier,
        needs: set[Need],
        wanted: "_Wanted",
    ) -> ImageScores:
        """Score the images of the pool that are wanted."""
        indices = wanted.indices
        self.scored = 0
        if not needs & {"logits", "embeddings", "committee_logits"}:
            return _none(len(indices))
        embeddings = "embeddings" in needs

        def share(skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
            for batch in data.pool_loader(self.trainer.global_rank, self.trainer.world_size, wanted.rows, skip=skip):
                yield torch.from_numpy(np.searchsorted(indices, batch["index"].numpy())), batch["image"]

        def tell(images: int) -> None:
            for callback in phase_callbacks(self.trainer):
                callback.on_scored(self.trainer, module, images, len(indices))

        phases = member_phases(wanted.round, self._most_members) if "committee_logits" in needs else []
        members = earlier_networks(self.trainer, module, self.run_dir / "checkpoints", phases)
        columns = {"logits": module.num_classes * (1 + len(members))}
        self.scored = -(-len(indices) * (1 + len(members)) // self._most_members)
        columns |= {"embeddings": module.embedding_dim} if embeddings else {}
        if len(indices) * sum(columns.values()) * DTYPE.itemsize <= IN_MEMORY:
            strategy = self.trainer.strategy
            return score_images(
                module, strategy, share(), len(indices), embeddings=embeddings, members=members, on_batch=tell
            )

        def facts() -> ScoreFacts:
            return ScoreFacts(
                round=wanted.round,
                columns=columns,
                weights=weights_digest(module.network, *members),
                pool=pool_digest(data.pool.fingerprint(), indices),
                images=len(indices),
                batch=data.eval_batch_size,
                world=self.trainer.world_size,
                device=self.trainer.strategy.root_device.type,
            )

        folder = self.run_dir / FOLDER / f"round_{wanted.round}"
        filed = score_to_files(module, self.trainer, share, folder, facts, members=members, on_batch=tell)
        if filed.resumed:
            self.scored = None
        return filed.scores

    def _labelled(self, data: PurchaseDataModule, module: MultiLabelClassifier, needs: set[Need]) -> ImageScores:
        """Score the images that are owned."""
        count = len(data.aggregated)
        if not needs & OWNED:
            return _none(count)
        if self.scored is not None:
            self.scored += -(-count // self._most_members)
        loader = data.labelled_loader(self.trainer.global_rank, self.trainer.world_size)
        share = ((batch["row"], batch["image"]) for batch in loader)
        features = "labelled_embeddings" in needs
        return score_images(module, self.trainer.strategy, share, count, embeddings=features)


def _by_model(pool: ImageScores, classes: int) -> NDArray[np.float32] | None:
    """Give logits by image, model and class; None where there are none, as on other ranks than 0."""
    images, columns = pool.logits.shape
    return pool.logits.reshape(images, columns // classes, classes) if columns else None


def _none(count: int) -> ImageScores:
    nothing = np.zeros((count, 0), np.float32)
    return ImageScores(nothing, nothing)


def _last_layer(module: MultiLabelClassifier) -> Head:
    layer = module.network.classifier
    if not isinstance(layer, nn.Linear):
        msg = (
            f"Expected a linear last layer of `{module.active.group}.backbone`, for the rule draws dropout before it, "
            f"but got a {type(layer).__name__}. Choose another rule or another backbone."
        )
        raise AcquisitionError(msg)
    weight = layer.weight.detach().float().cpu().numpy()
    bias = dict(layer.named_parameters()).get("bias", torch.zeros(len(weight)))
    return Head(weight.copy(), bias.detach().float().cpu().numpy().copy())
