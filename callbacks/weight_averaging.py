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

PREFIX = "network."
"""What the names of the network's weights begin with in a checkpoint."""


class WeightAveraging(PhaseCallback):
    """Keeps a moving average of the weights where a recipe sets `average_decay`; a phase ends with the average.

    Validation looks at the average, training goes on with the plain weights. A checkpoint within the phase holds the
    average as its weights, so that the best file of a `ModelCheckpoint` is what validation saw, and the plain weights
    beside it for a resume. Each phase averages anew. Does nothing for a recipe without `average_decay`.
    """

    def __init__(self) -> None:
        self._average: AveragedModel | None = None
        self._plain: dict[str, torch.Tensor] | None = None
        self._averaged_step = -1

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
        if self._average is not None and trainer.global_step != self._averaged_step:
            self._averaged_step = trainer.global_step  # several batches may make one step
            self._average.update_parameters(cast("MultiLabelClassifier", pl_module).network)

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._average is not None and trainer.state.fn == "fit" and self._plain is None:
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
        if self._average is None:
            return
        weights = checkpoint["state_dict"]
        plain = {name: weights[PREFIX + name] for name in self._average.module.state_dict()}
        checkpoint["plain_weights"] = self._plain or plain
        checkpoint["averaged_steps"] = int(self._average.n_averaged)
        weights |= {PREFIX + name: value for name, value in self._average.module.state_dict().items()}

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != "fit" or "plain_weights" not in checkpoint:
            return
        module = cast("MultiLabelClassifier", pl_module)
        self._begin(module)  # of the checkpoint's weights, which are the average
        if self._average is not None:
            self._average.n_averaged.fill_(checkpoint["averaged_steps"])
            module.network.load_state_dict(checkpoint["plain_weights"])
