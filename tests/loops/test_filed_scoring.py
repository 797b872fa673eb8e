"""A pool that is scored into files: the same purchases as in memory, and after a kill no batch is scored twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.loops.test_scoring import program
from tests.rank_files import BATCHES, LIVES, Life
from tests.small_run import purchases, weights

PHASES = ("pretrain", "round_1", "round_2", "evaluate")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the runs of all lives."""
    place = tmp_path_factory.mktemp("files")
    program("tests.rank_files", str(place / "data"), str(place))
    return place


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def the_life(out: Path, life: Life) -> dict[str, Any]:
    """How a life ended, what it left of the scores, what it said."""
    number = LIVES.index(life)
    return {**lines(out / "lives.jsonl")[number], "said": (out / f"{number}.log").read_text()}


def written(out: Path, life: Life, round_number: int = 1) -> list[int]:
    """The batches of a round that a life has written, in order of their number."""
    rows = lines(out / "written.jsonl")
    return sorted(row["batch"] for row in rows if (row["life"], row["round"]) == (LIVES.index(life), round_number))


KILLED = [(1, 0, 5), (2, 1, 2)]
"""Ranks, the one that is killed in the first round, and the batches that it has written then."""


@pytest.mark.parametrize(("world", "rank", "batches"), KILLED)
def test_after_a_kill_no_batch_is_scored_twice(out: Path, world: int, rank: int, batches: int) -> None:
    run = f"killed_{world}"
    first, second = Life(run, world, killed=(rank, batches)), Life(run, world)
    killed = the_life(out, first)
    assert killed["statuses"][rank] == -9
    assert f"scores/round_1/rank_{rank}.json" in killed["left"]
    before, after = written(out, first), written(out, second)
    assert len(before) >= batches
    assert sorted(before + after) == list(range(BATCHES))
    assert written(out, second, 2) == list(range(6))
    assert the_life(out, second)["statuses"] == [0] * world
    assert f"scoring goes on: {len(before)} batches of the pool" in the_life(out, second)["said"]
    assert all(row["batch"] % row["world"] == row["rank"] for row in lines(out / "written.jsonl"))


@pytest.mark.parametrize("world", [1, 2])
def test_files_and_memory_buy_the_same(out: Path, world: int) -> None:
    """Round 1 out of what two starts have scored, round 2 out of what one has; pseudo-labels after the removal."""
    files, memory = out / f"killed_{world}", out / f"memory_{world}"
    assert len(purchases(files)) == 12
    assert purchases(files) == purchases(memory)
    assert [weights(files, phase) for phase in PHASES] == [weights(memory, phase) for phase in PHASES]
    summary = json.loads((files / "summary.json").read_text())
    assert summary["phases"][1]["train_images"] > 46  # there are pseudo-labels


def test_the_progress_is_that_of_the_whole_pool_also_after_a_kill(out: Path) -> None:
    for life in (Life("killed_1"), Life("killed_2", 2), Life("fewer", copied="killed_2")):
        told = [row for row in lines(out / "told.jsonl") if row["life"] == LIVES.index(life)]
        assert sum(row["images"] for row in told) == 50 + 44
    first = next(row for row in lines(out / "told.jsonl") if row["life"] == LIVES.index(Life("killed_1")))
    assert first["images"] == 5 * 8


def test_another_number_of_ranks_scores_anew(out: Path) -> None:
    life = Life("fewer", copied="killed_2")
    assert the_life(out, life)["statuses"] == [0]
    assert written(out, life) == list(range(BATCHES))
    assert "scoring goes on" not in the_life(out, life)["said"]
    first = [row["index"] for row in purchases(out / "memory_2")][:6]
    assert [row["index"] for row in purchases(out / "fewer")][:6] == first


def test_nothing_is_left_of_the_scores_once_the_picks_are_written_down(out: Path) -> None:
    for life in LIVES:
        if life.killed is None and not life.hidden:
            assert the_life(out, life)["left"] == []
            assert not (out / life.run / "scores").exists()


def test_ranks_that_do_not_see_each_others_files_say_so_and_end(out: Path) -> None:
    ended = the_life(out, Life("hidden", 2, hidden=True))
    assert ended["statuses"] == [2, 2]
    assert "rank 1 does not see the files that rank 0 has made there" in ended["said"]
    assert "Give a `--run_dir` on a file system that all nodes share" in ended["said"]
    assert "Traceback" not in ended["said"]
