"""What the work of this run costs on this machine, measured while it runs."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord
from dpc_lightning.purchase.plan import Phase
from dpc_lightning.purchase.schedule import Costs

__all__ = ["CostMeter"]


@dataclass
class _Recent:
    """The mean of the last measurements: what the machine does now counts, not what it did an hour ago."""

    keep: int
    values: deque[float] = field(init=False)

    def __post_init__(self) -> None:
        self.values = deque(maxlen=self.keep)

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values) if self.values else 0.0


class CostMeter(PhaseCallback):
    """Measures steps, epochs, validations, phases and purchases, for the planner.

    What it has measured is in every checkpoint, so that a plan can be made right after a resume.

    Args:
        clock: where the time comes from, in seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._means = {
            "step": _Recent(256),
            "epoch": _Recent(16),
            "validation": _Recent(8),
            "phase": _Recent(2),
            "buy": _Recent(4),
        }
        self._score = self._score_image = 0.0
        self._pick: float | None = None
        self._expected_validation = 0.0
        self._mark = self._validation_began = clock()
        self._validated = 0.0
        self._trained = False  # whether the mark is the end of a step of the present epoch
        self._opened: float | None = None

    @property
    def steps(self) -> int:
        """Steps that the mean of a step rests on."""
        return len(self._means["step"].values)

    @property
    def costs(self) -> Costs | None:
        """What has been measured; None before the first step."""
        if not self.steps:
            return None
        means = {name: recent.mean for name, recent in self._means.items()}
        if not self._means["validation"].values:
            means["validation"] = self._expected_validation
        return Costs(score=self._score, score_image=self._score_image, pick=self._pick, **means)

    def note_scoring(self, start_seconds: float, image_seconds: float) -> None:
        """Take over what a trial has measured of scoring, before the first round.

        Args:
            start_seconds: what it takes beside its images.
            image_seconds: what an image takes.
        """
        self._score, self._score_image = start_seconds, image_seconds

    def expect_validation(self, seconds: float) -> None:
        """Take this for what a validation takes, until one was measured."""
        self._expected_validation = seconds

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        if self._opened is None:
            self._opened = self._clock()

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = self._clock()
        if self._opened is not None:
            self._means["phase"].values.append(now - self._opened)
            self._opened = None
        elif self._trained:
            self._means["epoch"].values.append(max(0.0, now - self._mark - self._validated))
        self._mark, self._validated, self._trained = now, 0.0, False

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        now = self._clock()
        self._means["step"].values.append(now - self._mark)
        self._mark, self._trained = now, True

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation_began = self._clock()

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        took = self._clock() - self._validation_began
        self._validated += took
        self._means["validation"].values.append(took)

    @override
    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._trained = False
        self._opened = None

    @override
    def on_round_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._opened = self._clock()

    @override
    def on_purchase(self, trainer: Trainer, pl_module: LightningModule, record: PurchaseRecord) -> None:
        if self._opened is not None:
            self._opened += record.score_seconds + record.pick_seconds + record.buy_seconds
        if record.replayed or not record.pool:
            return  # nothing was scored or picked
        if record.scored:
            self._score, self._score_image = 0.0, record.score_seconds / record.scored
        elif record.scored == 0:
            self._score, self._score_image = record.score_seconds, 0.0
        self._pick = record.pick_seconds / (record.pool * max(1, len(record.indices)))
        self._means["buy"].values.append(record.buy_seconds)

    @override
    def state_dict(self) -> dict[str, Any]:
        means = {name: list(recent.values) for name, recent in self._means.items()}
        state = {"means": means, "expected_validation": self._expected_validation}
        return {**state, "score": self._score, "score_image": self._score_image, "pick": self._pick}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, values in state_dict["means"].items():
            self._means[name].values.extend(values)
        self._expected_validation = state_dict["expected_validation"]
        self._score, self._score_image = state_dict["score"], state_dict["score_image"]
        self._pick = state_dict["pick"]
