"""Which rules there are and what each costs: `python -m dpc_lightning acquisitions [NAME]`. It needs no torch."""

import difflib
import inspect
from collections.abc import Sequence
from typing import Final

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dpc_lightning.acquisition.base import Acquisition
from dpc_lightning.acquisition.composed import Composed
from dpc_lightning.acquisition.rule_list import rules
from dpc_lightning.errors import ConfigError

__all__ = ["main"]

WIDE: Final = 120
"""Columns of a terminal from which on the list is a table."""


def main(argv: Sequence[str]) -> int:
    """Run the command `acquisitions`.

    Args:
        argv: the words after `acquisitions`.

    Returns:
        The exit status, 0.

    Raises:
        ConfigError: if there is no rule of the name given.
    """
    parser = ArgumentParser(
        prog="dpc-lightning acquisitions", description="List the rules that pick what to buy, or explain one of them."
    )
    parser.add_argument("NAME", type=str, nargs="?", help="Rule to explain; all are listed without it.")
    name: str | None = parser.parse_args(list(argv)).NAME
    if name is None:
        _list(Console())
    else:
        _explain(Console(), _found(name))
    return 0


def _found(name: str) -> type[Acquisition]:
    known = rules()
    if name in known:
        return known[name]
    lower = {rule.lower(): rule for rule in known}
    near = [lower[word] for word in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    msg = f"There is no rule `{name}`. {meant}`dpc-lightning acquisitions` lists all {len(known)}."
    raise ConfigError(msg)


def _summary(rule: type[Acquisition]) -> str:
    return (inspect.getdoc(rule) or "").partition("\n")[0]


def _needs(rule: type[Acquisition]) -> str:
    return ", ".join(sorted(word.replace("_", " ") for word in rule.needs))


def _list(console: Console) -> None:
    if console.width < WIDE:
        for name, rule in rules().items():
            _say(console, f"{name}: {_summary(rule)}")
            console.print(Padding(Text(_facts(rule)), (0, 0, 0, 4)))
    else:
        console.print(_table())
    console.print(
        "N images of the pool, L labelled, B picks, C classes, D columns of features. A rule that is made of others "
        "needs what they need.\n`dpc-lightning acquisitions NAME` explains one; docs/acquisition.md: how to choose.",
        highlight=False,
    )


def _facts(rule: type[Acquisition]) -> str:
    nothing = "what its rules need" if issubclass(rule, Composed) else "nothing"
    needs = _needs(rule) or nothing
    chance = "" if not rule.stochastic else "chance; "
    largest = "" if rule.largest_pool is None else f"; at most {rule.largest_pool:,} images"
    return f"{chance}needs {needs}; {rule.time}{largest}"


def _table() -> Table:
    table = Table(
        "rule", "what it does", "needs", "chance", "time", "largest pool", title="Rules that pick what to buy"
    )
    for name, rule in rules().items():
        largest = "any" if rule.largest_pool is None else f"{rule.largest_pool:,}"
        table.add_row(name, _summary(rule), _needs(rule), "yes" if rule.stochastic else "", rule.time, largest)
    return table


def _explain(console: Console, rule: type[Acquisition]) -> None:
    said = inspect.getdoc(rule) or ""
    _say(console, f"{rule.__name__}: {said}\n")
    needs = ", ".join(sorted(rule.needs)) or "nothing, or what the rules within it need"
    _say(console, f"Needs {needs}. Time {rule.time}. Memory {rule.memory}.\n")
    if "Example in YAML:" in said:  # it has settings without a default
        return
    _say(console, f"purchase:\n  acquisition:\n    class_path: {rule.__name__}")
    settings = list(inspect.signature(rule).parameters.values())
    if settings:
        _say(console, "    init_args:")
    for setting in settings:
        _say(console, f"      {setting.name}: {_yaml(setting.default)}")


def _say(console: Console, text: str) -> None:
    """Print text as it is: what stands in brackets is no markup."""
    console.print(text, highlight=False, markup=False)


def _yaml(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
