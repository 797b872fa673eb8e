"""How an entry is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from dpc_lightning.errors import ConfigError
from dpc_lightning.evaluation.jobs.settings import Reference

__all__ = ["EntrySettings", "SealChoice"]

SealChoice = Literal["auto", "namespaces", "landlock", "none"]


@dataclass(frozen=True)
class EntrySettings:
    """How an entry is run, sealed and judged."""

    class_name: str = "ZEWDPCBaseRun"
    """Class of the entry's file that is run."""
    images: Literal["pil", "array"] = "pil"
    """What an item's image is: a PIL image, or an array (H, W, 3) uint8."""
    seed: int = 0
    """Seed of `random` and `numpy.random` in the entry's process."""
    seal: SealChoice = "auto"
    """How the entry is shut off from the hidden labels: by namespaces of the kernel, by its Landlock rules, or the best
    of these that is to be had."""
    allow_unsealed: bool = False
    """Run the entry even where it cannot be shut off; it can then read every hidden label."""
    grace: float = 10.0
    """Seconds between the end of the compute budget and the end of the process."""
    memory_gb: float = 8.0
    """Memory of the entry and all its processes; without control groups, address space of each."""
    processes: int = 256
    """Processes and threads that it may have at once."""
    work_mb: int = 1024
    """What it may write, in MB; the folder is in memory, and gone when the entry ends."""
    code_mb: float = 1.0
    """What it may bring, in MB: own weights are not allowed."""
    disguise: bool | None = None
    """Whether one in eight values of the pool's images is off by one, by a secret seed, so that a look-up of public
    images by their hash finds nothing; null does so for data that has been converted from a public source."""
    judge: bool = True
    """Whether the purchase is judged afterwards."""
    pipelines: Sequence[str] | None = None
    """Pipelines that judge: names in configs/pipelines/, or YAML files; null takes `evaluate:` of the configuration."""
    seeds: Sequence[int] = (0,)
    """Seeds of the judging training; 8 for a verdict."""
    references: Sequence[Reference] = get_args(Reference)
    """References beside random: none, double (random, twice as many labels) and all."""
    metric: str = "f1_macro"
    """Score by which the tables rank."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("grace", "memory_gb", "code_mb"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                msg = f"Expected `--{name}` to be a number of at least 0, but got {value}."
                raise ConfigError(msg)
        for name, least in (("processes", 8), ("work_mb", 16), ("seed", 0)):
            if getattr(self, name) < least:
                msg = f"Expected `--{name}` to be at least {least}, but got {getattr(self, name)}."
                raise ConfigError(msg)
        if self.memory_gb < 0.25:
            msg = f"Expected `--memory_gb` to be at least 0.25: Python itself needs some, but got {self.memory_gb}."
            raise ConfigError(msg)
