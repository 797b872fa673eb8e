"""What a look into a data root found, and the one table that shows it."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["RootReport", "SplitReport", "print_report"]


@dataclass
class SplitReport:
    """What was found in one split."""

    name: str
    """Name of its folder."""
    listed: list[str] = field(default_factory=list)
    """Images in the table, in its order; of a pool without a table, the files."""
    files: list[str] = field(default_factory=list)
    """Files in `images/`, sorted."""
    groups: dict[str, str] = field(default_factory=dict)
    """Group of each image that has one."""
    classes: tuple[str, ...] = ()
    """Class columns of the table."""
    labels: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Labels of each image whose row is correct."""
    unreadable: list[str] = field(default_factory=list)
    """Files that are no image, or a broken one."""
    blank: set[str] = field(default_factory=set)
    """Images of a single colour."""
    sizes: set[tuple[int, int]] = field(default_factory=set)
    """Widths and heights in pixels that occur."""
    twins_inside: int = 0
    """Images with the same pixels as an earlier one of this split."""
    twins_outside: int = 0
    """Images with the same pixels as one of another split."""
    shared_groups: int = 0
    """Groups that another split has as well."""

    @property
    def absent(self) -> list[str]:
        """Images that are listed, but not there."""
        there = set(self.files)
        return [name for name in self.listed if name not in there]

    @property
    def unlisted(self) -> list[str]:
        """Files that are there, but not listed."""
        listed = set(self.listed)
        return [name for name in self.files if name not in listed]

    def prevalence(self, name: str) -> float | None:
        """Give the share of images that have a class, or `None` where nothing is known of it."""
        if name not in self.classes or not self.labels:
            return None
        place = self.classes.index(name)
        return sum(row[place] for row in self.labels.values()) / len(self.labels)


@dataclass
class RootReport:
    """What was found in a data root."""

    root: Path
    """The data root."""
    splits: list[SplitReport] = field(default_factory=list)
    """The splits that are there."""
    errors: list[str] = field(default_factory=list)
    """What keeps a run from starting, or makes its result wrong."""
    warnings: list[str] = field(default_factory=list)
    """What a person should know."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the training table."""
        return next((split.classes for split in self.splits if split.name == "training"), ())


def print_report(report: RootReport, console: Console) -> None:
    """Print one table, then all errors and warnings.

    Args:
        report: what `check_root` gave.
        console: where to print.
    """
    console.print(_table(report))
    if any(split.name == "unlabelled" and split.labels for split in report.splits):
        console.print("The hidden labels of unlabelled/ were read for this table; in a run only the oracle reads them.")
    for kind, style, lines in (("error", "red", report.errors), ("warning", "yellow", report.warnings)):
        for line in lines:
            console.print(f"[{style}]{kind}:[/] {escape(line)}", soft_wrap=True, highlight=False)
    console.print(f"{len(report.errors)} errors, {len(report.warnings)} warnings", highlight=False)


def _table(report: RootReport) -> Table:
    table = Table(title=escape(str(report.root)), title_justify="left")
    table.add_column("")
    for split in report.splits:
        table.add_column(split.name, justify="right")
    counts = {
        "images listed": [len(split.listed) for split in report.splits],
        "files in images/": [len(split.files) for split in report.splits],
        "listed, but absent": [len(split.absent) for split in report.splits],
        "present, but not listed": [len(split.unlisted) for split in report.splits],
        "unreadable": [len(split.unreadable) for split in report.splits],
        "same pixels within the split": [split.twins_inside for split in report.splits],
        "same pixels in another split": [split.twins_outside for split in report.splits],
        "of a single colour": [len(split.blank) for split in report.splits],
        "groups": [len(set(split.groups.values())) for split in report.splits],
        "groups also in another split": [split.shared_groups for split in report.splits],
    }
    for name, numbers in counts.items():
        table.add_row(name, *(f"{number:,}" for number in numbers))
    table.add_row("size in pixels", *(_sizes(split) for split in report.splits), end_section=True)
    for name in report.classes:
        shares = (split.prevalence(name) for split in report.splits)
        table.add_row(escape(name), *("-" if share is None else f"{share:.1%}" for share in shares))
    table.add_row("no class at all", *(_clean(split) for split in report.splits))
    return table


def _sizes(split: SplitReport) -> str:
    first = "-" if not split.sizes else "{} x {}".format(*min(split.sizes))
    return first if len(split.sizes) < 2 else f"{first} to {'{} x {}'.format(*max(split.sizes))}"


def _clean(split: SplitReport) -> str:
    if not split.labels or not split.classes:
        return "-"
    return f"{sum(not any(row) for row in split.labels.values()) / len(split.labels):.1%}"
