"""One or more settings of each rule: the template test asks all of them for all that a rule has to keep."""

from collections.abc import Callable

from dpc_lightning.acquisition import (
    Acquisition,
    Badge,
    Bald,
    BatchBald,
    ClassQuota,
    DropQuery,
    ExpectedGain,
    HardClass,
    KMeansPlusPlus,
    Listed,
    MeanEntropy,
    Random,
    VariationRatio,
)

EXAMPLES: dict[str, Callable[[], Acquisition]] = {
    "Badge": Badge,
    "Bald": Bald,
    "BatchBald": lambda: BatchBald(samples=8),
    "DropQuery": DropQuery,
    "KMeansPlusPlus": KMeansPlusPlus,
    "VariationRatio": VariationRatio,
    "BatchBald of few candidates": lambda: BatchBald(samples=5, candidates=30),
    "DropQuery of few candidates": lambda: DropQuery(samples=8, rate=0.5, candidates=1),
    "ClassQuota": ClassQuota,
    "ExpectedGain": ExpectedGain,
    "HardClass": HardClass,
    "Listed": Listed,
    "MeanEntropy": MeanEntropy,
    "Random": Random,
}
