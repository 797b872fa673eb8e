"""Learning rates that were lowered because training had diverged, from the ledger to the module."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.lowered_rate import LoweredRate

__all__ = ["LoweredRates"]


class LoweredRates(PhaseCallback):
    """Tells the module before a phase trains, or goes on, from which step on its learning rate is lower.

    What happened stands in the ledger and not in a checkpoint: a run that goes back to any checkpoint, or starts anew,
    lowers the rate at the same step again.

    Args:
        read: gives the facts that the run has noted, on every rank.
    """

    def __init__(self, read: Callable[[], Sequence[dict[str, Any]]]) -> None:
        self._read = read

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        cast("MultiLabelClassifier", pl_module).lowered_rates = [LoweredRate(**facts) for facts in self._read()]
