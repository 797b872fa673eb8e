"""The one front door: `python -m dpc_lightning COMMAND …`."""

import os
import sys

if __name__ == "__main__" and sys.argv[1:2] == ["entry"]:
    # an entry's folder may be the current one, and nothing in there is to be imported by its host
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  pathlib is not imported yet
    sys.path[:] = [path for path in sys.path if path not in {"", os.getcwd()} or os.getcwd() == here]  # noqa: PTH109

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path

from dpc_lightning.errors import DpcError, LabelsPendingError, PreemptedError, RunDirError

__all__ = ["main"]

# albumentations asks the network for a newer version when it is imported; a training run has no use for the answer
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# threads that wait by spinning make everything several times slower on a machine that does other work too
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

HELP = """\
Decide which labels to buy, buy each exactly once, train on all you own.

usage: dpc-lightning COMMAND …      (or: python -m dpc_lightning COMMAND …)

commands:
  fit           pretrain, buy labels in rounds, train on them, evaluate, test
  validate      validate the final model of a run
  test          test the final model of a run
  predict       write probabilities and decisions for a folder of images
  data          make, convert or check a data root
  acquisitions  list the rules that pick what to buy, or explain one
  benchmark     compare rules over budgets, pipelines and seeds; `benchmark judge` judges purchases made elsewhere
  entry         run an entry of the Data Purchasing Challenge, shut off from the hidden labels, and judge it
  ledger        show, verify or export the purchases of a run
  report        write a page that shows what a run or a benchmark found

`COMMAND --help` explains each. `fit --print_config` prints every setting with its default.
Start with: python -m dpc_lightning fit --config quickstart
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: words after the program's name; None for those of the process.

    Returns:
        The exit status: 0 for success, 1 for a failed check, 2 for an error that the message explains, 3 for a run that
        waits for labels of people and goes on when it is started again, 4 for a benchmark that has jobs left, 75 for
        one that was asked to end and does so.

    Example:
        >>> main(["--help"])  # doctest: +ELLIPSIS
        Decide which labels to buy, ...
        0
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in {"-h", "--help"}:
        print(HELP, end="")
        return 0
    if words[0] == "--version":
        from dpc_lightning import __version__  # noqa: PLC0415

        print(__version__)
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        print(f"There is no command `{words[0]}`.\n\n{HELP}", end="", file=sys.stderr)
        return 2
    try:
        return command(words)
    except DpcError as error:
        return _explain(error)


def _explain(error: DpcError) -> int:
    """Print what ended a command, and give the exit status."""
    if isinstance(error, LabelsPendingError | PreemptedError):  # nothing went wrong: the same command goes on
        print(error, file=sys.stderr)
        return 75 if isinstance(error, PreemptedError) else 3
    print(f"error: {error}", file=sys.stderr)
    return 2


def _train(words: Sequence[str]) -> int:
    from dpc_lightning.cli import run  # noqa: PLC0415  commands that do not train import no Lightning

    run_dir = run(_with_config_of_run(_with_packaged_configs(words)))
    if run_dir is not None:
        from dpc_lightning.report import draw_purchases, log_run, print_run  # noqa: PLC0415

        if not run_dir.picture.exists():  # a finished run keeps its picture
            draw_purchases(run_dir)
        print_run(run_dir)
        log_run(run_dir.path)
    return 0


def _predict(words: Sequence[str]) -> int:
    from dpc_lightning.predictions import main as predict  # noqa: PLC0415

    return predict(words[1:])


def _benchmark(words: Sequence[str]) -> int:
    from dpc_lightning.evaluation.jobs.commands import main as benchmark  # noqa: PLC0415

    started = benchmark(_with_packaged_configs(words)[1:])
    if started.run_dir is not None:
        from dpc_lightning.report import log_benchmark, print_verdicts, write_report  # noqa: PLC0415

        if print_verdicts(started.run_dir, started.metric):
            place, metric, (project, name) = started.run_dir, started.metric, started.wandb
            page = log_benchmark(place, project, name, metric=metric) if project else write_report(place, metric=metric)
            print(f"The report is {page}")
    return started.status


def _entry(words: Sequence[str]) -> int:
    from dpc_lightning.starter_kit.commands import main as entry  # noqa: PLC0415

    started = entry(words[1:])
    if started.run_dir is not None:
        from dpc_lightning.report import print_verdicts, write_report  # noqa: PLC0415

        if print_verdicts(started.run_dir, started.metric):
            print(f"The report is {write_report(started.run_dir, metric=started.metric)}")
    return started.status


def _acquisitions(words: Sequence[str]) -> int:
    from dpc_lightning.acquisition.commands import main as acquisitions  # noqa: PLC0415

    return acquisitions(words[1:])


def _ledger(words: Sequence[str]) -> int:
    from dpc_lightning.purchase.commands import main as ledger  # noqa: PLC0415

    return ledger(words[1:])


def _report(words: Sequence[str]) -> int:
    from dpc_lightning.report.commands import main as report  # noqa: PLC0415

    return report(words[1:])


def _data(words: Sequence[str]) -> int:
    from dpc_lightning.data.commands import main as data  # noqa: PLC0415

    return data(words[1:])


def _with_config_of_run(words: list[str]) -> list[str]:
    """Let `test --run_dir RUN` and `validate --run_dir RUN` take the configuration that the run left."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", "-c")
    parser.add_argument("--run_dir")
    known, _ = parser.parse_known_args(words[1:])
    if words[0] == "fit" or known.config is not None or known.run_dir is None:
        return words
    config = Path(known.run_dir) / "config.yaml"
    if not config.is_file():
        msg = f"There is no {config}: expected `--run_dir` of a run, or `--config`."
        raise RunDirError(msg)
    return [words[0], "--config", str(config), *words[1:]]


def _with_packaged_configs(words: Sequence[str]) -> list[str]:
    """Let `--config quickstart` and `--config configs/quickstart.yaml` name the packaged file where no file lies so."""
    from dpc_lightning.configs import config_path  # noqa: PLC0415

    resolved = list(words)
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag not in {"--config", "-c"}:
            continue
        given = value if equals else (words[place + 1] if place + 1 < len(words) else "")
        if given and not Path(given).is_file():
            found = str(config_path(given.removeprefix("configs/")))
            resolved[place if equals else place + 1] = f"{flag}={found}" if equals else found
    return resolved


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "fit": _train,
    "validate": _train,
    "test": _train,
    "predict": _predict,
    "data": _data,
    "acquisitions": _acquisitions,
    "entry": _entry,
    "ledger": _ledger,
    "report": _report,
    "benchmark": _benchmark,
}


if __name__ == "__main__":
    sys.exit(main())
