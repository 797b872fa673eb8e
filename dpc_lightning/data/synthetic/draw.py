"""Draw scenes at random.

All numbers of a scene are drawn before any noise of its picture, so a scene looks the same at every size.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import cos, exp, log, pi, sin

import numpy as np

from dpc_lightning.data.synthetic.scene import (
    DENT_EDGE,
    SCRATCH_EDGE,
    Band,
    Colour,
    Dent,
    Particle,
    Point,
    Scene,
    Scratch,
    Stain,
)
from dpc_lightning.data.synthetic.settings import CLASSES, CLUSTER_SIZE, SPLITS, Knobs, Split

__all__ = ["cluster_of", "draw_scene", "stream"]

PAINTS: tuple[Colour, ...] = (
    (0.86, 0.86, 0.85),  # white
    (0.70, 0.71, 0.72),  # silver
    (0.44, 0.45, 0.47),  # grey
    (0.13, 0.13, 0.14),  # black
    (0.55, 0.10, 0.10),  # red
    (0.12, 0.22, 0.48),  # blue
    (0.12, 0.34, 0.22),  # green
    (0.76, 0.60, 0.16),  # yellow
    (0.40, 0.30, 0.22),  # brown
    (0.45, 0.58, 0.66),  # light blue
)
SHIFTED_PAINTS = (3, 4, 6, 8)
"""Dark and warm paints, which a shifted test set prefers."""

SCRATCH_GAP, SCRATCH_RANGE = (0.26, 0.34), (0.10, 0.85)
DENT_GAP, DENT_RANGE = (0.09, 0.125), (0.045, 0.24)
MARGIN = 0.04
"""Damages keep this distance from the border, so that a moved near duplicate still shows them."""


def stream(seed: int, split: Split, number: int, purpose: int) -> np.random.Generator:
    """Give the random numbers of one image (or cluster) for one purpose, independent of all others."""
    entropy = [seed, SPLITS.index(split), number]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(purpose,))))


def cluster_of(index: int, redundancy: float) -> int | None:
    """Say which cluster of near duplicates a pool image belongs to.

    The share is spread evenly over the pool and clusters are filled one after the other, so the answer depends on no
    pool size.

    Args:
        index: number of the image in the pool.
        redundancy: share of the pool that lies in clusters, in [0, 1].

    Returns:
        Number of the cluster, or `None` for a sheet that is photographed once.

    Example:
        >>> [cluster_of(index, 0.5) for index in (0, 1, 22, 23, 25)]
        [None, 0, None, 0, 1]
    """
    rank = int(index * redundancy)
    return rank // CLUSTER_SIZE if int((index + 1) * redundancy) > rank else None


def draw_scene(knobs: Knobs, seed: int, split: Split, index: int) -> tuple[Scene, str]:
    """Draw what is on image `index` of a split.

    Args:
        knobs: the dials.
        seed: the seed of the data set.
        split: training, unlabelled, validation or test.
        index: number of the image in its split.

    Returns:
        The scene and the name of its group: near duplicates share one, all other images have their own.
    """
    cluster = cluster_of(index, knobs.redundancy) if split == "unlabelled" else None
    if cluster is None:
        shift = knobs.shift if split == "test" else 0.0
        return _draw(knobs, shift, stream(seed, split, index, 0)), f"{split}-{index:06d}"
    scene = _draw(knobs, 0.0, stream(seed, split, cluster, 1))
    return _rephotograph(scene, knobs, stream(seed, split, index, 2)), f"{split}-cluster-{cluster:05d}"


def _draw(knobs: Knobs, shift: float, rng: np.random.Generator) -> Scene:
    base = PAINTS[SHIFTED_PAINTS[rng.integers(4)] if rng.random() < shift / 2 else rng.integers(len(PAINTS))]
    paint = (
        _clip(base[0] + rng.normal(0, 0.03)),
        _clip(base[1] + rng.normal(0, 0.03)),
        _clip(base[2] + rng.normal(0, 0.03)),
    )
    gradient = rng.uniform(0.05, 0.30) * (1 + 0.5 * shift)
    rough = 1 + shift
    counts = _draw_counts(knobs, rng)
    light_paint = sum(paint) / 3
    return Scene(
        paint=paint,
        brightness=_bounded(rng.normal(1, 0.10) - 0.10 * shift, paint, gradient),
        gradient=gradient,
        light=rng.uniform(0, 2 * pi),
        cloud=_grid(rng, 4, 0.025),
        peel=rng.uniform(0.004, 0.020) * rough,
        brushed=rng.uniform(0, 0.020) * rough,
        brush_vertical=bool(rng.random() < 0.5),
        scratches=tuple(_draw_scratch(knobs, rng, light_paint, large=large) for large in _sizes(counts[0], counts[1])),
        dents=tuple(_draw_dent(knobs, rng, large=large) for large in _sizes(counts[2], counts[3])),
        particles=tuple(_draw_particle(knobs, rng, light_paint) for _ in range(counts[4])),
        stains=tuple(_draw_stain(knobs, rng) for _ in range(counts[5])),
        bands=_draw_bands(knobs, rng),
        blur=abs(rng.normal(0, 0.45)) * rough / 96,
        noise=rng.uniform(0.004, 0.018) * rough,
    )


def _rephotograph(scene: Scene, knobs: Knobs, rng: np.random.Generator) -> Scene:
    """Give a near duplicate: moved a little, slightly other contrasts and light, other reflections and noise."""
    move = (rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03))

    def moved(points: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple((u + move[0], v + move[1]) for u, v in points)

    def other(contrast: float) -> float:
        return _clip(contrast + rng.uniform(-0.05, 0.05))

    return replace(
        scene,
        brightness=_bounded(scene.brightness * rng.uniform(0.98, 1.02), scene.paint, scene.gradient),
        scratches=tuple(
            replace(each, points=moved(each.points), contrast=other(each.contrast)) for each in scene.scratches
        ),
        dents=tuple(
            replace(each, centre=moved((each.centre,))[0], contrast=other(each.contrast)) for each in scene.dents
        ),
        particles=tuple(
            replace(each, centre=moved((each.centre,))[0], contrast=other(each.contrast)) for each in scene.particles
        ),
        stains=tuple(
            replace(each, centre=moved((each.centre,))[0], contrast=other(each.contrast)) for each in scene.stains
        ),
        bands=_draw_bands(knobs, rng),
        blur=abs(rng.normal(0, 0.45)) / 96,
    )


def _bounded(brightness: float, paint: Colour, gradient: float) -> float:
    """Bound the brightness so that the brightest corner of the sheet stays below .90."""
    peak = max(paint) * (1 + 1.6 * 0.71 * gradient)
    return min(max(brightness, 0.65), 0.90 / peak)


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _grid(rng: np.random.Generator, side: int, deviation: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in rng.normal(0, deviation, (side, side)).tolist())


def _sizes(small: int, large: int) -> tuple[bool, ...]:
    return (False,) * small + (True,) * large


def _draw_counts(knobs: Knobs, rng: np.random.Generator) -> list[int]:
    """Draw the number of damages of each class: Poisson, at least one in all on a damaged sheet.

    The total is a Poisson number that is not 0, drawn by inversion; each of its damages gets a class by the rates.
    """
    counts = [0] * len(CLASSES)
    spot = rng.random()
    if rng.random() < knobs.clean:
        return counts
    rate = sum(knobs.prevalence)
    level = spot * -np.expm1(-rate)
    total, term = 1, rate * exp(-rate)
    while level > term and total < 100:
        level -= term
        total += 1
        term *= rate / total
    bounds = np.cumsum(knobs.prevalence) / rate
    for place in rng.random(total):
        counts[min(int(np.searchsorted(bounds, place, side="right")), len(CLASSES) - 1)] += 1
    return counts


def _contrast(knobs: Knobs, rng: np.random.Generator) -> float:
    floor = 0.30 * (1 - knobs.difficulty)
    return floor + (1 - floor) * rng.beta(1.6, 1.6)


def _size(rng: np.random.Generator, bounds: Point, gap: Point, edge: float, ambiguity: float, *, large: bool) -> float:
    """Draw a size log-uniformly on its side of the gap, which `ambiguity` closes towards the edge."""
    low = gap[1] + (edge - gap[1]) * ambiguity if large else bounds[0]
    high = bounds[1] if large else gap[0] + (edge - gap[0]) * ambiguity
    size = exp(rng.uniform(log(low), log(high)))
    return max(size, edge) if large else min(size, np.nextafter(edge, 0))


def _place(rng: np.random.Generator, reach: float) -> float:
    """Draw a coordinate so that something reaching `reach` to both sides stays inside, or is in the middle."""
    free = max(0.5 - MARGIN - reach, 0.0)
    return 0.5 + rng.uniform(-free, free)


def _draw_scratch(knobs: Knobs, rng: np.random.Generator, paint: float, *, large: bool) -> Scratch:
    length = _size(rng, SCRATCH_RANGE, SCRATCH_GAP, SCRATCH_EDGE, knobs.ambiguity, large=large)
    angle, bend = rng.uniform(0, pi), rng.normal(0, 0.05)
    along = np.linspace(-0.5, 0.5, 7)
    across = bend * (1 - 4 * along**2) + np.concatenate(([0], rng.normal(0, 0.005, 5), [0]))
    u = length * (along * cos(angle) - across * sin(angle))
    v = length * (along * sin(angle) + across * cos(angle))
    u += _place(rng, float(np.abs(u).max()))
    v += _place(rng, float(np.abs(v).max()))
    bright = rng.random() < 0.6
    return Scratch(
        points=tuple(zip(u.tolist(), v.tolist(), strict=True)),
        length=length,
        width=rng.uniform(0.008, 0.018),
        contrast=_contrast(knobs, rng),
        sign=1.0 if (bright or paint < 0.25) and paint < 0.78 else -1.0,
    )


def _draw_dent(knobs: Knobs, rng: np.random.Generator, *, large: bool) -> Dent:
    radius = _size(rng, DENT_RANGE, DENT_GAP, DENT_EDGE, knobs.ambiguity, large=large)
    return Dent(
        centre=(_place(rng, radius), _place(rng, radius)),
        radius=radius,
        aspect=rng.uniform(0.8, 1.25),
        angle=rng.uniform(0, pi),
        contrast=_contrast(knobs, rng),
    )


def _draw_particle(knobs: Knobs, rng: np.random.Generator, paint: float) -> Particle:
    radius = rng.uniform(0.010, 0.026)
    turns = (np.arange(7) + rng.uniform(-0.3, 0.3, 7)) * (2 * pi / 7)
    radii = radius * rng.uniform(0.7, 1.3, 7)
    corners = zip((radii * np.cos(turns)).tolist(), (radii * np.sin(turns)).tolist(), strict=True)
    return Particle(
        centre=(_place(rng, radius), _place(rng, radius)),
        corners=tuple(corners),
        shade=0.08 if paint > 0.42 else 0.85,
        contrast=_contrast(knobs, rng),
    )


def _draw_stain(knobs: Knobs, rng: np.random.Generator) -> Stain:
    radius = rng.uniform(0.10, 0.26)
    tint = _largest_one(rng.uniform(-1, 1, 3).tolist())
    return Stain(
        centre=(_place(rng, radius), _place(rng, radius)),
        radius=radius,
        aspect=rng.uniform(0.6, 1.4),
        edge=_grid(rng, 6, 0.35),
        tint=tint,
        contrast=_contrast(knobs, rng),
    )


def _largest_one(values: Sequence[float]) -> Colour:
    largest = max(abs(value) for value in values) or 1.0
    return values[0] / largest, values[1] / largest, values[2] / largest


def _draw_bands(knobs: Knobs, rng: np.random.Generator) -> tuple[Band, ...]:
    return tuple(
        Band(
            angle=rng.uniform(0, pi),
            offset=rng.uniform(-0.6, 0.6),
            width=rng.uniform(0.03, 0.12),
            height=rng.uniform(0.04, 0.14),
        )
        for _ in range(rng.poisson(0.3 + 0.6 * knobs.difficulty))
    )
