"""What the judging network said about the validation and test sets, kept beside a run's scores."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.errors import RunDirError
from dpc_lightning.kept_predictions import PREDICTIONS, KeptPredictions

if TYPE_CHECKING:
    from dpc_lightning.models.classifier import MultiLabelClassifier

__all__ = ["PredictionsKeeper"]

VALIDATION = "validation.npz"
"""What the last validation said, for a start that tests without one: it goes on from a checkpoint written after it."""


class PredictionsKeeper(PhaseCallback):
    """Writes `predictions.npz` into the run's folder at the end of the test: logits, labels and names of the classes.

    The validation's are those of the weights that are tested, on which the thresholds were tuned. `KeptPredictions`
    reads the file.
    """

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast("MultiLabelClassifier", pl_module)
        if trainer.state.fn != "fit" or module.stage != "evaluate" or not trainer.is_global_zero:
            return
        if module.last_validation is not None:
            logits, labels = module.last_validation
            nothing = logits[:0], labels[:0]
            self._write(trainer, VALIDATION, KeptPredictions(logits, labels, *nothing, module.classes))

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast("MultiLabelClassifier", pl_module)
        if module.last_test is None or not trainer.is_global_zero:
            return
        validation = module.last_validation
        if validation is None:
            kept = KeptPredictions.read(Path(trainer.default_root_dir) / VALIDATION)
            validation = kept.validation_logits, kept.validation_labels
        self._write(trainer, PREDICTIONS, KeptPredictions(*validation, *module.last_test, module.classes))

    @staticmethod
    def _write(trainer: Trainer, name: str, predictions: KeptPredictions) -> None:
        file = Path(trainer.default_root_dir) / name
        try:
            predictions.write(file)
        except OSError as error:
            msg = f"Cannot write {file}: {error.strerror or error}. Make room or set permissions, then start again."
            raise RunDirError(msg) from error
