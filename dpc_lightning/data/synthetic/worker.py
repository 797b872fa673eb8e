"""A process that writes a part of the sheets: `python -m dpc_lightning.data.synthetic.worker`.

It reads its order from standard input (one JSON object) and answers one JSON line for each finished stretch. Started as
a plain command it needs nothing of the process that starts it, which may hold a GPU, threads or a script without a
`__main__` guard; it ends with it, because writing to a closed pipe fails.
"""

import json
import sys
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from dpc_lightning.data.synthetic.render import render_image
from dpc_lightning.data.synthetic.settings import SheetSettings, Split
from dpc_lightning.errors import DataError

__all__ = ["Stretch", "image_name", "main", "write_stretches"]


@dataclass(frozen=True)
class Stretch:
    """Images `start` to `stop - 1` of a split."""

    split: Split
    """Folder the images belong to."""
    start: int
    """First number."""
    stop: int
    """One past the last number."""


Row = tuple[list[int], str]
"""Labels in the order of the columns, and the group."""


def image_name(index: int) -> str:
    """Give the file name of image `index`.

    Example:
        >>> image_name(7)
        'sheet_000007.png'
    """
    return f"sheet_{index:06d}.png"


def write_stretches(
    folder: Path, settings: SheetSettings, stretches: Iterable[Stretch]
) -> Generator[tuple[Stretch, list[Row]], None, None]:
    """Write the images of some stretches.

    Args:
        folder: the data root being written, with `<split>/images` in it.
        settings: what is generated.
        stretches: which images.

    Yields:
        Each finished stretch with its rows for `labels.csv`.

    Raises:
        OSError: if a file cannot be written.
        DataError: if OpenCV cannot encode a PNG.
    """
    for stretch in stretches:
        rows: list[Row] = []
        for index in range(stretch.start, stretch.stop):
            image, labels, group = render_image(settings, stretch.split, index)
            fine, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
            if not fine:
                msg = f"OpenCV could not encode {stretch.split}/images/{image_name(index)} as PNG."
                raise DataError(msg)
            (folder / stretch.split / "images" / image_name(index)).write_bytes(data.tobytes())
            rows.append((labels.tolist(), group))
        yield stretch, rows


def main() -> int:
    """Read an order from standard input and carry it out.

    Returns:
        0 if all was written, 1 if not; then the reason is the last line on standard error.
    """
    order = json.loads(sys.stdin.read())
    settings = SheetSettings(**order["settings"])
    stretches = [Stretch(**stretch) for stretch in order["stretches"]]
    cv2.setNumThreads(1)
    try:
        for stretch, rows in write_stretches(Path(order["folder"]), settings, stretches):
            sys.stdout.write(json.dumps({"stretch": asdict(stretch), "rows": rows}) + "\n")
            sys.stdout.flush()
    except (OSError, DataError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
