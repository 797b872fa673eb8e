"""Rules that pick the images to buy: one rule a file, all behind `Acquisition`. Imports no Lightning."""

from dpc_lightning.acquisition.badge import Badge
from dpc_lightning.acquisition.bald import Bald
from dpc_lightning.acquisition.base import Acquisition, Selection
from dpc_lightning.acquisition.batch_bald import BatchBald
from dpc_lightning.acquisition.class_quota import ClassQuota
from dpc_lightning.acquisition.d2_diversity import KMeansPlusPlus
from dpc_lightning.acquisition.drop_query import DropQuery
from dpc_lightning.acquisition.expected_gain import ExpectedGain
from dpc_lightning.acquisition.hard_class import HardClass
from dpc_lightning.acquisition.listed import Listed
from dpc_lightning.acquisition.mean_entropy import MeanEntropy
from dpc_lightning.acquisition.pool_view import Head, PoolView
from dpc_lightning.acquisition.random import Random
from dpc_lightning.acquisition.scored import Scored
from dpc_lightning.acquisition.variation_ratio import VariationRatio

__all__ = [
    "Acquisition",
    "Badge",
    "Bald",
    "BatchBald",
    "ClassQuota",
    "DropQuery",
    "ExpectedGain",
    "HardClass",
    "Head",
    "KMeansPlusPlus",
    "Listed",
    "MeanEntropy",
    "PoolView",
    "Random",
    "Scored",
    "Selection",
    "VariationRatio",
]
