"""`python -m dpc_lightning entry path/to/run.py`."""

import inspect
import json
import secrets
import signal
import sys
import textwrap
import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dpc_lightning.atomic import write_text
from dpc_lightning.configs import config_path
from dpc_lightning.errors import ConfigError, EntryError, PreemptedError, RunDirError
from dpc_lightning.evaluation.jobs.benchmark import Options, run_benchmark
from dpc_lightning.evaluation.jobs.judging import benchmark_of_purchases
from dpc_lightning.process_lock import ProcessLock
from dpc_lightning.starter_kit.entry import EntryRecord, run_entry
from dpc_lightning.starter_kit.examples import EXAMPLES, example_path
from dpc_lightning.starter_kit.hosted_data import HostedData, open_data
from dpc_lightning.starter_kit.settings import EntrySettings

__all__ = ["Started", "main"]

GUESSABLE = 2**48
"""A seed of generated sheets below this can be found by trying."""


class Started(NamedTuple):
    """What one start came to: exit status, folder with results to report (None for none), and the metric."""

    status: int
    run_dir: Path | None = None
    metric: str = "f1_macro"


def main(argv: Sequence[str]) -> Started:
    """Run an entry, then judge what it bought.

    Args:
        argv: the words after `entry`.

    Returns:
        Exit status: 0 if it was run and judged, 1 if the entry failed or bought nothing or a judgement failed, 2 if the
        words were not understood, 4 if judgements are left.

    Raises:
        DpcError: if the entry cannot be run, or data, settings or results are wrong.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    try:
        chosen = _parser().parse_args(list(argv))
    except SystemExit as end:
        return Started(end.code if isinstance(end.code, int) else 2)
    settings = EntrySettings(**{each.name: chosen[each.name] for each in fields(EntrySettings)})
    options = Options(**{each.name: chosen[each.name] for each in fields(Options)})
    run_dir = Path(chosen.run_dir).absolute()
    console = Console(soft_wrap=True)
    entry = example_path(chosen.entry)
    if not entry.is_file():
        msg = f"Expected an entry's file, for example `path/to/run.py`, but there is no {entry}."
        raise EntryError(msg)
    folder = run_dir / "entry"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"Cannot make the folder {folder}: {error.strerror or error}."
        raise RunDirError(msg) from error
    lock = ProcessLock(folder / ".lock", name=f"Folder {folder}", way_out="One folder, one entry.", error=RunDirError)
    here = threading.current_thread() is threading.main_thread()  # no other thread may set what a signal does
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGINT) if here}
    try:
        config = _configuration(chosen, run_dir)
        _keep(config, folder / "config.yaml")
        record = _run(entry, config, folder, settings, console)
    finally:
        lock.release()
        for number, handler in before.items():
            signal.signal(number, handler)
    _print_record(record, console)
    if not settings.judge or not record.bought:
        return Started(0 if record.how == "finished" and record.bought else 1)
    benchmark = benchmark_of_purchases(
        [folder / "purchases.csv"],
        config=str(folder / "config.yaml"),
        pipelines=settings.pipelines or [_own_pipeline(config, folder)],
        seeds=settings.seeds,
        references=settings.references,
        metric=settings.metric,
    )
    status = run_benchmark(benchmark, run_dir, options, console)
    return Started(status or (0 if record.how == "finished" else 1), run_dir, settings.metric)


def _end(number: int, _: object) -> None:
    """End the entry too, in place of leaving it to itself."""
    msg = f"Asked to end by {signal.Signals(number).name}. What the entry had bought counts; it cannot go on."
    raise PreemptedError(msg)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m dpc_lightning entry",
        description="Run an entry of the Data Purchasing Challenge as it is, shut off from the hidden labels, and "
        "judge what it buys beside none, random and all. docs/entry.md explains, docs/security.md says what is kept.",
        usage="python -m dpc_lightning entry RUN_PY --run_dir DIR [options]",
    )
    parser.add_argument(
        "entry",
        type=str,
        help=f"File with the class, for example path/to/run.py; or an example: {', '.join(EXAMPLES)}.",
    )
    parser.add_argument("--run_dir", type=str, required=True, help="Folder of the purchase and the judgements.")
    parser.add_argument(
        "--config",
        "-c",
        type=str,
        default="quickstart",
        help="Configuration of `fit` with the data, the budgets and the pipeline: a packaged name, or a file.",
    )
    parser.add_argument(
        "--data.root",
        type=str | None,
        default=None,
        help="Data root; null takes that of the configuration, but generates sheets anew, from a secret seed.",
    )
    parser.add_argument("--data.image_size", type=int | None, default=None, help="Side of the images in pixels.")
    parser.add_argument("--data.cache_dir", type=str | None, default=None, help="Folder of the decoded images.")
    parser.add_argument("--purchase.labels", type=int | None, default=None, help="Label budget.")
    parser.add_argument(
        "--purchase.seconds",
        type=float | None,
        default=None,
        help="Compute budget of the entry in seconds; null takes that of the configuration, which may have none.",
    )
    parser.add_class_arguments(EntrySettings, as_group=True)
    parser.add_class_arguments(Options, as_group=True)
    return parser


def _configuration(chosen: Namespace, run_dir: Path) -> dict[str, Any]:
    """Give the configuration of `fit` with the data as the entry gets it; a second start takes that of the first."""
    config = _read_configuration(chosen.config)
    data, purchase = config["data"], config["purchase"]
    if data.get("root") is None and chosen.data.root is None and not data.get("generator"):
        msg = f"Expected `data.root` in {chosen.config}, or --data.root."
        raise ConfigError(msg)
    for key in ("image_size", "cache_dir"):
        if chosen.data[key] is not None:
            data[key] = chosen.data[key]
    for key in ("labels", "seconds"):
        if chosen.purchase[key] is not None:
            purchase[key] = chosen.purchase[key]
    if chosen.data.root is not None:
        data["root"] = str(Path(chosen.data.root).absolute())
        data.pop("generator", None)  # it is taken as it stands
    elif data.get("generator"):
        data["root"] = str(run_dir / "data")
    data["root"] = str(Path(data["root"]).absolute())
    if data.get("generator"):
        data["generator"]["seed"] = _secret_seed(run_dir)
    return config


def _read_configuration(name: str) -> dict[str, Any]:
    file = Path(name) if Path(name).is_file() else config_path(name.removeprefix("configs/"))
    try:
        loaded: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"Expected YAML in {file}, but: {error}"
        raise ConfigError(msg) from error
    if not isinstance(loaded, dict) or not isinstance(loaded.get("data"), dict):
        msg = f"Expected a configuration of `fit` with a group `data:` in {file}."
        raise ConfigError(msg)
    config: dict[str, Any] = {"purchase": {}, **loaded}
    if not isinstance(config["purchase"], dict) or not isinstance(config["data"].get("generator") or {}, dict):
        msg = f"Expected groups of settings at `purchase:` and `data.generator:` in {file}."
        raise ConfigError(msg)
    return config


def _keep(config: Mapping[str, Any], file: Path) -> None:
    """Write the configuration down, or make sure that it is the one that the folder began with."""
    if not file.exists():
        write_text(file, yaml.safe_dump(dict(config), sort_keys=False))
        return
    earlier = yaml.safe_load(file.read_text(encoding="utf-8"))
    differing = [key for key in {**earlier, **config} if earlier.get(key) != config.get(key)]
    if differing:
        groups = ", ".join(f"`{key}:`" for key in differing)
        msg = f"{file.parent} was begun with other settings of {groups}. An entry is run once a folder: name another."
        raise EntryError(msg)


def _secret_seed(run_dir: Path) -> int:
    """Draw the seed of the sheets, or read that of an earlier start."""
    earlier = run_dir / "entry" / "config.yaml"
    if earlier.exists():
        known: Mapping[str, Any] = yaml.safe_load(earlier.read_text(encoding="utf-8"))
        if known["data"].get("generator"):
            return int(known["data"]["generator"]["seed"])
    return secrets.randbits(63) | 1 << 62


def _run(
    entry: Path, config: Mapping[str, Any], folder: Path, settings: EntrySettings, console: Console
) -> EntryRecord:
    labels, seconds = config["purchase"].get("labels"), config["purchase"].get("seconds")
    if isinstance(labels, bool) or not isinstance(labels, int) or not 0 <= labels < 2**31:
        msg = f"Expected `purchase.labels` to be a whole number from 0 to 2147483647, but got {labels!r}."
        raise ConfigError(msg)
    a_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (a_number and 0 < seconds < float("inf")):
        msg = f"Expected `purchase.seconds` to be a positive number or null, but got {seconds!r}."
        raise ConfigError(msg)
    seed = config.get("seed_everything")
    data = _data(config["data"], seed if isinstance(seed, int) else 0)
    _warn_of_guessable_seed(data.root, console)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not Console(stderr=True).is_terminal) as bar:
        task = bar.add_task(entry.name, total=max(labels, 1), said="")

        def show(share: float, bought: int) -> None:
            bar.update(task, completed=bought, said=f"{bought} of {labels} labels, says {share:.0%}")

        return run_entry(entry, data, folder, settings, labels=labels, seconds=seconds, on_progress=show)


def _data(section: Mapping[str, Any], seed: int) -> HostedData:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_function_arguments(open_data, "data")
    known = inspect.signature(open_data).parameters  # how batches are loaded is not the host's business
    wanted = {"seed": seed} | {name: value for name, value in section.items() if name in known}
    try:
        made = parser.instantiate(parser.parse_object({"data": wanted}))
    except ArgumentError as error:
        msg = f"The group `data:` is refused: {error}"
        raise ConfigError(msg) from error
    return open_data(**made.data.as_dict())


def _own_pipeline(config: Mapping[str, Any], folder: Path) -> str:
    """Write the configuration's own `evaluate:` as a pipeline."""
    file = folder / "evaluate.yaml"
    write_text(file, yaml.safe_dump({"evaluate": config.get("evaluate") or {}}, sort_keys=False))
    return str(file)


def _warn_of_guessable_seed(root: Path, console: Console) -> None:
    made = root / "sheets.json"
    seed = json.loads(made.read_text(encoding="utf-8")).get("seed") if made.exists() else None
    if isinstance(seed, int) and seed < GUESSABLE:
        console.print(
            f"[yellow]The sheets in {root} were generated from the seed {seed}: whoever knows or guesses it can "
            "compute every label. Leave out --data.root to have sheets of a secret seed.[/yellow]"
        )


def _print_record(record: EntryRecord, console: Console) -> None:
    if not record.seal:
        console.print("[bold red]UNSEALED: this entry could read the hidden labels.[/bold red]")
    allowed = "no limit" if record.seconds_allowed is None else f"{record.seconds_allowed:g} s"
    console.print(
        f"{record.entry} {record.how}: {record.bought} of {record.labels} labels bought in {record.seconds:.1f} s "
        f"({allowed}); sealed by {record.seal or 'nothing'}.",
        markup=False,
    )
    if record.text:
        console.print(textwrap.indent(record.text, "    "), markup=False)  # indented: it may say what it likes
    if not record.bought:
        console.print("Nothing was bought, so there is nothing to judge.")
    sys.stdout.flush()
