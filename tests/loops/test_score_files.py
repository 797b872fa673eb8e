"""Files of scores: taken up only where everything is the same, claimed before anything is scored."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from dpc_lightning.errors import RunDirError
from dpc_lightning.loops import score_files
from dpc_lightning.loops.score_facts import ScoreFacts
from dpc_lightning.loops.score_files import ScoreFiles
from dpc_lightning.loops.score_share import ScoreShare

FACTS = ScoreFacts(1, {"logits": 3, "embeddings": 5}, "weights", "pool", images=11, batch=4, world=2, device="cpu")
CHANGES: dict[str, Any] = {
    "round": 2,
    "columns": {"logits": 3},
    "weights": "others",
    "pool": "another",
    "images": 12,
    "batch": 5,
    "world": 3,
    "device": "cuda",
}


def begun(folder: Path) -> ScoreFiles:
    """Files of which rank 1 has written its one batch, and rank 0 nothing."""
    files = ScoreFiles.prepare(folder, FACTS)
    with ScoreShare(files, 1) as share:
        share.put(np.arange(4, 8), logits=np.ones((4, 3), np.float32), embeddings=np.ones((4, 5), np.float32))
    return files


def test_what_is_of_the_same_is_taken_up(tmp_path: Path) -> None:
    first = begun(tmp_path / "scores" / "round_1")
    second = ScoreFiles.prepare(tmp_path / "scores" / "round_1", FACTS)
    assert second == first
    assert (second.done(0), second.done(1)) == (None, 1)
    np.testing.assert_array_equal(second.read("embeddings")[4:8], 1)


def test_every_fact_has_a_change() -> None:
    assert CHANGES.keys() == FACTS.__dataclass_fields__.keys()


@pytest.mark.parametrize("fact", CHANGES)
def test_a_changed_fact_begins_anew(tmp_path: Path, fact: str) -> None:
    folder = tmp_path / "scores" / "round_1"
    first = begun(folder)
    changed = replace(FACTS, **{fact: CHANGES[fact]})
    second = ScoreFiles.prepare(folder, changed)
    assert second.attempt != first.attempt
    assert [second.done(rank) for rank in range(changed.world)] == [None] * changed.world
    assert second.read("logits").shape == (changed.images, 3)
    assert second.read("embeddings").shape == (changed.images, changed.columns.get("embeddings", 0))
    assert not second.read("logits").any()


@pytest.mark.parametrize("file", ["header.json", "logits.npy", "embeddings.npy"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_what_is_damaged_begins_anew(tmp_path: Path, file: str, damage: str) -> None:
    folder = tmp_path / "scores" / "round_1"
    first = begun(folder)
    if damage == "gone":
        (folder / file).unlink()
    else:
        os.truncate(folder / file, (folder / file).stat().st_size - 1)
    second = ScoreFiles.prepare(folder, FACTS)
    assert second.attempt != first.attempt
    assert second.done(1) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"batches": 1}', "beyond", "negative", "text"])
def test_a_damaged_marker_counts_for_nothing(tmp_path: Path, content: str) -> None:
    files = begun(tmp_path / "scores" / "round_1")
    wrong = {"beyond": 2, "negative": -1, "text": "1"}
    if content in wrong:
        content = json.dumps({"attempt": files.attempt, "batches": wrong[content]})
    files.marker(1).write_text(content)
    assert files.done(1) is None
    with ScoreShare(files, 1) as share:
        assert (share.earlier, share.done) == (0, 0)


def test_files_of_other_rounds_are_removed(tmp_path: Path) -> None:
    begun(tmp_path / "scores" / "round_1")
    ScoreFiles.prepare(tmp_path / "scores" / "round_2", replace(FACTS, round=2))
    assert [path.name for path in (tmp_path / "scores").iterdir()] == ["round_2"]


def refusing(number: int) -> Any:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_full_disk_is_named_before_anything_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = replace(FACTS, images=10**9)
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
    with pytest.raises(RunDirError, match=r"29\.80 GiB of scores into .*round_1: No space left on device\. Make room"):
        ScoreFiles.prepare(tmp_path / "scores" / "round_1", large)
    assert list(tmp_path.iterdir()) == []


def test_the_room_is_really_claimed(tmp_path: Path) -> None:
    files = ScoreFiles.prepare(tmp_path / "scores" / "round_1", replace(FACTS, images=100_000))
    for name in ("logits", "embeddings"):
        state = files.table(name).stat()
        assert state.st_blocks * 512 >= state.st_size > 10**6


def test_a_file_system_that_cannot_claim_room_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.EOPNOTSUPP))
    files = begun(tmp_path / "scores" / "round_1")
    assert files.read("logits")[:, 0].tolist() == [0] * 4 + [1] * 4 + [0] * 3


def test_ranks_that_do_not_see_each_other_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_files, "SEEN_WITHIN", 0.0)
    files = begun(tmp_path / "scores" / "round_1")
    with pytest.raises(RunDirError, match=r"rank 0 does not see what rank 0 has written there\. Give a `--run_dir`"):
        files.require_markers()
    with ScoreShare(files, 0):
        files.require_markers()
    files.require_seen(1)
    with pytest.raises(RunDirError, match="rank 1 does not see the files"):
        replace(files, folder=tmp_path / "elsewhere").require_seen(1)
    with pytest.raises(RunDirError, match="rank 1 does not see the files"):
        replace(files, attempt="a later one").require_seen(1)
