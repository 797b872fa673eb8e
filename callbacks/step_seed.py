"""Randomness of a training step as a pure function of where the step stands."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

__all__ = ["StepSeed"]


class StepSeed(Callback):
    """Seeds torch before each training batch from (seed, step, rank), so that no generator state needs saving.

    Dropout and stochastic depth of a run that was killed and resumed are then those of a run that was not.

    Args:
        seed: seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        place = np.random.SeedSequence([self.seed, trainer.global_step, trainer.global_rank])
        torch.manual_seed(int(place.generate_state(1, np.uint64)[0] >> 1))
