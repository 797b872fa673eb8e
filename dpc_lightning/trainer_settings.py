"""Which settings of Lightning's trainer a purchase refuses, and what to set in their place."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch import callbacks as stock
from lightning.pytorch.accelerators import Accelerator, CPUAccelerator
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy, Strategy

from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.callbacks.cost_meter import CostMeter
from dpc_lightning.callbacks.label_budget import LabelBudget
from dpc_lightning.callbacks.lowered_rates import LoweredRates
from dpc_lightning.callbacks.phase_records import PhaseRecords
from dpc_lightning.callbacks.phase_reset import PhaseReset
from dpc_lightning.callbacks.preemption import Preemption
from dpc_lightning.callbacks.run_checkpoint import RunCheckpoint
from dpc_lightning.callbacks.step_seed import StepSeed
from dpc_lightning.callbacks.weight_averaging import WeightAveraging
from dpc_lightning.errors import ConfigError
from dpc_lightning.loops.planner import Planner

__all__ = ["refuse_callbacks", "refuse_precision", "refuse_settings", "refuse_strategy"]

EPOCHS = "set `purchase.pretrain_epochs`, `purchase.round_epochs` and `evaluate.epochs`"

PLAN_DECIDES = {
    "max_epochs": (None, EPOCHS),
    "min_epochs": (None, EPOCHS),
    "max_steps": (-1, f"steps follow from epochs: {EPOCHS}"),
    "min_steps": (None, f"steps follow from epochs: {EPOCHS}"),
    "max_time": (None, "set `purchase.seconds`: Lightning's timer starts again in every phase"),
}
"""Settings that mean nothing to a loop whose phases come from a plan: Lightning's default, and what to set instead."""

NEEDED_BATCHES = {
    "limit_train_batches": "nothing would be trained",
    "limit_val_batches": "thresholds are tuned on the validation images, and rules are told their F1",
    "limit_test_batches": "the run's result is its score on the test images",
}

DO_NOT_FIT: dict[type[Callback], str] = {
    stock.BackboneFinetuning: "set `model.freeze` or `evaluate.freeze`",
    stock.BatchSizeFinder: "set `model.batch_size` and `evaluate.batch_size`",
    stock.LearningRateFinder: "set the learning rate in `model.optimizer` and `evaluate.optimizer`",
    stock.ModelPruning: "leave it out: it holds on to a network that the next phase replaces",
    stock.StochasticWeightAveraging: "set `model.average_decay` or `evaluate.average_decay`",
    stock.Timer: "set `purchase.seconds`",
    stock.WeightAveraging: "set `model.average_decay` or `evaluate.average_decay`",
}

ALWAYS_THERE: dict[type[Callback], str] = {
    ComputeBudget: "set `purchase.seconds`",
    CostMeter: "leave it out",
    LabelBudget: "set `purchase.labels`",
    LoweredRates: "set `model.retries_after_nan` or `evaluate.retries_after_nan`",
    PhaseRecords: "leave it out",
    PhaseReset: "leave it out",
    Planner: "set `purchase.rounds: auto`",
    Preemption: "leave it out",
    RunCheckpoint: "leave it out, or add a `ModelCheckpoint`",
    StepSeed: "set `seed_everything`",
    WeightAveraging: "set `model.average_decay` or `evaluate.average_decay`",
}


SPLIT_WEIGHTS: dict[str, type[Strategy]] = {
    "fsdp": FSDPStrategy,
    "deepspeed": DeepSpeedStrategy,
    "model_parallel": ModelParallelStrategy,
}
"""How the names begin, and the classes, of strategies under which no rank holds the whole network."""


def refuse_settings(settings: Mapping[str, Any]) -> None:
    """Refuse arguments of `Trainer` that a loop of phases makes meaningless.

    Args:
        settings: the arguments that are given.

    Raises:
        ConfigError: naming the YAML key, and what to set in its place.

    Example:
        >>> refuse_settings({"max_time": "00:00:10:00"})
        Traceback (most recent call last):
            ...
        dpc_lightning.errors.ConfigError: `trainer.max_time` has no effect here, because the phases come from the \
plan: set `purchase.seconds`: Lightning's timer starts again in every phase.
    """
    for name, (default, way_out) in PLAN_DECIDES.items():
        if settings.get(name, default) != default:
            msg = f"`trainer.{name}` has no effect here, because the phases come from the plan: {way_out}."
            raise ConfigError(msg)
    for name, reason in NEEDED_BATCHES.items():
        if settings.get(name) == 0:
            msg = f"`trainer.{name}` is 0, but {reason}. Give 1 or more, or leave it out."
            raise ConfigError(msg)
    if settings.get("enable_checkpointing") is False:
        msg = "`trainer.enable_checkpointing` is false, but a run goes on by its checkpoints: leave it out."
        raise ConfigError(msg)
    if settings.get("barebones"):
        msg = "`trainer.barebones` is true, but a run lives from its callbacks: leave it out."
        raise ConfigError(msg)
    _refuse_split_weights(settings.get("strategy"))
    plugins = settings.get("plugins") or []
    for plugin in plugins if isinstance(plugins, Sequence) else [plugins]:
        if isinstance(plugin, CheckpointIO):
            msg = (
                f"`trainer.plugins`: {type(plugin).__name__} would write the checkpoints, but a run goes on by its "
                "own, which are flushed to the disk, checked, and kept twice: leave it out."
            )
            raise ConfigError(msg)
    if settings.get("sync_batchnorm"):
        msg = (
            "`trainer.sync_batchnorm` is true, but what Lightning puts in place of timm's normalisation layers lacks "
            "their activations, which makes it another network: leave it out, and give each rank larger batches."
        )
        raise ConfigError(msg)


def _refuse_split_weights(strategy: object) -> None:
    for name, kind in SPLIT_WEIGHTS.items():
        if isinstance(strategy, kind) or (isinstance(strategy, str) and strategy.startswith((name, kind.__name__))):
            msg = (
                f"`trainer.strategy` {kind.__name__} shares the weights of one network out to the ranks when a fit "
                "begins, but each phase here builds its network anew, scores by the whole of it on every rank, and "
                "saves it whole. Use `ddp`: the networks of this package fit on one device."
            )
            raise ConfigError(msg)


def refuse_precision(settings: Mapping[str, Any], accelerator: Accelerator) -> None:
    """Refuse a precision in whose place Lightning would take another.

    Args:
        settings: the arguments of `Trainer` that are given.
        accelerator: what Lightning made of `trainer.accelerator`.

    Raises:
        ConfigError: naming what to use in its place.
    """
    if str(settings.get("precision")) in {"16", "16-mixed"} and isinstance(accelerator, CPUAccelerator):
        msg = (
            "`trainer.precision` is 16-mixed, but torch has no float16 training on a CPU: give `bf16-mixed` or "
            "`32-true`, or train on a GPU."
        )
        raise ConfigError(msg)


def refuse_callbacks(callbacks: Sequence[Callback]) -> None:
    """Refuse callbacks that do not work across phases, and those that every run has already.

    Args:
        callbacks: what the user asks for.

    Raises:
        ConfigError: naming the callback, and what to set in its place.
    """
    for callback in callbacks:
        name = f"`trainer.callbacks`: {type(callback).__name__}"
        for refused, way_out in DO_NOT_FIT.items():
            if isinstance(callback, refused):
                msg = f"{name} does not work across phases: {way_out}."
                raise ConfigError(msg)
        for forced, way_out in ALWAYS_THERE.items():
            if isinstance(callback, forced):
                msg = f"{name} is part of every run already: {way_out}."
                raise ConfigError(msg)


def refuse_strategy(strategy: Strategy) -> None:
    """Refuse strategies that train in copies of this process.

    Args:
        strategy: what Lightning made of `trainer.strategy`.

    Raises:
        ConfigError: naming what to use in its place.
    """
    if type(strategy.launcher).__name__ == "_MultiProcessingLauncher":  # named, because Lightning does not export it
        msg = (
            f"`trainer.strategy`: {type(strategy).__name__} that spawns or forks cannot hand back networks "
            "that change from phase to phase. Use `ddp`, or start by torchrun; in a notebook use `trainer.devices: 1`."
        )
        raise ConfigError(msg)
