"""Which part of a network is trained: nothing, the backbone or everything up to a block stands still."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dpc_lightning.errors import ConfigError

__all__ = ["Freeze", "FreezeUntil", "count_trainable", "freeze_modules", "list_blocks", "norms_in"]


@dataclass(frozen=True)
class FreezeUntil:
    """Freeze the network from its input up to a block, that block included.

    Attributes:
        until: Name of the last frozen block, for example `blocks.2`. A wrong name is answered by the list of names.
    """

    until: str


Freeze = Literal["none", "backbone"] | FreezeUntil
"""`none` trains everything, `backbone` trains the classifier alone, `FreezeUntil` trains what follows a block."""


def list_blocks(model: nn.Module, classifier: nn.Module) -> list[str]:
    """Name the parts of a model that can be frozen one after the other.

    Args:
        model: a network whose parts are defined in the order in which they are run, as timm's are.
        classifier: its last layer, which is never frozen.

    Returns:
        Names of parts with parameters, from input to output; the members of a sequence are named one by one.

    Example:
        >>> model = nn.Sequential()
        >>> model.stem, model.blocks, model.head = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Linear(4, 4)), nn.Linear(4, 2)
        >>> list_blocks(model, model.head)
        ['stem', 'blocks.0']
    """
    return [name for name, part in _parts(model) if _holds_weights(part) and not _contains(part, classifier)]


def freeze_modules(
    model: nn.Module, classifier: nn.Module, freeze: Freeze, key: str = "model.freeze"
) -> list[nn.Module]:
    """Take the gradients from the frozen part of a model.

    Args:
        model: the network.
        classifier: its last layer, which is never frozen.
        freeze: what to freeze.
        key: YAML key of the setting, for error messages.

    Returns:
        The frozen batch-normalisation layers, which have to be kept in evaluation mode while the rest trains: otherwise
        their running statistics would follow the training images, and the frozen part would change after all.

    Raises:
        ConfigError: if the model has no block of the given name.
    """
    if freeze == "none":
        return []
    blocks = list_blocks(model, classifier)
    if isinstance(freeze, FreezeUntil):
        # `blocks` alone means the whole sequence: its last member
        matches = [i for i, name in enumerate(blocks) if name == freeze.until or name.startswith(f"{freeze.until}.")]
        if not matches:
            names = ", ".join(blocks)
            msg = f"Expected `{key}.until` to name a block, but got {freeze.until!r}. The blocks are: {names}."
            raise ConfigError(msg)
        blocks = blocks[: matches[-1] + 1]
    frozen = [model.get_submodule(name) for name in blocks]
    for weights in model.parameters(recurse=False):  # position embeddings and class tokens stand before the first block
        weights.requires_grad = False
    for part in frozen:
        for weights in part.parameters():
            weights.requires_grad = False
    return [norm for part in frozen for norm in norms_in(part)]


def norms_in(part: nn.Module) -> list[nn.Module]:
    """List the batch-normalisation layers of a module.

    Example:
        >>> len(norms_in(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())))
        1
    """
    return [layer for layer in part.modules() if isinstance(layer, _BatchNorm)]


def count_trainable(network: nn.Module) -> tuple[int, int]:
    """Count parameters.

    Returns:
        `(trainable, total)`, in numbers, not tensors.

    Example:
        >>> count_trainable(nn.Linear(3, 2))
        (8, 8)
    """
    counts = [(weights.numel(), weights.requires_grad) for weights in network.parameters()]
    return sum(count for count, trainable in counts if trainable), sum(count for count, _ in counts)


def _parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, part in model.named_children():
        if isinstance(part, nn.Sequential | nn.ModuleList) and len(part):
            yield from ((f"{name}.{member}", module) for member, module in part.named_children())
        else:
            yield name, part


def _holds_weights(part: nn.Module) -> bool:
    return next(part.parameters(), None) is not None


def _contains(part: nn.Module, classifier: nn.Module) -> bool:
    return any(module is classifier for module in part.modules())
