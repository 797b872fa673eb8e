"""The factor of a learning rate is a function of the phase and the step, and schedules know nothing of it."""

from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule

from dpc_lightning.errors import ConfigError
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.lowered_rate import LoweredRate, rate_factor
from dpc_lightning.models.recipe import Pipeline, Recipe

LOWERED = [LoweredRate("pretrain", 4, 0.5), LoweredRate("pretrain", 4, 0.5), LoweredRate("evaluate", 9, 0.1)]


@pytest.mark.parametrize(
    ("phase", "step", "factor"),
    [("pretrain", 3, 1.0), ("pretrain", 4, 0.25), ("round_1", 10, 1.0), ("evaluate", 8, 1.0), ("evaluate", 9, 0.1)],
)
def test_it_holds_for_the_rest_of_its_phase(phase: str, step: int, factor: float) -> None:
    assert rate_factor(LOWERED, phase, step) == factor


def test_the_rate_is_lower_in_the_step_and_as_before_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.8)

    def step(_: LightningModule, *args: Any) -> None:
        seen.append(optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(LightningModule, "optimizer_step", step)
    module = MultiLabelClassifier(Pipeline())
    module.phase, module.lowered_rates = "pretrain", LOWERED
    for global_step in (3, 4):
        module.trainer = cast("Any", type("At", (), {"global_step": global_step})())
        module.optimizer_step(0, 0, optimizer)
    assert seen == [0.8, 0.2]
    assert optimizer.param_groups[0]["lr"] == 0.8


@pytest.mark.parametrize("setting", [{"retries_after_nan": -1}, {"rate_after_nan": 0.0}, {"rate_after_nan": 1.0}])
def test_settings_out_of_range_name_their_key(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"`model.{next(iter(setting))}`"):
        Recipe(**setting)
    with pytest.raises(ConfigError, match=f"`evaluate.{next(iter(setting))}`"):
        Pipeline(**setting)
