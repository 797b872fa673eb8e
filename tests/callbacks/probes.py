"""Callbacks that write down what they see; runs name them in YAML by their class path."""

from copy import deepcopy
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.plan import Phase

State = dict[str, torch.Tensor]


class Hooks(PhaseCallback):
    """Writes down which hooks of a phase were called, and the callbacks of the trainer."""

    called: list[tuple[str, str]] = []  # noqa: RUF012  shared on purpose: the command line makes the instance
    names: list[str] = []  # noqa: RUF012

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        callbacks = cast("list[object]", trainer.callbacks)  # type: ignore[attr-defined]
        type(self).called, type(self).names = [], [type(each).__name__ for each in callbacks]

    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self.called.append(("start", phase.name))

    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self.called.append(("end", phase.name))

    def on_round_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self.called.append(("round", phase.name))

    def on_purchase(self, trainer: Trainer, pl_module: LightningModule, record: PurchaseRecord) -> None:
        self.called.append(("purchase", f"round_{record.round}"))


class Weights(PhaseCallback):
    """Keeps the weights after each training batch, and those that validation looks at, by phase."""

    trained: dict[str, list[State]] = {}  # noqa: RUF012
    validated: dict[str, list[tuple[int, State]]] = {}  # noqa: RUF012

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        type(self).trained, type(self).validated = {}, {}

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        module = cast("MultiLabelClassifier", pl_module)
        self.trained.setdefault(module.phase, []).append(deepcopy(dict(module.network.state_dict())))

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        module = cast("MultiLabelClassifier", pl_module)
        seen = (len(self.trained[module.phase]), deepcopy(dict(module.network.state_dict())))
        self.validated.setdefault(module.phase, []).append(seen)
