"""Losses for images that may have several classes at once.

Every loss takes logits, works in float32 whatever the network's precision, and stays finite for logits of any size.
"""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from dpc_lightning.errors import ConfigError, DpcError

__all__ = ["AsymmetricLoss", "BinaryCrossEntropy", "FocalLoss", "MultiLabelLoss"]


class MultiLabelLoss(nn.Module, ABC):
    """A loss over logits and 0/1 labels, averaged over images and classes.

    A subclass implements `elementwise`. `prepare` is called with the labels that a phase trains on, before it begins.

    Args:
        label_smoothing: in [0, 1): labels become `label * (1 - smoothing) + smoothing / 2`.

    Raises:
        ConfigError: if the smoothing is out of its range.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            msg = f"Expected `loss.init_args.label_smoothing` to be in [0, 1), but got {label_smoothing}."
            raise ConfigError(msg)
        self.label_smoothing = label_smoothing

    @abstractmethod
    def elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss of every image and class.

        Args:
            logits: `(B, C)` float32.
            targets: `(B, C)` float32 in [0, 1], smoothed already.

        Returns:
            `(B, C)` float32, 0 or more.
        """

    def prepare(self, labels: Tensor) -> None:
        """Get ready for a phase.

        Args:
            labels: `(N, C)`, 0/1, all labels that the phase trains on.
        """

    @property
    def ready(self) -> bool:
        """Whether the loss can be computed: false as long as it waits for `prepare`."""
        return True

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Average the loss over a batch.

        Args:
            logits: `(B, C)`, any floating type.
            labels: `(B, C)`, 0/1, any type.

        Returns:
            Scalar, float32.

        Raises:
            DpcError: if the shapes differ.
        """
        if logits.shape != labels.shape:
            msg = f"Expected labels of the logits' shape {tuple(logits.shape)}, but got {tuple(labels.shape)}."
            raise DpcError(msg)
        smoothing = self.label_smoothing
        targets = labels.float() * (1 - smoothing) + smoothing / 2
        return self.elementwise(logits.float(), targets).mean()


class BinaryCrossEntropy(MultiLabelLoss):
    """Binary cross-entropy of every class.

    Args:
        pos_weight: weight of the positives: one number a class in the order of the classes, `balanced` for negatives
            over positives of the training labels (1 for a class without positives), or null for 1.
        label_smoothing: in [0, 1).

    Raises:
        ConfigError: if a weight is not positive.

    Example:
        >>> loss = BinaryCrossEntropy()
        >>> round(loss(torch.zeros(2, 3), torch.ones(2, 3)).item(), 4)
        0.6931
        >>> loss = BinaryCrossEntropy("balanced")
        >>> loss.prepare(torch.tensor([[1, 0], [0, 0], [0, 0], [0, 0]]))
        >>> loss.weights
        tensor([3., 1.])
    """

    weights: Tensor | None

    def __init__(
        self, pos_weight: list[float] | Literal["balanced"] | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(label_smoothing)
        self.pos_weight = pos_weight
        weights = None
        if isinstance(pos_weight, list):
            weights = torch.tensor(pos_weight, dtype=torch.float32)
            if not bool(((weights > 0) & weights.isfinite()).all()):
                msg = f"Expected `loss.init_args.pos_weight` to be finite numbers above 0, but got {pos_weight}."
                raise ConfigError(msg)
        self.register_buffer("weights", weights, persistent=False)  # follows from the setting and the labels

    def prepare(self, labels: Tensor) -> None:
        """Balance the classes by the labels of the phase, or check that there is one weight a class.

        Args:
            labels: `(N, C)`, 0/1.

        Raises:
            ConfigError: if a list of weights has another length than there are classes.
        """
        if self.pos_weight == "balanced":
            positives = labels.double().sum(0)
            ratio = (len(labels) - positives) / positives.clamp(min=1)
            # without positives there is nothing to weigh; without negatives a weight of 0 would switch the class off
            neutral = (positives == 0) | (ratio == 0)
            self.weights = torch.where(neutral, torch.ones_like(ratio), ratio).float()
        elif self.weights is not None and len(self.weights) != labels.shape[1]:
            msg = (
                f"Expected `loss.init_args.pos_weight` to have {labels.shape[1]} numbers, one a class, "
                f"but got {len(self.weights)}."
            )
            raise ConfigError(msg)

    @property
    def ready(self) -> bool:
        """False for balanced weights that have not seen labels yet."""
        return self.pos_weight is None or self.weights is not None

    def elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the cross-entropy of every image and class; see the base class for shapes."""
        if not self.ready:
            msg = "A balanced loss must be prepared with the training labels first: call `prepare(labels)`."
            raise DpcError(msg)
        weights = None if self.weights is None else self.weights.to(logits.device)
        return nnf.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights, reduction="none")


class FocalLoss(MultiLabelLoss):
    """Cross-entropy that fades where the network is already right (Lin et al., "Focal Loss", ICCV 2017, equation 5).

    Args:
        gamma: how fast it fades, 0 or more; 0 is cross-entropy.
        alpha: in (0, 1), weight of the positives, the negatives having `1 - alpha`; null weighs both by 1.
        label_smoothing: in [0, 1).

    Raises:
        ConfigError: if a value is out of its range.

    Example:
        >>> easy, hard = torch.tensor([[4.0]]), torch.tensor([[-4.0]])
        >>> loss = FocalLoss(gamma=2.0)
        >>> bool(loss(hard, torch.ones(1, 1)) > 1000 * loss(easy, torch.ones(1, 1)))
        True
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__(label_smoothing)
        _not_negative("gamma", gamma)
        if alpha is not None and not 0 < alpha < 1:
            msg = f"Expected `loss.init_args.alpha` to be in (0, 1) or null, but got {alpha}."
            raise ConfigError(msg)
        self.gamma, self.alpha = gamma, alpha

    def elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the focal loss of every image and class; see the base class for shapes."""
        positive = -nnf.logsigmoid(logits) * _fade(torch.sigmoid(-logits), self.gamma)
        negative = -nnf.logsigmoid(-logits) * _fade(torch.sigmoid(logits), self.gamma)
        if self.alpha is not None:
            positive, negative = self.alpha * positive, (1 - self.alpha) * negative
        return targets * positive + (1 - targets) * negative


class AsymmetricLoss(MultiLabelLoss):
    """Focal loss that fades faster for negatives and ignores the very easy ones (Ridnik et al., ICCV 2021, equation 7).

    Args:
        gamma_neg: fading of the negatives, 0 or more.
        gamma_pos: fading of the positives, 0 or more.
        clip: in [0, 1): negatives count by `max(p - clip, 0)`, so those with p below `clip` count nothing.
        label_smoothing: in [0, 1).

    Raises:
        ConfigError: if a value is out of its range.

    Example:
        >>> loss = AsymmetricLoss()
        >>> loss(torch.tensor([[-5.0]]), torch.zeros(1, 1)).item()
        0.0
    """

    def __init__(
        self, gamma_neg: float = 4.0, gamma_pos: float = 1.0, clip: float = 0.05, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(label_smoothing)
        _not_negative("gamma_neg", gamma_neg)
        _not_negative("gamma_pos", gamma_pos)
        if not 0 <= clip < 1:
            msg = f"Expected `loss.init_args.clip` to be in [0, 1), but got {clip}."
            raise ConfigError(msg)
        self.gamma_neg, self.gamma_pos, self.clip = gamma_neg, gamma_pos, clip

    def elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the asymmetric loss of every image and class; see the base class for shapes."""
        positive = -nnf.logsigmoid(logits) * _fade(torch.sigmoid(-logits), self.gamma_pos)
        if self.clip:
            shifted = (torch.sigmoid(logits) - self.clip).clamp(min=0)
            negative = -torch.log1p(-shifted) * _fade(shifted, self.gamma_neg)  # shifted is at most 1 - clip: finite
        else:
            negative = -nnf.logsigmoid(-logits) * _fade(torch.sigmoid(logits), self.gamma_neg)
        return targets * positive + (1 - targets) * negative


def _fade(base: Tensor, gamma: float) -> Tensor:
    """Raise to a power; the floor keeps the gradient of a power below 1 finite at 0."""
    return base.clamp_min(1e-12) ** gamma


def _not_negative(name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        msg = f"Expected `loss.init_args.{name}` to be a finite number of at least 0, but got {value}."
        raise ConfigError(msg)
