"""The tables that a person reads at the end of a run."""

import csv
import json
from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dpc_lightning.run_dir import RunDir

__all__ = ["print_run"]


def print_run(run_dir: RunDir, console: Console | None = None) -> None:
    """Print what a finished run bought and how well its model does on the test set.

    Args:
        run_dir: the folder of a finished run.
        console: where to print; standard output by default.
    """
    console = console or Console()
    summary = json.loads(run_dir.summary.read_text(encoding="utf-8"))
    console.print(_scores(summary))
    console.print(_phases(summary, _bought_by_round(run_dir)))
    spent, budget = summary["compute_spent_s"], summary["compute_budget_s"]
    seconds = f"{spent:.0f} s" if budget is None else f"{spent:.1f} of {budget:g} s"
    console.print(
        f"Bought {summary['labels_bought']} of {summary['label_budget']} labels by {summary['acquisition']}; "
        f"pretraining and buying took {seconds}.",
        highlight=False,
    )
    if summary["cut_short_by"]:
        console.print(f"[yellow]A trial, not a result: {', '.join(summary['cut_short_by'])} left images out.[/]")
    if summary["start_model_informed"] is False:
        console.print("[yellow]The first model knew next to nothing when it picked: see the warning above.[/]")
    console.print(f"Everything is in {run_dir.path}", highlight=False, markup=False, soft_wrap=True)


def _scores(summary: dict[str, Any]) -> Table:
    test = summary["test"]
    table = Table(title=f"Test set, {summary['images']['test']} images", title_justify="left")
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_row("[bold]macro-F1, tuned thresholds", f"[bold]{_number(test['f1_macro'])}")
    table.add_row("macro-F1 at 0.5", _number(test["f1_macro_at_half"]))
    table.add_row("mAP", _number(test["map"]))
    table.add_row("exact match", _number(test["exact_match"]), end_section=True)
    for name in summary["classes"]:
        empty = name in test["classes_without_positives"]
        table.add_row(f"F1 {escape(name)}", "no positive in test" if empty else _number(test["f1_per_class"].get(name)))
    return table


def _phases(summary: dict[str, Any], bought: Counter[str]) -> Table:
    table = Table(title="Phases", title_justify="left")
    for name in ("phase", "bought", "training images", "epochs", "seconds"):
        table.add_column(name, justify="left" if name == "phase" else "right")
    for phase in summary["phases"]:
        table.add_row(
            phase["name"],
            str(bought[phase["name"]]) if phase["name"] in bought else "",
            str(phase["train_images"]),
            str(phase["epochs"]),
            f"{phase['seconds']:.1f}",
        )
    return table


def _bought_by_round(run_dir: RunDir) -> Counter[str]:
    if not run_dir.purchases.exists():
        return Counter()
    with run_dir.purchases.open(encoding="utf-8", newline="") as stream:
        return Counter(f"round_{row['round']}" for row in csv.DictReader(stream))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
