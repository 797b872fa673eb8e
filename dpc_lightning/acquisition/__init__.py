"""Rules that pick the images to buy: one rule a file, all behind `Acquisition`. Imports no Lightning."""

from dpc_lightning.acquisition.badge import Badge
from dpc_lightning.acquisition.base import Acquisition, PoolView, Selection

__all__ = ["Acquisition", "Badge", "PoolView", "Selection"]
