"""Small pictures of bought images as `data:` addresses, few and light enough for a page that is sent by mail."""

import base64
import io
from pathlib import Path

from PIL import Image

from dpc_lightning.data.decoding import read_image
from dpc_lightning.errors import DataError

__all__ = ["Thumbnails"]

SIDE = 112
"""Pixels of the longer side."""


class Thumbnails:
    """Makes thumbnails until a number of bytes is used up.

    Args:
        limit: bytes that all addresses together may have.

    Example:
        >>> Thumbnails(limit=1000).address(Path("nowhere.png")) is None
        True
    """

    def __init__(self, limit: int = 1_200_000) -> None:
        self.left = limit
        self.missing = 0
        """Images that were asked for and are not there, or no images."""

    def address(self, file: Path) -> str | None:
        """Give an image as a `data:` address.

        Args:
            file: the image.

        Returns:
            The address, or None if the image cannot be read or the bytes are used up.
        """
        if self.left <= 0:
            return None
        try:
            pixels = read_image(file, at_least=SIDE)
        except DataError:
            self.missing += 1
            return None
        image = Image.fromarray(pixels)
        image.thumbnail((SIDE, SIDE))
        stream = io.BytesIO()
        image.save(stream, format="JPEG", quality=82, optimize=True)
        address = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
        self.left -= len(address)
        return address
