"""Exponential moving average of the weights within a phase."""

from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.plan import Phase

__all__ = ["WeightAveraging"]


class WeightAveraging(PhaseCallback):
    """Keeps a moving average of the weights where a recipe sets `average_decay`; a phase ends with the average.

    Validation looks at the average, training goes on with the plain weights. Each phase averages anew. Does nothing for
    a recipe without `average_decay`.
    """

    def __init__(self) -> None:
        self._average: AveragedModel | None = None
        self._plain: dict[str, torch.Tensor] | None = None

    def _begin(self, module: MultiLabelClassifier) -> None:
        decay = module.active.average_decay
        self._average = None
        if decay is not None:
            average = AveragedModel(module.network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
            self._average = average

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._begin(cast("MultiLabelClassifier", pl_module))

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if self._average is not None:
            self._average.update_parameters(cast("MultiLabelClassifier", pl_module).network)

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._average is not None and trainer.training | trainer.validating and self._plain is None:
            network = cast("MultiLabelClassifier", pl_module).network
            self._plain = {name: value.detach().clone() for name, value in network.state_dict().items()}
            network.load_state_dict(self._average.module.state_dict())

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._plain is not None:
            cast("MultiLabelClassifier", pl_module).network.load_state_dict(self._plain)
            self._plain = None

    @override
    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        if self._average is not None:
            cast("MultiLabelClassifier", pl_module).network.load_state_dict(self._average.module.state_dict())
            self._average = None

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._average is not None:
            checkpoint["average"] = self._average.state_dict()

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if "average" in checkpoint:
            self._begin(cast("MultiLabelClassifier", pl_module))
            if self._average is not None:
                self._average.load_state_dict(checkpoint["average"])
