"""Which settings of Lightning's trainer a purchase refuses, through the command line, and which it works with."""

import json
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from dpc_lightning.__main__ import main
from dpc_lightning.errors import ConfigError
from dpc_lightning.purchase.plan import PurchasePlan
from dpc_lightning.run_dir import RunDir
from dpc_lightning.trainer import PurchaseTrainer
from tests.callbacks.probes import Hooks
from tests.small_run import fit, purchases, words

EPOCHS = "`purchase.pretrain_epochs`, `purchase.round_epochs` and `evaluate.epochs`"
ADD = "--trainer.callbacks+="

REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "checkpoint writer": (("--trainer.plugins=[{class_path: TorchCheckpointIO}]",), "flushed to the disk"),
    "max_epochs": (("--trainer.max_epochs=3",), EPOCHS),
    "endless epochs": (("--trainer.max_epochs=-1",), EPOCHS),
    "min_epochs": (("--trainer.min_epochs=1",), EPOCHS),
    "max_steps": (("--trainer.max_steps=5",), EPOCHS),
    "min_steps": (("--trainer.min_steps=5",), EPOCHS),
    "max_time": (("--trainer.max_time=00:00:10:00",), "`purchase.seconds`"),
    "timer": ((f"{ADD}Timer", "--trainer.callbacks.duration=00:00:10:00"), "`purchase.seconds`"),
    "rate finder": ((f"{ADD}LearningRateFinder",), "`model.optimizer`"),
    "batch finder": ((f"{ADD}BatchSizeFinder",), "`model.batch_size`"),
    "SWA": ((f"{ADD}StochasticWeightAveraging", "--trainer.callbacks.swa_lrs=0.1"), "`model.average_decay`"),
    "EMA": ((f"{ADD}EMAWeightAveraging",), "`model.average_decay`"),
    "fine-tuning": ((f"{ADD}BackboneFinetuning",), "`model.freeze`"),
    "a second compute budget": (
        (f"{ADD}dpc_lightning.callbacks.ComputeBudget", "--trainer.callbacks.seconds=1e9"),
        "`purchase.seconds`",
    ),
    "a second averaging": ((f"{ADD}dpc_lightning.callbacks.WeightAveraging",), "`model.average_decay`"),
    "ddp_spawn": (("--trainer.strategy=ddp_spawn",), "Use `ddp`"),
    "ddp_fork": (("--trainer.strategy=ddp_fork_find_unused_parameters_true",), "Use `ddp`"),
    "ddp_notebook": (("--trainer.strategy=ddp_notebook",), "Use `ddp`"),
    "spawn by class": (("--trainer.strategy=DDPStrategy", "--trainer.strategy.start_method=spawn"), "Use `ddp`"),
    "FSDP": (("--trainer.strategy=fsdp",), "Use `ddp`"),
    "FSDP by class": (("--trainer.strategy=FSDPStrategy",), "Use `ddp`"),
    "FSDP2": (("--trainer.strategy=ModelParallelStrategy",), "Use `ddp`"),
    "DeepSpeed": (("--trainer.strategy=deepspeed_stage_2",), "Use `ddp`"),
    "float16 on a CPU": (("--trainer.precision=16-mixed",), "give `bf16-mixed`"),
    "no checkpoints": (("--trainer.enable_checkpointing=false",), "leave it out"),
    "barebones": (("--trainer.barebones=true",), "leave it out"),
    "no training": (("--trainer.limit_train_batches=0",), "1 or more"),
    "no validation": (("--trainer.limit_val_batches=0.0",), "1 or more"),
    "no test": (("--trainer.limit_test_batches=0",), "1 or more"),
    "no such device": (("--trainer.accelerator=tpu",), "group `trainer:`"),
    "no such metric": ((f"{ADD}ModelCheckpoint", "--trainer.callbacks.monitor=nonsense"), "group `trainer:`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_with_the_way_out(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    settings, way_out = REFUSED[case]
    assert main(words(small_root, tmp_path / "run", *settings)) == 2
    said = capfd.readouterr().err
    assert "error: " in said
    assert way_out in said
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_strategy_object_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Use `ddp`"):
        PurchaseTrainer(strategy=DDPStrategy(start_method="fork"), accelerator="cpu", logger=False)
    assert isinstance(PurchaseTrainer(strategy="ddp", accelerator="cpu", logger=False), Trainer)


WORKS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "fast_dev_run": (("--trainer.fast_dev_run=true",), {"labels_bought": 12, "rounds": 2}),
    "few batches": (
        (
            "--trainer.limit_train_batches=1",
            "--trainer.limit_val_batches=0.5",
            "--trainer.limit_test_batches=1",
            "--data.eval_batch_size=8",
        ),
        {"labels_bought": 12},
    ),
    "overfit": (("--trainer.overfit_batches=1",), {"labels_bought": 12}),
    "accumulate": (("--trainer.accumulate_grad_batches=2",), {"labels_bought": 12}),
    "validate within epochs": (("--trainer.val_check_interval=1",), {"labels_bought": 12}),
    "sanity check": (("--trainer.num_sanity_val_steps=1",), {"labels_bought": 12}),
    "rate monitor": ((f"{ADD}LearningRateMonitor",), {"labels_bought": 12}),
}


@pytest.mark.parametrize("case", WORKS)
def test_what_is_not_refused_works(small_root: Path, tmp_path: Path, case: str) -> None:
    settings, expected = WORKS[case]
    summary = fit(small_root, tmp_path / "run", *settings)
    assert {name: summary[name] for name in expected} == expected
    assert [phase["name"] for phase in summary["phases"]] == ["pretrain", "round_1", "round_2", "evaluate"]


@pytest.mark.filterwarnings("ignore:The plan will not fit")
def test_neither_a_second_configuration_nor_the_command_line_drops_a_budget(small_root: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(yaml.safe_dump({"trainer": {"callbacks": ["tests.callbacks.probes.Hooks"]}}))
    budgets = ("--purchase.seconds=0.001", "--purchase.labels=4", "--purchase.rounds=1")
    summary = fit(small_root, tmp_path / "run", *budgets, "--config", str(second))
    assert Hooks.names[:2] == ["LabelBudget", "ComputeBudget"]
    assert (summary["compute_budget_exhausted"], summary["labels_bought"]) == (True, 4)
    for number, nothing in enumerate(("null", "[]")):
        run_dir = tmp_path / f"run{number}"
        summary = fit(small_root, run_dir, *budgets[1:], f"--trainer.callbacks={nothing}")
        assert summary["labels_bought"] == len(purchases(run_dir)) == 4


def test_a_trainer_without_a_plan_or_with_foreign_data_says_so(tmp_path: Path) -> None:
    bare = PurchaseTrainer(accelerator="cpu", logger=False)
    with pytest.raises(ConfigError, match="with_purchase"):
        _ = bare.purchase_loop
    trainer = PurchaseTrainer.with_purchase(
        PurchasePlan(), evaluate_epochs=1, run_dir=RunDir(tmp_path), seed=0, accelerator="cpu", logger=False
    )
    with pytest.raises(ConfigError, match="PurchaseDataModule"):
        trainer.fit(None)  # type: ignore[arg-type]
    assert not trainer.finished
    (tmp_path / "summary.json").write_text(json.dumps({}))
    assert trainer.finished
