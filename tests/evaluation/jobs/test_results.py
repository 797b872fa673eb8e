"""The file of results: whole rows, one protocol, nothing lost."""

import json
import sqlite3
from pathlib import Path

import pytest

from dpc_lightning.errors import ResultsError
from dpc_lightning.evaluation.jobs.job import Place
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import RESULTS, ResultsFile, read_cases, read_results
from dpc_lightning.evaluation.result import PROTOCOL

CASE = Place("sheets", "badge", 100, None, "cpu_cosine", 1, 1, 1)
DONE = Outcome(scores={"f1_macro": 0.5, "map": None}, bought=2, indices=(4, 1), finished="2026-01-01T00:00:00+00:00")


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / RESULTS) as results:
        results.put("k", DONE)
        results.set_cases({CASE: "k"})
    (row,) = read_results(tmp_path)
    assert (row.key, row.study, row.arm, row.labels, row.scores, row.indices) == (
        "k",
        "sheets",
        "badge",
        100,
        DONE.scores,
        (4, 1),
    )
    assert row.protocol == PROTOCOL


def test_cases_without_an_outcome_are_known_as_missing(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / RESULTS) as results:
        results.set_cases({CASE: "k"})
    assert read_results(tmp_path) == []
    assert read_cases(tmp_path) == {CASE: "k"}


def test_all_has_the_size_of_the_pool(tmp_path: Path) -> None:
    everything = Place("boards", "all", 10**9, None, "cpu_cosine", 1, 1, 1)
    with ResultsFile(tmp_path / RESULTS) as results:
        results.put("k", DONE)
        results.set_cases({everything: "k"})
    assert read_results(tmp_path)[0].labels == 2


def test_rows_of_another_protocol_never_mix(tmp_path: Path) -> None:
    ResultsFile(tmp_path / RESULTS, protocol=PROTOCOL).close()
    with pytest.raises(ResultsError, match=f"holds results of protocol {PROTOCOL}, but this version measures by"):
        ResultsFile(tmp_path / RESULTS, protocol=PROTOCOL + 1)


def test_rows_travel_as_text(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / "a.sqlite") as results:
        results.put("good", DONE)
        results.put("bad", Outcome.failed("no room"))
        results.export_rows(tmp_path / "rows.jsonl")
    with ResultsFile(tmp_path / "b.sqlite") as results:
        assert results.take_rows(tmp_path / "rows.jsonl") == 1  # what failed elsewhere is tried here
        assert results.take_rows(tmp_path / "rows.jsonl") == 0
        assert results.outcomes() == {"good": DONE}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: expected a row of results"),
        ("[]", "line 2: expected a row of results"),
        (json.dumps({"key": "x", "protocol": PROTOCOL, "outcome": {"score": 1}}), "line 2: expected a row of results"),
        (
            json.dumps({"key": "x", "protocol": PROTOCOL + 1, "outcome": json.loads(DONE.to_json())}),
            f"line 2: expected protocol {PROTOCOL}, but got {PROTOCOL + 1}",
        ),
    ],
)
def test_wrong_rows_are_named_and_nothing_is_taken(tmp_path: Path, line: str, said: str) -> None:
    good = json.dumps({"key": "g", "protocol": PROTOCOL, "outcome": json.loads(DONE.to_json())})
    (tmp_path / "rows.jsonl").write_text(f"{good}\n{line}\n")
    with ResultsFile(tmp_path / "b.sqlite") as results:
        with pytest.raises(ResultsError) as refused:
            results.take_rows(tmp_path / "rows.jsonl")
        assert said in str(refused.value)
        assert results.outcomes() == {}


@pytest.mark.parametrize("damage", ["not a database at all, and longer than a header", ""])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / RESULTS
    with ResultsFile(path) as results:
        results.put("k", DONE)
    content = path.read_bytes()
    path.write_bytes((damage.encode() * 40)[:200] if damage else content[:2000])
    with pytest.raises(ResultsError, match="Cannot use the results in .*results.sqlite"):
        ResultsFile(path).outcomes()


def test_a_row_from_elsewhere_takes_the_place_of_a_failed_one_only(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / "a.sqlite") as elsewhere:
        for key in ("failed_here", "done_here"):
            elsewhere.put(key, DONE)
        elsewhere.export_rows(tmp_path / "rows.jsonl")
    with ResultsFile(tmp_path / "b.sqlite") as results:
        results.put("failed_here", Outcome.failed("no room"))
        results.put("done_here", Outcome(bought=7))
        assert results.take_rows(tmp_path / "rows.jsonl") == 1
        assert results.outcomes() == {"failed_here": DONE, "done_here": results.outcomes()["done_here"]}
        assert results.outcomes()["done_here"].bought == 7


def test_a_full_disk_in_mid_row_loses_nothing(tmp_path: Path) -> None:
    """SQLite's own limit of pages stands for the disk: the row that does not fit leaves the others."""
    with ResultsFile(tmp_path / RESULTS) as results:
        results.put("first", DONE)
        pages = results._connection.execute("PRAGMA page_count").fetchone()[0]
        results._connection.execute(f"PRAGMA max_page_count = {pages}")
        large = Outcome(indices=tuple(range(20_000)))
        with pytest.raises(ResultsError, match=r"disk is full.*What was written before is kept"):
            results.put("second", large)
        results._connection.execute("PRAGMA max_page_count = 100000")
        assert list(results.outcomes()) == ["first"]
        results.put("second", large)
        assert results.outcomes()["second"].indices[-1] == 19_999


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="expected the folder of a benchmark"):
        read_results(tmp_path)


def test_a_fact_is_kept_once(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / RESULTS) as results:
        assert results.note("drawn", [3]) == [3]
        assert results.note("drawn", [4]) == [3]


def test_the_file_is_plain_sqlite(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / RESULTS) as results:
        results.put("k", DONE)
    with sqlite3.connect(tmp_path / RESULTS) as connection:
        assert connection.execute("SELECT key, status FROM outcomes").fetchall() == [("k", "done")]
