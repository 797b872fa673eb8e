"""The page of a benchmark: verdicts first, then what they stand on."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from dpc_lightning.report.agreement_section import agreement_section
from dpc_lightning.report.benchmark_data import BenchmarkData
from dpc_lightning.report.benchmark_purchases import benchmark_purchases
from dpc_lightning.report.class_section import class_section
from dpc_lightning.report.curve_section import learning_curve_section
from dpc_lightning.report.entry_section import entry_sections
from dpc_lightning.report.gap_section import gap_section
from dpc_lightning.report.head_to_head_section import head_to_head_section
from dpc_lightning.report.noise_section import noise_section
from dpc_lightning.report.page import Block, Page, Section, Text
from dpc_lightning.report.ranking_section import penalty_section, ranking_section
from dpc_lightning.report.settings_table import flat_settings, versions_table
from dpc_lightning.report.time_section import time_section
from dpc_lightning.report.verdict_section import missing, verdicts

__all__ = ["benchmark_page"]


def benchmark_page(data: BenchmarkData) -> Page:
    """Lay out the report of a benchmark.

    Args:
        data: its rows, and the statistics over them.
    """
    studies = sorted({row.study for row in data.results})
    seeds = {row.seed for row in data.plain}
    done = sum(row.status == "done" for row in data.results)
    lead = (
        f"{len(data.arms)} arms beside none, random and all, on {', '.join(studies) or 'no study'}; {len(seeds)} seeds "
        f"and {done} results, judged by {data.metric} on the test set."
    )
    against = [Section("against", f"Against {data.against}", head_to_head_section(data))] if data.against else []
    return Page(
        title=f"Benchmark {data.folder.absolute().name}",
        lead=lead,
        sections=(
            *entry_sections(data.folder),
            Section("verdicts", "Verdicts", verdicts(data)),
            *against,
            Section("missing", "What is missing", missing(data)),
            Section("curves", "Learning curves", learning_curve_section(data)),
            Section("gap", "Gap closed", gap_section(data)),
            Section("ranking", "Final ranking", ranking_section(data)),
            Section("penalty", "Who beats whom", penalty_section(data)),
            Section("agreement", "Do the judges agree?", agreement_section(data)),
            Section("classes", "F1 by class", class_section(data)),
            Section("bought", "What was bought", benchmark_purchases(data)),
            Section("time", "Where the seconds went", time_section(data)),
            Section("noise", "Noise", noise_section(data)),
            Section("settings", "Settings and versions", _settings(data)),
        ),
        made=f"From the results in {data.folder}, as they were on {date.today().isoformat()}.",  # noqa: DTZ011
    )


def _settings(data: BenchmarkData) -> tuple[Block, ...]:
    protocols = sorted({row.protocol for row in data.results})
    finished = sorted(row.finished for row in data.results if row.finished)
    when = f" The results were finished between {finished[0]} and {finished[-1]} (UTC)." if finished else ""
    blocks: list[Block] = [Text(f"Protocol {', '.join(map(str, protocols)) or 'unknown'}.{when}")]
    if data.settings:
        blocks.append(flat_settings(data.settings))
    else:
        blocks.append(Text("The settings are not in this folder: benchmark.yaml is gone.", "empty"))
    versions, hardware = _collected(data, "versions"), _collected(data, "hardware")
    if versions or hardware:
        blocks.append(versions_table(versions, hardware))
    else:
        blocks.append(Text("No result names versions or hardware.", "empty"))
    return tuple(blocks)


def _collected(data: BenchmarkData, fact: str) -> Mapping[str, Any]:
    """Put together what the rows say; where they differ, all is said."""
    found: dict[str, dict[str, None]] = {}
    for row in data.results:
        told = row.facts.get(fact)
        for name, value in told.items() if isinstance(told, Mapping) else ():
            found.setdefault(str(name), {})[str(value)] = None
    return {name: ", ".join(values) for name, values in found.items()}
