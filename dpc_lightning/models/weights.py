"""Weights to start from: timm's hub, or a file."""

import logging
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import HfApi, try_to_load_from_cache
from safetensors.torch import load_file
from torch import Tensor, nn

from dpc_lightning.errors import ConfigError

__all__ = ["load_checkpoint", "load_pretrained", "read_weights"]

_LOGGER = logging.getLogger(__name__)
_PROBE_SECONDS = 10.0
_HUB_FILE = "model.safetensors"
_WRAPPERS = ("state_dict", "model")
_PREFIXES = ("network.model.", "module.", "model.")


def load_pretrained(backbone: str, settings: dict[str, Any], group: str = "model") -> nn.Module:
    """Build a timm model with its pre-trained weights, from the hub's cache or from the hub.

    Args:
        backbone: name of a timm model, with or without the tag of its weights.
        settings: what else `timm.create_model` takes.
        group: YAML group of the setting, for error messages.

    Returns:
        The model; a classifier for another number of classes starts from random weights.

    Raises:
        ConfigError: if there are no such weights, or the hub cannot be reached. It does not wait: one question is asked
            first, because the hub's own client tries again for more than a minute.
    """
    try:
        card = timm.get_pretrained_cfg(backbone)
        hub = card.hf_hub_id if card is not None else None
        cached = try_to_load_from_cache(hub, _HUB_FILE) if hub else None
        if isinstance(cached, str):  # named, because the hub's client would ask the network even for what it has
            settings = {**settings, "pretrained_cfg_overlay": {"file": cached}}
        elif hub:
            HfApi().model_info(hub, timeout=_PROBE_SECONDS)
        return timm.create_model(backbone, pretrained=True, **settings)
    except Exception as error:
        # timm and the hub raise what their HTTP client of the day raises: no common base but this
        msg = (
            f"`{group}.pretrained` is true, but the weights of {backbone} could not be fetched "
            f"({type(error).__name__}: {str(error).strip()[:200]}). Without a network, fetch the file elsewhere and "
            f"give it: `{group}.pretrained: false` and `{group}.checkpoint_path: FILE.safetensors`."
        )
        raise ConfigError(msg) from error


def read_weights(path: str | Path, key: str = "model.checkpoint_path") -> dict[str, Tensor]:
    """Read a file of weights.

    Args:
        path: `.safetensors`, or what `torch.load(weights_only=True)` reads, checkpoints of this package included.
        key: YAML key of the setting, for error messages.

    Returns:
        Weights by name, without the prefixes that wrappers add.

    Raises:
        ConfigError: if there is no such file, or it holds no weights.
    """
    path = Path(path)
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torch's unpickler of a broken file raises whatever its bytes lead it to
        msg = f"`{key}`: cannot read weights from {path} ({type(error).__name__}: {str(error).strip()[:200]})."
        raise ConfigError(msg) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    weights = {}
    if isinstance(content, dict):
        weights = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not weights:
        msg = f"`{key}`: {path} holds no weights: expected a table of names and tensors."
        raise ConfigError(msg)
    for prefix in _PREFIXES:
        inside = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        weights = inside or weights
    return weights


def load_checkpoint(
    model: nn.Module, classifier: nn.Module, path: str | Path, key: str = "model.checkpoint_path"
) -> None:
    """Load weights from a file into a model; a classifier of another size is left out, and the log says so.

    Args:
        model: the model, changed in place.
        classifier: its last layer.
        path: file of weights.
        key: YAML key of the setting, for error messages.

    Raises:
        ConfigError: if the file cannot be read, or its weights are not those of this model.
    """
    weights = read_weights(path, key)
    own = model.state_dict()
    last = {name for name in own if _owner(model, name) is classifier}
    dropped = sorted(name for name in last if name not in weights or weights[name].shape != own[name].shape)
    if dropped:
        weights = {name: value for name, value in weights.items() if name not in last}
        _LOGGER.warning(
            "%s: the classifier (%s) does not fit and starts from random weights.", path, ", ".join(dropped)
        )
    optional = {name for name in own if name.endswith("num_batches_tracked")}
    wrong = {
        "missing": sorted(set(own) - set(weights) - (last if dropped else set()) - optional),
        "unknown": sorted(set(weights) - set(own)),
        "of another shape": sorted(name for name in set(own) & set(weights) if own[name].shape != weights[name].shape),
    }
    if any(wrong.values()):
        listed = "; ".join(
            f"{len(names)} {what}, first {', '.join(names[:3])}" for what, names in wrong.items() if names
        )
        msg = f"`{key}`: the weights in {path} are not those of this backbone: {listed}. Check the backbone's name."
        raise ConfigError(msg)
    model.load_state_dict(weights, strict=False)


def _owner(model: nn.Module, name: str) -> nn.Module:
    return model.get_submodule(name.rpartition(".")[0])
