"""Rules that pick the images to buy: one rule a file, all behind `Acquisition`. Imports no Lightning."""

from dpc_lightning.acquisition.badge import Badge
from dpc_lightning.acquisition.bald import Bald
from dpc_lightning.acquisition.base import Acquisition, Selection
from dpc_lightning.acquisition.batch_bald import BatchBald
from dpc_lightning.acquisition.cardinality_inconsistency import CardinalityInconsistency
from dpc_lightning.acquisition.cascade import Cascade
from dpc_lightning.acquisition.class_quota import ClassQuota
from dpc_lightning.acquisition.class_stratified import ClassStratified
from dpc_lightning.acquisition.cluster_margin import ClusterMargin
from dpc_lightning.acquisition.committee import Committee
from dpc_lightning.acquisition.composed import Composed
from dpc_lightning.acquisition.cvirs import Cvirs
from dpc_lightning.acquisition.d2_diversity import KMeansPlusPlus
from dpc_lightning.acquisition.direct import Direct
from dpc_lightning.acquisition.drop_query import DropQuery
from dpc_lightning.acquisition.expected_gain import ExpectedGain
from dpc_lightning.acquisition.facility_location import FacilityLocation
from dpc_lightning.acquisition.fading_random import FadingRandom
from dpc_lightning.acquisition.hard_class import HardClass
from dpc_lightning.acquisition.k_center import KCenter
from dpc_lightning.acquisition.kernel_coverage import KernelCoverage
from dpc_lightning.acquisition.listed import Listed
from dpc_lightning.acquisition.margin import Margin
from dpc_lightning.acquisition.max_entropy import MaxEntropy
from dpc_lightning.acquisition.max_herding import MaxHerding
from dpc_lightning.acquisition.maximum_loss_reduction import MaximumLossReduction
from dpc_lightning.acquisition.mean_entropy import MeanEntropy
from dpc_lightning.acquisition.mix import Mix
from dpc_lightning.acquisition.pool_view import Head, PoolView
from dpc_lightning.acquisition.power_noised import PowerNoised
from dpc_lightning.acquisition.prob_cover import ProbCover
from dpc_lightning.acquisition.random import Random
from dpc_lightning.acquisition.rare_entropy import RareEntropy
from dpc_lightning.acquisition.scored import Scored
from dpc_lightning.acquisition.subsample import Subsample
from dpc_lightning.acquisition.switch import Switch
from dpc_lightning.acquisition.typi_clust import TypiClust
from dpc_lightning.acquisition.uncertainty_herding import UncertaintyHerding
from dpc_lightning.acquisition.variation_ratio import VariationRatio

__all__ = [
    "Acquisition",
    "Badge",
    "Bald",
    "BatchBald",
    "CardinalityInconsistency",
    "Cascade",
    "ClassQuota",
    "ClassStratified",
    "ClusterMargin",
    "Committee",
    "Composed",
    "Cvirs",
    "Direct",
    "DropQuery",
    "ExpectedGain",
    "FacilityLocation",
    "FadingRandom",
    "HardClass",
    "Head",
    "KCenter",
    "KMeansPlusPlus",
    "KernelCoverage",
    "Listed",
    "Margin",
    "MaxEntropy",
    "MaxHerding",
    "MaximumLossReduction",
    "MeanEntropy",
    "Mix",
    "PoolView",
    "PowerNoised",
    "ProbCover",
    "Random",
    "RareEntropy",
    "Scored",
    "Selection",
    "Subsample",
    "Switch",
    "TypiClust",
    "UncertaintyHerding",
    "VariationRatio",
]
