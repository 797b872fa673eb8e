"""Whole benchmarks through the front door: each job a `fit` in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.evaluation.jobs.benchmark import drawn_pairs
from dpc_lightning.evaluation.jobs.results import RESULTS, ResultsFile, read_cases, read_results
from dpc_lightning.evaluation.result import Result
from tests.evaluation.jobs.small_benchmark import DATA, benchmark_of, config, content
from tests.small_run import purchases

LONGER = "evaluate: {epochs: 3, batch_size: 16}\n"


def words(file: Path, run_dir: Path, *more: str) -> list[str]:
    return ["benchmark", f"--config={file}", f"--run_dir={run_dir}", "--workers=2", *more]


def comparable(rows: list[Result]) -> list[Any]:
    return [(row.key, row.status, row.scores, row.indices) for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a benchmark with two pipelines, of which the second judges what the first one's run bought."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "longer.yaml").write_text(LONGER)
    file = config(folder, pipelines=[str(folder / "quick_look.yaml"), str(folder / "longer.yaml")])
    assert main(words(file, folder / "run")) == 0
    return folder


def test_every_case_has_a_row_with_what_a_run_gives(finished: Path) -> None:
    rows = read_results(finished / "run")
    assert [(row.arm, row.labels, row.bought, row.status) for row in rows] == [
        ("none", 0, 0, "done"),
        ("none", 0, 0, "done"),
        ("random", 6, 6, "done"),
        ("random", 6, 6, "done"),
        ("entropy", 6, 6, "done"),
        ("entropy", 6, 6, "done"),
    ]
    for row in rows:
        assert 0 <= (row.scores["map"] or 0) <= 1
        assert len(row.f1_per_class) == 6
        assert row.facts["images"]["pool"] == 40
        assert row.spent["pretrain"] > 0
        assert row.evaluate_seconds > 0
    bought = rows[4]
    assert list(bought.indices) == [int(row["index"]) for row in purchases(finished / "run" / "jobs" / bought.key)]
    assert rows[4].indices == rows[5].indices != rows[2].indices
    assert rows[4].spent == rows[5].spent  # the purchase is the first one's


def test_a_start_model_is_trained_once_and_all_else_is_as_in_a_run_that_trains_its_own(
    finished: Path, tmp_path: Path
) -> None:
    """Buys by entropy and judges by the second pipeline in one `fit` of its own: the same picks, the same score."""
    rows = {(row.arm, Path(row.pipeline).stem): row for row in read_results(finished / "run")}
    judged = rows["entropy", "longer"]
    job = yaml.safe_load((finished / "run" / "jobs" / judged.key / "job.yaml").read_text())
    bought = yaml.safe_load((finished / "run" / "jobs" / rows["entropy", "quick_look"].key / "job.yaml").read_text())
    file = tmp_path / "alone.yaml"
    file.write_text(yaml.safe_dump(job | {"purchase": bought["purchase"]}))
    assert main(["fit", f"--config={file}", f"--run_dir={tmp_path / 'run'}"]) == 0
    alone = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert alone["test"]["f1_per_class"] == judged.f1_per_class
    assert alone["test"]["map"] == judged.scores["map"]
    assert tuple(int(row["index"]) for row in purchases(tmp_path / "run")) == judged.indices


def test_a_second_start_measures_only_what_is_missing(finished: Path, tmp_path: Path) -> None:
    before = comparable(read_results(finished / "run"))
    times = {path: path.stat().st_mtime_ns for path in (finished / "run" / "jobs").glob("*/summary.json")}
    assert main(words(finished / "small.yaml", finished / "run")) == 0
    assert comparable(read_results(finished / "run")) == before
    assert {path: path.stat().st_mtime_ns for path in times} == times
    # rows that were measured elsewhere are taken over
    rows = finished / "run" / "rows.jsonl"
    assert main(words(finished / "small.yaml", tmp_path / "elsewhere", f"--rows={json.dumps([str(rows)])}")) == 0
    assert comparable(read_results(tmp_path / "elsewhere")) == before
    assert not (tmp_path / "elsewhere" / "jobs").exists()


def test_a_start_model_whose_files_were_removed_is_made_again(finished: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(finished / "run", run_dir)
    for kept in run_dir.glob("jobs/*/start"):
        shutil.rmtree(kept)
    pipelines = [str(finished / name) for name in ("quick_look.yaml", "longer.yaml")]
    file = config(tmp_path, pipelines=[*pipelines, str(other := tmp_path / "third.yaml")], arms=[])
    other.write_text("evaluate: {epochs: 1}\n")
    assert main(words(file, run_dir)) == 0
    assert [row.status for row in read_results(run_dir)] == ["done"] * 6


def test_a_killed_benchmark_goes_on_and_gives_the_same_rows(finished: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    command = [sys.executable, "-m", "dpc_lightning", *words(finished / "small.yaml", run_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until = time.monotonic() + 120
    while time.monotonic() < until and len(list(run_dir.glob("jobs/*/job.yaml"))) < 3:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    begun = {path.parent.name for path in run_dir.glob("jobs/*/job.yaml")}
    assert len(begun) >= 3
    until = time.monotonic() + 60
    while time.monotonic() < until and _running_in(run_dir):  # they are told that their benchmark is gone
        time.sleep(0.1)
    assert not _running_in(run_dir)
    assert main(words(finished / "small.yaml", run_dir)) == 0
    assert comparable(read_results(run_dir)) == comparable(read_results(finished / "run"))


def _running_in(run_dir: Path) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            target = str(place.readlink())
        except OSError:
            continue
        if target.startswith(str(run_dir)):
            found.append(int(place.parts[2]))
    return found


def test_a_job_whose_process_is_killed_is_tried_again(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from dpc_lightning.acquisition import Random\n"
        f"MARK = Path({str(tmp_path / 'killed')!r})\n"
        "class Deadly(Random):\n"
        "    def _pick(self, pool, count, rng):\n"
        "        if not MARK.exists():\n"
        "            MARK.touch()\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super()._pick(pool, count, rng)\n"
        "class Broken(Random):\n"
        "    def _pick(self, pool, count, rng):\n"
        "        raise ZeroDivisionError('a rule with a defect')\n"
    )
    made = content(tmp_path, references=[])
    made["arms"] = {name.lower(): {"purchase": {"acquisition": f"my_rules.{name}"}} for name in ("Deadly", "Broken")}
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(made))
    command = [sys.executable, "-m", "dpc_lightning", *words(file, tmp_path / "run")]
    ended = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    rows = {row.arm: row for row in read_results(tmp_path / "run")}
    assert (tmp_path / "killed").exists()
    assert rows["deadly"].status == rows["random"].status == "done"
    assert rows["deadly"].bought == 6
    # what fails is a row too, and does not stop the others
    assert rows["broken"].status == "failed"
    assert "ZeroDivisionError: a rule with a defect" in (rows["broken"].error or "")
    assert ended.returncode == 1
    assert "1 jobs failed" in ended.stdout
    assert "a rule with a defect" in ended.stdout


def test_no_job_is_begun_after_the_minutes_are_up(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = finished / "small.yaml"
    assert main(words(file, tmp_path / "run", "--minutes=0.0001")) == 4
    assert "7 jobs are left" in capsys.readouterr().out
    assert read_results(tmp_path / "run") == []
    assert len(read_cases(tmp_path / "run")) == 6


def test_two_processes_do_not_share_a_folder(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dpc_lightning.errors import RunDirError
    from dpc_lightning.process_lock import ProcessLock

    run_dir = finished / "run"
    lock = ProcessLock(run_dir / ".lock", name="It", way_out="Wait.", error=RunDirError)
    try:
        assert main(words(finished / "small.yaml", run_dir)) == 2
    finally:
        lock.release()
    assert "is in use by process" in capsys.readouterr().err


def test_purchases_made_elsewhere_are_judged(finished: Path, tmp_path: Path) -> None:
    """What the benchmark's own job bought, judged as a file: the same score, beside random of the same size."""
    rows = {(row.arm, Path(row.pipeline).stem): row for row in read_results(finished / "run")}
    bought = finished / "run" / "jobs" / rows["entropy", "quick_look"].key
    command = [
        "benchmark",
        "judge",
        f"--purchases={json.dumps([str(bought / 'purchases.csv')])}",
        f"--config={bought / 'config.yaml'}",
        f"--pipelines={json.dumps([str(finished / 'longer.yaml')])}",
        "--seeds=[1]",
        '--references=["none"]',
        f"--run_dir={tmp_path / 'judged'}",
        "--workers=2",
    ]
    assert main(command) == 0
    judged = {row.arm: row for row in read_results(tmp_path / "judged")}
    assert list(judged) == ["none", "random", bought.name]
    assert judged[bought.name].scores == rows["entropy", "longer"].scores
    assert judged["random"].scores == rows["random", "longer"].scores


def test_a_file_that_is_named_like_a_reference_is_judged_by_its_whole_name(tmp_path: Path) -> None:
    file = tmp_path / "random.txt"
    file.write_text("1\n2\n")
    data = config(tmp_path).with_name("data.yaml")
    data.write_text(yaml.safe_dump(content(tmp_path)["overrides"] | {"data": DATA | {"root": str(tmp_path / "root")}}))
    data.write_text(data.read_text().replace("'{seed}'", "1"))
    command = ["benchmark", "judge", f"--purchases=[{file}]", f"--config={data}", f"--run_dir={tmp_path / 'run'}"]
    assert main([*command, "--minutes=0.0001"]) == 4
    assert {case.arm for case in read_cases(tmp_path / "run")} == {"none", "random", "all", str(file)}


def test_sealed_budgets_are_drawn_once(tmp_path: Path) -> None:
    file = config(tmp_path, pairs=[], sealed={"labels": [5, 30], "seconds": [50.0, 90.0], "count": 3})
    drawn = []
    for _ in range(2):
        assert main(words(file, tmp_path / "run", "--minutes=0.0001")) == 4
        drawn.append([(case.labels, case.seconds) for case in read_cases(tmp_path / "run") if case.arm == "entropy"])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3
    assert all(5 <= labels <= 30 and 50 <= (seconds or 0) <= 90 for labels, seconds in drawn[0])
    assert main(words(file, tmp_path / "other", "--minutes=0.0001")) == 4
    assert [(case.labels, case.seconds) for case in read_cases(tmp_path / "other") if case.arm == "entropy"] != drawn[0]


def test_a_study_that_is_put_before_does_not_draw_anew(tmp_path: Path) -> None:
    first = benchmark_of(tmp_path, pairs=[], sealed={"labels": [5, 500], "seconds": [50.0, 90.0], "count": 3})
    both = replace(first, studies=[*benchmark_of(tmp_path, name="other").studies, *first.studies, *first.studies])
    with ResultsFile(tmp_path / RESULTS) as results:
        (drawn,) = drawn_pairs(first, results).values()
        again, more = drawn_pairs(both, results).values()
    assert again == drawn != more


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": ["badge"]}, "There is no arm `badge`"),
        ({"pipelines": ["nonsense"]}, "no packaged configuration `nonsense`"),
        ({"pairs": [{"labels": 41}]}, "but its pool has 40 images"),
        ({"pairs": [{"labels": 0}]}, "`pairs.labels` to be a whole number of at least 1, but got 0"),
        ({"seeds": []}, "Expected distinct `seeds`"),
        ({"data": 3}, "Expected settings by name, but got 3"),
        ({"sealed": {"labels": [30, 5]}}, "`sealed.labels` to be a least and a largest value above 0, but got [30, 5]"),
    ],
)
def test_wrong_settings_end_it_before_the_first_job(
    tmp_path: Path, changes: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(config(tmp_path, **changes), tmp_path / "run")) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run" / "jobs").exists()


def test_fit_reads_the_settings_before_the_first_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = content(tmp_path)
    made["arms"]["entropy"]["purchase"]["acquisition"] = "MeanEntropie"
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(made))
    assert main(words(file, tmp_path / "run")) == 2
    said = capsys.readouterr().err
    assert "study `sheets`, arm `entropy`" in said
    assert "There is no such rule. There are: Badge," in said
    assert not (tmp_path / "run" / "jobs").exists()


def test_the_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--help"]) == 0
    said = capsys.readouterr().out
    for word in ("--dry_run", "--executor", "--ray_address", "--minutes", "--rows", "random at double budget"):
        assert word in said
    assert main(["benchmark", "judge", "--help"]) == 0
    assert "purchases.csv" in capsys.readouterr().out


def test_a_dry_run_times_one_job_of_each_kind(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(finished / "small.yaml", tmp_path / "run", "--dry_run=true")) == 4
    said = capsys.readouterr().out
    assert "4 jobs are left, about" in said
    assert len(read_results(tmp_path / "run")) == 2  # they count
