"""Looking at a ledger: `python -m dpc_lightning ledger {show,verify,export} DIR`. They need no torch."""

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table

from dpc_lightning.errors import ConfigError, LedgerError
from dpc_lightning.purchase.export import purchases_as_csv
from dpc_lightning.purchase.ledger_view import LedgerView, Purchases

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run one of the `ledger` commands.

    Args:
        argv: the words after `ledger`.

    Returns:
        0 if all went well.

    Raises:
        LedgerError: if there is no ledger, or if it is damaged or was changed.
    """
    chosen = _parser().parse_args(list(argv))
    command: str = chosen.command
    folder: Path = chosen[command].DIR
    with LedgerView(folder / "ledger.sqlite") as ledger:
        if command != "verify":
            ledger.verify()  # nobody shall look at rows that were altered without being told
        if command == "show":
            _show(ledger, Console())
        elif command == "export":
            sys.stdout.write(purchases_as_csv(ledger.purchases(), None, ledger.classes))
        else:
            _verify(ledger, folder, chosen.verify.head)
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m dpc_lightning ledger", description="Look at the purchases of a run.")
    commands = parser.add_subcommands(dest="command", required=True)
    for name, about in (
        ("show", "Print budget, purchases by round, and what else the ledger noted."),
        ("verify", "Check every row against the hash chain, and its head against summary.json."),
        ("export", "Write the purchases to standard output as CSV."),
    ):
        command = ArgumentParser(description=about)
        command.add_argument("DIR", type=Path, help="Folder of a run, running or not.")
        if name == "verify":
            command.add_argument(
                "--head",
                type=str | None,
                default=None,
                help="A head of this ledger as a log, a summary or `ledger show` gave it: 64 hexadecimal digits. "
                "Then rows that were cut off after it are found too.",
            )
        commands.add_subcommand(name, command, help=about)
    return parser


def _show(ledger: LedgerView, console: Console) -> None:
    bought = ledger.purchases()
    table = Table(title=f"{ledger.path}", title_justify="left")
    for name in ("round", "bought", "clean", *ledger.classes, "first bought (UTC)"):
        table.add_column(name, justify="right")
    for number in np.unique(bought.round):
        rows = bought.round == number
        labels = bought.labels[rows]
        table.add_row(
            str(number),
            str(int(rows.sum())),
            str(int((labels.sum(axis=1) == 0).sum())),
            *map(str, labels.sum(axis=0, dtype=np.int64)),
            _when(bought, rows),
        )
    console.print(table)
    waiting = len(ledger.unanswered)
    console.print(
        f"{ledger.rows} of {ledger.budget} labels charged, {ledger.left} left; {waiting} not answered yet.",
        highlight=False,
    )
    for stop in ledger.events("clock_stop"):
        console.print(f"The compute budget was used up in {stop['phase']}, at step {stop['step']}.", highlight=False)
    console.print(f"head {ledger.head}", highlight=False, soft_wrap=True)


def _when(bought: Purchases, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    return datetime.fromtimestamp(float(bought.time[rows].min()), UTC).strftime("%Y-%m-%d %H:%M:%S")


def _verify(ledger: LedgerView, folder: Path, noted: str | None) -> None:
    heads = {
        "against the head given": None if noted is None else _checked_head(noted),
        "against summary.json": _summary_head(folder),
    }
    links = ledger.verify()
    against = [how for how, head in heads.items() if head is not None and ledger.verify(head)]
    if ledger.rows > ledger.budget:
        msg = f"Ledger {ledger.path}: {ledger.rows} labels are charged, but the budget is {ledger.budget}."
        raise LedgerError(msg)
    how = f"also {' and '.join(against)}" if against else "without a head, rows cut off at the end go unseen"
    sys.stdout.write(
        f"{ledger.path} is whole: {links} rows checked, {ledger.rows} of {ledger.budget} labels charged ({how})\n"
        f"head {ledger.head}\n"
    )


def _checked_head(noted: str) -> str:
    head = noted.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", head):
        msg = f"Expected `--head` to be 64 hexadecimal digits, as the log and summary.json give it, but got {noted!r}."
        raise ConfigError(msg)
    return head


def _summary_head(folder: Path) -> str | None:
    file = folder / "summary.json"
    if not file.exists():
        return None
    try:
        head = json.loads(file.read_text(encoding="utf-8"))["ledger_head"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"Expected {file} to be a summary with `ledger_head`, but: {error!r}. Move it away, or restore it."
        raise LedgerError(msg) from error
    return str(head)
