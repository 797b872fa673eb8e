"""Any timm model as a multi-label network: built from a recipe, seeded, weights loaded, layers frozen."""

import difflib
from typing import Any, Self, cast

import timm
import torch
from torch import Tensor, nn

from dpc_lightning.errors import ConfigError
from dpc_lightning.models import compact
from dpc_lightning.models.freeze import freeze_modules
from dpc_lightning.models.recipe import Recipe
from dpc_lightning.models.weights import load_checkpoint, load_pretrained

__all__ = ["Network", "build_network", "try_out"]


class Network(nn.Module):
    """A timm model with one logit a class, and its penultimate features.

    Args:
        model: a timm model with a classifier.
        key: YAML key of the backbone, for error messages.

    Raises:
        ConfigError: if the model has no single classifier layer.

    Example:
        >>> network = build_network(Recipe(), num_classes=6, seed=0)
        >>> logits, embeddings = network.forward_both(torch.zeros(2, 3, 32, 32))
        >>> logits.shape, embeddings.shape
        (torch.Size([2, 6]), torch.Size([2, 512]))
    """

    def __init__(self, model: nn.Module, key: str = "model.backbone") -> None:
        super().__init__()
        self.model = model
        classifier = cast(Any, model).get_classifier()
        if not isinstance(classifier, nn.Module) or isinstance(classifier, nn.Identity):
            msg = f"`{key}` has no single classifier layer: choose another timm model."
            raise ConfigError(msg)
        self._frozen_norms: list[nn.Module] = []

    @property
    def embedding_dim(self) -> int:
        """Number of penultimate features D."""
        return int(cast(Any, self.model).head_hidden_size)

    @property
    def classifier(self) -> nn.Module:
        """The last layer: embeddings to logits."""
        return cast(nn.Module, cast(Any, self.model).get_classifier())

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits.

        Args:
            images: `(B, 3, H, W)` float, normalised.

        Returns:
            `(B, C)` float.
        """
        return cast(Tensor, self.model(images))

    def embed(self, images: Tensor) -> Tensor:
        """Compute the penultimate features.

        Args:
            images: `(B, 3, H, W)` float, normalised.

        Returns:
            `(B, D)` float: what the classifier sees.
        """
        model = cast(Any, self.model)
        return cast(Tensor, model.forward_head(model.forward_features(images), pre_logits=True))

    def forward_both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits and penultimate features in one pass.

        Args:
            images: `(B, 3, H, W)` float, normalised.

        Returns:
            `(B, C)` and `(B, D)` float.
        """
        embeddings = self.embed(images)
        return cast(Tensor, self.classifier(embeddings)), embeddings.flatten(1)

    def freeze(self, recipe: Recipe) -> None:
        """Freeze what the recipe says; see `freeze.freeze_modules`."""
        self._frozen_norms = freeze_modules(self.model, self.classifier, recipe.freeze, f"{recipe.group}.freeze")
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002  torch's own signature
        """Switch to training or evaluation; frozen batch-normalisation layers stay in evaluation."""
        super().train(mode)
        for norm in self._frozen_norms:
            norm.eval()
        return self


def build_network(recipe: Recipe, num_classes: int, seed: int, *, load_weights: bool = True) -> Network:
    """Build the network of a recipe.

    Args:
        recipe: backbone, weights to start from, freezing, dropout and memory layout.
        num_classes: number of classes C.
        seed: decides all random weights; torch's global generators are left as they were.
        load_weights: false where a checkpoint of a run is about to overwrite them all.

    Returns:
        The network on the CPU, in training mode.

    Raises:
        ConfigError: if the backbone is unknown, or its weights cannot be had or do not fit.

    Example:
        >>> one, two = (build_network(Recipe(), num_classes=2, seed=7) for _ in range(2))
        >>> all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters()))
        True
    """
    _check_name(recipe)
    settings: dict[str, Any] = {"num_classes": num_classes, "in_chans": 3}
    if recipe.drop_rate:
        settings["drop_rate"] = recipe.drop_rate
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed every GPU
        if recipe.pretrained and load_weights:
            model = load_pretrained(recipe.backbone, settings, recipe.group)
        else:
            model = timm.create_model(recipe.backbone, **settings)
    network = Network(model, f"{recipe.group}.backbone")
    if recipe.checkpoint_path is not None and load_weights:
        load_checkpoint(network.model, network.classifier, recipe.checkpoint_path, f"{recipe.group}.checkpoint_path")
    network.freeze(recipe)
    if recipe.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def try_out(network: Network, recipe: Recipe, image_size: int) -> None:
    """Run a network once on blank images, so that a size it cannot take is said before anything is bought.

    Args:
        network: in whatever mode and on whatever device; it is left as it was.
        recipe: what the network was built from.
        image_size: side of the images in pixels.

    Raises:
        ConfigError: if the network fails.
    """
    weights = next(network.parameters())
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(2, 3, image_size, image_size, dtype=weights.dtype, device=weights.device))
    except (AssertionError, RuntimeError, ValueError) as error:
        msg = (
            f"`{recipe.group}.backbone` {recipe.backbone} cannot take images of {image_size} pixels "
            f"(`data.image_size`): {error} Set `data.image_size` to a size it was made for, or choose another backbone."
        )
        raise ConfigError(msg) from error
    finally:
        network.train(was_training)


def _check_name(recipe: Recipe) -> None:
    compact_name = compact.compact_efficientnet.__name__  # the import is what registers it
    if timm.is_model(recipe.backbone):
        return
    names = {name.lower(): name for name in (compact_name, *timm.list_models())}
    typed = recipe.backbone.lower().partition(".")[0]
    close = [names[each] for each in difflib.get_close_matches(typed, names, n=5, cutoff=0.4)]
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    msg = (
        f"Expected `{recipe.group}.backbone` to be the name of a timm model, but got {recipe.backbone!r}. {hint}"
        f"`python -c 'import timm; print(timm.list_models())'` lists them all, {compact_name} stands beside them."
    )
    raise ConfigError(msg)
