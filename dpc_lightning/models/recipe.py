"""One way of training one network, as a setting: the YAML groups `model:` and `evaluate:`."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch.optim import AdamW

from dpc_lightning.errors import ConfigError
from dpc_lightning.models.freeze import Freeze
from dpc_lightning.models.losses import BinaryCrossEntropy, MultiLabelLoss
from dpc_lightning.models.schedules import OneCycle

__all__ = ["Augment", "Blur", "Normalization", "Pipeline", "Recipe", "TestFlips"]

Normalization = Literal["imagenet", "image"]
Augment = Literal["none", "flips", "full"]
Blur = Literal["none", "train", "test", "both"]
TestFlips = Literal[1, 2, 4, 8]


@dataclass(frozen=True, init=False)
class Recipe:
    """One way of training one network: the YAML group `model:`.

    The constructor is written out, because jsonargparse reads the default optimizer, schedule and loss from its source,
    so that `--print_config` shows them and single values of them can be overridden.

    Attributes:
        backbone: Name of any timm model, or `compact_efficientnet`.
        pretrained: Start from timm's pre-trained weights; needs the network, or the weights in the hub's cache.
        checkpoint_path: File with weights to start from (.safetensors, .pt, .pth, .ckpt), or null.
        freeze: What stands still: `none`, `backbone` (all but the classifier), or `{until: blocks.2}`.
        drop_rate: Dropout before the classifier, in [0, 1).
        normalization: `image` subtracts each image's mean by channel; `imagenet` uses ImageNet's mean and deviation.
        loss: The loss, for example `BinaryCrossEntropy`, `FocalLoss` or `AsymmetricLoss`.
        optimizer: The optimizer; weight decay leaves out biases and normalisation layers.
        scheduler: Schedule of the learning rate: `OneCycle`, `Cosine` or a class of torch; null keeps it constant.
        scheduler_monitor: Logged value that `ReduceLROnPlateau` watches.
        batch_size: Training images a batch, on each device.
        augment: Random changes of training images: `none`, `flips` (and quarter turns), or `full`.
        blur: Where Gaussian blur is applied: `none`, `train`, `test` or `both`.
        tta: Views of an image that are averaged at validation and test: 1, 2 or 4 flips, 8 with quarter turns.
        average_decay: Decay of a moving average of the weights in this phase, in (0, 1); null is off.
        retries_after_nan: How often a phase may go back to the last checkpoint, with a lower learning rate for the rest
            of it, when its loss becomes NaN or infinite. At 0 the run ends with the error.
        rate_after_nan: What the learning rate is multiplied by at each of these retries, in (0, 1).
        channels_last: Keep images and weights with channels last in memory, which is faster for convolutions.

    Raises:
        ConfigError: if a value is out of its range or values contradict each other.

    Example:
        >>> Recipe(backbone="resnet18").batch_size
        32
    """

    group: ClassVar[str] = "model"
    """Name of the YAML group, for error messages."""

    backbone: str
    pretrained: bool
    checkpoint_path: str | None
    freeze: Freeze
    drop_rate: float
    normalization: Normalization
    loss: MultiLabelLoss
    optimizer: OptimizerCallable
    scheduler: LRSchedulerCallable | None
    scheduler_monitor: str
    batch_size: int
    augment: Augment
    blur: Blur
    tta: TestFlips
    average_decay: float | None
    retries_after_nan: int
    rate_after_nan: float
    channels_last: bool

    def __init__(
        self,
        *,
        backbone: str = "compact_efficientnet",
        pretrained: bool = False,
        checkpoint_path: str | None = None,
        freeze: Freeze = "none",
        drop_rate: float = 0.0,
        normalization: Normalization = "image",
        loss: MultiLabelLoss = BinaryCrossEntropy(),  # noqa: B008  jsonargparse reads it; a phase trains on a copy
        optimizer: OptimizerCallable = lambda params: AdamW(params, lr=0.004, weight_decay=0.02),
        scheduler: LRSchedulerCallable | None = lambda optimizer: OneCycle(optimizer),  # noqa: PLW0108  read as source
        scheduler_monitor: str = "val/loss",
        batch_size: int = 32,
        augment: Augment = "full",
        blur: Blur = "none",
        tta: TestFlips = 1,
        average_decay: float | None = None,
        retries_after_nan: int = 0,
        rate_after_nan: float = 0.5,
        channels_last: bool = True,
    ) -> None:
        given = locals()
        for field in fields(Recipe):
            object.__setattr__(self, field.name, given[field.name])
        self._check()

    def _check(self) -> None:
        _in_range(f"{self.group}.drop_rate", self.drop_rate, self.drop_rate >= 0 and self.drop_rate < 1, "in [0, 1)")
        _at_least(f"{self.group}.batch_size", self.batch_size, 1)
        decay = self.average_decay
        _in_range(f"{self.group}.average_decay", decay, decay is None or 0 < decay < 1, "in (0, 1) or null")
        _at_least(f"{self.group}.retries_after_nan", self.retries_after_nan, 0)
        factor = self.rate_after_nan
        _in_range(f"{self.group}.rate_after_nan", factor, 0 < factor < 1, "in (0, 1)")
        choices: tuple[tuple[str, object, Iterable[object]], ...] = (
            ("normalization", self.normalization, ("imagenet", "image")),
            ("augment", self.augment, ("none", "flips", "full")),
            ("blur", self.blur, ("none", "train", "test", "both")),
            ("tta", self.tta, (1, 2, 4, 8)),
        )
        for name, value, allowed in choices:
            words = ", ".join(map(str, allowed))
            _in_range(f"{self.group}.{name}", value, value in allowed, f"one of {words}")
        if self.pretrained and self.checkpoint_path is not None:
            msg = (
                f"`{self.group}.pretrained` is true and `{self.group}.checkpoint_path` is {self.checkpoint_path}: "
                "a network can start from one of them only. Set `pretrained: false` or `checkpoint_path: null`."
            )
            raise ConfigError(msg)
        if self.freeze != "none" and not self.pretrained and self.checkpoint_path is None:
            msg = (
                f"`{self.group}.freeze` is set, but the network starts from random weights, which would never be "
                f"trained. Set `{self.group}.pretrained: true` or `{self.group}.checkpoint_path`, or "
                f"`{self.group}.freeze: none`."
            )
            raise ConfigError(msg)


@dataclass(frozen=True, init=False)
class Pipeline(Recipe):
    """A recipe with its length, by which a purchase is judged: the YAML group `evaluate:`.

    Attributes:
        epochs: Passes over all owned images.

    Raises:
        ConfigError: if a value is out of its range or values contradict each other.

    Example:
        >>> Pipeline(epochs=10, backbone="efficientnet_b0").epochs
        10
    """

    group: ClassVar[str] = "evaluate"

    epochs: int

    def __init__(self, *, epochs: int = 25, **recipe: Any) -> None:  # noqa: ANN401  typed by Recipe
        object.__setattr__(self, "epochs", epochs)
        _at_least(f"{self.group}.epochs", epochs, 1)
        super().__init__(**recipe)


def _at_least(key: str, value: object, least: int) -> None:
    valid = isinstance(value, int) and not isinstance(value, bool) and value >= least
    _in_range(key, value, valid, f"a whole number of at least {least}")


def _in_range(key: str, value: object, valid: bool, expected: str) -> None:  # noqa: FBT001  private, always positional
    if not valid:
        msg = f"Expected `{key}` to be {expected}, but got {value!r}."
        raise ConfigError(msg)
