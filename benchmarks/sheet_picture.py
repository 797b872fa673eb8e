"""Draw docs/sheets.png, the contact sheet of the presets: `python benchmarks/sheet_picture.py docs/sheets.png`."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dpc_lightning.data.synthetic import CLASSES, SheetSettings, render_image
from dpc_lightning.data.synthetic.settings import Split

PX, CAPTION, COLUMNS = 112, 14, 8
SHORT = dict(zip(CLASSES, ("scratch s", "scratch L", "dent s", "dent L", "particle", "discol."), strict=True))


def row(title: str, settings: SheetSettings, split: Split, indices: range) -> Image.Image:
    """Draw one row of images under a title, each with its classes."""
    strip = Image.new("RGB", (COLUMNS * (PX + 4), PX + 2 * CAPTION + 4), "white")
    draw = ImageDraw.Draw(strip)
    draw.text((2, 1), title, fill="black")
    for column, index in enumerate(indices):
        image, labels, _ = render_image(settings, split, index)
        strip.paste(Image.fromarray(image), (column * (PX + 4), CAPTION))
        words = ", ".join(SHORT[name] for name, label in zip(CLASSES, labels, strict=True) if label) or "none"
        draw.text((column * (PX + 4) + 2, CAPTION + PX), words, fill="black", font_size=9)
    return strip


def main() -> None:
    """Write the picture to the file named on the command line."""
    plain = SheetSettings(px=PX)
    rows = [
        row("default", plain, "training", range(8, 16)),
        row("near duplicates (pool)", SheetSettings(px=PX, redundancy=1.0), "unlabelled", range(48, 56)),
        row("hard", SheetSettings(px=PX, preset="hard"), "training", range(30, 38)),
        row("test images of the preset `shifted`", SheetSettings(px=PX, preset="shifted"), "test", range(1, 9)),
    ]
    sheet = Image.fromarray(np.concatenate([np.asarray(strip) for strip in rows]))
    sheet.quantize(192, dither=Image.Dither.NONE).save(Path(sys.argv[1]), optimize=True)


if __name__ == "__main__":
    main()
