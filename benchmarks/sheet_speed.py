"""How fast sheets are generated, in images per second of processor time on one core.

Run from the repository: `python benchmarks/sheet_speed.py`. At 64 pixels, 500 are expected. Rendering and encoding as
PNG are timed apart, in processor time, so that other work on the machine counts little; the best of five repetitions is
printed.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from dpc_lightning.data.synthetic import SheetSettings, render_image

EXPECTED_AT_64 = 500


def rate(work: Callable[[], object], images: int, repetitions: int = 5) -> float:
    """Give images per second of processor time, the best of some repetitions."""
    best = float("inf")
    for _ in range(repetitions):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return images / best


def main() -> None:
    """Print one row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--px", type=int, nargs="+", default=[64, 96, 128, 224], help="sides in pixels")
    parser.add_argument("--images", type=int, default=200, help="images at 64 pixels; fewer at larger sizes")
    words = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{'px':>5} {'render img/s':>13} {'PNG img/s':>10} {'both img/s':>11} {'PNG kB':>7}")
    for px in words.px:
        settings, count = SheetSettings(px=px), max(10, words.images * 64 * 64 // px**2)
        images = [render_image(settings, "training", index)[0] for index in range(count)]
        encoded = [_encode(image) for image in images]
        render = rate(partial(_render_all, settings, count), count)
        encode = rate(partial(_encode_all, images), count)
        both = 1 / (1 / render + 1 / encode)
        kilobytes = sum(map(len, encoded)) / count / 1000
        print(f"{px:>5} {render:>13.0f} {encode:>10.0f} {both:>11.0f} {kilobytes:>7.1f}")
        if px == 64:
            print(
                f"      ratio to the {EXPECTED_AT_64} img/s that are expected at 64 pixels: {both / EXPECTED_AT_64:.2f}"
            )


def _render_all(settings: SheetSettings, count: int) -> None:
    for index in range(count):
        render_image(settings, "training", index)


def _encode_all(images: Sequence[NDArray[np.uint8]]) -> None:
    for image in images:
        _encode(image)


def _encode(image: NDArray[np.uint8]) -> bytes:
    data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return data.tobytes()


if __name__ == "__main__":
    main()
