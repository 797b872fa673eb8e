"""A Lightning module that holds one network at a time: that of the stage the run is in."""

import copy
import warnings
from dataclasses import fields
from typing import Any, Literal, Self

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor

from dpc_lightning.errors import ConfigError, DpcError
from dpc_lightning.models.backbone import Network, build_network, try_out
from dpc_lightning.models.batches import HasClasses, HasImageSize
from dpc_lightning.models.flips import average_views
from dpc_lightning.models.freeze import count_trainable
from dpc_lightning.models.losses import MultiLabelLoss
from dpc_lightning.models.normalize import normalize
from dpc_lightning.models.optimization import configure
from dpc_lightning.models.recipe import Pipeline, Recipe, TestFlips

__all__ = ["Stage", "StagedModule"]

Stage = Literal["purchase", "evaluate"]
"""Whose network is held: the one that buys (YAML group `model:`) or the one that judges (`evaluate:`)."""


class StagedModule(LightningModule):
    """Holds the network and the loss of one stage, what validation said about them, and both recipes.

    It knows how a network is built, saved, restored and run; `MultiLabelClassifier` knows how it is trained and judged.

    Args:
        evaluate: how a purchase is judged: the YAML group `evaluate:`.
        **recipe: fields of `Recipe`: the YAML group `model:`. Typed code calls `from_recipes` instead.

    Attributes:
        recipe: how the buying network is trained.
        stage: whose network is held.
        initial_seed: seed of the weights that `setup` makes; torch's own if None.
        phase: name of the running phase, for error messages; the loop sets it.
        classes: names of the classes; empty until `setup`.
        network: the network of the stage; built by `setup`, `rebuild` or `on_load_checkpoint`.
        loss: a copy of the recipe's loss.
        thresholds: `(C,)` float32 in (0, 1), tuned on the last validation; 0.5 before the first.
        class_f1: `(C,)` float32, F1 of each class on the last validation at `thresholds`; NaN for a class without
            positives, and before the first validation.
        validation_map: mean average precision on the last validation; NaN before the first.
        validated_step: training steps of the run at the last validation of this network; -1 before the first.
        last_validation: logits `(N, C)` float32 and labels `(N, C)` uint8 of the last validation of this network, in
            the order of the set; None before the first, and after a checkpoint was loaded: it holds no predictions.
    """

    network: Network
    loss: MultiLabelLoss

    def __init__(self, evaluate: Pipeline, **recipe: Any) -> None:  # noqa: ANN401  jsonargparse reads the fields below
        super().__init__()
        self.evaluate = evaluate
        self.recipe = Recipe(**recipe)
        self.stage: Stage = "purchase"
        self.initial_seed: int | None = None
        self.phase = ""
        self.classes: tuple[str, ...] = ()
        self._forget_validation()

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
    def has_network(self) -> bool:
        """Whether a network has been built."""
        return "network" in self._modules

    @property
    def embedding_dim(self) -> int:
        """Number of penultimate features D of the current network."""
        return self.network.embedding_dim

    def setup(self, stage: str) -> None:
        """Take the classes from the data module, and before a fit build the buying network if there is none yet.

        Before a fit the judging network and its optimizer are made once too and dropped again: a mistake in `evaluate:`
        is to be found before anything is bought. For everything else the network comes from a fit or a checkpoint, so
        that no pre-trained weights have to be at hand.

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
        if stage != "fit":
            return
        if not self.has_network:
            self.rebuild(self.stage, torch.initial_seed() if self.initial_seed is None else self.initial_seed)
        size = data.image_size if isinstance(data, HasImageSize) else None
        if size is not None:
            try_out(self.network, self.active, size)
        if self.stage != "evaluate":
            network = build_network(self.evaluate, self.num_classes, seed=0)
            copy.deepcopy(self.evaluate.loss).prepare(torch.zeros(1, self.num_classes))
            configure(self.evaluate, network, total_steps=1)
            if size is not None:
                try_out(network, self.evaluate, size)

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
        if (
            self.active.freeze != "none"
        ):  # Lightning takes the frozen layers, which have to be in evaluation, for a slip
            warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode at the start of training")
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
        self.validated_step = -1
        self.last_validation: tuple[NDArray[np.float32], NDArray[np.uint8]] | None = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write the key `classifier`: plain values only, because checkpoints are read with `weights_only=True`."""
        checkpoint["classifier"] = {
            "stage": self.stage,
            "backbone": self.active.backbone,
            "classes": list(self.classes),
            "thresholds": self.thresholds.tolist(),
            "f1": self.class_f1.tolist(),
            "map": float(self.validation_map),
            "validated_step": self.validated_step,
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
        self.validated_step = int(record["validated_step"])

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
