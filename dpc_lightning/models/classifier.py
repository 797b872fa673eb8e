"""The Lightning module: trains the network of the current stage, and judges it on validation and test."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from dpc_lightning.errors import ConfigError, DivergedError, DpcError
from dpc_lightning.models.batches import Batch, HasLabels, Prediction
from dpc_lightning.models.freeze import count_trainable
from dpc_lightning.models.logit_table import LogitTable
from dpc_lightning.models.lowered_rate import LoweredRate, rate_factor
from dpc_lightning.models.metrics import Scores, evaluate_predictions
from dpc_lightning.models.optimization import configure
from dpc_lightning.models.recipe import Pipeline
from dpc_lightning.models.staged_module import StagedModule
from dpc_lightning.models.thresholds import tune_thresholds

__all__ = ["MultiLabelClassifier"]

_CHECK_EVERY = 20


class MultiLabelClassifier(StagedModule):
    """Multi-label classifier with one network at a time, that of the current stage.

    It trains in any Lightning trainer; `loops.PurchaseLoop` moves it from stage to stage by `rebuild`. Its loss,
    metrics and thresholds are computed in float32 whatever the trainer's precision.

    Args:
        evaluate: how a purchase is judged: the YAML group `evaluate:`.
        **recipe: fields of `Recipe`: the YAML group `model:`. Typed code calls `from_recipes` instead.

    Attributes:
        test_scores: scores of the last test; None before.
        last_test: logits `(N, C)` float32 and labels `(N, C)` uint8 of the last test, in the order of the set; None
            before.
        predict_embeddings: whether `predict_step` adds embeddings.
        lowered_rates: where the learning rate is lower than the recipe says, because training had diverged.

    Example:
        >>> module = MultiLabelClassifier(Pipeline(epochs=10), backbone="resnet18", batch_size=8)
        >>> module.active.backbone, module.stage
        ('resnet18', 'purchase')
    """

    def __init__(self, evaluate: Pipeline, **recipe: Any) -> None:  # noqa: ANN401  jsonargparse reads the fields
        super().__init__(evaluate, **recipe)
        self.test_scores: Scores | None = None
        self.last_test: tuple[NDArray[np.float32], NDArray[np.uint8]] | None = None
        self.predict_embeddings = False
        self.lowered_rates: Sequence[LoweredRate] = ()
        self._table = LogitTable()
        self._diverged: Tensor | None = None
        self._loss_sum: Tensor | None = None
        self._loss_images = 0
        self._loss_before = (0.0, 0)  # sum and images of this epoch before a resume from within it

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the optimizer and the schedule of the current stage, over its trainable parameters."""
        validate_every = self.trainer.check_val_every_n_epoch or 1
        return configure(self.active, self.network, self.trainer.estimated_stepping_batches, validate_every)

    def prepare_loss(self, labels: NDArray[np.uint8]) -> None:
        """Give the loss the labels that the phase trains on.

        Args:
            labels: `(N, C)` uint8, 0/1.
        """
        self.loss.prepare(torch.from_numpy(np.ascontiguousarray(labels)))
        self.loss.to(self.device)

    def on_train_start(self) -> None:
        """Prepare the loss from the training set's labels, and log how many parameters are trained."""
        self._diverged = self._loss_sum = None
        self._loss_images = 0
        loader = self.trainer.train_dataloader
        dataset = loader.dataset if isinstance(loader, DataLoader) else None
        if isinstance(dataset, HasLabels):
            self.prepare_loss(dataset.labels)
        if self.current_epoch or self._loss_before[1]:
            return  # a phase that is resumed after its first step has logged the counts before
        trainable, total = count_trainable(self.network)
        counts = {"parameters/trainable": float(trainable), "parameters/total": float(total)}
        self._log_now(counts, self.trainer.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of a batch; `on_train_epoch_end` logs its average.

        Raises:
            DivergedError: if the loss is NaN or infinite (on a GPU or several ranks up to 20 batches later, to not
                wait for it each time).
        """
        logits = self.network(self.prepare(batch["image"]))
        loss: Tensor = self.loss(logits, batch["label"])
        weighted = loss.detach() * len(logits)
        if self._loss_sum is None:
            (before, self._loss_images), self._loss_before = self._loss_before, (0.0, 0)
            self._loss_sum = weighted + before
        else:
            self._loss_sum = self._loss_sum + weighted
        self._loss_images += len(logits)
        bad = ~weighted.isfinite()
        self._diverged = bad if self._diverged is None else self._diverged | bad
        at_once = loss.device.type == "cpu" and self._ranks() == 1
        if at_once or batch_idx % _CHECK_EVERY == 0:
            self._check_diverged(f"batch {batch_idx}")
        return loss

    def on_train_epoch_end(self) -> None:
        """Look once more whether the loss stayed finite, and log `train/loss`, its average over the epoch's images.

        `self.log` takes about half a millisecond, so it is not called after every step.
        """
        self._check_diverged("the end of the epoch")
        if self._loss_sum is not None:
            loss = self._loss_sum / self._loss_images
            mean = self.trainer.strategy.reduce(loss, reduce_op="mean") if self._ranks() > 1 else loss
            self._log_now({"train/loss": float(mean)}, self.trainer.global_step - 1)
        self._loss_sum, self._loss_images = None, 0

    def _log_now(self, values: dict[str, float], step: int) -> None:
        """Log numbers that are equal on all ranks, for loggers and for callbacks that monitor them.

        Lightning logs what `self.log` was told in training only after the epoch's checkpoint: a run killed in between
        would go on without it.
        """
        self.log_dict(values, logger=False, sync_dist=True)
        for logger in self.trainer.loggers:
            logger.log_metrics({**values, "epoch": float(self.current_epoch)}, step=step)

    def require_finite(self, place: str) -> None:
        """Refuse to save what cannot be gone on from: after a NaN or infinite loss, or with such a weight.

        Args:
            place: where the training stands, for the message.

        Raises:
            DivergedError: naming phase, epoch and place; on all ranks alike.
        """
        self._check_diverged(place)
        finite = torch.stack([weights.detach().isfinite().all() for weights in self.network.parameters()])
        if not bool(finite.all()):  # after the last step's gradient: the ranks hold equal weights
            self._say_diverged("A weight of the network", place)

    def _check_diverged(self, place: str) -> None:
        bad = self._diverged is not None and bool(self._diverged)
        if self._ranks() > 1:  # each rank has a loss of its own, and all must end in the same step
            bad = self.trainer.strategy.reduce_boolean_decision(bad, all=False)
        if bad:
            self._say_diverged("The training loss", place)

    def _say_diverged(self, what: str, place: str) -> None:
        msg = (
            f"{what} is NaN or infinite in phase {self.phase or self.stage}, epoch {self.current_epoch}, seen at "
            f"{place}. Lower `{self.active.group}.optimizer.init_args.lr`, set `trainer.gradient_clip_val`, use a "
            f"higher `trainer.precision`, or let the run go back and lower the rate by itself: "
            f"`{self.active.group}.retries_after_nan: 2`."
        )
        raise DivergedError(msg)

    def _ranks(self) -> int:
        return 1 if self._trainer is None else self.trainer.world_size

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Make a step, with a lower learning rate where training had diverged.

        The rate is put back after the step, so that schedules and checkpoints know nothing of it.

        Args:
            epoch: given by Lightning.
            batch_idx: likewise.
            optimizer: likewise.
            optimizer_closure: likewise.
        """
        factor = rate_factor(self.lowered_rates, self.phase, self.trainer.global_step) if self.lowered_rates else 1.0
        groups: list[dict[str, Any]] = optimizer.param_groups
        rates = [group["lr"] for group in groups]
        if factor != 1:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate * factor
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if factor != 1:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the loss of the epoch so far, over all ranks, to what the stage writes."""
        super().on_save_checkpoint(checkpoint)
        loss = self._loss_sum
        if loss is not None and self._ranks() > 1:
            loss = self.trainer.strategy.reduce(loss.clone(), reduce_op="mean")
        checkpoint["epoch_loss"] = [0.0 if loss is None else float(loss), self._loss_images]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the stage of a checkpoint, and the loss of its epoch so far."""
        super().on_load_checkpoint(checkpoint)
        loss, images = checkpoint.get("epoch_loss", (0.0, 0))
        self._loss_before = (float(loss), int(images))

    def on_validation_start(self) -> None:
        """Refuse to judge nothing."""
        self._require_network()

    def on_test_start(self) -> None:
        """Refuse to judge nothing."""
        self._require_network()

    def on_predict_start(self) -> None:
        """Refuse to predict by nothing."""
        self._require_network()

    def _require_network(self) -> None:
        if not self.has_network:
            msg = "There is no trained network: give the checkpoint of a run, `--ckpt_path FILE`, or call `fit` first."
            raise ConfigError(msg)

    def on_validation_epoch_start(self) -> None:
        """Begin with an empty table."""
        self._table.clear()

    def validation_step(self, batch: Batch) -> None:
        """Collect the logits of a batch."""
        self._collect(batch)

    def on_validation_epoch_end(self) -> None:
        """Tune the thresholds, keep them and each class's F1, and log `val/loss` and the scores."""
        if self.trainer.sanity_checking:
            self._table.clear()
            return
        logits, labels = self._table.gather(self.trainer.strategy, self.num_classes)
        self._table.clear()
        self.last_validation = logits, labels
        self.thresholds = tune_thresholds(logits, labels)
        scores = self._score(logits, labels)
        self.class_f1 = np.array(list(scores.f1_per_class.values()), dtype=np.float32)
        self.validation_map = scores.map
        self.validated_step = self.trainer.global_step
        values = scores.as_log("val/")
        if self.loss.ready:
            values["val/loss"] = self.loss(torch.from_numpy(logits), torch.from_numpy(labels)).item()
        self.log_dict(values, sync_dist=True)  # equal on all ranks already: this only says so to Lightning

    def on_test_epoch_start(self) -> None:
        """Begin with an empty table."""
        self._table.clear()

    def test_step(self, batch: Batch) -> None:
        """Collect the logits of a batch."""
        self._collect(batch)

    def on_test_epoch_end(self) -> None:
        """Log the scores at the thresholds tuned on validation, and keep them in `test_scores`."""
        logits, labels = self._table.gather(self.trainer.strategy, self.num_classes)
        self._table.clear()
        self.last_test = logits, labels
        self.test_scores = self._score(logits, labels)
        self.log_dict(self.test_scores.as_log("test/"), sync_dist=True)

    def predict_step(self, batch: Batch) -> Prediction:
        """Predict a batch; see `Prediction`."""
        prediction: Prediction = {"probabilities": self.predict_logits(batch["image"]).sigmoid()}
        if "index" in batch:
            prediction["index"] = batch["index"]
        if "name" in batch:
            prediction["name"] = batch["name"]
        if self.predict_embeddings:
            features = self.score_batch(batch["image"], embeddings=True)[1]
            assert features is not None
            prediction["embeddings"] = features
        return prediction

    def _collect(self, batch: Batch) -> None:
        if "row" not in batch or "label" not in batch:
            msg = f"Expected a batch with index, image, label and row, but it has {', '.join(batch)}."
            raise DpcError(msg)
        self._table.add(batch["row"], self.predict_logits(batch["image"]), batch["label"])

    def _score(self, logits: NDArray[np.float32], labels: NDArray[np.uint8]) -> Scores:
        probabilities = torch.from_numpy(logits).double().sigmoid().numpy()
        return evaluate_predictions(probabilities, labels, self.thresholds, self.classes)
