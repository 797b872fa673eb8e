"""Render a scene at any size.

Every operation on pixels is exact by IEEE 754 (sums, products, roots) or works on whole numbers (OpenCV's filling and
its 16-bit blur), so the same versions of NumPy and OpenCV give the same pixels on every processor and with any number
of threads. Profiles are polynomials for this reason, where a physicist would write exponentials.
"""

from functools import lru_cache
from math import ceil, cos, hypot, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from dpc_lightning.data.synthetic.draw import draw_scene, stream
from dpc_lightning.data.synthetic.scene import Band, Dent, Particle, Point, Scene, Scratch, Stain
from dpc_lightning.data.synthetic.settings import SheetSettings, Split

__all__ = ["render", "render_image"]

Image = NDArray[np.float32]
Window = tuple[slice, slice]

_SHIFT = 4  # binary places of OpenCV's corner coordinates


def render_image(settings: SheetSettings, split: Split, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Generate one image with its labels.

    The result depends on the seed, the split, the index, the size and the dials alone, not on any count.

    Args:
        settings: what is generated.
        split: training, unlabelled, validation or test.
        index: number of the image in its split.

    Returns:
        image `(px, px, 3)` uint8 RGB, labels `(6,)` uint8 in the order of `CLASSES` (with label noise, where training
        and pool have some), and the name of the image's group.

    Example:
        >>> image, labels, group = render_image(SheetSettings(), "training", 7)
        >>> image.shape, labels.shape, group
        ((64, 64, 3), (6,), 'training-000007')
    """
    knobs = settings.knobs()
    scene, group = draw_scene(knobs, settings.seed, split, index)
    image = render(scene, settings.px, stream(settings.seed, split, index, 3))
    labels = scene.labels()
    if knobs.label_noise and split in {"training", "unlabelled"}:
        flips = stream(settings.seed, split, index, 4).random(len(labels)) < knobs.label_noise
        labels = labels ^ flips.astype(np.uint8)
    return image, labels, group


def render(scene: Scene, px: int, rng: np.random.Generator | None) -> NDArray[np.uint8]:
    """Paint a scene.

    Args:
        scene: what is on the sheet.
        px: side of the image in pixels.
        rng: randomness of texture and camera noise; `None` leaves both out, for comparisons between sizes.

    Returns:
        `(px, px, 3)` uint8 RGB.
    """
    light = _light(scene, px)
    if rng is not None:
        light += _peel(scene, px, rng)
    for dent in scene.dents:
        _press(light, dent, scene.light)
    image = light[:, :, None] * np.array(scene.paint, dtype=np.float32)
    for stain in scene.stains:
        _tint(image, stain)
    for scratch in scene.scratches:
        _scratch(image, scratch)
    for particle in scene.particles:
        _drop(image, particle)
    for band in scene.bands:
        _reflect(image, band)
    return _photograph(image, scene, px, rng)


@lru_cache(maxsize=8)
def _axis(px: int) -> Image:
    """Give the pixel centres as fractions of the side, `(px,)`."""
    axis = ((np.arange(px) + 0.5) / px).astype(np.float32)
    axis.setflags(write=False)
    return axis


@lru_cache(maxsize=16)
def _weights(px: int, knots: int) -> Image:
    """Give quadratic B-spline weights that spread `knots` grid values over the side, `(knots, px)`."""
    spots = (np.arange(px) + 0.5) / px * (knots - 1)
    distance = np.abs(spots[None, :] - np.arange(knots)[:, None])
    weights = np.where(distance < 0.5, 0.75 - distance**2, 0.5 * np.maximum(1.5 - distance, 0) ** 2)
    spread: Image = (weights / weights.sum(axis=0)).astype(np.float32)
    spread.setflags(write=False)
    return spread


def _surface(grid: tuple[tuple[float, ...], ...], px: int) -> Image:
    """Spread a small grid smoothly, `(px, px)`; plain sums, because a matrix product's order is not fixed."""
    weights = _weights(px, len(grid))
    surface = np.zeros((px, px), dtype=np.float32)
    for weight, knots in zip(weights, grid, strict=True):
        row = np.zeros(px, dtype=np.float32)
        for share, knot in zip(weights, knots, strict=True):
            row += share * np.float32(knot)
        surface += weight[:, None] * row[None, :]
    return surface


def _light(scene: Scene, px: int) -> Image:
    """Give the light on the sheet, `(px, px)`: brightness with a linear gradient and slow unevenness."""
    centred = _axis(px) - np.float32(0.5)
    strength = 1.6 * scene.gradient
    across = np.float32(strength * cos(scene.light)) * centred
    down = np.float32(strength * sin(scene.light)) * centred
    light = _surface(scene.cloud, px)
    light += across[None, :] + (down[:, None] + np.float32(1))
    light *= np.float32(scene.brightness)
    return light


def _peel(scene: Scene, px: int, rng: np.random.Generator) -> Image:
    """Give orange peel and brush marks, `(px, px)`."""
    grain = rng.integers(0, 65536, (px, px), dtype=np.uint16)
    texture = _grain(grain, max(0.7, px / 96)) * np.float32(scene.peel)
    run = max(3, round(px / 6)) | 1
    marks = rng.integers(0, 65536, (px, px), dtype=np.uint16)
    size = (1, run) if scene.brush_vertical else (run, 1)
    brushed = cv2.blur(marks, size).astype(np.float32) - np.float32(32767.5)
    texture += brushed * np.float32(scene.brushed * run**0.5 / 18918.6)
    return texture


def _grain(noise: NDArray[np.uint16], sigma: float) -> Image:
    """Blur uniform 16-bit noise and scale it to mean 0 and deviation 1."""
    side = 2 * ceil(3 * sigma) + 1
    kernel = cv2.getGaussianKernel(side, sigma)
    scale = 1 / (18918.6 * float((kernel**2).sum()))  # 65536 / sqrt(12) = 18918.6
    blurred = cv2.GaussianBlur(noise, (side, side), sigma).astype(np.float32)
    return (blurred - np.float32(32767.5)) * np.float32(scale)


def _window(low: Point, high: Point, px: int) -> Window | None:
    """Give the pixels between two corners (u, v), or `None` if none is on the sheet."""
    left, right = max(int(low[0] * px) - 1, 0), min(int(high[0] * px) + 2, px)
    top, bottom = max(int(low[1] * px) - 1, 0), min(int(high[1] * px) + 2, px)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _around(centre: Point, reach: float, px: int) -> Window | None:
    return _window((centre[0] - reach, centre[1] - reach), (centre[0] + reach, centre[1] + reach), px)


def _press(light: Image, dent: Dent, direction: float) -> None:
    """Shade a dent: brighter on the side that faces the light, a little darker in all."""
    px = len(light)
    window = _around(dent.centre, 1.83 * 1.25 * dent.radius, px)
    if window is None:
        return
    scale = np.float32(1 / dent.radius)
    x = ((_axis(px)[window[1]] - np.float32(dent.centre[0])) * scale)[None, :]
    y = ((_axis(px)[window[0]] - np.float32(dent.centre[1])) * scale)[:, None]
    long, wide = 1 / dent.aspect**0.5, dent.aspect**0.5
    first = x * np.float32(cos(dent.angle) * long) + y * np.float32(sin(dent.angle) * long)
    second = y * np.float32(cos(dent.angle) * wide) - x * np.float32(sin(dent.angle) * wide)
    height = np.maximum(np.float32(1) - np.float32(0.3) * (first * first + second * second), np.float32(0))
    height *= height
    height *= height
    slope = x * np.float32(cos(direction)) + y * np.float32(sin(direction))
    slope *= np.float32(0.35 + 0.95 * dent.contrast)
    slope -= np.float32(0.03 + 0.05 * dent.contrast)
    light[window] *= np.maximum(np.float32(1) + height * slope, np.float32(0.2))


def _tint(image: Image, stain: Stain) -> None:
    """Add the tint of a discoloration; its edge is soft and follows a random surface."""
    px = len(image)
    window = _around(stain.centre, 2.6 * stain.radius, px)
    if window is None:
        return
    wide = np.float32(1 / (stain.radius * stain.aspect**0.5))
    high = np.float32(stain.aspect**0.5 / stain.radius)
    x = ((_axis(px)[window[1]] - np.float32(stain.centre[0])) * wide)[None, :]
    y = ((_axis(px)[window[0]] - np.float32(stain.centre[1])) * high)[:, None]
    inside = np.float32(1.25) - np.sqrt(x * x + y * y) + _surface(stain.edge, px)[window]
    inside = np.clip(inside * np.float32(1.3), np.float32(0), np.float32(1))
    inside = inside * inside * (np.float32(3) - np.float32(2) * inside)
    strength = 0.05 + 0.16 * stain.contrast
    image[window] += inside[:, :, None] * np.array([strength * part for part in stain.tint], dtype=np.float32)


def _scratch(image: Image, scratch: Scratch) -> None:
    """Draw a scratch: the core, and beside it the edge that throws the opposite light."""
    core, side = _ribbon(scratch, 0.0), _ribbon(scratch, 0.008)
    _blend(image, side, -scratch.sign * (0.05 + 0.12 * scratch.contrast))
    _blend(image, core, scratch.sign * (0.09 + 0.33 * scratch.contrast))


def _ribbon(scratch: Scratch, offset: float) -> tuple[Point, ...]:
    """Give the outline of a scratch, widest in the middle and moved sideways by `offset`."""
    points = scratch.points
    left, right = [], []
    for place, (u, v) in enumerate(points):
        before, after = points[max(place - 1, 0)], points[min(place + 1, len(points) - 1)]
        along = (after[0] - before[0], after[1] - before[1])
        size = hypot(*along) or 1.0
        normal = (-along[1] / size, along[0] / size)
        middle = 1 - abs(2 * place / (len(points) - 1) - 1)
        half = 0.5 * scratch.width * (0.55 + 0.45 * middle)
        left.append((u + normal[0] * (offset + half), v + normal[1] * (offset + half)))
        right.append((u + normal[0] * (offset - half), v + normal[1] * (offset - half)))
    return (*left, *reversed(right))


def _blend(image: Image, outline: tuple[Point, ...], amount: float) -> None:
    """Add `amount` of light inside an outline."""
    covered = _coverage(outline, len(image))
    if covered is not None:
        window, share = covered
        image[window] += (share * np.float32(amount))[:, :, None]


def _drop(image: Image, particle: Particle) -> None:
    """Lay a particle on the sheet: dark on light paint, light on dark."""
    outline = tuple((u + particle.centre[0], v + particle.centre[1]) for u, v in particle.corners)
    covered = _coverage(outline, len(image))
    if covered is None:
        return
    window, share = covered
    under = image[window]
    alpha = (share * np.float32(0.45 + 0.5 * particle.contrast))[:, :, None]
    under += alpha * (np.float32(particle.shade) - under)


def _coverage(outline: tuple[Point, ...], px: int) -> tuple[Window, Image] | None:
    """Give the share of each pixel that lies inside an outline, from a mask at several times the resolution."""
    us, vs = [point[0] for point in outline], [point[1] for point in outline]
    window = _window((min(us), min(vs)), (max(us), max(vs)), px)
    if window is None:
        return None
    fine = max(2, ceil(512 / px))
    height, width = window[0].stop - window[0].start, window[1].stop - window[1].start
    corners = np.array(outline) * (px * fine) - (window[1].start * fine + 0.5, window[0].start * fine + 0.5)
    mask = np.zeros((height * fine, width * fine), dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(corners * 2**_SHIFT).astype(np.int32)], (255,), cv2.LINE_8, _SHIFT)
    share = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    return window, share * np.float32(1 / 255)


def _reflect(image: Image, band: Band) -> None:
    """Add a reflection: a bright band with soft borders."""
    centred = _axis(len(image)) - np.float32(0.5)
    scale = 1 / band.width
    across = centred * np.float32(cos(band.angle) * scale)
    down = centred * np.float32(sin(band.angle) * scale) - np.float32(band.offset * scale)
    distance = across[None, :] + down[:, None]
    profile = np.maximum(np.float32(1) - np.float32(0.25) * distance * distance, np.float32(0))
    profile *= profile
    profile *= profile
    image += (profile * np.float32(band.height))[:, :, None]


def _photograph(image: Image, scene: Scene, px: int, rng: np.random.Generator | None) -> NDArray[np.uint8]:
    """Blur, add noise and round to 8 bits."""
    sigma = scene.blur * px
    image = np.clip(image, np.float32(0), np.float32(1))
    image *= np.float32(65535)
    if sigma > 0.25:
        side = 2 * ceil(3 * sigma) + 1
        image = cv2.GaussianBlur(np.rint(image).astype(np.uint16), (side, side), sigma).astype(np.float32)
    if rng is not None:
        image += _normal(rng, image.shape) * np.float32(scene.noise * 65535)
    image *= np.float32(255 / 65535)
    image += np.float32(0.5)
    return np.clip(image, np.float32(0), np.float32(255)).astype(np.uint8)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Image:
    """Give near-normal noise of mean 0 and deviation 1: the sum of four 16-bit numbers, exact on every machine."""
    quarters = rng.integers(0, 2**64 - 1, shape, dtype=np.uint64, endpoint=True).view(np.uint16)
    quarters = quarters.reshape(*shape, 4)
    total = quarters[..., 0].astype(np.float32)
    for part in range(1, 4):
        total += quarters[..., part]
    total -= np.float32(131070)
    total *= np.float32(1 / 37837.2)  # sqrt(4 / 12) * 65536 = 37837.2
    return total
