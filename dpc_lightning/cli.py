"""`fit`, `validate`, `test` and `predict` by the Lightning CLI."""

import logging
import os
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import yaml
from jsonargparse import Namespace, set_parsing_settings
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from typing_extensions import override

from dpc_lightning.acquisition import Acquisition
from dpc_lightning.atomic import remove_drafts
from dpc_lightning.config_file import check_config_file
from dpc_lightning.data.datamodule import PurchaseDataModule, TrainView
from dpc_lightning.data.loaders import worker_errors
from dpc_lightning.errors import ConfigError, DpcError, LoweredRateError, RunDirError
from dpc_lightning.lost_ranks import PARENT, StarterWatch, name_lost_ranks
from dpc_lightning.metrics_file import MetricsFile
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.recipe import Pipeline
from dpc_lightning.purchase.plan import PurchasePlan
from dpc_lightning.run_dir import RunDir
from dpc_lightning.run_summary import write_summary
from dpc_lightning.trainer import PurchaseTrainer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["PurchaseCLI", "run"]

TRAINER_DEFAULTS: dict[str, Any] = {
    "logger": False,  # metrics.csv is always written; further loggers are named in YAML
    "num_sanity_val_steps": 0,  # every phase validates soon enough
    "log_every_n_steps": 1,
    "enable_model_summary": False,
}


GROUPS = ("trainer", "model", "data", "purchase", "evaluate")
"""Groups of settings."""

OF_ONE_START = frozenset({"ckpt_path", "weights_only"})
"""Words of one start that are no settings of the run."""

USAGE = "dpc-lightning {} [--config NAME_OR_FILE] [--run_dir DIR] [--GROUP.SETTING VALUE ...]"
"""Short, because an error is printed below it, and `--help` lists every setting."""


class PurchaseCLI(LightningCLI):
    """The Lightning CLI with the groups `purchase:` and `evaluate:` and a folder for the run.

    Args:
        args: words of the command line; None for those of the process.
        run: whether to carry out a sub-command; False only builds the objects.
    """

    trainer: PurchaseTrainer
    model: MultiLabelClassifier
    datamodule: PurchaseDataModule
    run_dir: RunDir

    def __init__(self, args: Sequence[str] | None = None, *, run: bool = True) -> None:
        self._resources = ExitStack()
        with self._resources:
            super().__init__(
                MultiLabelClassifier,
                PurchaseDataModule,
                trainer_class=PurchaseTrainer,
                trainer_defaults=TRAINER_DEFAULTS,
                save_config_callback=None,  # the run folder keeps and compares the configuration
                auto_configure_optimizers=False,  # one optimizer a stage, made anew for each phase
                load_from_checkpoint_support=False,
                parser_kwargs={
                    "prog": "dpc-lightning",
                    **{name: {"usage": USAGE.format(name)} for name in self.subcommands()},
                },
                args=None if args is None else list(args),
                run=run,
            )

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        words = sys.argv[1:] if args is None else cast("list[str]", args)
        for file in _config_files(words):
            check_config_file(file, GROUPS)
        self.config = parser.parse_args(words)

    @override
    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--seed_everything",
            type=NonNegativeInt,
            default=0,
            help="Seed of the run: of weights, order, augmentation and picks. Runs of one seed are paired.",
        )

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="Folder that holds everything of a run. Default: runs/<config name>/<time>. The same command with the "
            "same folder goes on where the run stopped.",
        )
        parser.add_argument(
            "--threads",
            type=PositiveInt | None,
            default=None,
            help="Threads of torch in each process. Small networks on a CPU are fastest with 1; null leaves it to "
            "torch. Results on a CPU depend on it in the last digits.",
        )
        parser.add_argument(
            "--checkpoint_every",
            type=PositiveInt | None,
            default=None,
            help="Write last.ckpt also after so many training steps, for epochs that are too long to lose. It is "
            "written after each epoch and between phases anyway.",
        )
        parser.add_instantiator(_rule, Acquisition, subclasses=True)
        parser.add_class_arguments(PurchasePlan, "purchase")
        parser.set_defaults(_defaults_by_class_path(PurchasePlan, "purchase"))
        parser.add_class_arguments(Pipeline, "evaluate")
        parser.link_arguments("evaluate", "model.evaluate", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.seed")

    @override
    def before_instantiate_classes(self) -> None:
        settings = self._group(self.config)
        for group in GROUPS:
            if not isinstance(settings.get(group), Namespace):
                msg = f"Expected settings in the group `{group}:`, but got {settings.get(group)!r}."
                raise ConfigError(msg)
        threads = settings["threads"]
        if threads is not None:
            try:
                torch.set_num_threads(threads)
            except (RuntimeError, ValueError, OverflowError) as error:
                msg = f"Expected a number of threads in `threads`, but torch refuses {threads}: {error}"
                raise ConfigError(msg) from error
            os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # or Lightning's launcher sets a number of its own

    @override
    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, ArithmeticError, MisconfigurationException) as error:
            raise _refusal(error) from error

    @override
    def instantiate_trainer(self, **kwargs: Any) -> PurchaseTrainer:
        built, config = self._group(self.config_init), self._group(self.config)
        self.run_dir = RunDir.settle(config["run_dir"], _config_name(config), os.environ)
        settings = {**built["trainer"], **kwargs}
        callbacks = settings.pop("callbacks") or []
        if settings.pop("default_root_dir", None) is not None:
            msg = "`trainer.default_root_dir` has no effect here: everything of a run is in `--run_dir`."
            raise ConfigError(msg)
        return PurchaseTrainer.with_purchase(
            built["purchase"],
            evaluate_epochs=built["evaluate"].epochs,
            run_dir=self.run_dir,
            seed=int(config["seed_everything"]),
            checkpoint_every=config["checkpoint_every"],
            callbacks=callbacks if isinstance(callbacks, list) else [callbacks],
            **settings,
        )

    def before_fit(self) -> None:
        """Take the run folder: rank 0 locks it and keeps the configuration in it. Listen to signals from now on."""
        if self.trainer.is_global_zero:
            self.run_dir.create()
            self._resources.enter_context(self.run_dir.locked())
            for folder in (self.run_dir.path, self.run_dir.checkpoints):
                remove_drafts(folder)  # of a start that was killed while it wrote
            self.run_dir.keep_config(self._resolved())
        self.run_dir.hand_on()
        self._resources.enter_context(self.trainer.preemption.listening())

    def after_fit(self) -> None:
        """Test the evaluation's model and write the summary."""
        if self.trainer.finished:
            rank_zero_info(f"The run in {self.run_dir.path} is finished.")
            return
        self.trainer.test(self.model, datamodule=self.datamodule, verbose=False)
        if self.trainer.is_global_zero:
            write_summary(self.run_dir, self.trainer, self.model, self.datamodule)

    def before_test(self) -> None:
        """Take the final weights of the run, unless others are named."""
        self._use_final_checkpoint()

    def before_validate(self) -> None:
        """Take the final weights of the run, unless others are named."""
        self._use_final_checkpoint()

    def _use_final_checkpoint(self) -> None:
        settings = self._group(self.config_init)
        if settings["ckpt_path"] is None:
            final = self.run_dir.final_checkpoint
            if not final.is_file():
                msg = f"There is no {final}: expected `--run_dir` of a finished run, or `--ckpt_path`."
                raise RunDirError(msg)
            settings["ckpt_path"] = str(final)
        self.datamodule.generator = None  # data that is not there any more is an error, and not made anew
        self.datamodule.enter_phase(TrainView(blur=self.model.evaluate.blur))
        # metrics.csv is the record of the fit, and stays as the fit left it
        self.trainer.loggers = [each for each in self.trainer.loggers if not isinstance(each, MetricsFile)]

    def _group(self, config: Any) -> Any:
        return config[self.subcommand] if self.subcommand else config

    def _resolved(self) -> str:
        dumped = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        settings = {key: value for key, value in dumped[self.subcommand].items() if key not in OF_ONE_START}
        for place in ("root", "cache_dir"):  # the run may be looked at again from another folder
            if settings["data"][place] is not None:
                settings["data"][place] = str(Path(settings["data"][place]).absolute())
        return yaml.safe_dump(settings, sort_keys=False)


def _rule(kind: type[Acquisition], /, *args: Any, **settings: Any) -> Acquisition:
    """Make a rule; what is wrong with its settings is said with its name, however deep in others it stands."""
    try:
        return kind(*args, **settings)
    except ConfigError as error:
        msg = f"`purchase.acquisition`, rule {kind.__name__}: {error}"
        raise ConfigError(msg) from error


def _refusal(error: Exception) -> DpcError:
    """Find what a constructor of ours or of Lightning said, under what the parser made of it."""
    deepest: BaseException | None = error
    while deepest is not None:
        if isinstance(deepest, DpcError):
            return deepest
        if isinstance(deepest, MisconfigurationException):
            break
        deepest = deepest.__cause__ or deepest.__context__
    return ConfigError(f"A setting is refused: {deepest or error}")


def _config_files(words: Sequence[str]) -> list[Path]:
    """List the configuration files that a command line names and that are there; the parser names the others."""
    finder = ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", "-c", action="append", default=[])
    known, _ = finder.parse_known_args(list(words))
    return [Path(file) for file in known.config if Path(file).is_file()]


def _defaults_by_class_path(settings: "type[DataclassInstance]", group: str) -> dict[str, Any]:
    """Name the classes that a dataclass makes its defaults from, so that a saved configuration names them too."""
    made: dict[str, object] = {field.name: field.default_factory for field in fields(settings)}
    return {
        f"{group}.{name}": {"class_path": f"{factory.__module__}.{factory.__qualname__}"}
        for name, factory in made.items()
        if isinstance(factory, type)
    }


def run(words: Sequence[str]) -> RunDir | None:
    """Carry out `fit`, `validate` or `test`.

    Args:
        words: words of the command line, the sub-command first.

    Returns:
        The folder of a finished `fit`, on the process that prints; None for every other.
    """
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_news)
    if any(word in {"-h", "--help"} or word.endswith(".help") for word in words):
        set_parsing_settings(docstring_parse_attribute_docstrings=True)  # takes a second, so only where it is shown
    watch = StarterWatch.of(os.environ)
    if watch is not None:
        watch.start()
    elif "LOCAL_RANK" not in os.environ:
        os.environ[PARENT] = str(os.getpid())  # for the ranks that Lightning's launcher may start
    with warnings.catch_warnings(), name_lost_ranks():
        # Lightning 2.6.6 asks torch in a way that torch 2.15 deprecates: nothing that a user can mend
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated", category=FutureWarning)
        with worker_errors():
            done = _carry_out(words)
    return done.run_dir if done.subcommand == "fit" and done.trainer.is_global_zero else None


def _carry_out(words: Sequence[str]) -> PurchaseCLI:
    """Carry out a command; start it again each time that the run is to go on with a lower learning rate."""
    while True:
        try:
            return PurchaseCLI(words)
        except LoweredRateError as error:
            rank_zero_only(print)(error, file=sys.stderr)
            words = [*_without_checkpoint(words), f"--run_dir={error.run_dir}"]  # not a folder of the time again


def _without_checkpoint(words: Sequence[str]) -> list[str]:
    """Leave out `--ckpt_path`: a retry goes on from the last checkpoint of the run."""
    left, skip = [], False
    for word in words:
        if not skip and not word.startswith("--ckpt_path="):
            left.append(word)
        skip = word == "--ckpt_path"
    return [word for word in left if word != "--ckpt_path"]


def _is_news(record: logging.LogRecord) -> bool:
    """Tell what a person wants to know of a run from what Lightning says in every one, and in every phase of ours."""
    said = record.getMessage()
    return not said.startswith(
        ("💡", "GPU available", "TPU available", "`Trainer.fit` stopped", "Loading `train_dataloader`")
    )


def _config_name(config: Any) -> str:
    files = config.get("config") or []
    return Path(str(files[-1])).stem if files else "defaults"
