import logging
import time
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from dpc_lightning.errors import ConfigError
from dpc_lightning.models import weights
from dpc_lightning.models.backbone import Network, build_network
from dpc_lightning.models.recipe import Recipe


def _network(num_classes: int = 2, seed: int = 1) -> Network:
    return build_network(Recipe(), num_classes, seed)


def _from_file(path: Path, num_classes: int = 2) -> Network:
    return build_network(Recipe(checkpoint_path=str(path)), num_classes, seed=9)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth", "wrapped.pt", "lightning.ckpt"])
def test_weights_come_from_any_usual_file(tmp_path: Path, name: str) -> None:
    state = _network().model.state_dict()
    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    elif name == "wrapped.pt":
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}, path)
    elif name == "lightning.ckpt":
        torch.save({"state_dict": {f"network.model.{key}": value for key, value in state.items()}}, path)
    else:
        torch.save(state, path)
    loaded = _from_file(path).model.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_a_classifier_of_another_size_is_left_out_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "w.pt"
    source = _network(num_classes=5)
    torch.save(source.model.state_dict(), path)
    with caplog.at_level(logging.WARNING):
        loaded = _from_file(path, num_classes=2)
    assert "classifier.weight" in caplog.text
    assert loaded.classifier.get_parameter("weight").shape == (2, 512)
    stem = [net.model.get_submodule("conv_stem").get_parameter("weight") for net in (source, loaded)]
    assert torch.equal(*stem)


def test_a_file_without_a_classifier_is_as_good(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    state = _network().model.state_dict()
    torch.save({key: value for key, value in state.items() if not key.startswith("classifier")}, path)
    assert torch.equal(_from_file(path).model.state_dict()["conv_head.weight"], state["conv_head.weight"])


def test_weights_of_another_backbone_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(build_network(Recipe(backbone="test_resnet"), 2, 0).model.state_dict(), path)
    with pytest.raises(ConfigError, match=r"model\.checkpoint_path.*missing.*unknown, first"):
        _from_file(path)


def test_a_missing_layer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    state = _network().model.state_dict()
    del state["blocks.1.0.conv_exp.weight"]
    torch.save(state, path)
    with pytest.raises(ConfigError, match=r"1 missing, first blocks\.1\.0\.conv_exp\.weight"):
        _from_file(path)


@pytest.mark.parametrize("name", ["broken.pt", "broken.safetensors", "empty.pt", "text.pth"])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"" if name == "empty.pt" else b"this is no file of weights, whatever its name says")
    with pytest.raises(ConfigError, match=name):
        _from_file(path)


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {}])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "w.pt"
    torch.save(content, path)
    with pytest.raises(ConfigError, match="no weights"):
        _from_file(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        _from_file(tmp_path / "absent.pt")
    with pytest.raises(ConfigError, match="cannot read"):
        _from_file(tmp_path)


class _Unreachable:
    def model_info(self, repo: str, timeout: float) -> None:
        msg = f"no route to {repo} within {timeout} s"
        raise ConnectionError(msg)


def test_offline_it_fails_at_once_and_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "HfApi", _Unreachable)
    monkeypatch.setattr(weights, "try_to_load_from_cache", lambda *_: None)
    start = time.monotonic()
    with pytest.raises(ConfigError, match=r"no route to timm/efficientnet_b0.*checkpoint_path: FILE\.safetensors"):
        build_network(Recipe(backbone="efficientnet_b0", pretrained=True), 2, seed=0)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("backbone", ["compact_efficientnet", "efficientnet_b0.no_such_tag"])
def test_weights_that_do_not_exist_are_refused_without_a_network(
    monkeypatch: pytest.MonkeyPatch, backbone: str
) -> None:
    monkeypatch.setattr(weights, "HfApi", _Unreachable)
    with pytest.raises(ConfigError, match=backbone):
        build_network(Recipe(backbone=backbone, pretrained=True), 2, seed=0)


def test_cached_weights_need_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = timm.create_model("test_efficientnet")
    path = tmp_path / "model.safetensors"
    save_file(source.state_dict(), path)
    monkeypatch.setattr(weights, "HfApi", _Unreachable)
    monkeypatch.setattr(weights, "try_to_load_from_cache", lambda *_: str(path))
    network = build_network(Recipe(backbone="test_efficientnet", pretrained=True), 2, seed=0)
    assert torch.equal(network.model.state_dict()["conv_stem.weight"], source.state_dict()["conv_stem.weight"])
    assert network.classifier.get_parameter("weight").shape[0] == 2
