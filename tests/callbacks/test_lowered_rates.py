"""What the run has noted reaches the module before each phase trains."""

from typing import Any, cast

from dpc_lightning.callbacks.lowered_rates import LoweredRates
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.lowered_rate import LoweredRate
from dpc_lightning.models.recipe import Pipeline


def test_the_module_is_told_what_was_noted() -> None:
    noted: list[dict[str, Any]] = []
    callback, module = LoweredRates(lambda: noted), MultiLabelClassifier(Pipeline())
    callback.on_train_start(cast("Any", None), module)
    assert list(module.lowered_rates) == []
    noted.append({"phase": "round_1", "from_step": 7, "factor": 0.5})
    callback.on_train_start(cast("Any", None), module)
    assert list(module.lowered_rates) == [LoweredRate("round_1", 7, 0.5)]
