import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from dpc_lightning.errors import ConfigError
from dpc_lightning.models.schedules import Cosine, OneCycle, PhaseSchedule


def _optimizer(*rates: float) -> Optimizer:
    return SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates], lr=1.0, momentum=0.9)


def _run(schedule: PhaseSchedule, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("steps", [10, 57, 400])
@pytest.mark.parametrize("warmup", [0.2, 0.5])
def test_one_cycle_has_the_shape_of_torchs(steps: int, warmup: float) -> None:
    schedule = OneCycle(_optimizer(0.4), warmup=warmup)
    schedule.set_total_steps(steps)
    other = _optimizer(0.4)
    reference = OneCycleLR(
        other, 0.4, total_steps=steps, pct_start=warmup, div_factor=10, final_div_factor=10, cycle_momentum=False
    )
    expected = []
    for _ in range(steps - 1):
        expected.append(other.param_groups[0]["lr"])
        other.step()
        reference.step()
    assert _run(schedule, steps - 1) == pytest.approx(expected)


def test_one_cycle_leaves_momentum_alone() -> None:
    schedule = OneCycle(_optimizer(0.4))
    schedule.set_total_steps(10)
    _run(schedule, 5)
    assert schedule.optimizer.param_groups[0]["momentum"] == 0.9


@given(st.integers(1, 60), st.floats(0, 0.99), st.sampled_from([OneCycle, Cosine]))
@settings(max_examples=60, deadline=None)
def test_rates_stay_in_range_whatever_the_length(
    steps: int, warmup: float, kind: type[OneCycle] | type[Cosine]
) -> None:
    schedule = kind(_optimizer(2.0), warmup=warmup, final_factor=0.01)
    schedule.set_total_steps(steps)
    rates = _run(schedule, steps + 3)
    assert all(0.01 * 2 - 1e-9 <= rate <= 2 + 1e-9 for rate in rates)
    assert rates[steps:] == [rates[steps]] * 3  # after the end it stays
    if steps > 1 and warmup * steps - 1 < steps - 1:
        assert rates[steps - 1] == pytest.approx(0.02)


def test_before_the_length_is_known_it_is_the_start() -> None:
    schedule = OneCycle(_optimizer(1.0), start_factor=0.3)
    assert _run(schedule, 3) == pytest.approx([0.3] * 3)
    assert _run(Cosine(_optimizer(1.0)), 2) == [1.0, 1.0]
    assert _run(Cosine(_optimizer(1.0), warmup=0.1), 1) == pytest.approx([0.1])


def test_every_group_keeps_its_own_top() -> None:
    schedule = OneCycle(_optimizer(1.0, 0.1), warmup=0.0)
    schedule.set_total_steps(4)
    assert [group["lr"] for group in schedule.optimizer.param_groups] == pytest.approx([1.0, 0.1])
    assert schedule.get_last_lr() == pytest.approx([1.0, 0.1])


@pytest.mark.parametrize("stop", [0, 3, 9])
def test_a_restored_schedule_goes_on_exactly(stop: int) -> None:
    whole = OneCycle(_optimizer(1.0))
    whole.set_total_steps(12)
    expected = _run(whole, 12)
    first = OneCycle(_optimizer(1.0))
    first.set_total_steps(12)
    _run(first, stop)
    second = OneCycle(_optimizer(1.0))
    second.set_total_steps(99)  # what a resume believes before the state arrives
    second.load_state_dict(first.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    assert _run(second, 12 - stop) == expected[stop:]


@pytest.mark.parametrize(
    ("settings_", "name"),
    [({"warmup": 1.0}, "warmup"), ({"start_factor": -0.1}, "start_factor"), ({"final_factor": 1.1}, "final_factor")],
)
def test_values_out_of_range_are_named(settings_: dict[str, float], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        OneCycle(_optimizer(1.0), **settings_)


def test_a_phase_without_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Cosine(_optimizer(1.0)).set_total_steps(0)


@pytest.mark.parametrize("kind", [OneCycle, Cosine])
def test_a_phase_of_another_length_goes_on_at_its_own_step(kind: type[OneCycle] | type[Cosine]) -> None:
    whole = kind(_optimizer(2.0))
    whole.set_total_steps(40)
    expected = _run(whole, 40)
    schedule = kind(_optimizer(2.0))
    schedule.set_total_steps(20)
    _run(schedule, 10)
    schedule.go_on(20, 40)  # half as many ranks
    assert _run(schedule, 20) == pytest.approx(expected[20:])
    same = kind(_optimizer(2.0))
    same.set_total_steps(20)
    rates = _run(same, 10)
    same.go_on(3, 20)
    assert rates + _run(same, 10) == pytest.approx(expected[::2], abs=0.3)
    assert same.last_epoch == 20
