"""A learning rate that was lowered after training had diverged, as a function of the step."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

__all__ = ["LoweredRate", "rate_factor"]


@dataclass(frozen=True)
class LoweredRate:
    """From which step on a phase is trained with a lower learning rate."""

    phase: str
    """Name of the phase; the next one has its own rate again."""
    from_step: int
    """First training step of the run that it holds for: that of the checkpoint to which the run went back."""
    factor: float
    """What the learning rate is multiplied by."""


def rate_factor(lowered: Iterable[LoweredRate], phase: str, step: int) -> float:
    """Say by what the learning rate of a step is multiplied; several entries multiply.

    Args:
        lowered: what happened in the run so far.
        phase: name of the phase.
        step: training step of the run, from 0.

    Returns:
        1.0 where nothing was lowered.

    Example:
        >>> lowered = [LoweredRate("pretrain", 4, 0.5), LoweredRate("pretrain", 6, 0.5)]
        >>> [rate_factor(lowered, "pretrain", step) for step in (3, 4, 6)], rate_factor(lowered, "round_1", 9)
        ([1.0, 0.5, 0.25], 1.0)
    """
    return prod((each.factor for each in lowered if each.phase == phase and step >= each.from_step), start=1.0)
