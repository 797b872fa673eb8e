"""Read an image file of any usual kind as 8-bit RGB, and fit it into a square."""

import struct
import zlib
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dpc_lightning.errors import DataError

__all__ = ["Pixels", "fit_square", "read_image"]

Pixels = NDArray[np.uint8]
"""`(H, W, 3)` uint8, RGB."""

_BROKEN = (
    OSError,  # truncated, empty, or no image at all (PIL's UnidentifiedImageError is one)
    ValueError,
    SyntaxError,  # PIL raises it for a broken PNG chunk
    EOFError,
    IndexError,
    TypeError,
    KeyError,
    struct.error,
    zlib.error,
    MemoryError,
    Image.DecompressionBombError,
)


def read_image(file: Path, *, at_least: int | None = None) -> Pixels:
    """Read an image file as 8-bit RGB.

    Grey and palette images are spread to three channels, CMYK is converted, 16-bit grey is scaled (65535 becomes 255),
    an alpha channel is dropped and the colours under it are kept, the EXIF orientation is applied. Of an animation the
    first frame is read.

    Args:
        file: the image.
        at_least: if given, a JPEG may be read at a reduced size, both sides at least this many pixels: much faster.

    Returns:
        `(H, W, 3)` uint8.

    Raises:
        DataError: if the file is absent, empty, truncated, no image, or of an unsupported kind (32 bits a channel).
    """
    try:
        if file.stat().st_size == 0:
            _refuse_empty()
        with Image.open(file) as image:
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        msg = f"Expected an image in {file}, but it cannot be read: {reason}. Replace the file or remove its row."
        raise DataError(msg) from error


def _refuse_empty() -> NoReturn:
    msg = "the file is empty"
    raise ValueError(msg)


def _to_rgb(image: Image.Image) -> Pixels:
    mode = image.mode
    if mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        if grey.min(initial=0) < 0 or grey.max(initial=0) > 65_535:
            msg = "its pixels have 32 bits; save it with 8 or 16 bits a channel"
            raise ValueError(msg)
        return np.repeat(((grey + 128) // 257).astype(np.uint8)[:, :, None], 3, axis=2)
    if mode == "F":
        msg = "its pixels are floating point numbers; save it with 8 or 16 bits a channel"
        raise ValueError(msg)
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def fit_square(pixels: Pixels, size: int) -> Pixels:
    """Resize to a square, without keeping the aspect ratio.

    Shrinking averages over areas, so that thin damages are not skipped. An image of this size is returned as it is.

    Args:
        pixels: `(H, W, 3)` uint8.
        size: side in pixels.

    Returns:
        `(size, size, 3)` uint8.

    Example:
        >>> fit_square(np.full((8, 4, 3), 7, dtype=np.uint8), 2).tolist()
        [[[7, 7, 7], [7, 7, 7]], [[7, 7, 7], [7, 7, 7]]]
    """
    height, width = pixels.shape[:2]
    if height == width == size:
        return pixels
    if height >= size and width >= size:
        return np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.array(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
