"""From a recipe to an optimizer and its schedule, as Lightning wants them."""

import math
from typing import Any

from lightning.pytorch.cli import ReduceLROnPlateau as MonitoringPlateau
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR, ReduceLROnPlateau

from dpc_lightning.errors import ConfigError
from dpc_lightning.models.recipe import Recipe
from dpc_lightning.models.schedules import PhaseSchedule

__all__ = ["configure", "parameter_groups"]


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Split the trainable parameters into those with and those without weight decay.

    Args:
        network: the network.

    Returns:
        Groups for an optimizer: matrices and kernels, then vectors and scalars (biases, normalisation) without decay.
        A group without parameters is left out.

    Example:
        >>> [len(group["params"]) for group in parameter_groups(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))]
        [1, 3]
    """
    trainable = [weights for weights in network.parameters() if weights.requires_grad]
    decayed = {"params": [weights for weights in trainable if weights.ndim > 1]}
    plain = {"params": [weights for weights in trainable if weights.ndim <= 1], "weight_decay": 0.0}
    return [group for group in (decayed, plain) if group["params"]]


def configure(recipe: Recipe, network: nn.Module, total_steps: float, validate_every: int = 1) -> OptimizerLRScheduler:
    """Make the optimizer and the schedule of a phase.

    Args:
        recipe: says which.
        network: its trainable parameters are optimised.
        total_steps: optimizer steps of the phase; infinite if nobody knows.
        validate_every: epochs from one validation to the next.

    Returns:
        What `LightningModule.configure_optimizers` returns. Schedules of this package, `OneCycleLR` and `CyclicLR` are
        stepped after every optimizer step, `ReduceLROnPlateau` after every validation, all others after every epoch.

    Raises:
        ConfigError: if the optimizer cannot be made, or if the schedule needs to know the length of the phase and
            nobody does.
    """
    try:
        optimizer = recipe.optimizer(parameter_groups(network))
    except (TypeError, ValueError) as error:
        msg = f"`{recipe.group}.optimizer` cannot be made for this network: {error}"
        raise ConfigError(msg) from error
    if recipe.scheduler is None:
        return optimizer
    scheduler = recipe.scheduler(optimizer)
    if isinstance(scheduler, ReduceLROnPlateau):
        monitor = scheduler.monitor if isinstance(scheduler, MonitoringPlateau) else recipe.scheduler_monitor
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": monitor, "frequency": validate_every},
        }
    if isinstance(scheduler, PhaseSchedule):
        if not math.isfinite(total_steps):
            msg = (
                f"`{recipe.group}.scheduler` is {type(scheduler).__name__}, which needs the number of steps, but the "
                "training has no end. Set the number of epochs, or `scheduler: null`."
            )
            raise ConfigError(msg)
        scheduler.set_total_steps(int(total_steps))
    interval = "step" if isinstance(scheduler, PhaseSchedule | OneCycleLR | CyclicLR) else "epoch"
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}
