"""The page of one run: its scores, what it bought and why, and where the seconds went."""

from collections.abc import Mapping
from typing import Any

from dpc_lightning.report.charts import Point, draw_points, draw_stacks, legend_below
from dpc_lightning.report.page import Block, Drawing, Facts, Page, Section, Text
from dpc_lightning.report.run_curves import curves_of_training
from dpc_lightning.report.run_files import RunFiles
from dpc_lightning.report.run_purchases import what_was_bought
from dpc_lightning.report.settings_table import flat_settings, versions_table
from dpc_lightning.report.svg import drawing, svg_of
from dpc_lightning.report.table import Column, Table

__all__ = ["run_page"]

SCORES = {
    "f1_macro": "macro-F1, tuned thresholds",
    "f1_macro_at_half": "macro-F1 at 0.5",
    "map": "mAP",
    "exact_match": "exact match",
}


def run_page(files: RunFiles) -> Page:
    """Lay out the report of a run.

    Args:
        files: what the run left.
    """
    summary = files.summary
    lead = (
        f"{summary['labels_bought']} of {summary['label_budget']} labels bought by {summary['acquisition']}, "
        f"judged on {summary['images'].get('test', '?')} test images; seed {summary['seed']}."
    )
    return Page(
        title=f"Run {files.run_dir.path.absolute().name}",
        lead=lead,
        sections=(
            Section("scores", "Scores", _scores(summary)),
            Section("classes", "F1 by class", _classes(summary)),
            Section("training", "Training", curves_of_training(files)),
            Section("bought", "What was bought", what_was_bought(files)),
            Section("time", "Budget and time", _time(files)),
            Section("settings", "Settings and versions", _settings(files)),
        ),
        made=f"dpc_lightning {summary['versions'].get('dpc_lightning', '')}, from the files in {files.run_dir.path}.",
    )


def _scores(summary: Mapping[str, Any]) -> tuple[Block, ...]:
    test = summary["test"]
    warnings = []
    if summary["cut_short_by"]:
        cut = ", ".join(map(str, summary["cut_short_by"]))
        warnings.append(Text(f"This is a trial and no result: {cut} left images out.", "warning"))
    if summary["start_model_informed"] is False:
        said = "The model that picked first knew next to nothing; a rule that trusts it can fall below random."
        warnings.append(Text(said, "warning"))
    digits = Column("", digits=3)
    facts = Facts(tuple((name, digits.show(test.get(key)), "") for key, name in SCORES.items()))
    rows = tuple((name, test.get(key)) for key, name in SCORES.items())
    table = Table("scores", "Scores on the test set", (Column("score"), Column("value", digits=4)), rows)
    one = Text(
        "One run with one seed: another seed gives other scores, and may move them by more than two rules differ. "
        "Which rule is better can only a benchmark over several seeds say."
    )
    return (*warnings, facts, one, table)


def _classes(summary: Mapping[str, Any]) -> tuple[Block, ...]:
    f1: Mapping[str, float | None] = summary["test"]["f1_per_class"]
    table = Table(
        "f1_per_class",
        "F1 on the test set by class",
        (Column("class"), Column("F1", digits=3)),
        tuple((str(name), f1.get(name)) for name in summary["classes"]),
    )
    points = [Point(str(name), value) for name in summary["classes"] if (value := f1.get(name)) is not None]
    if not points:
        return (Text("No class has a positive in the test set, so none has an F1.", "empty"), table)
    best, worst = max(points, key=lambda point: point.value), min(points, key=lambda point: point.value)
    about = (
        f"From {worst.value:.3f} for {worst.label} to {best.value:.3f} for {best.label}, with thresholds tuned on "
        "validation."
    )
    blind = [str(name) for name in summary["classes"] if f1.get(name) is None]
    note = [Text(f"Without positives in the test set, hence without F1: {', '.join(blind)}.", "empty")] if blind else []
    title = "F1 by class"
    with drawing(height=0.9 + 0.26 * len(points)) as figure:
        axes = figure.add_subplot()
        draw_points(axes, points, bars=True)
        axes.set_xlim(0, 1)
        axes.set_xlabel("F1 on the test set")
        svg = svg_of(figure, "f1", title, about)
    return (*note, Drawing("f1", title, about, svg, table))


def _time(files: RunFiles) -> tuple[Block, ...]:
    summary = files.summary
    spent, budget = float(summary["compute_spent_s"]), summary["compute_budget_s"]
    given = "no limit was set" if budget is None else f"of {budget:g} s"
    facts = Facts(
        (
            ("Labels", str(summary["labels_bought"]), f"of {summary['label_budget']}"),
            ("Pretraining and buying", f"{spent:.1f} s", given),
            (
                "All phases",
                f"{sum(float(phase['seconds']) for phase in summary['phases']):.1f} s",
                "evaluation included",
            ),
        )
    )
    rows = _seconds_by_phase(files)
    table = Table(
        "time_by_phase",
        "Seconds by phase",
        (
            Column("phase"),
            Column("labels bought", number=True),
            Column("training images", number=True),
            Column("epochs", number=True),
            *(Column(f"{name} s", digits=2) for name in ("score", "pick", "train")),
            Column("total s", digits=2),
        ),
        rows,
    )
    activities = Table(
        "time_by_activity",
        "Seconds that count against the compute budget, by activity",
        (Column("activity"), Column("seconds", digits=3)),
        tuple((str(name), float(seconds)) for name, seconds in summary["compute_spent_on_s"].items()),
    )
    if not rows:
        return (facts, Text("The run names no phase.", "empty"), activities)
    longest = max(rows, key=lambda row: row[7])
    about = f"The longest phase is {longest[0]} with {longest[7]:.1f} s. Training includes validation and buying."
    title = "Seconds by phase and activity"
    with drawing(height=1.2 + 0.3 * len(rows)) as figure:
        axes = figure.add_subplot()
        parts = {
            name: [float(row[4 + place] or 0) for row in rows] for place, name in enumerate(("score", "pick", "train"))
        }
        draw_stacks(axes, [str(row[0]) for row in rows], parts)
        axes.set_xlabel("seconds")
        legend_below(figure)
        svg = svg_of(figure, "time", title, about)
    return (facts, Drawing("time", title, about, svg, table), activities)


def _seconds_by_phase(files: RunFiles) -> tuple[tuple[Any, ...], ...]:
    """Divide each phase's seconds; scoring and picking count to the round that they open."""
    logged: dict[str, dict[str, float]] = {}
    for phase, _, values in files.metrics:
        logged.setdefault(phase, {}).update({k: v for k, v in values.items() if k.startswith("purchase/")})
    rows = []
    for phase in files.summary["phases"]:
        name, total = str(phase["name"]), float(phase["seconds"])
        told = logged.get(name, {})
        score, pick = told.get("purchase/score_seconds"), told.get("purchase/pick_seconds")
        bought = sum(f"round_{row.round}" == name for row in files.purchases)
        train = max(0.0, total - (score or 0) - (pick or 0))
        rows.append((name, bought or None, phase["train_images"], phase["epochs"], score, pick, train, total))
    return tuple(rows)


def _settings(files: RunFiles) -> tuple[Block, ...]:
    summary = files.summary
    if files.ledger_rows is None:
        ledger = Text("The ledger is not in this folder, so the purchases could not be verified.", "empty")
    else:
        ledger = Text(f"The ledger is whole: {files.ledger_rows} rows agree with its hash chain and with the summary.")
    images = Table(
        "images",
        "Images",
        (Column("part"), Column("images", number=True)),
        tuple((str(name), int(count)) for name, count in summary["images"].items()),
    )
    found: list[Block] = [ledger, images]
    if files.config:
        found.append(flat_settings(files.config))
    else:
        found.append(Text("The settings are not in this folder: config.yaml is gone.", "empty"))
    return (*found, versions_table(summary["versions"], summary["hardware"]))
