"""A rank's share of the scores: rows in their places, and a marker that never says more than is on the disk."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.errors import PreemptedError, RunDirError
from dpc_lightning.loops import score_share
from dpc_lightning.loops.score_facts import ScoreFacts
from dpc_lightning.loops.score_files import ScoreFiles
from dpc_lightning.loops.score_share import ScoreShare
from tests.loops.test_score_files import refusing

IMAGES, BATCH = 23, 4


def files_of(folder: Path, world: int) -> ScoreFiles:
    columns = {"logits": 3, "embeddings": 5}
    return ScoreFiles.prepare(
        folder / "scores" / "round_1", ScoreFacts(1, columns, "", "", IMAGES, BATCH, world, "cpu")
    )


def tables(rows: range) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    generator = np.random.default_rng(0)
    logits, embeddings = generator.random((IMAGES, 3), np.float32), generator.random((IMAGES, 5), np.float32)
    return {"logits": logits[rows], "embeddings": embeddings[rows]}


def put(share: ScoreShare, batches: int) -> None:
    for _ in range(batches):
        rows = range(*share.files.facts.rows(share.rank, share.done))
        share.put(np.array(rows), **tables(rows))


@pytest.mark.parametrize("world", [1, 2, 4, 7])
def test_all_shares_together_make_the_tables(tmp_path: Path, world: int) -> None:
    files = files_of(tmp_path, world)
    counts = []
    for rank in reversed(range(world)):
        with ScoreShare(files, rank, synchronous=rank == 0) as share:
            put(share, files.facts.share(rank))
            assert share.complete
            counts.append(share.images(share.done))
    assert sum(counts) == IMAGES
    assert sum(files.done(rank) or 0 for rank in range(world)) == 6
    for name, expected in tables(range(IMAGES)).items():
        found = files.read(name)
        np.testing.assert_array_equal(found, expected)
        assert not found.flags.writeable


def test_a_share_goes_on_after_its_marker_and_not_after_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(tmp_path, 1)
    now = 0.0
    monkeypatch.setattr(score_share.time, "monotonic", lambda: now)  # type: ignore[attr-defined]
    share = ScoreShare(files, 0)
    put(share, 2)
    assert files.done(0) == 0  # nobody says so before the rows are on the disk
    now = score_share.MARK_EVERY
    put(share, 1)
    assert files.done(0) == 3
    put(share, 2)
    assert (share.done, files.done(0)) == (5, 3)
    again = ScoreShare(files, 0)  # the first one was killed
    assert (again.earlier, again.done) == (3, 3)
    put(again, 3)
    assert again.complete
    np.testing.assert_array_equal(files.read("logits"), tables(range(IMAGES))["logits"])


def test_a_run_that_is_asked_to_end_marks_what_it_has(tmp_path: Path) -> None:
    files = files_of(tmp_path, 1)
    with suppress(PreemptedError), ScoreShare(files, 0) as share:
        put(share, 4)
        raise PreemptedError
    assert files.done(0) == 4


@pytest.mark.parametrize(
    "rows", [range(4), range(8, 12), range(4, 7), [7, 6, 5, 4]], ids=["another's", "later ones", "too few", "reversed"]
)
def test_other_rows_than_the_next_are_a_defect(tmp_path: Path, rows: list[int]) -> None:
    with ScoreShare(files_of(tmp_path, 2), 1) as share:
        with pytest.raises(RuntimeError, match="each of 23 images to be scored once over all ranks: rows 4 to 8"):
            share.put(np.array(rows), **tables(range(len(rows))))
        put(share, 3)
        with pytest.raises(RuntimeError, match="scored once"):
            share.put(np.zeros(0, np.int64), **tables(range(0)))


@pytest.mark.parametrize("function", ["pwrite", "fsync"])
def test_a_disk_that_fails_later_is_named_and_the_marker_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    files = files_of(tmp_path, 1)
    monkeypatch.setattr(score_share, "MARK_EVERY", 0.0)
    share = ScoreShare(files, 0)
    put(share, 2)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, refusing(errno.EDQUOT))
        with pytest.raises(RunDirError, match=r"scores into .*round_1: Disk quota exceeded\. Make room"), share:
            put(share, 1)
    assert files.done(0) == 2


def test_a_write_that_takes_only_a_part_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, pwrite = files_of(tmp_path, 1), os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, rows, place: pwrite(handle, rows[:7], place))
    with ScoreShare(files, 0) as share:
        put(share, 6)
    for name, expected in tables(range(IMAGES)).items():
        np.testing.assert_array_equal(files.read(name), expected)
