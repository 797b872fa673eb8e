import pytest
import timm
import torch
from torch import nn

from dpc_lightning.errors import ConfigError
from dpc_lightning.models.backbone import Network, build_network, try_out
from dpc_lightning.models.recipe import Pipeline, Recipe

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def _weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([weights.detach().flatten() for weights in network.parameters()])


@pytest.mark.parametrize("backbone", ["compact_efficientnet", "test_efficientnet", "test_resnet", "test_vit"])
def test_one_pass_gives_the_logits_and_embeddings_of_two(backbone: str) -> None:
    size = 160 if backbone == "test_vit" else 64
    images = IMAGES if size == 64 else torch.rand(2, 3, size, size)
    network = build_network(Recipe(backbone=backbone), 3, seed=0).eval()
    with torch.no_grad():
        logits, embeddings = network.forward_both(images)
        torch.testing.assert_close(logits, network(images))
        torch.testing.assert_close(embeddings, network.embed(images))
    assert logits.shape == (2, 3)
    assert embeddings.shape == (2, network.embedding_dim)


def test_same_seed_same_weights_and_another_seed_others() -> None:
    one, two, other = (_weights(build_network(Recipe(), 2, seed)) for seed in (5, 5, 6))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_the_global_generator_is_left_alone_and_does_not_matter() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = _weights(build_network(Recipe(), 2, seed=5))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, _weights(build_network(Recipe(), 2, seed=5)))


def test_dropout_and_memory_format_are_those_of_the_recipe() -> None:
    network = build_network(Recipe(drop_rate=0.25), 2, seed=0)
    assert network.model.drop_rate == 0.25
    kernel = network.model.get_submodule("conv_stem").get_parameter("weight")
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    plain = build_network(Recipe(channels_last=False), 2, seed=0)
    assert plain.model.get_submodule("conv_stem").get_parameter("weight").is_contiguous()


@pytest.mark.parametrize(
    ("name", "close"), [("EfficientNet-B0", "efficientnet_b0"), ("compact_eficientnet", "compact_")]
)
def test_an_unknown_name_is_answered_by_close_ones(name: str, close: str) -> None:
    with pytest.raises(ConfigError, match=rf"evaluate\.backbone.*Did you mean .*{close}"):
        build_network(Pipeline(backbone=name), 2, seed=0)


def test_a_name_like_no_other_is_refused_too() -> None:
    with pytest.raises(ConfigError, match="lists them all"):
        build_network(Recipe(backbone="###"), 2, seed=0)


def test_a_model_without_a_classifier_is_refused() -> None:
    with pytest.raises(ConfigError, match="classifier"):
        Network(timm.create_model("compact_efficientnet", num_classes=0))


def test_frozen_norms_stay_in_evaluation_whoever_switches() -> None:
    network = build_network(Recipe(freeze="backbone", pretrained=True), 2, seed=0, load_weights=False)
    nn.Sequential(network).train()
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms
    assert not any(layer.training for layer in norms)
    assert network.training
    before = [layer.running_mean.clone() for layer in norms if layer.running_mean is not None]
    network(IMAGES)
    after = [layer.running_mean for layer in norms if layer.running_mean is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_size_that_a_network_cannot_take_is_said() -> None:
    recipe = Recipe(backbone="vit_tiny_patch16_224")
    network = build_network(recipe, num_classes=2, seed=0)
    with pytest.raises(ConfigError, match=r"vit_tiny_patch16_224 cannot take images of 32 pixels"):
        try_out(network, recipe, 32)
    assert network.training
    try_out(network, recipe, 224)
