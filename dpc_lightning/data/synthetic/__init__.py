"""Generated sheets: painted metal with six kinds of damage, for runs without any data of one's own.

A scene is drawn first (`scene`), its labels are read from it, and it is painted at the size asked for (`render`).
"""

from dpc_lightning.data.synthetic.render import render_image
from dpc_lightning.data.synthetic.settings import CLASSES, SheetSettings
from dpc_lightning.data.synthetic.writer import write_sheets

__all__ = ["CLASSES", "SheetSettings", "render_image", "write_sheets"]
