"""Measure how much faster an epoch is read from the image store than by decoding each file.

Writes its own images to a temporary folder and prints one line for each format; the last line is the smallest ratio.

    python benchmarks/image_store_speed.py --images 1000 --pixels 224 --size 64
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dpc_lightning.data.datasets import LabelledDataset
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.data.manifest import Manifest


def write_images(folder: Path, count: int, pixels: int, suffix: str) -> Manifest:
    """Write smooth images with a little noise, which compress about as photographs do."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = tuple(f"{number:05d}{suffix}" for number in range(count))
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((pixels, pixels))
        noisy = np.asarray(coarse, dtype=np.int16) + rng.integers(-4, 5, (pixels, pixels, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / "images" / name, quality=92)
    return Manifest(folder, names)


def decode_all(manifest: Manifest, size: int) -> int:
    """Read an epoch the plain way: open, convert, resize."""
    total = 0
    for index in range(len(manifest)):
        with Image.open(manifest.path(index)) as image:
            rgb = image.convert("RGB")
            small = rgb if rgb.size == (size, size) else rgb.resize((size, size), Image.Resampling.BILINEAR)
            total += int(np.asarray(small)[0, 0, 0])
    return total


def read_all(store: ImageStore) -> int:
    """Read an epoch of items in a shuffled order, the way that training takes: each is copied to a tensor."""
    dataset = LabelledDataset(store, np.zeros((len(store), 6)), "abcdef")
    order = np.random.default_rng(0).permutation(len(store))
    return sum(int(dataset[int(position)]["image"][0, 0, 0]) for position in order)


def seconds(work: Callable[[], int]) -> float:
    """Run once and measure."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Compare both ways in interleaved pairs and print the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000, help="images in the epoch")
    parser.add_argument("--pixels", type=int, default=64, help="side of the image files")
    parser.add_argument("--size", type=int, default=64, help="side in the store")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved repetitions")
    options = parser.parse_args()
    ratios = []
    for suffix in (".png", ".jpg"):
        with tempfile.TemporaryDirectory() as place:
            manifest = write_images(Path(place) / "split", options.images, options.pixels, suffix)
            built = seconds(lambda: len(ImageStore.open_or_build(manifest, options.size, Path(place), progress=False)))  # noqa: B023  called at once
            store = ImageStore.open_or_build(manifest, options.size, Path(place))
            pairs = [
                (seconds(lambda: decode_all(manifest, options.size)), seconds(lambda: read_all(store)))  # noqa: B023  called at once
                for _ in range(options.pairs)
            ]
        ratios.append(statistics.median(decoding / reading for decoding, reading in pairs))
        decoding, reading = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(
            f"{suffix} {options.pixels} px to {options.size} px, {options.images} images: decoding {decoding:.3f} s, "
            f"store {reading:.4f} s, ratio {ratios[-1]:.1f}; building the store {built:.2f} s on {os.cpu_count()} cores"
        )
    print(f"smallest ratio {min(ratios):.1f} (at least 5 expected)")


if __name__ == "__main__":
    main()
