"""What the tests of ranks name by class path: a callback that writes down each rank's state, and a rule that fails."""

import hashlib
import json
import os
import time

import numpy as np
from lightning.pytorch import LightningModule, Trainer
from timm.models import register_model
from torch import Tensor, nn
from typing_extensions import override

from dpc_lightning.acquisition.badge import Badge
from dpc_lightning.acquisition.base import FloatArray, IntArray, PoolView
from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.errors import AcquisitionError
from dpc_lightning.purchase.plan import Phase
from dpc_lightning.trainer import PurchaseTrainer

FAIL = "DPC_LIGHTNING_TEST_FAIL_IN_ROUND"
SLEEP = "DPC_LIGHTNING_TEST_SLEEP"
"""Names a rank and a training step, as `1 5`, before which that rank sleeps, while the others wait for it."""


class TinyLinear(nn.Module):
    """A classifier for float64: no BatchNorm, no dropout, features of its own."""

    head_hidden_size = 16

    def __init__(self, num_classes: int, in_chans: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.features = nn.Linear(in_chans * 16, self.head_hidden_size)
        self.head = nn.Linear(self.head_hidden_size, num_classes)

    def get_classifier(self) -> nn.Module:
        return self.head

    def forward_features(self, images: Tensor) -> Tensor:
        features: Tensor = self.features(self.pool(images).flatten(1)).tanh()
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        logits: Tensor = features if pre_logits else self.head(features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


@register_model
def dpc_test_tiny_linear(
    pretrained: bool = False, num_classes: int = 6, in_chans: int = 3, **settings: object
) -> TinyLinear:
    """The tiny classifier under timm's rules."""
    return TinyLinear(num_classes, in_chans)


class RankState(PhaseCallback):
    """Writes what a rank has at the end of each phase as a line of `rank_<n>.jsonl` in the run folder."""

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        assert isinstance(trainer, PurchaseTrainer)
        rank, step = trainer.global_rank, trainer.global_step
        who, _, when = os.environ.get(SLEEP, "").partition(" ")
        if when == str(step):
            (trainer.run_dir.path / f"pid_{rank}_at_{step}").write_text(str(os.getpid()))
            if who == str(rank):
                time.sleep(100)

    @override
    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        assert isinstance(trainer, PurchaseTrainer)
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, PurchaseDataModule)
        digest = hashlib.sha256()
        for name, value in sorted(pl_module.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        line = {
            "phase": phase.name,
            "step": trainer.global_step,
            "world": trainer.world_size,
            "bought": data.bought.tolist(),
            "labels": data.aggregated.labels.tolist(),
            "weights": digest.hexdigest(),
        }
        with (trainer.run_dir.path / f"rank_{trainer.global_rank}.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")


class FailingBadge(Badge):
    """BADGE that fails in the round named by the environment."""

    @override
    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        if os.environ.get(FAIL) == str(pool.round):
            msg = f"picking failed on purpose in round {pool.round}"
            raise AcquisitionError(msg)
        return super()._pick(pool, count, rng)
