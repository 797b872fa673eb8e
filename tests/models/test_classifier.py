import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.cli import LRSchedulerCallable
from lightning.pytorch.loggers import CSVLogger
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from dpc_lightning.errors import DpcError
from dpc_lightning.models.batches import Batch
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.freeze import Freeze, FreezeUntil
from dpc_lightning.models.losses import BinaryCrossEntropy
from dpc_lightning.models.metrics import evaluate_predictions
from dpc_lightning.models.recipe import Pipeline, Recipe
from tests.models.tiny_data import CLASSES, TinyData, TinySet

pytestmark = pytest.mark.filterwarnings(
    "ignore:The '.*_dataloader' does not have many workers", "ignore:GPU available but not used"
)


class Rates(Callback):
    """Keeps the learning rate and the loss of every step."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def _module(**recipe: Any) -> MultiLabelClassifier:
    return MultiLabelClassifier.from_recipes(Recipe(**recipe), Pipeline(epochs=1))


def _built(**recipe: Any) -> MultiLabelClassifier:
    module = _module(**recipe)
    module.classes = CLASSES
    module.rebuild("purchase", 0)
    return module


def _trainer(epochs: int = 1, **settings: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "max_epochs": epochs,
        "log_every_n_steps": 1,
    }
    return Trainer(**(defaults | settings))


def _weights(module: LightningModule) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def test_it_learns_in_a_stock_trainer_and_is_judged_by_its_own_thresholds() -> None:
    torch.manual_seed(0)
    module, data = _module(), TinyData(64)
    trainer = _trainer(12)
    trainer.fit(module, datamodule=data)
    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    assert {"train/loss", "val/loss", "val/f1_macro", "val/f1_macro_at_half", "val/map", "val/f1/dent"} <= set(logged)
    assert logged["val/map"] > 0.9
    assert module.validation_map == pytest.approx(logged["val/map"])
    assert module.class_f1.mean() == pytest.approx(logged["val/f1_macro"])
    assert logged["parameters/trainable"] == logged["parameters/total"]
    trainer.test(module, datamodule=data, verbose=False)
    assert module.test_scores is not None
    assert module.last_validation is not None
    assert module.last_test is not None
    for (kept, labels), split in ((module.last_validation, data.sets[1]), (module.last_test, data.sets[2])):
        with torch.no_grad():
            np.testing.assert_allclose(kept, module.eval()(split.images).numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(labels, split.labels)
    with torch.no_grad():
        probabilities = module.eval()(data.sets[2].images).sigmoid().numpy()
    expected = evaluate_predictions(probabilities, data.sets[2].labels, module.thresholds, CLASSES)
    assert module.test_scores.f1_macro == pytest.approx(expected.f1_macro)
    assert trainer.callback_metrics["test/map"].item() == pytest.approx(expected.map)


def test_two_runs_with_one_seed_are_equal_and_another_seed_differs() -> None:
    def run(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        module = _module()
        _trainer().fit(module, datamodule=TinyData())
        return _weights(module)

    one, two, other = run(0), run(0), run(1)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("freeze", ["backbone", FreezeUntil("blocks.0")])
def test_frozen_weights_and_statistics_do_not_move(tmp_path: Path, freeze: Freeze) -> None:
    path = tmp_path / "w.pt"
    start = _built()
    torch.save(start.network.model.state_dict(), path)
    module = _module(checkpoint_path=str(path), freeze=freeze)
    _trainer(2).fit(module, datamodule=TinyData())
    before, after = _weights(start), _weights(module)
    moved = {name.removeprefix("network.model.").split(".")[0] for name in after if not after[name].equal(before[name])}
    assert moved == ({"classifier"} if freeze == "backbone" else {"blocks", "conv_head", "bn2", "classifier"})
    assert not [name for name in after if "blocks.0" in name and not after[name].equal(before[name])]


def test_the_default_schedule_spans_the_phase() -> None:
    rates = Rates()
    _trainer(3, callbacks=[rates]).fit(_module(), datamodule=TinyData(40))
    assert len(rates.rates) == 15
    assert rates.rates[0] == pytest.approx(0.0004)
    assert max(rates.rates) == pytest.approx(0.004)
    assert rates.rates[-1] == pytest.approx(0.00004)


def test_accumulated_gradients_shorten_the_schedule() -> None:
    rates = Rates()
    trainer = _trainer(2, callbacks=[rates], accumulate_grad_batches=2)
    trainer.fit(_module(), datamodule=TinyData(32))
    assert trainer.global_step == 4
    assert rates.rates[-1] == pytest.approx(0.00004)


@pytest.mark.parametrize("scheduler", [lambda optimizer: StepLR(optimizer, 1, 0.5), ReduceLROnPlateau, None])
def test_schedules_of_torch_work(scheduler: LRSchedulerCallable | None, tmp_path: Path) -> None:
    rates = Rates()
    trainer = _trainer(3, callbacks=[rates, LearningRateMonitor()], logger=CSVLogger(tmp_path))
    trainer.fit(_module(scheduler=scheduler, optimizer=lambda p: SGD(p, lr=0.1)), datamodule=TinyData())
    steady = scheduler is None or scheduler is ReduceLROnPlateau
    assert rates.rates == pytest.approx([0.1] * 6 if steady else [0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_balanced_weights_come_from_the_training_set() -> None:
    module, data = _module(loss=BinaryCrossEntropy("balanced")), TinyData()
    trainer = _trainer()
    trainer.fit(module, datamodule=data)
    positives = data.sets[0].labels.sum(axis=0)
    assert isinstance(module.loss, BinaryCrossEntropy)
    assert module.loss.weights is not None
    assert module.loss.weights.tolist() == pytest.approx(((16 - positives) / positives).tolist())
    assert not module.recipe.loss.ready  # the recipe's own loss has seen nothing
    assert "val/loss" in trainer.callback_metrics


def test_validation_alone_works_with_a_loss_that_waits_for_labels() -> None:
    module = _built(loss=BinaryCrossEntropy("balanced"))
    (values,) = _trainer().validate(module, datamodule=TinyData(), verbose=False)
    assert "val/map" in values
    assert "val/loss" not in values


def test_the_sanity_check_leaves_no_trace() -> None:
    class Watch(Callback):
        seen = False

        def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            assert isinstance(pl_module, MultiLabelClassifier)
            self.seen = True
            assert pl_module.thresholds.tolist() == [0.5] * 3
            assert math.isnan(pl_module.validation_map)
            assert not trainer.callback_metrics

    watch = Watch()
    _trainer(num_sanity_val_steps=2, callbacks=[watch]).fit(_module(), datamodule=TinyData())
    assert watch.seen


def test_a_repeated_row_counts_once() -> None:
    module, data = _built(), TinyData()
    _trainer().validate(module, datamodule=data, verbose=False)
    expected = module.thresholds, module.validation_map

    class Repeating(TinySet):
        def __len__(self) -> int:
            return 24

        def __getitem__(self, row: int) -> Batch:
            return super().__getitem__(row % 16)

    data.sets[1] = Repeating(16, 1, CLASSES)
    _trainer().validate(module, datamodule=data, verbose=False)
    np.testing.assert_array_equal(module.thresholds, expected[0])
    assert module.validation_map == pytest.approx(expected[1])


def test_a_loss_that_is_not_finite_ends_the_training_with_a_hint() -> None:
    module = _module(optimizer=lambda p: SGD(p, lr=1e30), scheduler=None)
    module.phase = "round_2"
    with pytest.raises(DpcError, match=r"phase round_2, epoch 0, seen at batch 1.*model\.optimizer\.init_args\.lr"):
        _trainer(3).fit(module, datamodule=TinyData())


def test_validation_batches_without_rows_are_refused() -> None:
    class NoRows(TinySet):
        def __getitem__(self, row: int) -> Batch:
            item = super().__getitem__(row)
            del item["row"]
            return item

    data = TinyData()
    data.sets[1] = NoRows(8, 1, CLASSES)
    with pytest.raises(DpcError, match="row"):
        _trainer().validate(_built(), datamodule=data, verbose=False)


@pytest.mark.parametrize("embeddings", [False, True])
def test_predictions_are_averaged_probabilities(*, embeddings: bool) -> None:
    module, data = _built(tta=4), TinyData()
    module.predict_embeddings = embeddings
    batches = _trainer().predict(module, datamodule=data)
    assert batches is not None
    first: Any = batches[0]
    assert first["index"].tolist() == list(range(100, 108))
    with torch.no_grad():
        expected = module.eval().predict_logits(data.sets[2].images[:8], 4).sigmoid()
    torch.testing.assert_close(first["probabilities"], expected)
    assert ("embeddings" in first) == embeddings


def test_a_run_is_resumed_from_its_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = _module()
    _trainer(4).fit(whole, datamodule=TinyData())
    torch.manual_seed(0)
    rates = Rates()
    trainer = _trainer(4, limit_train_batches=2)
    half = _module()

    class Stop(Callback):
        def on_train_epoch_end(self, trainer: Trainer, *_: object) -> None:
            trainer.should_stop = trainer.current_epoch == 1

    trainer.callbacks.append(Stop())  # type: ignore[attr-defined]
    trainer.fit(half, datamodule=TinyData())
    path = tmp_path / "half.ckpt"
    trainer.save_checkpoint(path)
    module = _module()
    _trainer(4, callbacks=[rates]).fit(module, datamodule=TinyData(), ckpt_path=path, weights_only=True)
    assert len(rates.rates) == 4
    assert rates.rates[-1] == pytest.approx(0.00004)
    np.testing.assert_array_equal(module.classes, half.classes)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_scores_are_float32_in_any_precision(precision: str) -> None:
    module = _module()
    trainer = _trainer(1, precision=precision)
    trainer.fit(module, datamodule=TinyData(8))
    assert trainer.callback_metrics["val/loss"].dtype == torch.float32
    assert math.isfinite(trainer.callback_metrics["train/loss"].item())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_it_trains_on_a_gpu(precision: str) -> None:
    torch.manual_seed(0)
    module, data = _module(loss=BinaryCrossEntropy("balanced")), TinyData(64)
    trainer = _trainer(12, accelerator="gpu", devices=1, precision=precision)
    trainer.fit(module, datamodule=data)
    assert trainer.callback_metrics["val/map"].item() > 0.9
    trainer.test(module, datamodule=data, verbose=False)
    assert module.test_scores is not None
    assert module.test_scores.map > 0.9
