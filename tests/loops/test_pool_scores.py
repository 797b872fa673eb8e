"""Where the scores of a pool go, by their size; and a disk that has no room for them."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.loops import pool_scores
from dpc_lightning.loops.filed_scoring import score_to_files
from dpc_lightning.purchase.ledger import Ledger
from tests.loops.probes import Honest, Service
from tests.loops.test_buyer import SERVICE, SHORT, wanting
from tests.loops.test_score_files import refusing
from tests.small_run import purchases, words
from tests.test_resume import Stop

BYTES = 50 * 6 * 4
"""Of the logits of the small pool."""


def test_a_gibibyte_is_the_limit() -> None:
    assert pool_scores.IN_MEMORY == 2**30


@pytest.mark.parametrize(("limit", "way"), [(BYTES, "score_images"), (BYTES - 1, "score_to_files")])
def test_more_than_the_limit_goes_to_files(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, way: str
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Stop(way)

    monkeypatch.setattr(pool_scores, "IN_MEMORY", limit)
    monkeypatch.setattr(pool_scores, way, stop)
    with pytest.raises(Stop, match=way):
        main(words(small_root, tmp_path / "run", *SHORT, *wanting("logits")))


def test_a_disk_without_room_is_named_and_the_same_command_goes_on(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = words(small_root, tmp_path / "run", *SHORT, *wanting("logits", "embeddings", "labelled_embeddings"))
    monkeypatch.setattr(pool_scores, "IN_MEMORY", 0)
    (tmp_path / "run" / "scores" / "round_9").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
        assert main(command) == 2
    said = capfd.readouterr().err
    assert "GiB of scores into" in said
    assert "No space left on device. Make room there" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "scores").exists()
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert len(ledger.purchases().index) == 0
    Honest.given.clear()
    assert main(command) == 0
    assert len(purchases(tmp_path / "run")) == 12
    assert [pool.logits.shape for pool in Honest.given] == [(50, 6), (44, 6)]
    assert not any(pool.embeddings.flags.writeable for pool in Honest.given)
    assert not (tmp_path / "run" / "scores").exists()


def test_nothing_lies_on_the_disk_while_people_label(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_scores, "IN_MEMORY", 0)
    Service.reset(pending=1)
    command = words(small_root, tmp_path / "run", *SHORT, *wanting("logits"), *SERVICE)
    assert main(command) == 3
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert len(ledger.events("picks")) == 1
    assert not (tmp_path / "run" / "scores").exists()


def test_a_rule_that_fails_once_is_not_scored_for_twice(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = words(small_root, tmp_path / "run", *SHORT, *wanting("logits"))
    monkeypatch.setattr(pool_scores, "IN_MEMORY", 0)

    def fail(*_: Any) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(Honest, "_pick", fail)
        with pytest.raises(Stop):
            main(command)
    assert (tmp_path / "run" / "scores" / "round_1" / "logits.npy").exists()
    scored: list[int] = []

    def counted(module: Any, trainer: Any, batches: Any, *more: Any, **named: Any) -> Any:
        def counting(skip: int) -> Any:
            for positions, images in batches(skip):
                scored.append(len(images))
                yield positions, images

        return score_to_files(module, trainer, counting, *more, **named)

    monkeypatch.setattr(pool_scores, "score_to_files", counted)
    assert main(command) == 0
    assert sum(scored) == 44  # of the second round alone
