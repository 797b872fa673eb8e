"""A short kill campaign: real processes, one SIGKILL in each kind of place. The long one is in `benchmarks/`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.killed_runs import PLACES

HERE = Path(__file__).parents[1]
KINDS = (
    "generating data",
    "building the image store",
    "training",
    "writing a checkpoint",
    "validation",
    "scoring",
    "picking",
    "charging",
    "asking the oracle",
    "the end of an epoch",
    "between buying and checkpointing",
    "the evaluation",
    "the test",
    "writing the summary",
    "budget",
)


def campaign(out: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a campaign in a process of its own, in which no thread has been started; give status and results."""
    command = [sys.executable, "-m", "benchmarks.kill_campaign", "--jobs", "2", "--out", str(out), *words]
    ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=400, check=False)
    results = out / "results.jsonl"
    assert results.exists(), ended.stderr
    return ended.returncode, [json.loads(line) for line in results.read_text().splitlines()]


def test_a_run_killed_in_any_kind_of_place_ends_as_one_that_was_not(tmp_path: Path) -> None:
    status, rows = campaign(tmp_path, "--places", *KINDS)
    assert [row["faults"] for row in rows] == [[]] * len(KINDS)
    assert sum(row["kills"] for row in rows) >= 12
    assert {row["workers"] for row in rows} == {0, 2}
    assert status == 0


def test_the_campaign_fails_where_the_order_of_the_images_is_not_a_function_of_the_seed(tmp_path: Path) -> None:
    status, rows = campaign(tmp_path, "--impure", "--places", "scoring", "the test")
    by_place = {row["place"]: row["faults"] for row in rows}
    assert "weights of evaluate" in by_place["scoring"]
    assert by_place["the test"] == []  # all was trained before: what is not killed in training is still equal
    assert status == 1


def test_every_place_is_a_function_of_the_program() -> None:
    import importlib

    for place in PLACES.values():
        module, _, path = place.target.partition(":")
        owner: Any = importlib.import_module(module)
        for name in path.split("."):
            owner = getattr(owner, name)
        assert callable(owner)
