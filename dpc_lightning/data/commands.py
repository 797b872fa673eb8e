"""The commands beside training: `python -m dpc_lightning data {synthetic,deeppcb,check}`. They need no torch."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings
from rich.console import Console

from dpc_lightning.data.check import check_root
from dpc_lightning.data.converters.deeppcb import TileSettings, convert_deeppcb
from dpc_lightning.data.root_report import print_report
from dpc_lightning.data.synthetic.settings import SPLITS, SheetSettings
from dpc_lightning.data.synthetic.writer import write_sheets
from dpc_lightning.errors import DpcError

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run one of the `data` commands.

    Args:
        argv: the words after `data`.

    Returns:
        0 if all went well; 1 if the command failed or `check` found errors; 2 if the words were not understood.

    Example:
        >>> main(["check", "--root", "a folder that is not there"])
        1
    """
    try:
        chosen = _parser().parse_args(list(argv))
        return _run(chosen)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except DpcError as error:
        message = str(error).replace("`data.generator.", "`--")
        sys.stderr.write(f"error: {message}\n")
        return 1


def _parser() -> ArgumentParser:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog="python -m dpc_lightning data", description="Make and check data roots.")
    commands = parser.add_subcommands(dest="command", required=True)
    commands.add_subcommand("synthetic", _synthetic(), help="Write generated sheets of painted metal.")
    commands.add_subcommand("deeppcb", _deeppcb(), help="Convert DeepPCB, 1,500 real circuit boards.")
    commands.add_subcommand("check", _check(), help="Read everything in a data root and report in one table.")
    return parser


def _synthetic() -> ArgumentParser:
    parser = ArgumentParser(description="Write generated sheets of painted metal as a data root.")
    parser.add_argument("--root", type=Path, required=True, help="Folder to make; it must not exist or be empty.")
    parser.add_argument("--workers", type=int | None, default=None, help="Processes; null is one a core.")
    parser.add_class_arguments(SheetSettings, as_group=True)
    return parser


def _deeppcb() -> ArgumentParser:
    parser = ArgumentParser(description="Cut the boards of DeepPCB into tiles and write them as a data root.")
    parser.add_argument("--source", type=Path, required=True, help="The folder PCBData of DeepPCB.")
    parser.add_argument("--root", type=Path, required=True, help="Folder to make; it must not exist or be empty.")
    parser.add_class_arguments(TileSettings, as_group=True)
    return parser


def _check() -> ArgumentParser:
    parser = ArgumentParser(
        description="Read everything in a data root and report in one table; the hidden labels of the pool too."
    )
    parser.add_argument("--root", type=Path, required=True, help="A data root.")
    return parser


def _run(chosen: Namespace) -> int:
    command: str = chosen.command
    words: Namespace = chosen[command]
    root: Path = words.root
    if command == "check":
        report = check_root(root)
        print_report(report, Console())
        return 1 if report.errors else 0
    if command == "synthetic":
        settings = SheetSettings(**{field.name: words[field.name] for field in fields(SheetSettings)})
        write_sheets(root, settings, workers=words.workers)
        counts = {split: settings.count(split) for split in SPLITS}
    else:
        tiles = TileSettings(**{field.name: words[field.name] for field in fields(TileSettings)})
        convert_deeppcb(words.source, root, tiles)
        counts = {split: getattr(tiles, split) for split in SPLITS}
    listed = ", ".join(f"{split} {count:,}" for split, count in counts.items() if count)
    sys.stdout.write(f"{root} is complete: {listed} images\n")
    return 0
