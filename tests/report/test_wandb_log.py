"""The report of a benchmark in Weights & Biases, offline, read back from disk."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb

from dpc_lightning.__main__ import main
from dpc_lightning.evaluation.jobs.grid import Grid
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import RESULTS, ResultsFile, read_results
from dpc_lightning.report import log_run, report_tables
from tests.evaluation.jobs.small_benchmark import benchmark_of, config
from tests.report.run_folder import write_run
from tests.wandb_files import check_report, offline_runs

STUDY: dict[str, Any] = {
    "pairs": [{"labels": 5}, {"labels": 10}],
    "seeds": list(range(8)),
    "references": ["none", "all"],
}

pytestmark = pytest.mark.usefixtures("wandb_offline")


def measured(folder: Path) -> tuple[Path, Path]:
    """A benchmark of which all is measured already: its settings and its folder."""
    rng = np.random.default_rng(1)
    run_dir = folder / "bench"
    with ResultsFile(run_dir / RESULTS) as results:
        for key, job in Grid(benchmark_of(folder, **STUDY)).jobs.items():
            if job.kind == "start":
                continue
            level = 0.4 + 0.01 * job.case.labels + (0.1 if job.case.arm == "entropy" else 0)
            names = ("f1_macro", "f1_macro_at_half", "map", "exact_match")
            scores = {name: level + rng.normal(0, 0.01) for name in names}
            spent = {"pretrain": 2.0, "train": 0.5 * job.case.labels}
            results.put(
                key,
                Outcome(scores=scores, f1_per_class={"dent": scores["map"]}, spent=spent, bought=job.case.labels),
            )
    return config(folder, **STUDY), run_dir


def test_a_benchmark_logs_its_report_and_goes_on_in_the_same_run(tmp_path: Path) -> None:
    file, run_dir = measured(tmp_path)
    words = ["benchmark", f"--config={file}", f"--run_dir={run_dir}", "--workers=1", "--wandb_project=sheets"]
    assert main([*words, "--wandb_name=first"]) == 0
    assert main(words) == 0
    first, second = offline_runs(run_dir)
    assert (first.project, first.name, second.name) == ("sheets", "first", "bench")
    assert first.id == second.id == json.loads((run_dir / "wandb.json").read_text())["sheets"]
    assert first.config["studies"][0]["name"] == "sheets"
    tables = report_tables(run_dir)
    check_report(first, tables)
    check_report(second, tables)

    rows = read_results(run_dir)
    of_case = [row.scores["f1_macro"] for row in rows if row.arm == "entropy" and row.labels == 10]
    assert len(of_case) == 8
    name = "f1_macro/sheets/quick_look/{}/{}_labels"
    assert first.summary[name.format("entropy", 10)] == pytest.approx(np.mean(np.array(of_case, dtype=float)))
    assert first.summary[name.format("none", 0)] < first.summary[name.format("random", 5)]
    assert (first.summary["results/done"], first.summary["results/failed"]) == (len(rows), 0)

    curve = first.table("curves_sheets_quick_look_over_labels_table")
    assert curve["columns"] == ["step", "lineKey", "lineVal"]
    points = {(arm, x): y for x, arm, y in curve["data"]}
    assert points["entropy", 10] == pytest.approx(first.summary[name.format("entropy", 10)])
    assert points["none", 5] == points["none", 10] == pytest.approx(first.summary[name.format("none", 0)])
    seconds = first.table("curves_sheets_quick_look_over_seconds_table")["data"]
    assert [x for x, arm, _ in seconds if arm == "entropy"] == [4.5, 7.0]


def test_what_fails_in_the_service_is_said_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run_dir = measured(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise wandb.errors.CommError("the service is down")

    monkeypatch.setattr(wandb, "init", refuse)
    words = ["benchmark", f"--config={file}", f"--run_dir={run_dir}", "--workers=1", "--wandb_project=sheets"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "did not get the report: CommError: the service is down" in said.err
    assert f"All results are in {run_dir}" in said.err
    assert (run_dir / "report.html").is_file()
    assert f"The report is {run_dir / 'report.html'}" in said.out


def test_a_run_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A W&B run is under way in this process, and the `fit` had no logger for it."""
    run_dir = tmp_path / "run"
    write_run(run_dir)
    with wandb.init(project="other", dir=str(tmp_path)) as run:
        log_run(run_dir)
        assert wandb.run is run
    assert offline_runs(tmp_path)[0].history == []
    assert not (run_dir / "wandb.json").exists()
    assert not (run_dir / "report.html").exists()
