"""One or more settings of each rule: the template test asks all of them for all that a rule has to keep."""

from collections.abc import Callable

from dpc_lightning.acquisition import (
    Acquisition,
    Badge,
    ClassQuota,
    ExpectedGain,
    HardClass,
    Listed,
    MeanEntropy,
    Random,
)

EXAMPLES: dict[str, Callable[[], Acquisition]] = {
    "Badge": Badge,
    "ClassQuota": ClassQuota,
    "ExpectedGain": ExpectedGain,
    "HardClass": HardClass,
    "Listed": Listed,
    "MeanEntropy": MeanEntropy,
    "Random": Random,
}
