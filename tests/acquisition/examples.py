"""One or more settings of each rule: the template test asks all of them for all that a rule has to keep."""

from collections.abc import Callable

from dpc_lightning.acquisition import (
    Acquisition,
    Badge,
    Cascade,
    ClassQuota,
    ExpectedGain,
    FadingRandom,
    HardClass,
    Listed,
    MeanEntropy,
    Mix,
    Random,
    Subsample,
    Switch,
)

EXAMPLES: dict[str, Callable[[], Acquisition]] = {
    "Badge": Badge,
    "Cascade": lambda: Cascade(MeanEntropy(), ExpectedGain(), factor=3),
    "Cascade of a Mix": lambda: Cascade(Mix([MeanEntropy(), HardClass()]), Cascade(HardClass(), Badge(), 30), 50),
    "FadingRandom": lambda: FadingRandom(ExpectedGain(), trust=1.0),
    "Mix": lambda: Mix([ExpectedGain(), MeanEntropy(), Random()], [0.5, 0.3, 0.2]),
    "Mix of equals": lambda: Mix([MeanEntropy(), MeanEntropy()]),
    "Subsample": lambda: Subsample(MeanEntropy(), 40),
    "Subsample by neighbours": lambda: Subsample(ClassQuota(), 40, by="neighbours"),
    "Subsample by anchors": lambda: Subsample(ClassQuota(), 40, by="anchors", anchors=2),
    "Switch": lambda: Switch([Badge(), MeanEntropy()]),
    "Switch by positives": lambda: Switch([ExpectedGain(), HardClass()], until_positives=2),
    "ClassQuota": ClassQuota,
    "ExpectedGain": ExpectedGain,
    "HardClass": HardClass,
    "Listed": Listed,
    "MeanEntropy": MeanEntropy,
    "Random": Random,
}
