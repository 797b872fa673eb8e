import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch.optim import SGD

from dpc_lightning.errors import ConfigError, DpcError
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.freeze import FreezeUntil, count_trainable
from dpc_lightning.models.losses import BinaryCrossEntropy, FocalLoss, MultiLabelLoss
from dpc_lightning.models.recipe import Pipeline, Recipe
from dpc_lightning.models.staged_module import Stage
from tests.models.tiny_data import TinyData

pytestmark = pytest.mark.filterwarnings(
    "ignore:The '.*_dataloader' does not have many workers", "ignore:GPU available but not used"
)

IMAGES = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _module(backbone: str = "compact_efficientnet", loss: MultiLabelLoss | None = None) -> MultiLabelClassifier:
    judge = Pipeline(epochs=1, backbone=backbone, loss=loss or BinaryCrossEntropy())
    return MultiLabelClassifier.from_recipes(Recipe(), judge)


def _ready(module: MultiLabelClassifier, seed: int = 0) -> MultiLabelClassifier:
    module.classes = ("a", "b")
    module.rebuild("purchase", seed)
    return module.eval()


def _trainer() -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _saved(module: MultiLabelClassifier) -> dict[str, Any]:
    checkpoint: dict[str, Any] = {"state_dict": {name: value.clone() for name, value in module.state_dict().items()}}
    module.on_save_checkpoint(checkpoint)
    return checkpoint


def test_both_constructors_give_the_same() -> None:
    flat = MultiLabelClassifier(Pipeline(epochs=3), backbone="test_resnet", batch_size=4)
    typed = MultiLabelClassifier.from_recipes(Recipe(backbone="test_resnet", batch_size=4), Pipeline(epochs=3))
    assert (flat.recipe.backbone, flat.recipe.batch_size) == (typed.recipe.backbone, typed.recipe.batch_size)
    assert flat.evaluate.epochs == typed.evaluate.epochs == 3
    assert not flat.hparams


def test_a_stage_has_its_own_network_loss_and_recipe() -> None:
    module = _ready(_module(backbone="test_resnet", loss=FocalLoss()))
    first = module.network
    assert module.active is module.recipe
    module.thresholds[:] = 0.1
    module.rebuild("evaluate", seed=1)
    assert module.active is module.evaluate
    assert module.network is not first
    assert isinstance(module.loss, FocalLoss)
    assert module.loss is not module.evaluate.loss  # a loss remembers labels: no phase may see another's
    assert module.thresholds.tolist() == [0.5, 0.5]
    assert np.isnan(module.class_f1).all()
    assert math.isnan(module.validation_map)
    assert not [name for name in module.state_dict() if not name.startswith("network.")]


def test_the_seed_decides_the_weights() -> None:
    one, two, other = (_ready(_module(), seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_rebuilding_without_classes_is_refused() -> None:
    with pytest.raises(DpcError, match="setup"):
        _module().rebuild("purchase", 0)


def test_embeddings_belong_to_the_logits() -> None:
    module = _ready(_module())
    with torch.no_grad():
        logits, features = module.score_batch(IMAGES, embeddings=True)
        alone, none = module.score_batch(IMAGES, embeddings=False)
        assert none is None
        assert features is not None
        assert features.shape == (2, module.embedding_dim)
        torch.testing.assert_close(logits, alone)
        torch.testing.assert_close(logits, module.network.classifier(features))
        torch.testing.assert_close(logits, module(IMAGES))
        torch.testing.assert_close(logits, module.predict_logits(IMAGES, 1))


def test_flips_make_the_prediction_blind_to_them() -> None:
    module = _ready(_module())
    with torch.no_grad():
        torch.testing.assert_close(module.predict_logits(IMAGES, 8), module.predict_logits(IMAGES.rot90(1, (2, 3)), 8))
        assert not torch.allclose(module(IMAGES), module(IMAGES.rot90(1, (2, 3))))


def test_a_network_in_bfloat16_gives_float32() -> None:
    module = _ready(_module()).to(torch.bfloat16)
    with torch.no_grad():
        logits, features = module.score_batch(IMAGES, embeddings=True)
    assert logits.dtype == torch.float32
    assert features is not None
    assert features.dtype == torch.float32


@pytest.mark.parametrize("stage", ["purchase", "evaluate"])
def test_a_checkpoint_brings_its_stage_weights_and_thresholds(tmp_path: Path, stage: Stage) -> None:
    module = _ready(_module(backbone="test_resnet"))
    module.rebuild(stage, seed=8)
    module.thresholds, module.class_f1 = np.array([0.2, 0.7], np.float32), np.array([0.9, np.nan], np.float32)
    module.validation_map = 0.25
    path = tmp_path / "run.ckpt"
    torch.save(_saved(module), path)
    checkpoint = torch.load(path, weights_only=True)
    other = _module(backbone="test_resnet")  # a fresh process that has seen no data
    other.on_load_checkpoint(checkpoint)
    other.load_state_dict(checkpoint["state_dict"])
    assert other.stage == stage
    assert other.classes == ("a", "b")
    np.testing.assert_array_equal(other.thresholds, module.thresholds)
    np.testing.assert_array_equal(other.class_f1, module.class_f1)
    assert other.validation_map == 0.25
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(IMAGES), module.eval()(IMAGES))


def test_loading_reads_no_weights_to_start_from(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(_ready(_module()).network.model.state_dict(), path)
    module = _ready(MultiLabelClassifier(Pipeline(), checkpoint_path=str(path), freeze="backbone"))
    checkpoint = _saved(module)
    path.unlink()
    other = MultiLabelClassifier(Pipeline(), checkpoint_path=str(path), freeze="backbone")
    other.on_load_checkpoint(checkpoint)
    assert count_trainable(other.network) == count_trainable(module.network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["b", "a"]}, "a, b.*checkpoint has b, a"),
        ({"backbone": "resnet18"}, r"resnet18.*model\.backbone"),
    ],
)
def test_another_runs_checkpoint_is_refused(change: dict[str, object], message: str) -> None:
    checkpoint = _saved(_ready(_module()))
    checkpoint["classifier"] |= change
    with pytest.raises(ConfigError, match=message):
        _ready(_module()).on_load_checkpoint(checkpoint)


def test_a_foreign_checkpoint_is_refused() -> None:
    with pytest.raises(ConfigError, match="key `classifier`"):
        _module().on_load_checkpoint({"state_dict": {}})


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"backbone": "efficientnet_z9"}, r"evaluate\.backbone"),
        ({"checkpoint_path": "absent.pt"}, r"evaluate\.checkpoint_path.*absent\.pt"),
        ({"checkpoint_path": "absent.pt", "freeze": FreezeUntil("x")}, r"evaluate\.checkpoint_path"),
        ({"loss": BinaryCrossEntropy([1.0, 2.0])}, "3 numbers"),
        ({"optimizer": lambda params: SGD(params, lr=-1.0)}, "learning rate"),
    ],
)
def test_a_mistake_in_evaluate_is_found_before_the_fit(mistake: dict[str, Any], message: str) -> None:
    module = MultiLabelClassifier(Pipeline(**mistake))
    with pytest.raises(ValueError, match=message):
        _trainer().fit(module, datamodule=TinyData())


def test_judging_a_checkpoint_needs_no_weights_to_start_from(tmp_path: Path) -> None:
    path, start = tmp_path / "run.ckpt", tmp_path / "w.pt"
    torch.save(_ready(_module()).network.model.state_dict(), start)

    def fresh() -> MultiLabelClassifier:
        return MultiLabelClassifier(Pipeline(), checkpoint_path=str(start))

    trainer, module = _trainer(), fresh()
    trainer.fit(module, datamodule=TinyData())
    trainer.save_checkpoint(path)
    start.unlink()
    (scores,) = _trainer().validate(fresh(), datamodule=TinyData(), ckpt_path=path, weights_only=True, verbose=False)
    assert scores["val/map"] == pytest.approx(module.validation_map)
    with pytest.raises(ConfigError, match=r"w\.pt"):
        _trainer().fit(fresh(), datamodule=TinyData())


def test_prediction_takes_its_classes_from_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    trainer, module, data = _trainer(), _module(), TinyData()
    trainer.fit(module, datamodule=data)
    trainer.save_checkpoint(path)
    other = _module()
    batches = _trainer().predict(other, data.test_dataloader(), ckpt_path=path, weights_only=True)
    assert batches is not None
    assert other.classes == data.classes


@pytest.mark.parametrize("what", ["validate", "test", "predict"])
def test_without_a_network_nothing_is_judged(what: str) -> None:
    with pytest.raises(ConfigError, match="ckpt_path"):
        getattr(_trainer(), what)(_module(), datamodule=TinyData())


def test_data_without_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match="classes"):
        _trainer().validate(_module(), TinyData().val_dataloader(), verbose=False)


def test_data_with_other_classes_is_refused() -> None:
    module = _ready(_module())
    with pytest.raises(ConfigError, match=r"a, b.*the data has x"):
        _trainer().validate(module, datamodule=TinyData(classes=["x"]), verbose=False)


def test_data_with_no_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one class"):
        _trainer().validate(_module(), datamodule=TinyData(classes=[]), verbose=False)
