"""What the training loader of a phase serves, and what a checkpoint keeps of the data."""

from dataclasses import dataclass
from typing import TypedDict

from dpc_lightning.data.transforms import Blur, Kind

__all__ = ["DataState", "DataWarning", "PseudoState", "TrainView"]


class DataWarning(UserWarning):
    """Something about the data makes results doubtful, but the run can go on."""


@dataclass(frozen=True)
class TrainView:
    """What the training loader of a phase serves."""

    cursor: int = 0
    """Position of the phase in the run."""
    stream: int = 0
    """Number of the phase's random stream; batch order depends on it."""
    bought: bool = False
    """Whether bought images are trained on, beside the training images."""
    pseudo: bool = False
    """Whether pseudo-labelled images are trained on too."""
    batch_size: int = 32
    """Images of a batch on each rank."""
    augment: Kind = "full"
    """How training images are augmented."""
    blur: Blur = "none"
    """Where images are blurred; what it says of the test stage holds for every loader but the training one."""
    rank: int = 0
    """This process, from 0."""
    world_size: int = 1
    """Number of processes."""


class PseudoState(TypedDict):
    """Pseudo-labelled images as plain lists."""

    indices: list[int]
    labels: list[list[int]]


class DataState(TypedDict):
    """What a checkpoint keeps of the data: the phase, how many ledger rows it stands on, the pseudo-labels."""

    cursor: int
    ledger_rows: int
    pseudo: PseudoState
