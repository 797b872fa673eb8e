from typing import Any

import pytest
import torch
from lightning.pytorch.cli import ReduceLROnPlateau as MonitoringPlateau
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR

from dpc_lightning.errors import ConfigError
from dpc_lightning.models.backbone import build_network
from dpc_lightning.models.optimization import configure, parameter_groups
from dpc_lightning.models.recipe import Recipe
from dpc_lightning.models.schedules import OneCycle


def _plan(recipe: Recipe, total_steps: float = 10) -> Any:
    configured: Any = configure(recipe, nn.Linear(3, 2), total_steps)
    return configured["lr_scheduler"]


def test_every_trainable_parameter_is_in_one_group_and_vectors_do_not_decay() -> None:
    network = build_network(Recipe(), num_classes=2, seed=0)
    first = next(network.parameters())
    first.requires_grad = False
    decayed, plain = parameter_groups(network)
    ids = [id(weights) for group in (decayed, plain) for weights in group["params"]]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(weights) for weights in network.parameters()} - {id(first)}
    assert all(weights.ndim > 1 for weights in decayed["params"])
    assert all(weights.ndim <= 1 for weights in plain["params"])
    assert plain["weight_decay"] == 0.0


def test_the_default_optimizer_decays_the_first_group_alone() -> None:
    configured = configure(Recipe(scheduler=None), nn.Linear(3, 2), 10)
    assert isinstance(configured, torch.optim.AdamW)
    assert [group["weight_decay"] for group in configured.param_groups] == [0.02, 0.0]


def test_the_default_schedule_knows_the_length_and_is_stepped_by_step() -> None:
    plan = _plan(Recipe(), 40.0)
    assert isinstance(plan["scheduler"], OneCycle)
    assert (plan["scheduler"].total_steps, plan["interval"]) == (40, "step")


def test_a_phase_without_end_is_refused_where_the_length_matters() -> None:
    with pytest.raises(ConfigError, match="OneCycle"):
        configure(Recipe(), nn.Linear(3, 2), float("inf"))
    configure(Recipe(scheduler=lambda optimizer: StepLR(optimizer, 1)), nn.Linear(3, 2), float("inf"))


def test_schedules_of_torch_are_stepped_as_they_are_meant() -> None:
    assert _plan(Recipe(scheduler=lambda optimizer: StepLR(optimizer, 1)))["interval"] == "epoch"
    assert _plan(Recipe(scheduler=lambda optimizer: OneCycleLR(optimizer, 0.1, total_steps=10)))["interval"] == "step"


def test_plateau_watches_what_the_recipe_says_or_what_it_says_itself() -> None:
    plain = Recipe(scheduler=ReduceLROnPlateau, scheduler_monitor="val/map", optimizer=lambda p: SGD(p, lr=0.1))
    own = Recipe(scheduler=lambda optimizer: MonitoringPlateau(optimizer, monitor="val/f1_macro"))
    assert [_plan(recipe)["monitor"] for recipe in (plain, own)] == ["val/map", "val/f1_macro"]


def test_a_plateau_is_asked_after_each_validation_and_not_between() -> None:
    recipe = Recipe(scheduler=ReduceLROnPlateau)
    configured: Any = configure(recipe, nn.Linear(3, 2), 10, validate_every=8)
    assert configured["lr_scheduler"]["frequency"] == 8
