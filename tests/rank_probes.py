"""What the tests of ranks name by class path: a callback that writes down each rank's state, and a rule that fails."""

import hashlib
import json
import os

import numpy as np
from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.acquisition.badge import Badge
from dpc_lightning.acquisition.base import FloatArray, IntArray, PoolView
from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.errors import AcquisitionError
from dpc_lightning.purchase.plan import Phase
from dpc_lightning.trainer import PurchaseTrainer

FAIL = "DPC_LIGHTNING_TEST_FAIL_IN_ROUND"


class RankState(PhaseCallback):
    """Writes what a rank has at the end of each phase as a line of `rank_<n>.jsonl` in the run folder."""

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
