"""Stock Lightning callbacks that must not carry the best score of one phase into the next."""

from copy import deepcopy
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.purchase.plan import Phase

__all__ = ["PhaseReset"]


class PhaseReset(PhaseCallback):
    """Puts every `EarlyStopping` and `ModelCheckpoint` of the run back to its fresh state when a phase starts.

    Without it an early stopping that waited in one phase stops the next after one epoch, and a model checkpoint that
    keeps the best of all phases never keeps the evaluation's model. The trainer adds it to every run, so that the stock
    classes can be named in YAML as they are.
    """

    def __init__(self) -> None:
        self._fresh: list[tuple[Callback, dict[str, Any]]] = []

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        self._fresh = []
        for callback in cast("list[Callback]", trainer.callbacks):  # type: ignore[attr-defined]
            if isinstance(callback, EarlyStopping | ModelCheckpoint):
                state = deepcopy(callback.state_dict())
                state.pop("dirpath", None)  # it is resolved later; what is absent counts as unchanged
                self._fresh.append((callback, state))

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        for callback, fresh in self._fresh:
            state = deepcopy(fresh)  # a model checkpoint changes the tables that it is given
            if isinstance(callback, ModelCheckpoint):
                # else `last-v1.ckpt`, `last-v2.ckpt`, … would appear beside the file that a resume reads
                state["last_model_path"] = callback.last_model_path
            callback.load_state_dict(state)
