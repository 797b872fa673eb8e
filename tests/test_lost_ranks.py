"""A rank whose starter is gone ends; what a backend says of a lost rank becomes an error with a way out."""

import os
import threading

import pytest
import torch

from dpc_lightning.errors import RankLostError
from dpc_lightning.lost_ranks import PARENT, StarterWatch, name_lost_ranks


@pytest.mark.parametrize(
    ("environ", "watched"),
    [
        ({}, False),
        ({"LOCAL_RANK": "0"}, False),  # started by a person, and itself the starter of other ranks
        ({"LOCAL_RANK": "1"}, True),
        ({"LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "x"}, True),
        ({"LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "x"}, True),
    ],
    ids=str,
)
def test_only_a_rank_that_a_launcher_has_started_watches(environ: dict[str, str], watched: bool) -> None:
    assert (StarterWatch.of(environ) is not None) is watched


def test_it_ends_when_the_starter_is_gone_and_not_before(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()
    watch = StarterWatch({"LOCAL_RANK": "1"}, every=0.01, end=lambda status: ended.set())
    watch.start()
    assert not ended.wait(0.2)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert ended.wait(10)
    assert "rank 1 has ended" in capfd.readouterr().err


def test_a_starter_that_was_gone_before_the_first_look_is_missed_too(capfd: pytest.CaptureFixture[str]) -> None:
    statuses: list[int] = []
    StarterWatch({"LOCAL_RANK": "1", PARENT: str(os.getppid() + 1)}, end=statuses.append).run()
    assert statuses == [1]
    assert "goes on from the last checkpoint" in capfd.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[/x/third_party/gloo/gloo/transport/tcp/pair.cc:545] Read error: Connection reset by peer"),
        torch.distributed.DistBackendError("NCCL error: remote process exited or there was a network error"),
    ],
    ids=["gloo", "nccl"],
)
def test_a_backends_error_becomes_one_with_a_way_out(error: RuntimeError) -> None:
    with pytest.raises(RankLostError, match="Another rank has ended .* goes on from the last checkpoint"):  # noqa: SIM117
        with name_lost_ranks():
            raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), name_lost_ranks():
        raise RuntimeError("CUDA out of memory")
