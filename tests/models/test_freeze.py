import pytest
import timm
from torch import nn

from dpc_lightning.errors import ConfigError
from dpc_lightning.models.freeze import Freeze, FreezeUntil, count_trainable, freeze_modules, list_blocks


def _model() -> nn.Module:
    return timm.create_model("compact_efficientnet", num_classes=2)


def _frozen(freeze: Freeze, model: nn.Module | None = None) -> set[str]:
    model = model or _model()
    freeze_modules(model, model.get_submodule("classifier"), freeze)
    return {name for name, weights in model.named_parameters() if not weights.requires_grad}


def test_blocks_are_listed_from_input_to_output_without_the_classifier() -> None:
    model = _model()
    names = list_blocks(model, model.get_submodule("classifier"))
    assert names == ["conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2", "conv_head", "bn2"]


def test_none_freezes_nothing() -> None:
    assert _frozen("none") == set()


def test_backbone_leaves_the_classifier_alone() -> None:
    model = _model()
    everything = {name for name, _ in model.named_parameters()}
    assert everything - _frozen("backbone", model) == {"classifier.weight", "classifier.bias"}
    assert count_trainable(model)[0] == 512 * 2 + 2


def test_until_freezes_up_to_the_block_and_that_block() -> None:
    frozen = _frozen(FreezeUntil("blocks.1"))
    assert {name.split(".")[0] for name in frozen} == {"conv_stem", "bn1", "blocks"}
    assert {name.split(".")[1] for name in frozen if name.startswith("blocks")} == {"0", "1"}


def test_until_a_whole_sequence_takes_its_last_member_too() -> None:
    assert _frozen(FreezeUntil("blocks")) == _frozen(FreezeUntil("blocks.2"))


def test_a_block_name_is_no_prefix_of_another() -> None:
    model = nn.Sequential()
    model.blocks = nn.Sequential(*(nn.Linear(1, 1) for _ in range(11)))
    model.classifier = nn.Linear(1, 1)
    assert len(_frozen(FreezeUntil("blocks.1"), model)) == 4  # two layers, and not blocks.10


@pytest.mark.parametrize("name", ["blocks.9", "classifier", "", "nothing"])
def test_an_unknown_block_is_answered_by_the_list(name: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.freeze\.until.*blocks\.0, blocks\.1"):
        _frozen(FreezeUntil(name))


def test_tokens_and_positions_of_a_transformer_are_frozen_with_its_first_block() -> None:
    model = timm.create_model("test_vit", num_classes=2)
    freeze_modules(model, model.get_submodule("head"), FreezeUntil("blocks.0"))
    frozen = {name for name, weights in model.named_parameters() if not weights.requires_grad}
    assert {"cls_token", "pos_embed"} <= frozen
    assert not any(name.startswith(("blocks.1", "head")) for name in frozen)


def test_only_frozen_norms_are_returned() -> None:
    model = _model()
    norms = freeze_modules(model, model.get_submodule("classifier"), FreezeUntil("bn1"))
    assert norms == [model.get_submodule("bn1")]
