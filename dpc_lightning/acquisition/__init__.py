"""Rules that pick the images to buy: one rule a file, all behind `Acquisition`. Imports no Lightning."""

from dpc_lightning.acquisition.badge import Badge
from dpc_lightning.acquisition.base import Acquisition, Selection
from dpc_lightning.acquisition.cascade import Cascade
from dpc_lightning.acquisition.class_quota import ClassQuota
from dpc_lightning.acquisition.composed import Composed
from dpc_lightning.acquisition.expected_gain import ExpectedGain
from dpc_lightning.acquisition.fading_random import FadingRandom
from dpc_lightning.acquisition.hard_class import HardClass
from dpc_lightning.acquisition.listed import Listed
from dpc_lightning.acquisition.mean_entropy import MeanEntropy
from dpc_lightning.acquisition.mix import Mix
from dpc_lightning.acquisition.pool_view import Head, PoolView
from dpc_lightning.acquisition.random import Random
from dpc_lightning.acquisition.scored import Scored
from dpc_lightning.acquisition.subsample import Subsample
from dpc_lightning.acquisition.switch import Switch

__all__ = [
    "Acquisition",
    "Badge",
    "Cascade",
    "ClassQuota",
    "Composed",
    "ExpectedGain",
    "FadingRandom",
    "HardClass",
    "Head",
    "Listed",
    "MeanEntropy",
    "Mix",
    "PoolView",
    "Random",
    "Scored",
    "Selection",
    "Subsample",
    "Switch",
]
