import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.cli import LightningArgumentParser
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import StepLR

from dpc_lightning.errors import ConfigError
from dpc_lightning.models import MultiLabelClassifier
from dpc_lightning.models.freeze import FreezeUntil
from dpc_lightning.models.losses import AsymmetricLoss, BinaryCrossEntropy, FocalLoss
from dpc_lightning.models.recipe import Pipeline, Recipe
from dpc_lightning.models.schedules import Cosine, OneCycle

# Lightning still calls the old name of jsonargparse's `instantiate`; so does this, to work with both
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def _parser() -> ArgumentParser:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Pipeline, "evaluate")
    parser.add_lightning_class_args(MultiLabelClassifier, "model")
    parser.link_arguments("evaluate", "model.evaluate", apply_on="instantiate")
    return parser


def _built(*words: str) -> Namespace:
    parser = _parser()
    built = parser.instantiate_classes(parser.parse_args(list(words)))
    assert isinstance(built, Namespace)
    return built


def _optimizer(recipe: Recipe) -> torch.optim.Optimizer:
    return recipe.optimizer([torch.nn.Parameter(torch.zeros(2, 2))])


def test_the_defaults_of_python_and_of_the_command_line_are_the_same() -> None:
    built = _built()
    for recipe, group in ((Recipe(), built.model.recipe), (Pipeline(), built.evaluate)):
        for field in dataclasses.fields(recipe):
            mine, parsed = getattr(recipe, field.name), getattr(group, field.name)
            if field.name == "loss":
                assert isinstance(parsed, BinaryCrossEntropy)
            elif field.name == "optimizer":
                assert _optimizer(recipe).defaults == _optimizer(group).defaults
            elif field.name == "scheduler":
                ends = [each(_optimizer(recipe)) for each in (mine, parsed)]
                assert {type(end) for end in ends} == {OneCycle}
                assert ends[0].state_dict() == ends[1].state_dict()
            else:
                assert mine == parsed
    assert (built.evaluate.epochs, _optimizer(built.evaluate).param_groups[0]["lr"]) == (25, 0.004)
    assert built.model.evaluate is built.evaluate


def test_the_group_model_is_flat_and_has_every_field() -> None:
    keys = _parser().get_defaults().model.as_dict().keys()
    assert {field.name for field in dataclasses.fields(Recipe)} <= set(keys)


def test_every_field_has_its_line_in_the_help() -> None:
    text = _parser().format_help()
    for name in (field.name for field in dataclasses.fields(Pipeline)):
        assert f"--evaluate.{name}" in text
    assert "Name of any timm model" in text
    assert "Passes over all owned images" in text


def test_single_values_are_overridden_and_the_others_kept() -> None:
    built = _built(
        "--evaluate.optimizer.init_args.lr=1e-3",
        "--evaluate.scheduler.init_args.warmup=0.4",
        "--evaluate.epochs=3",
        "--model.batch_size=8",
    )
    group = _optimizer(built.evaluate).param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (1e-3, 0.02)
    schedule = built.evaluate.scheduler(_optimizer(built.evaluate))
    assert (schedule.warmup, schedule.final_factor) == (0.4, 0.01)
    assert (built.evaluate.epochs, built.evaluate.batch_size, built.model.recipe.batch_size) == (3, 32, 8)


def test_short_names_choose_losses_optimizers_and_schedules() -> None:
    built = _built(
        "--model.loss=FocalLoss",
        "--model.loss.gamma=1.5",
        "--model.optimizer=SGD",
        "--model.optimizer.lr=0.1",
        "--model.scheduler=Cosine",
        "--evaluate.loss=AsymmetricLoss",
        "--evaluate.scheduler=null",
    )
    recipe = built.model.recipe
    assert isinstance(recipe.loss, FocalLoss)
    assert recipe.loss.gamma == 1.5
    assert isinstance(_optimizer(recipe), SGD)
    assert isinstance(recipe.scheduler(_optimizer(recipe)), Cosine)
    assert isinstance(built.evaluate.loss, AsymmetricLoss)
    assert built.evaluate.scheduler is None


YAML = """
model:
  freeze: {until: blocks.1}
  checkpoint_path: some.pt
  loss: {class_path: BinaryCrossEntropy, init_args: {pos_weight: balanced}}
evaluate:
  epochs: 4
  freeze: none
  loss: {class_path: BinaryCrossEntropy, init_args: {pos_weight: [1.0, 2.5]}}
  optimizer: {class_path: torch.optim.SGD, init_args: {lr: .1}}
  scheduler: {class_path: torch.optim.lr_scheduler.StepLR, init_args: {step_size: 2}}
  average_decay: 0.99
"""


def test_a_file_is_dumped_and_read_again_as_the_same(tmp_path: Path) -> None:
    first = tmp_path / "first.yaml"
    first.write_text(YAML, encoding="utf-8")
    parser = _parser()
    config = parser.parse_args([f"--config={first}"])
    second = tmp_path / "second.yaml"
    second.write_text(parser.dump(config, skip_none=False), encoding="utf-8")
    again = parser.parse_args([f"--config={second}"])
    assert parser.dump(again, skip_none=False) == parser.dump(config, skip_none=False)
    built = parser.instantiate_classes(again)
    assert built.model.recipe.freeze == FreezeUntil("blocks.1")
    assert built.model.recipe.loss.pos_weight == "balanced"
    assert built.evaluate.loss.pos_weight == [1.0, 2.5]
    assert isinstance(_optimizer(built.evaluate), SGD)
    assert isinstance(built.evaluate.scheduler(_optimizer(built.evaluate)), StepLR)
    assert (built.evaluate.epochs, built.evaluate.average_decay) == (4, 0.99)


def test_print_config_shows_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--print_config", action="store_true")
    parser.add_class_arguments(Pipeline, "evaluate")
    text = parser.dump(parser.get_defaults())
    assert "Unable to serialize" not in text
    assert "class_path: torch.optim.AdamW" in text
    assert "lr: 0.004" in text
    assert "warmup: 0.2" in text


@pytest.mark.parametrize("kind", [Recipe, Pipeline])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("drop_rate", 1.0),
        ("drop_rate", float("nan")),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("average_decay", 1.0),
        ("average_decay", 0.0),
        ("tta", 3),
        ("normalization", "none"),
        ("augment", "all"),
        ("blur", "yes"),
        ("freeze", "backbone"),
        ("freeze", FreezeUntil("blocks.1")),
    ],
)
def test_wrong_values_are_named_by_their_key(kind: type[Recipe], name: str, value: object) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=rf"`{kind.group}\.{name}"):
        kind(**settings)


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True])
def test_epochs_are_a_positive_whole_number(epochs: object) -> None:
    settings: dict[str, Any] = {"epochs": epochs}
    with pytest.raises(ConfigError, match=r"evaluate\.epochs"):
        Pipeline(**settings)


def test_two_sources_of_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="one of them only"):
        Recipe(pretrained=True, checkpoint_path="w.pt")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="learning_rate"):
        Pipeline(learning_rate=1.0)


def test_a_recipe_is_frozen_and_can_be_replaced() -> None:
    recipe = Recipe(batch_size=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.batch_size = 5  # type: ignore[misc]
    assert dataclasses.replace(recipe, tta=8).batch_size == 4
    pipeline = dataclasses.replace(Pipeline(epochs=2, batch_size=4), tta=8)
    assert (pipeline.epochs, pipeline.batch_size, pipeline.tta) == (2, 4, 8)
    assert isinstance(_optimizer(recipe), AdamW)
