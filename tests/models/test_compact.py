import pytest
import timm
import torch
from torch import nn

from dpc_lightning.models.compact import CompactEfficientNet, MaxPoolDown, compact_efficientnet


def test_has_the_measured_size() -> None:
    model = timm.create_model("compact_efficientnet", num_classes=6)
    assert sum(weights.numel() for weights in model.parameters()) == 121_554
    assert model.head_hidden_size == 512


def test_downsampling_is_by_max_pooling_and_never_by_strided_blocks() -> None:
    model = timm.create_model("compact_efficientnet", num_classes=6)
    strides = [layer.stride for layer in model.get_submodule("blocks").modules() if isinstance(layer, nn.Conv2d)]
    assert set(strides) == {(1, 1)}
    assert sum(isinstance(layer, MaxPoolDown) for layer in model.modules()) == 3


def test_batch_norm_keeps_the_fast_momentum_without_which_short_trainings_fail() -> None:
    model = timm.create_model("compact_efficientnet", num_classes=6)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms
    assert all(layer.momentum == 0.1 for layer in norms)


def test_the_classifier_starts_as_a_plain_linear_layer() -> None:
    classifier = timm.create_model("compact_efficientnet", num_classes=6).get_submodule("classifier")
    assert isinstance(classifier, nn.Linear)
    bound = classifier.in_features**-0.5
    assert classifier.weight.abs().max() <= bound
    assert classifier.bias.abs().max() > 0  # timm's own start has zero biases


@pytest.mark.parametrize(("channels", "size"), [(3, 64), (1, 32), (4, 96)])
def test_takes_other_channels_and_sizes(channels: int, size: int) -> None:
    model = timm.create_model("compact_efficientnet", num_classes=2, in_chans=channels, drop_rate=0.3)
    assert model.drop_rate == 0.3
    assert model(torch.zeros(2, channels, size, size)).shape == (2, 2)


def test_it_can_be_built_without_a_classifier() -> None:
    model = compact_efficientnet(num_classes=0)
    assert isinstance(model, CompactEfficientNet)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 512)


def test_it_has_no_pretrained_weights() -> None:
    with pytest.raises(RuntimeError, match="No pretrained weights"):
        timm.create_model("compact_efficientnet", pretrained=True)
