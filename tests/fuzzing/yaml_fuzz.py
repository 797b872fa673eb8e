"""The YAML of a run, spoilt, through the parser of the command line up to the objects that would train."""

import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml
from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from dpc_lightning.cli import PurchaseCLI
from dpc_lightning.configs import config_path
from dpc_lightning.errors import DpcError
from tests.fuzzing.mutation import mutate_bytes, mutate_text, mutate_tree
from tests.fuzzing.verdict import require

__all__ = ["build", "fuzz_case"]

RICH = """\
seed_everything: 3
threads: 1
checkpoint_every: 5
trainer:
  accelerator: cpu
  devices: 1
  precision: 32-true
  gradient_clip_val: 1.0
  accumulate_grad_batches: 2
  check_val_every_n_epoch: 1
  callbacks:
    - class_path: lightning.pytorch.callbacks.EarlyStopping
      init_args: {monitor: val/f1_macro, mode: max, patience: 3}
model:
  backbone: compact_efficientnet
  drop_rate: 0.1
  normalization: image
  loss: {class_path: dpc_lightning.models.losses.FocalLoss, init_args: {gamma: 2.0}}
  optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.1, momentum: 0.9}}
  scheduler: {class_path: dpc_lightning.models.schedules.Cosine, init_args: {warmup: 0.1}}
  batch_size: 16
  augment: flips
  tta: 4
  average_decay: 0.9
  retries_after_nan: 1
evaluate:
  epochs: 3
  backbone: compact_efficientnet
  batch_size: 16
data:
  root: /nowhere/data
  image_size: 32
  validation_fraction: 0.2
  eval_batch_size: 64
  num_workers: 0
  generator:
    training: 20
    unlabelled: 30
    validation: 10
    test: 10
    px: 32
purchase:
  labels: 12
  rounds: 2
  pretrain_epochs: 2
  round_epochs: 1
  round_start: fresh
  seconds: 100.0
  acquisition: {class_path: dpc_lightning.acquisition.ClassQuota}
  oracle: {class_path: dpc_lightning.purchase.HiddenLabels}
"""


class _WaitingError(Exception):
    """Stops the command line when it has made its parser."""


class _Captured(PurchaseCLI):
    """A command line that stops before it parses."""

    made: "list[tuple[_Captured, LightningArgumentParser]]"

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        self.made.append((self, parser))
        raise _WaitingError


@cache
def _command_line() -> tuple[_Captured, LightningArgumentParser]:
    """Make the parser once: it takes longer than a hundred cases."""
    _Captured.made = []
    with suppress(_WaitingError):
        _Captured(["fit"])
    return _Captured.made[0]


def fuzz_case(seed: int, folder: Path) -> str:
    """Spoil a configuration in one way; parse it, and make trainer, model and data from it.

    Args:
        seed: says how.
        folder: for the file; used again by later cases.

    Returns:
        `read`, or `refused: ` and the class of the error, `SystemExit` for the parser's own.

    Raises:
        AssertionError: if anything else comes out, if there is no message, or if a file is written.
    """
    random = Random(seed)
    file = folder / "run.yaml"
    text = random.choice((RICH, RICH, config_path("quickstart").read_text()))
    content = _spoilt(text, random)
    file.write_bytes(content)
    said, here = io.StringIO(), {path.name for path in Path.cwd().iterdir()}
    logging.disable(logging.WARNING)
    try:
        with redirect_stderr(said), redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            build(["fit", f"--config={file}", "--trainer.accelerator=cpu", "--trainer.devices=1"])
        outcome = "read"
    except DpcError as error:
        require(bool(str(error).strip()), "there is no message")
        outcome = f"refused: {type(error).__name__}"
    except SystemExit as stop:
        require(stop.code == 2 and "error: " in said.getvalue(), "the parser gave no message")
        outcome = "refused: SystemExit"
    except BaseException as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    finally:
        torch.set_num_threads(1)
        logging.disable(logging.NOTSET)
    assert file.read_bytes() == content, "the file has changed"
    assert {path.name for path in folder.iterdir()} == {file.name}, "something was written"
    assert {path.name for path in Path.cwd().iterdir()} == here, "something was written"
    return outcome


def _spoilt(text: str, random: Random) -> bytes:
    share = random.random()
    if share < 0.6:  # what is YAML still goes deeper
        tree = mutate_tree(yaml.safe_load(text), random)
        return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode()
    if share < 0.75:
        return mutate_bytes(text.encode(), random)
    return mutate_text(text, random, random.choice((": ", " ", ", ")))


def build(words: list[str]) -> None:
    """Parse a command line and make trainer, model and data from it."""
    line, parser = _command_line()
    state: Any = line
    PurchaseCLI.parse_arguments(line, parser, words)
    state.subcommand = "fit"
    line.before_instantiate_classes()
    line.instantiate_classes()
