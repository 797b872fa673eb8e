"""The commands `benchmark` and `benchmark judge`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings
from rich.console import Console

from dpc_lightning.errors import ConfigError, DpcError
from dpc_lightning.evaluation.jobs.benchmark import Options, run_benchmark
from dpc_lightning.evaluation.jobs.judging import benchmark_of_purchases
from dpc_lightning.evaluation.jobs.settings import Benchmark, Reference

__all__ = ["Started", "main"]


@dataclass(frozen=True)
class Started:
    """What one start of a benchmark came to.

    Attributes:
        status: exit status: 0 if every job has an outcome, 1 if some have failed, 4 if some are left for another start,
            2 if the words were not understood.
        run_dir: folder of the results; None if the words were not understood, or only help was asked for.
        metric: score by which the tables rank.
        wandb: W&B project that gets the report, and the name of the run there; None for neither.
    """

    status: int
    run_dir: Path | None = None
    metric: str = "f1_macro"
    wandb: tuple[str | None, str | None] = (None, None)


def main(argv: Sequence[str]) -> Started:
    """Run a benchmark, or judge purchases that were made elsewhere.

    Args:
        argv: the words after `benchmark`.

    Returns:
        The exit status, and where the results are.

    Raises:
        DpcError: if a setting is wrong, or the results cannot be used.
    """
    words = list(argv)
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    judging = bool(words) and words[0] == "judge"
    parser = _judge_parser() if judging else _parser()
    try:
        chosen = parser.parse_args(words[1:] if judging else words)
    except SystemExit as end:
        return Started(end.code if isinstance(end.code, int) else 2)
    options = Options(**{each.name: chosen[each.name] for each in fields(Options)})
    benchmark = _to_judge(chosen) if judging else _chosen_benchmark(parser, chosen)
    status = run_benchmark(benchmark, Path(chosen.run_dir), options, Console(soft_wrap=True))
    return Started(status, Path(chosen.run_dir), benchmark.metric, (options.wandb_project, options.wandb_name))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m dpc_lightning benchmark",
        description="Compare rules that buy labels: the same budgets, pipelines and seeds for each, with the "
        "references none, random, random at double budget and all. Every result is kept; the same command goes on "
        "where it stopped. `benchmark judge --help` explains how to judge purchases that were made elsewhere.",
        usage="python -m dpc_lightning benchmark --config NAME_OR_FILE --run_dir DIR [options]",
    )
    parser.add_argument(
        "--config", "-c", action="config", help="Packaged name (for example benchmark/quick), or a file."
    )
    _add_options(parser)
    parser.add_class_arguments(Benchmark, as_group=True)
    return parser


def _judge_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m dpc_lightning benchmark judge",
        description="Judge purchases by pipelines: train on the start set and what a file lists, beside the references "
        "none, random (as many labels, and twice as many) and all, on the same data.",
    )
    parser.add_argument(
        "--purchases", type=list[str], required=True, help="Files: `purchases.csv` of runs, or one image index a line."
    )
    parser.add_argument(
        "--config",
        type=str | None,
        default=None,
        help="Configuration of `fit` with the data; null takes `config.yaml` beside the first file.",
    )
    parser.add_argument(
        "--pipelines", type=list[str], default=["cpu_cosine"], help="Names in configs/pipelines/, or YAML files."
    )
    parser.add_argument("--seeds", type=list[int], default=[0], help="Seeds of the judging training; 8 for a verdict.")
    parser.add_argument(
        "--references",
        type=list[Reference],
        default=["none", "double", "all"],
        help="References beside random: none, double (random, twice as many labels) and all.",
    )
    parser.add_argument("--metric", type=str, default="f1_macro", help="Score by which the tables rank.")
    _add_options(parser)
    return parser


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--run_dir", type=str, required=True, help="Folder of the results and of the jobs.")
    parser.add_class_arguments(Options, as_group=True)


def _chosen_benchmark(parser: ArgumentParser, chosen: Namespace) -> Benchmark:
    try:
        made = parser.instantiate(chosen)
    except DpcError:
        raise
    except (ValueError, TypeError) as error:  # of a setting that may also be null the parser tells in words of its own
        msg = f"A setting is refused: {error}"
        raise ConfigError(msg) from error
    return Benchmark(**{each.name: made[each.name] for each in fields(Benchmark)})


def _to_judge(chosen: Namespace) -> Benchmark:
    return benchmark_of_purchases(
        [Path(file) for file in chosen.purchases],
        config=chosen.config,
        pipelines=chosen.pipelines,
        seeds=chosen.seeds,
        references=chosen.references,
        metric=chosen.metric,
    )
