"""The Lightning module: holds the network of the current stage, trains it, and judges it on validation and test."""

import copy
from dataclasses import fields
from typing import Any, Literal, Self

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from dpc_lightning.errors import ConfigError, DpcError
from dpc_lightning.models.backbone import Network, build_network
from dpc_lightning.models.batches import Batch, HasClasses, HasLabels, Prediction
from dpc_lightning.models.flips import average_views
from dpc_lightning.models.freeze import count_trainable
from dpc_lightning.models.logit_table import LogitTable
from dpc_lightning.models.losses import MultiLabelLoss
from dpc_lightning.models.metrics import Scores, evaluate_predictions
from dpc_lightning.models.normalize import normalize
from dpc_lightning.models.optimization import configure
from dpc_lightning.models.recipe import Pipeline, Recipe, TestFlips
from dpc_lightning.models.thresholds import tune_thresholds

__all__ = ["MultiLabelClassifier", "Stage"]

Stage = Literal["purchase", "evaluate"]
"""Whose network is held: the one that buys (YAML group `model:`) or the one that judges (`evaluate:`)."""

_CHECK_EVERY = 20


class MultiLabelClassifier(LightningModule):
    """Multi-label classifier with one network at a time, that of the current stage.

    It trains in any Lightning trainer; `loops.PurchaseLoop` moves it from stage to stage by `rebuild`. Its loss,
    metrics and thresholds are computed in float32 whatever the trainer's precision.

    Args:
        evaluate: how a purchase is judged: the YAML group `evaluate:`.
        **recipe: fields of `Recipe`: the YAML group `model:`. Typed code calls `from_recipes` instead.

    Attributes:
        recipe: how the buying network is trained.
        evaluate: how the judging network is trained.
        stage: whose network is held.
        phase: name of the running phase, for error messages; the loop sets it.
        classes: names of the classes; empty until `setup`.
        network: the network of the stage; built by `setup`, `rebuild` or `on_load_checkpoint`.
        thresholds: `(C,)` float32 in (0, 1), tuned on the last validation; 0.5 before the first.
        class_f1: `(C,)` float32, F1 of each class on the last validation at `thresholds`; NaN for a class without
            positives, and before the first validation.
        validation_map: mean average precision on the last validation; NaN before the first.
        test_scores: scores of the last test; None before.
        predict_embeddings: whether `predict_step` adds embeddings.

    Example:
        >>> module = MultiLabelClassifier(Pipeline(epochs=10), backbone="resnet18", batch_size=8)
        >>> module.active.backbone, module.stage
        ('resnet18', 'purchase')
    """

    network: Network
    loss: MultiLabelLoss

    def __init__(self, evaluate: Pipeline, **recipe: Any) -> None:  # noqa: ANN401  jsonargparse reads the fields below
        super().__init__()
        self.evaluate = evaluate
        self.recipe = Recipe(**recipe)
        self.stage: Stage = "purchase"
        self.phase = ""
        self.classes: tuple[str, ...] = ()
        self.test_scores: Scores | None = None
        self.predict_embeddings = False
        self._forget_validation()
        self._table = LogitTable()
        self._diverged: Tensor | None = None

    @classmethod
    def from_recipes(cls, recipe: Recipe, evaluate: Pipeline) -> Self:
        """Make a classifier from two recipes.

        Args:
            recipe: of the buying network.
            evaluate: of the judging network.
        """
        return cls(evaluate, **{field.name: getattr(recipe, field.name) for field in fields(Recipe)})

    @property
    def active(self) -> Recipe:
        """The recipe of the current stage."""
        return self.evaluate if self.stage == "evaluate" else self.recipe

    @property
    def num_classes(self) -> int:
        """Number of classes C; 0 until `setup`."""
        return len(self.classes)

    @property
    def embedding_dim(self) -> int:
        """Number of penultimate features D of the current network."""
        return self.network.embedding_dim

    # --- building -----------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Take the classes from the data module, and build the buying network if there is none yet.

        Before a fit the judging network is built once too and dropped again: a wrong name, block or file in `evaluate:`
        is to be found before anything is bought.

        Args:
            stage: Lightning's word: fit, validate, test or predict.

        Raises:
            ConfigError: if the data module does not know its classes, or has others than the network.
        """
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, HasClasses):
            if stage == "predict":
                return  # the classes come with the checkpoint
            msg = "Expected a data module with `classes`, for example PurchaseDataModule: pass it as `datamodule=`."
            raise ConfigError(msg)
        self._adopt_classes(tuple(data.classes), "the data")
        seed = torch.initial_seed()
        if "network" not in self._modules:
            self.rebuild(self.stage, seed)
        if stage == "fit" and self.stage != "evaluate":
            build_network(self.evaluate, self.num_classes, seed)

    def rebuild(self, stage: Stage, seed: int, *, load_weights: bool = True) -> None:
        """Build the network and the loss of a stage anew; the old ones, thresholds and F1 are dropped.

        The strategy moves the new network to its device when it is set up again.

        Args:
            stage: whose recipe to follow.
            seed: decides the initial weights; the global generators stay as they are.
            load_weights: false where a checkpoint is about to overwrite the weights.

        Raises:
            ConfigError: if the recipe names something that does not exist.
            DpcError: if the classes are not known yet.
        """
        if not self.classes:
            msg = "The classes are not known yet: call `setup` with a trainer and a data module first."
            raise DpcError(msg)
        self.stage = stage
        self.network = build_network(self.active, self.num_classes, seed, load_weights=load_weights)
        self.loss = copy.deepcopy(self.active.loss)  # recipes may share one default, and a loss remembers its labels
        self._forget_validation()
        trainable, total = count_trainable(self.network)
        rank_zero_info(f"{stage} network {self.active.backbone}: {trainable:,} of {total:,} parameters are trained")

    def _adopt_classes(self, classes: tuple[str, ...], source: str) -> None:
        if not classes:
            msg = f"Expected at least one class, but {source} has none."
            raise ConfigError(msg)
        if self.classes and self.classes != classes:
            msg = (
                f"The network was built for the classes {', '.join(self.classes)}, but {source} has "
                f"{', '.join(classes)}. Names and order must agree: use the data that the network was trained on."
            )
            raise ConfigError(msg)
        self.classes = classes
        if len(self.thresholds) != len(classes):
            self._forget_validation()

    def _forget_validation(self) -> None:
        self.thresholds: NDArray[np.float32] = np.full(self.num_classes, 0.5, dtype=np.float32)
        self.class_f1: NDArray[np.float32] = np.full(self.num_classes, np.nan, dtype=np.float32)
        self.validation_map = float("nan")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write the key `classifier`: plain values only, because checkpoints are read with `weights_only=True`."""
        checkpoint["classifier"] = {
            "stage": self.stage,
            "backbone": self.active.backbone,
            "classes": list(self.classes),
            "thresholds": self.thresholds.tolist(),
            "f1": self.class_f1.tolist(),
            "map": float(self.validation_map),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the network of the checkpoint's stage, before Lightning loads its weights.

        Raises:
            ConfigError: if the checkpoint is not of this package, or has other classes or another backbone.
        """
        record = checkpoint.get("classifier")
        if not isinstance(record, dict):
            msg = "Expected a checkpoint of a run of this package, but it has no key `classifier`."
            raise ConfigError(msg)
        self._adopt_classes(tuple(record["classes"]), "the checkpoint")
        stage: Stage = "evaluate" if record["stage"] == "evaluate" else "purchase"
        recipe = self.evaluate if stage == "evaluate" else self.recipe
        if record["backbone"] != recipe.backbone:
            msg = (
                f"The checkpoint holds the backbone {record['backbone']}, but `{recipe.group}.backbone` is "
                f"{recipe.backbone}: use the configuration that the run was started with."
            )
            raise ConfigError(msg)
        self.rebuild(stage, seed=0, load_weights=False)
        self.thresholds = np.array(record["thresholds"], dtype=np.float32)
        self.class_f1 = np.array(record["f1"], dtype=np.float32)
        self.validation_map = float(record["map"])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the optimizer and the schedule of the current stage, over its trainable parameters."""
        return configure(self.active, self.network, self.trainer.estimated_stepping_batches)

    # --- computing ----------------------------------------------------------------------------------------------------

    def prepare(self, images: Tensor) -> Tensor:
        """Turn stored images into what the network takes.

        Args:
            images: `(B, 3, H, W)` uint8.

        Returns:
            `(B, 3, H, W)` of the network's type, normalised as the recipe says.

        Raises:
            DpcError: if the images are not uint8.
        """
        weights = next(self.network.parameters())
        return normalize(images, self.active.normalization, weights.dtype, channels_last=self.active.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits, without flips.

        Args:
            images: `(B, 3, H, W)` uint8.

        Returns:
            `(B, C)` float32.
        """
        return self.score_batch(images, embeddings=False)[0]

    def score_batch(self, images: Tensor, *, embeddings: bool) -> tuple[Tensor, Tensor | None]:
        """Compute what an acquisition needs, without flips. The caller chooses evaluation mode and `no_grad`.

        Args:
            images: `(B, 3, H, W)` uint8.
            embeddings: whether to give the penultimate features too.

        Returns:
            Logits `(B, C)` float32 and features `(B, D)` float32 or None.
        """
        prepared = self.prepare(images)
        if not embeddings:
            return self.network(prepared).float(), None
        logits, features = self.network.forward_both(prepared)
        return logits.float(), features.float()

    def predict_logits(self, images: Tensor, tta: TestFlips | None = None) -> Tensor:
        """Compute logits averaged over flips.

        Args:
            images: `(B, 3, H, W)` uint8.
            tta: number of views; the recipe's by default.

        Returns:
            `(B, C)` float32: the logit of the mean probability of the views.
        """
        return average_views(self.network, self.prepare(images), self.active.tta if tta is None else tta)

    # --- training -----------------------------------------------------------------------------------------------------

    def prepare_loss(self, labels: NDArray[np.uint8]) -> None:
        """Give the loss the labels that the phase trains on.

        Args:
            labels: `(N, C)` uint8, 0/1.
        """
        self.loss.prepare(torch.from_numpy(np.ascontiguousarray(labels)))
        self.loss.to(self.device)

    def on_train_start(self) -> None:
        """Prepare the loss from the training set's labels, and log how many parameters are trained."""
        self._diverged = None
        loader = self.trainer.train_dataloader
        dataset = loader.dataset if isinstance(loader, DataLoader) else None
        if isinstance(dataset, HasLabels):
            self.prepare_loss(dataset.labels)
        trainable, total = count_trainable(self.network)
        counts = {"parameters/trainable": float(trainable), "parameters/total": float(total)}
        self.log_dict(counts, sync_dist=True)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of a batch and log it as `train/loss`, averaged over the epoch.

        Raises:
            DpcError: if the loss is NaN or infinite (on a GPU up to 20 batches later, to not wait for it each time).
        """
        logits = self.network(self.prepare(batch["image"]))
        loss: Tensor = self.loss(logits, batch["label"])
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, sync_dist=True, batch_size=len(logits))
        bad = ~loss.detach().isfinite()
        self._diverged = bad if self._diverged is None else self._diverged | bad
        if loss.device.type == "cpu" or batch_idx % _CHECK_EVERY == 0:
            self._check_diverged(f"batch {batch_idx}")
        return loss

    def on_train_epoch_end(self) -> None:
        """Look once more whether the loss stayed finite."""
        self._check_diverged("the end of the epoch")

    def _check_diverged(self, place: str) -> None:
        if self._diverged is not None and bool(self._diverged):
            msg = (
                f"The training loss is NaN or infinite in phase {self.phase or self.stage}, epoch "
                f"{self.current_epoch}, seen at {place}. Lower `{self.active.group}.optimizer.init_args.lr`, set "
                "`trainer.gradient_clip_val`, or use a higher `trainer.precision`."
            )
            raise DpcError(msg)

    # --- validation, test, prediction ---------------------------------------------------------------------------------

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
        self.thresholds = tune_thresholds(logits, labels)
        scores = self._score(logits, labels)
        self.class_f1 = np.array(list(scores.f1_per_class.values()), dtype=np.float32)
        self.validation_map = scores.map
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
        self.test_scores = self._score(logits, labels)
        self.log_dict(self.test_scores.as_log("test/"), sync_dist=True)

    def predict_step(self, batch: Batch) -> Prediction:
        """Predict a batch; see `Prediction`."""
        prediction: Prediction = {
            "index": batch["index"],
            "probabilities": self.predict_logits(batch["image"]).sigmoid(),
        }
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
        probabilities = torch.from_numpy(logits).sigmoid().numpy()
        return evaluate_predictions(probabilities, labels, self.thresholds, self.classes)
