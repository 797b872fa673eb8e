"""One purchase: score the pool, pick, buy through the ledger, and tell every rank."""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from dpc_lightning.acquisition.base import Acquisition, IntArray, LabelArray, Need, PoolView
from dpc_lightning.acquisition.pool_view import Head
from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.errors import AcquisitionError
from dpc_lightning.loops.checked_picks import checked_picks
from dpc_lightning.loops.scoring import ImageScores, score_images
from dpc_lightning.loops.scoring_trial import ScoringTrial, try_scoring
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.export import write_purchases
from dpc_lightning.purchase.files_oracle import FilesOracle
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.ledger_view import Json
from dpc_lightning.purchase.oracle import HiddenLabels
from dpc_lightning.purchase.plan import PurchasePlan

__all__ = ["START_MODEL", "Bought", "Buyer", "StartModelWarning"]

PATIENCE = 0.2
"""Seconds from one look to the next whether a waiting run is asked to end."""
START_MODEL = "start_model"
"""Kind of the ledger's event that says what the model knew that picked first."""

T = TypeVar("T")


class StartModelWarning(UserWarning):
    """The model that is about to pick knows next to nothing."""


@dataclass(frozen=True)
class Bought:
    """What is owned of the pool, in the order of purchase.

    Attributes:
        indices: `(n,)` int64, image indices.
        labels: `(n, C)` uint8.
    """

    indices: IntArray
    labels: LabelArray


class Buyer:
    """Carries out the purchases of a run. Rank 0 alone holds the ledger; what it does is broadcast, errors too.

    Args:
        trainer: the trainer of the run.
        plan: budget, rule and oracle.
        run_dir: folder of `ledger.sqlite` and `purchases.csv`.
        seed: seed of the run; picks are a function of it, the round and the scores.
        clock: is told what the seconds are spent on.
    """

    def __init__(self, trainer: Trainer, plan: PurchasePlan, run_dir: Path, seed: int, clock: ComputeBudget) -> None:
        self.trainer = trainer
        self.plan = plan
        self.run_dir = run_dir
        self.seed = seed
        self.clock = clock
        self._ledger: Ledger | None = None

    def bought(self, data: PurchaseDataModule, rows: int | None = None) -> Bought:
        """Read the first `rows` purchases (all by default) from the ledger, on every rank."""

        def read() -> Bought:
            purchases = self._open(data).purchases(rows)
            return Bought(purchases.index, purchases.labels)

        return self._on_rank_zero(read)

    def has_picked(self, data: PurchaseDataModule, round_number: int) -> bool:
        """Say whether the ledger holds a pick list for this round already."""
        return self._on_rank_zero(lambda: self._open(data).picks(round_number) is not None)

    def noted(self, data: PurchaseDataModule, kind: str) -> list[dict[str, Any]]:
        """List the facts of this kind that `note` has written, now or at an earlier start, oldest first."""
        return self._on_rank_zero(lambda: self._open(data).events(kind))

    def note(self, data: PurchaseDataModule, kind: str, **facts: Json) -> None:
        """Write a fact that a resume must know into the ledger."""
        self._on_rank_zero(lambda: self._open(data).record_event(kind, facts))

    def try_scoring(self, data: PurchaseDataModule, module: MultiLabelClassifier) -> ScoringTrial:
        """Score a few batches of the pool and throw the scores away, to know what a purchase will take.

        Returns:
            What the images take that the rule wants to be scored, over all ranks, and what one image takes.
        """
        needs = self.plan.acquisition.needs
        share = data.pool_loader(self.trainer.global_rank, self.trainer.world_size)
        with_features = "embeddings" in needs
        trial = try_scoring(module, self.trainer.strategy, share, embeddings=with_features, clock=self.clock.now)
        owned = len(data.aggregated) if needs & {"labelled_embeddings", "labelled_logits"} else 0
        image = trial.image_seconds / self.trainer.world_size
        return ScoringTrial(trial.start_seconds + owned * image, image)

    def export(self, data: PurchaseDataModule) -> None:
        """Write `purchases.csv` from the ledger, and say where the ledger stands: its head proves it later."""

        def write() -> None:
            ledger = self._open(data)
            write_purchases(self.run_dir / "purchases.csv", ledger.purchases(), data.pool.images, data.classes)
            _say_head(ledger)

        self._on_rank_zero(write)

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def buy(
        self, data: PurchaseDataModule, module: MultiLabelClassifier, round_number: int, quota: int
    ) -> PurchaseRecord:
        """Buy the labels of one round.

        The pick list is written into the ledger before the oracle is asked; a run killed after that replays it.

        Args:
            data: the data; its bought images are not in the pool.
            module: the model that scores.
            round_number: the round, from 1.
            quota: how many labels to buy; fewer if the pool is smaller.

        Returns:
            What was bought, equal on all ranks.

        Raises:
            AcquisitionError: if the rule picks what it must not; nothing is written or charged then.
            PurchaseError: if the ledger refuses, or the oracle fails.
            LabelsPendingError: if people answer later.
        """
        earlier = self._on_rank_zero(lambda: self._open(data).picks(round_number))
        needs = set(self.plan.acquisition.needs)
        if self.plan.pseudo_labels is not None:
            needs.add("logits")
        start = self.clock.now()
        with self.clock.doing("score"):
            pool = self._view(data, module, needs if earlier is None else set(), round_number, quota)
        scored = self.clock.now()
        for callback in self._listeners():
            callback.on_pool_scored(self.trainer, module)
        if earlier is None and round_number == 1:
            self._judge_start_model(data, module, pool)

        def settle() -> PurchaseRecord:
            ledger = self._open(data)
            selection = earlier
            if selection is None:
                with self.clock.doing("pick"):
                    rule = self.plan.acquisition
                    picks = rule.select(pool, quota, self._generator(round_number))
                    selection = checked_picks(picks, pool, quota, type(rule).__name__)
                    ledger.record_picks(round_number, selection)
            picked = self.clock.now()
            with self.clock.doing("buy"):
                labels = ledger.buy(selection.indices, round=round_number, scores=selection.scores)
                _say_head(ledger)
                write_purchases(self.run_dir / "purchases.csv", ledger.purchases(), data.pool.images, data.classes)
            return PurchaseRecord(
                round=round_number,
                indices=selection.indices,
                scores=selection.scores,
                labels=labels,
                pool=len(data.unlabelled),
                labels_left=self.plan.labels - len(data.bought) - len(selection.indices),  # as then, if replayed
                score_seconds=scored - start,
                pick_seconds=picked - scored,
                buy_seconds=self.clock.now() - picked,
                replayed=earlier is not None,
            )

        record = self._on_rank_zero(settle)
        if self.plan.pseudo_labels is not None and earlier is not None:
            with self.clock.doing("score"):  # only now: people may have been asked, and not have answered yet
                pool = self._view(data, module, {"logits"}, round_number, quota)
        self._offer_pseudo_labels(data, pool, record)
        return record

    def _open(self, data: PurchaseDataModule) -> Ledger:
        if self._ledger is None:
            if self.plan.labels:
                rounds = self.plan.rounds if isinstance(self.plan.rounds, int) else self.plan.max_rounds
                self.plan.acquisition.check_pool(len(data.unlabelled), -(-self.plan.labels // max(1, rounds)))
            oracle = self.plan.oracle
            if isinstance(oracle, HiddenLabels):
                table = data.hidden_labels()
                if table is not None:
                    oracle.attach(table)
                if self.plan.labels:
                    oracle.label(np.zeros(0, dtype=np.int64))  # says now, before the pretraining, if there is no table
            if isinstance(oracle, FilesOracle):
                oracle.attach(
                    folder=self.run_dir / "requests",
                    images=data.pool.images,
                    image_folder=data.pool.folder / "images",
                    classes=data.classes,
                )
            self._ledger = Ledger.open(
                self.run_dir / "ledger.sqlite",
                oracle=oracle,
                attempts=self.plan.oracle_attempts,
                backoff_seconds=self.plan.oracle_backoff_seconds,
                sleep=self._wait,
                budget=self.plan.labels,
                pool_size=len(data.pool),
                classes=data.classes,
                pool_fingerprint=data.pool.fingerprint,
            )
        return self._ledger

    def _rows_to_score(self, images: int, round_number: int, quota: int) -> IntArray | None:
        """Ask the rule which images it wants scored; None for all."""
        rule = self.plan.acquisition
        if type(rule).rows_to_score is Acquisition.rows_to_score:
            return None

        def ask() -> IntArray | None:
            count = min(quota, images)
            rows = rule.rows_to_score(images, count, self._generator(round_number, stream=3))
            if rows is None:
                return None
            rows = np.asarray(rows)
            fits = rows.ndim == 1 and rows.dtype.kind in "iu" and len(rows) >= count
            if not (fits and (np.diff(rows) > 0).all() and (not len(rows) or (rows[0] >= 0 and rows[-1] < images))):
                msg = (
                    f"Expected `rows_to_score` of {type(rule).__name__} to give at least {count} increasing rows below "
                    f"{images}, but got {rows!r:.80}. This is a defect of the rule: nothing was bought."
                )
                raise AcquisitionError(msg)
            return rows.astype(np.int64)

        return self._on_rank_zero(ask)

    def _view(
        self, data: PurchaseDataModule, module: MultiLabelClassifier, needs: set[Need], number: int, quota: int = 0
    ) -> PoolView:
        """Score what is needed. Rank 0 gets the scores; the views of the other ranks have no columns."""
        indices = data.unlabelled.indices
        rows = self._rows_to_score(len(indices), number, quota) if needs else None
        if rows is not None:
            indices = indices[rows]
        rank, world = self.trainer.global_rank, self.trainer.world_size
        strategy = self.trainer.strategy
        nothing = np.zeros((len(indices), 0), np.float32)
        pool = ImageScores(nothing, nothing)
        if needs & {"logits", "embeddings"}:
            share = (
                (torch.from_numpy(np.searchsorted(indices, batch["index"].numpy())), batch["image"])
                for batch in data.pool_loader(rank, world, rows)
            )
            pool = score_images(
                module,
                strategy,
                share,
                len(indices),
                embeddings="embeddings" in needs,
                on_batch=lambda images: self._tell_scored(module, images, len(indices)),
            )
        owned = data.aggregated
        nothing = np.zeros((len(owned), 0), np.float32)
        labelled = ImageScores(nothing, nothing)
        if needs & {"labelled_embeddings", "labelled_logits"}:
            share = ((batch["row"], batch["image"]) for batch in data.labelled_loader(rank, world))
            features = "labelled_embeddings" in needs
            labelled = score_images(module, strategy, share, len(owned), embeddings=features)

        def view() -> PoolView:
            return PoolView(
                indices=indices,
                logits=pool.logits,
                embeddings=pool.embeddings,
                labelled_labels=owned.labels.copy(),  # copies: a rule that writes into them must not change the run
                labelled_embeddings=labelled.embeddings,
                labelled_logits=labelled.logits if "labelled_logits" in needs else None,
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
        self._on_rank_zero(lambda: made.append(view()))
        return made[0] if made else view()

    def _tell_scored(self, module: MultiLabelClassifier, images: int, total: int) -> None:
        for callback in self._listeners():
            callback.on_scored(self.trainer, module, images, total)

    def _wait(self, seconds: float) -> None:
        """Wait for an oracle that has failed, unless the run is asked to end meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for callback in self._listeners():
                callback.on_wait()
            time.sleep(min(left, PATIENCE))

    def _listeners(self) -> Iterator[PhaseCallback]:
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        return (callback for callback in callbacks if isinstance(callback, PhaseCallback))

    def _generator(self, round_number: int, stream: int = 1) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, round_number], spawn_key=(stream,)))

    def _judge_start_model(self, data: PurchaseDataModule, module: MultiLabelClassifier, pool: PoolView) -> None:
        score = module.validation_map
        guess = float(pool.prevalence.mean())
        informed = bool(score >= guess + 0.2 * (1 - guess))
        if not self.noted(data, START_MODEL):  # killed in between, an earlier start has said it already
            known = {} if np.isnan(score) else {"map": score}
            self.note(data, START_MODEL, informed=informed, guess=guess, **known)
        if not informed and self.plan.acquisition.needs and self.trainer.is_global_zero:
            warnings.warn(
                f"The model that picks first knows next to nothing: its validation mAP is {score:.2f}, guessing gives "
                f"{guess:.2f}. Rules that trust it can fall below random. Train it longer "
                "(`purchase.pretrain_epochs`), "
                f"give more than {len(data.labelled)} labelled images, or buy the first round by `Random`.",
                StartModelWarning,
                stacklevel=2,
            )

    def _offer_pseudo_labels(self, data: PurchaseDataModule, pool: PoolView, record: PurchaseRecord) -> None:
        certain = self.plan.pseudo_labels
        if certain is None:
            return

        def choose() -> Bought:
            bound = np.log(certain / (1 - certain))
            confident = (np.abs(pool.logits) >= bound).all(axis=1) & ~np.isin(pool.indices, record.indices)
            return Bought(pool.indices[confident], (pool.logits[confident] > 0).astype(np.uint8))

        chosen = self._on_rank_zero(choose)
        data.set_pseudo_labels(chosen.indices, chosen.labels)

    def _on_rank_zero(self, work: Callable[[], T]) -> T:
        """Do something on rank 0 and give its result, or raise its error, on every rank."""
        outcome: T | Exception | None = None
        if self.trainer.is_global_zero:
            try:
                outcome = work()
            except Exception as error:  # noqa: BLE001  an error on rank 0 must end the others too, not leave them waiting
                outcome = error
        outcome = self.trainer.strategy.broadcast(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[return-value]  # None only if `work` returns it


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


def _say_head(ledger: Ledger) -> None:
    """Put the ledger's head into the log: by it rows that are cut off later are found."""
    rank_zero_info(f"ledger: {ledger.rows} of {ledger.budget} labels charged, head {ledger.head}")
