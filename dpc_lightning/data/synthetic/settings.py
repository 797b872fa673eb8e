"""The settings of generated sheets: how many, how large, and the dials that make them easy or hard."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Literal

from dpc_lightning.errors import ConfigError

__all__ = ["CLASSES", "CLUSTER_SIZE", "PRESETS", "SPLITS", "Knobs", "Preset", "SheetSettings", "Split"]

CLASSES = ("scratch_small", "scratch_large", "dent_small", "dent_large", "stray_particle", "discoloration")
"""The six classes in the order of the label columns."""

CLUSTER_SIZE = 12
"""Images in a cluster of near duplicates (the last cluster of a pool may be smaller)."""

Split = Literal["training", "unlabelled", "validation", "test"]
SPLITS: tuple[Split, ...] = ("training", "unlabelled", "validation", "test")
"""The folders of a data root; the position of a split here is part of the random key of its images."""

Preset = Literal["default", "hard", "redundant", "noisy", "shifted"]

Rates = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Knobs:
    """All dials with their values: what a preset and the settings beside it amount to."""

    prevalence: Rates
    """Mean number of damages of each class on a sheet that was drawn to be damaged, before clean draws are repeated."""
    clean: float
    """Share of sheets without any damage, in [0, 1]."""
    redundancy: float
    """Share of the pool that lies in clusters of near duplicates, in [0, 1]."""
    label_noise: float
    """Share of the labels (image x class) in training and pool that are turned over, in [0, 0.5]."""
    shift: float
    """How far the test images lie from the others (darker, rougher, other paints), in [0, 1]."""
    difficulty: float
    """How faint damages may be and how many reflections distract from them, in [0, 1]."""
    ambiguity: float
    """How far the size gap between small and large is closed, in [0, 1]; at 1 sizes run on without a gap."""


_DEFAULT = Knobs(
    prevalence=(0.504, 0.096, 0.43, 0.07, 0.14, 0.12),
    clean=0.33,
    redundancy=0.5,
    label_noise=0.0,
    shift=0.3,
    difficulty=0.5,
    ambiguity=0.0,
)


def _preset(**changes: float | Rates) -> Knobs:
    return Knobs(**{**asdict(_DEFAULT), **changes})


PRESETS: Mapping[Preset, Knobs] = {
    "default": _DEFAULT,
    "hard": _preset(prevalence=(0.5332, 0.0868, 0.46, 0.04, 0.12, 0.10), difficulty=1.0),
    "redundant": _preset(redundancy=0.9),
    "noisy": _preset(label_noise=0.05),
    "shifted": _preset(shift=1.0),
}
"""What each preset stands for; a setting that is not null takes the place of the preset's value."""


@dataclass(frozen=True)
class SheetSettings:
    """What `write_sheets` generates: counts, size, and the dials of the recipe.

    An image depends on the seed, its split, its number and the dials alone: with larger counts, the images that were
    there before stay the same.

    Raises:
        ConfigError: if a value is out of its range; the message names the key under `data.generator`.

    Example:
        >>> SheetSettings(preset="hard", redundancy=0.0).knobs().difficulty
        1.0
    """

    preset: Preset = "default"
    """Values of all dials that are null: default, hard, redundant, noisy or shifted."""
    training: int = 200
    """Labelled images to start with."""
    unlabelled: int = 2000
    """Images in the pool."""
    validation: int = 400
    """Images for validation; 0 writes no such folder."""
    test: int = 2000
    """Images for the test."""
    px: int = 64
    """Side of the square images in pixels, 16 to 1024."""
    seed: int = 0
    """Seed of all randomness, 0 to 2^64 - 1."""
    prevalence: Rates | None = None
    """Mean number of damages on a damaged sheet for each of the six classes, in column order, each in [0, 5]."""
    clean: float | None = None
    """Share of sheets without any damage, in [0, 1]."""
    redundancy: float | None = None
    """Share of the pool in clusters of 12 near duplicates, in [0, 1]."""
    label_noise: float | None = None
    """Share of the labels (image x class) in training and pool that are turned over, in [0, 0.5]."""
    shift: float | None = None
    """How far test images lie from the others (darker, rougher, other paints), in [0, 1]."""
    difficulty: float | None = None
    """How faint damages may be and how many reflections distract from them, in [0, 1]."""
    ambiguity: float | None = None
    """How far the size gap between small and large is closed, in [0, 1]; at 1 there is no gap."""

    def __post_init__(self) -> None:
        """Check every range and how the values fit together."""
        if self.preset not in PRESETS:
            _refuse("preset", f"one of {', '.join(PRESETS)}", self.preset)
        for name, least in (("training", 1), ("unlabelled", 0), ("validation", 0), ("test", 1)):
            _check_int(name, getattr(self, name), least, 10_000_000)
        _check_int("px", self.px, 16, 1024)
        _check_int("seed", self.seed, 0, 2**64 - 1)
        for name in ("clean", "redundancy", "shift", "difficulty", "ambiguity"):
            _check_share(name, getattr(self, name), 1.0)
        _check_share("label_noise", self.label_noise, 0.5)
        if self.prevalence is not None:
            _check_rates(self.prevalence)
            object.__setattr__(self, "prevalence", tuple(float(rate) for rate in self.prevalence))
        knobs = self.knobs()
        if sum(knobs.prevalence) == 0 and knobs.clean < 1:
            msg = (
                f"`data.generator.prevalence` is 0 for all classes, but `data.generator.clean` is {knobs.clean}: "
                "damaged sheets need a damage. Set `data.generator.clean` to 1, or a rate above 0."
            )
            raise ConfigError(msg)

    def knobs(self) -> Knobs:
        """Resolve the dials: the preset's values, with those that are set here in their places."""
        preset = PRESETS[self.preset]
        chosen = {field.name: getattr(self, field.name) for field in fields(Knobs)}
        return Knobs(**{**asdict(preset), **{name: value for name, value in chosen.items() if value is not None}})

    def count(self, split: Split) -> int:
        """Say how many images a split has."""
        counts = {
            "training": self.training,
            "unlabelled": self.unlabelled,
            "validation": self.validation,
            "test": self.test,
        }
        return counts[split]

    def as_dict(self) -> dict[str, object]:
        """Give counts, size, seed and all dials with their values: two equal dictionaries mean equal files."""
        knobs = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.knobs()).items()
        }
        return {split: self.count(split) for split in SPLITS} | {"px": self.px, "seed": self.seed} | knobs


def _refuse(name: str, expected: str, came: object) -> None:
    msg = f"Expected `data.generator.{name}` to be {expected}, but got {came!r}."
    raise ConfigError(msg)


def _check_int(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        _refuse(name, f"a whole number from {least} to {most}", value)


def _is_number(value: object, most: float) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and isfinite(value) and 0 <= value <= most


def _check_share(name: str, value: object, most: float) -> None:
    if value is not None and not _is_number(value, most):
        _refuse(name, f"a number from 0 to {most:g} or null", value)


def _check_rates(rates: object) -> None:
    expected = f"{len(CLASSES)} numbers from 0 to 5 ({', '.join(CLASSES)}) or null"
    if (
        not isinstance(rates, Sequence)
        or len(rates) != len(CLASSES)
        or not all(_is_number(rate, 5.0) for rate in rates)
    ):
        _refuse("prevalence", expected, rates)
