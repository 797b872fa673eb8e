"""One purchase: let the pool be scored, pick, buy through the ledger, and tell every rank."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info

from dpc_lightning.acquisition.base import IntArray, LabelArray, PoolView
from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.callbacks.phase_callback import PurchaseRecord, phase_callbacks
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.loops.checked_picks import checked_picks
from dpc_lightning.loops.pool_scores import PoolScorer
from dpc_lightning.loops.rank_zero import on_rank_zero
from dpc_lightning.loops.wanted_rows import round_generator
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

    Attributes:
        scorer: scores the pool.
    """

    def __init__(self, trainer: Trainer, plan: PurchasePlan, run_dir: Path, seed: int, clock: ComputeBudget) -> None:
        self.trainer = trainer
        self.plan = plan
        self.run_dir = run_dir
        self.seed = seed
        self.clock = clock
        self.scorer = PoolScorer(trainer, plan, run_dir, seed, clock)
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

    def export(self, data: PurchaseDataModule) -> None:
        """Write `purchases.csv` from the ledger, and say where the ledger stands: its head proves it later."""

        def write() -> None:
            ledger = self._open(data)
            write_purchases(self.run_dir / "purchases.csv", ledger.purchases(), data.pool.images, data.classes)
            _say_head(ledger)
            self.scorer.discard()  # of a round that was begun, and that another plan after a resume has left out

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
            pool = self.scorer.view(data, module, needs if earlier is None else set(), round_number, quota)
        scored = self.clock.now()
        for callback in phase_callbacks(self.trainer):
            callback.on_pool_scored(self.trainer, module)
        if earlier is None and round_number == 1:
            self._judge_start_model(data, module, pool)

        def settle() -> PurchaseRecord:
            ledger = self._open(data)
            selection = earlier
            if selection is None:
                with self.clock.doing("pick"):
                    rule = self.plan.acquisition
                    picks = rule.select(pool, quota, round_generator(self.seed, round_number, stream=1))
                    selection = checked_picks(picks, pool, quota, type(rule).__name__)
                    ledger.record_picks(round_number, selection)
            self.scorer.discard()
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
                scored=self.scorer.scored,
                labels_left=self.plan.labels - len(data.bought) - len(selection.indices),  # as then, if replayed
                score_seconds=scored - start,
                pick_seconds=picked - scored,
                buy_seconds=self.clock.now() - picked,
                replayed=earlier is not None,
            )

        record = self._on_rank_zero(settle)
        if self.plan.pseudo_labels is not None and earlier is not None:
            with self.clock.doing("score"):  # only now: people may have been asked, and not have answered yet
                pool = self.scorer.view(data, module, {"logits"}, round_number, quota)
        self._offer_pseudo_labels(data, pool, record)
        self.scorer.discard()
        return record

    def _open(self, data: PurchaseDataModule) -> Ledger:
        if self._ledger is None:
            if self.plan.labels:
                self.plan.acquisition.check_pool(len(data.unlabelled), self.plan.usual_quota)
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

    def _wait(self, seconds: float) -> None:
        """Wait for an oracle that has failed, unless the run is asked to end meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for callback in phase_callbacks(self.trainer):
                callback.on_wait()
            time.sleep(min(left, PATIENCE))

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
        return on_rank_zero(self.trainer, work)


def _say_head(ledger: Ledger) -> None:
    """Put the ledger's head into the log: by it rows that are cut off later are found."""
    rank_zero_info(f"ledger: {ledger.rows} of {ledger.budget} labels charged, head {ledger.head}")
