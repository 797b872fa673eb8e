"""Randomness of a training step as a pure function of where the step stands."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

__all__ = ["StepSeed"]


class StepSeed(Callback):
    """Seeds torch before each training batch from (seed, step, batch, rank), so that no generator state needs saving.

    Dropout and stochastic depth of a run that was killed and resumed are then those of a run that was not.

    Args:
        seed: seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        # `torch.manual_seed` asks after devices of every kind: 0.3 ms, more than all other callbacks take together
        seed_all, seed_cpu = torch.manual_seed, torch.default_generator.manual_seed
        self._seed_torch = seed_all if torch.accelerator.is_available() else seed_cpu

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        place = np.random.SeedSequence([self.seed, trainer.global_step, batch_idx, trainer.global_rank])
        self._seed_torch(int(place.generate_state(1, np.uint64)[0] >> 1))
