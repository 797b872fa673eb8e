"""What is on a sheet: everything in fractions of its side (u to the right, v down), before there is a single pixel.

Labels are read from the scene, never from pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DENT_EDGE", "SCRATCH_EDGE", "Band", "Colour", "Dent", "Particle", "Point", "Scene", "Scratch", "Stain"]

Colour = tuple[float, float, float]
Point = tuple[float, float]

SCRATCH_EDGE = 0.30
"""Length in sides from which a scratch is large."""

DENT_EDGE = 0.105
"""Radius in sides from which a dent is large."""


@dataclass(frozen=True)
class Scratch:
    """A slightly bent line: a bright or dark core with an edge of the opposite sign along one side."""

    points: tuple[Point, ...]
    """Polyline (u, v), 7 points."""
    length: float
    """Length; it decides between small and large."""
    width: float
    """Width at the middle."""
    contrast: float
    """How well it shows, in [0, 1]."""
    sign: float
    """+1 bright, -1 dark."""


@dataclass(frozen=True)
class Dent:
    """A hollow that is shaded as the light of its sheet demands."""

    centre: Point
    """Centre (u, v)."""
    radius: float
    """Mean radius; it decides between small and large."""
    aspect: float
    """Ratio of the axes."""
    angle: float
    """Direction of the first axis in radians."""
    contrast: float
    """How well it shows, in [0, 1]."""


@dataclass(frozen=True)
class Particle:
    """A speck that lies on the paint: dark on light paint, light on dark."""

    centre: Point
    """Centre (u, v)."""
    corners: tuple[Point, ...]
    """Outline relative to the centre, 7 points."""
    shade: float
    """Its grey value: dark on light paint, light on dark."""
    contrast: float
    """How well it shows, in [0, 1]."""


@dataclass(frozen=True)
class Stain:
    """A patch of another tint with an uneven edge."""

    centre: Point
    """Centre (u, v)."""
    radius: float
    """Mean radius."""
    aspect: float
    """Ratio of the axes."""
    edge: tuple[tuple[float, ...], ...]
    """Unevenness of the edge, a 6 x 6 grid over the sheet."""
    tint: Colour
    """Added colour; its largest part is 1."""
    contrast: float
    """How well it shows, in [0, 1]."""


@dataclass(frozen=True)
class Band:
    """A reflection: a bright band across the sheet that is no damage."""

    angle: float
    """Direction across the band in radians."""
    offset: float
    """Distance from the middle of the sheet."""
    width: float
    """Half width."""
    height: float
    """Added brightness at its middle."""


@dataclass(frozen=True)
class Scene:
    """One sheet: paint, light, texture, damages, reflections and camera."""

    paint: Colour
    """Colour in [0, 1]."""
    brightness: float
    """Factor on the paint; bounded so that nothing burns out."""
    gradient: float
    """Strength of the light's gradient."""
    light: float
    """Direction of the light in radians."""
    cloud: tuple[tuple[float, ...], ...]
    """Slow unevenness of the light, a 4 x 4 grid."""
    peel: float
    """Standard deviation of the orange peel."""
    brushed: float
    """Standard deviation of the brush marks."""
    brush_vertical: bool
    """Direction of the brush marks."""
    scratches: tuple[Scratch, ...]
    """Scratches, small and large."""
    dents: tuple[Dent, ...]
    """Dents, small and large."""
    particles: tuple[Particle, ...]
    """Stray particles."""
    stains: tuple[Stain, ...]
    """Discolorations."""
    bands: tuple[Band, ...]
    """Reflections."""
    blur: float
    """Standard deviation of the camera's blur, as a fraction of the side."""
    noise: float
    """Standard deviation of the camera's noise."""

    def labels(self) -> NDArray[np.uint8]:
        """Say which classes are on the sheet: `(6,)` uint8 in the order of `CLASSES`."""
        present = (
            any(scratch.length < SCRATCH_EDGE for scratch in self.scratches),
            any(scratch.length >= SCRATCH_EDGE for scratch in self.scratches),
            any(dent.radius < DENT_EDGE for dent in self.dents),
            any(dent.radius >= DENT_EDGE for dent in self.dents),
            bool(self.particles),
            bool(self.stains),
        )
        return np.array(present, dtype=np.uint8)
