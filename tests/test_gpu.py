"""What only a GPU does, in small runs from the first word to the summary, and as much of it as a CPU can show."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.__main__ import main
from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.purchase.plan import Phase
from tests.rank_probes import FAIL
from tests.rank_processes import start, torchrun
from tests.small_run import purchases, words
from tests.test_ranks import states

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class DeviceProbe(PhaseCallback):
    """Holds what reaches the network against what the configuration promises."""

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        assert isinstance(batch, dict)
        assert {value.device for value in batch.values()} == {pl_module.device}
        assert batch["image"].dtype == torch.uint8

    @override
    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        weights = list(pl_module.parameters())
        assert {value.device for value in weights} == {trainer.strategy.root_device}
        assert {value.dtype for value in weights} == {torch.float32}
        kernels = [value for value in weights if value.ndim == 4]
        assert kernels
        assert all(value.is_contiguous(memory_format=torch.channels_last) for value in kernels)
        assert trainer.train_dataloader is not None
        assert trainer.train_dataloader.pin_memory == (trainer.strategy.root_device.type == "cuda")


def run_on(device: str, root: Path, run_dir: Path, *more: str) -> dict[str, Any]:
    """Carry out a small run on a device, with the probe."""
    command = [word for word in words(root, run_dir) if not word.startswith("--trainer.accelerator")]
    settings = ("--data.pin_memory=true", "--model.channels_last=true", "--evaluate.channels_last=true")
    places = (
        f"--trainer.accelerator={device}",
        "--trainer.devices=1",
        "--trainer.callbacks=tests.test_gpu.DeviceProbe",
    )
    assert main([*command, *settings, *places, *more]) == 0
    summary: dict[str, Any] = json.loads((run_dir / "summary.json").read_text())
    return summary


def test_mixed_precision_and_channels_last_on_a_cpu(small_root: Path, tmp_path: Path) -> None:
    summary = run_on("cpu", small_root, tmp_path / "run", "--trainer.precision=bf16-mixed")
    assert (summary["labels_bought"], summary["hardware"]["precision"]) == (12, "bf16-mixed")
    assert len({row["index"] for row in purchases(tmp_path / "run")}) == 12


@pytest.mark.gpu
@NEEDS_GPU
@pytest.mark.parametrize("precision", ["32-true", "16-mixed", "bf16-mixed"])
def test_a_small_run_on_a_gpu(small_root: Path, tmp_path: Path, precision: str) -> None:
    summary = run_on("gpu", small_root, tmp_path / "run", f"--trainer.precision={precision}")
    assert (summary["labels_bought"], summary["hardware"]["precision"]) == (12, precision)
    assert summary["hardware"]["accelerator"] == "CUDAAccelerator"
    assert 0 < summary["test"]["map"] <= 1
    assert len({row["index"] for row in purchases(tmp_path / "run")}) == 12


@pytest.mark.gpu
@NEEDS_GPU
def test_workers_feed_a_gpu(small_root: Path, tmp_path: Path) -> None:
    summary = run_on("gpu", small_root, tmp_path / "run", "--data.num_workers=2")
    assert summary["labels_bought"] == 12


@pytest.mark.gpu
@NEEDS_GPU
def test_a_run_on_a_gpu_goes_on_after_an_error(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = "--purchase.acquisition=tests.rank_probes.FailingBadge"
    more = ("--trainer.accelerator=gpu", "--trainer.devices=1", "--trainer.precision=bf16-mixed", rule)
    monkeypatch.setenv(FAIL, "2")
    assert main(words(small_root, tmp_path / "run", *more)) == 2
    monkeypatch.delenv(FAIL)
    assert main(words(small_root, tmp_path / "run", *more)) == 0
    assert len(purchases(tmp_path / "run")) == 12


@pytest.mark.gpu
@NEEDS_GPU
def test_one_rank_of_ddp_on_nccl_is_the_run_without_it(small_root: Path, tmp_path: Path) -> None:
    """All that one GPU can show of NCCL: the wrapper, broadcasts and reductions. Sending scores needs two."""
    more = ("--trainer.accelerator=gpu", "--trainer.devices=1")
    ends: list[list[Any]] = []
    for name, strategy in (("bare", "auto"), ("ddp", "ddp")):
        run_dir = tmp_path / name
        state = "--trainer.callbacks=tests.rank_probes.RankState"
        status, said = start(
            "-m", "dpc_lightning", *words(small_root, run_dir, *more, f"--trainer.strategy={strategy}", state)
        )
        assert status == 0, said
        assert ("distributed_backend=nccl" in said) is (strategy == "ddp")
        ends.append([(line["phase"], line["step"]) for line in states(run_dir, 0)])
        assert len({row["index"] for row in purchases(run_dir)}) == 12
    assert ends[0] == ends[1]
    first = [{row["index"] for row in purchases(tmp_path / name) if row["round"] == "1"} for name in ("bare", "ddp")]
    assert len(first[0] & first[1]) > 0  # kernels on a GPU do not add in a fixed order, so not all need to agree


@pytest.mark.gpu
@NEEDS_GPU
def test_one_rank_under_torchrun_on_nccl(small_root: Path, tmp_path: Path) -> None:
    command = words(small_root, tmp_path / "run", "--trainer.accelerator=gpu", "--trainer.strategy=ddp")
    status, said = start(*torchrun(1), *command)
    assert status == 0, said
    assert len(purchases(tmp_path / "run")) == 12
