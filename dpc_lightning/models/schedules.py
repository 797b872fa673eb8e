"""Learning-rate schedules whose length is that of the phase.

A YAML file cannot say how many steps a phase has: that depends on what has been bought. So a schedule is made from the
optimizer alone, and `set_total_steps` tells it the length before the first step.
"""

import math
from abc import abstractmethod

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dpc_lightning.errors import ConfigError

__all__ = ["Cosine", "OneCycle", "PhaseSchedule"]

_COSINE_WARMUP_START = 0.1


class PhaseSchedule(LRScheduler):
    """A schedule over a phase, stepped once per optimizer step.

    A subclass implements `factor`. Before the length is known the learning rate is the one of step 0; after the last
    step it stays where it is.

    Args:
        optimizer: the optimizer; the rates of its groups are what the factors multiply.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.total_steps: int | None = None
        super().__init__(optimizer)

    @abstractmethod
    def factor(self, step: int, total_steps: int) -> float:
        """Say by what the learning rate is multiplied.

        Args:
            step: 0 to `total_steps - 1`.
            total_steps: optimizer steps of the phase, at least 1.
        """

    @abstractmethod
    def start(self) -> float:
        """Say the factor of step 0 of a long phase, for the time before the length is known."""

    def set_total_steps(self, total_steps: int) -> None:
        """Set the length of the phase.

        Args:
            total_steps: optimizer steps of the phase, at least 1.

        Raises:
            ConfigError: if it is less than 1.
        """
        if total_steps < 1:
            msg = f"Expected a phase of at least 1 optimizer step, but got {total_steps}: are there training images?"
            raise ConfigError(msg)
        self.total_steps = total_steps
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def go_on(self, step: int, total_steps: int) -> None:
        """Go on in a phase that has another number of steps than it had: its images are shared by more or fewer ranks.

        Nothing changes where the number is the same.

        Args:
            step: where the phase stands, in steps of the new length.
            total_steps: optimizer steps of the phase, at least 1.
        """
        if total_steps != self.total_steps:
            self.last_epoch = step
            self.set_total_steps(total_steps)

    def get_lr(self) -> list[float]:  # type: ignore[override]  # torch also allows tensors
        """Compute the learning rate of every parameter group at the current step."""
        if self.total_steps is None:
            factor = self.start()
        else:
            factor = self.factor(min(self.last_epoch, self.total_steps - 1), self.total_steps)
        return [float(rate) * factor for rate in self.base_lrs]


class OneCycle(PhaseSchedule):
    """Up by a cosine, then down by a cosine (Smith and Topin, "Super-Convergence", 2017), momentum untouched.

    The shape of torch's `OneCycleLR`: the top is reached `warmup * steps - 1` steps in, the end at the last step.

    Args:
        optimizer: its learning rate is the top.
        warmup: share of the phase that goes up, in [0, 1).
        start_factor: the first learning rate as a share of the top.
        final_factor: the last learning rate as a share of the top.

    Raises:
        ConfigError: if a value is out of its range.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1.0)
        >>> schedule = OneCycle(optimizer, warmup=0.5)
        >>> schedule.set_total_steps(10)
        >>> [round(schedule.factor(step, 10), 3) for step in (0, 2, 4, 9)]
        [0.1, 0.55, 1.0, 0.01]
    """

    def __init__(
        self, optimizer: Optimizer, warmup: float = 0.2, start_factor: float = 0.1, final_factor: float = 0.01
    ) -> None:
        _check_share("warmup", warmup, below_one=True)
        _check_share("start_factor", start_factor)
        _check_share("final_factor", final_factor)
        self.warmup, self.start_factor, self.final_factor = warmup, start_factor, final_factor
        super().__init__(optimizer)

    def start(self) -> float:
        """Say the factor of step 0."""
        return self.start_factor if self.warmup else 1.0

    def factor(self, step: int, total_steps: int) -> float:
        """Say by what the learning rate is multiplied; see the base class."""
        top = max(self.warmup * total_steps - 1, 0.0)
        if step < top:
            return _cosine(self.start_factor, 1.0, step / top)
        return _cosine(1.0, self.final_factor, _share(step - top, total_steps - 1 - top))


class Cosine(PhaseSchedule):
    """Down by a cosine (Loshchilov and Hutter, "SGDR", 2017), after a linear warm-up from a tenth if one is asked for.

    Args:
        optimizer: its learning rate is the top.
        warmup: share of the phase that goes up, in [0, 1).
        final_factor: the last learning rate as a share of the top.

    Raises:
        ConfigError: if a value is out of its range.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1.0)
        >>> [round(Cosine(optimizer).factor(step, 5), 3) for step in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, optimizer: Optimizer, warmup: float = 0.0, final_factor: float = 0.0) -> None:
        _check_share("warmup", warmup, below_one=True)
        _check_share("final_factor", final_factor)
        self.warmup, self.final_factor = warmup, final_factor
        super().__init__(optimizer)

    def start(self) -> float:
        """Say the factor of step 0."""
        return _COSINE_WARMUP_START if self.warmup else 1.0

    def factor(self, step: int, total_steps: int) -> float:
        """Say by what the learning rate is multiplied; see the base class."""
        top = max(self.warmup * total_steps - 1, 0.0)
        if step < top:
            return _COSINE_WARMUP_START + (1 - _COSINE_WARMUP_START) * step / top
        return _cosine(1.0, self.final_factor, _share(step - top, total_steps - 1 - top))


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _share(part: float, whole: float) -> float:
    return min(part / whole, 1.0) if whole > 0 else 0.0


def _check_share(name: str, value: float, *, below_one: bool = False) -> None:
    if not (0 <= value < 1 if below_one else 0 <= value <= 1):
        interval = "[0, 1)" if below_one else "[0, 1]"
        msg = f"Expected `scheduler.init_args.{name}` to be in {interval}, but got {value}."
        raise ConfigError(msg)
