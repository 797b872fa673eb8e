"""A short campaign: no spoilt file brings anything but an error of ours, and none is changed."""

import warnings
from pathlib import Path

import pytest

from benchmarks.fuzz import TARGETS, campaign, shared_out
from tests.fuzzing import labels_fuzz
from tests.fuzzing.mutation import mutate_bytes, mutate_text, mutate_tree

CASES = {"labels": 300, "ledger": 150, "requests": 150, "yaml": 60}


@pytest.mark.parametrize("target", list(CASES))
def test_spoilt_files_are_read_or_refused_with_their_names(target: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a setting warns of is no failure
        outcomes, wrong = campaign(target, range(CASES[target]))
    assert wrong == {}
    assert outcomes["read"]  # some spoil nothing that matters
    assert outcomes.total() - outcomes["read"] > CASES[target] // 3


def test_a_target_that_lets_something_through_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(folder: Path) -> object:
        return (folder / "labels.csv").read_text(encoding="ascii")

    monkeypatch.setattr(labels_fuzz, "read_labelled", careless)
    assert campaign("labels", range(200))[1]


def test_cases_are_a_function_of_the_seed_and_are_shared_out() -> None:
    from random import Random

    for mutate in (
        lambda random: mutate_bytes(b"some bytes", random),
        lambda random: mutate_text("a,b\n1,2\n", random, ","),
        lambda random: mutate_tree({"a": {"b": 1, "c": [{"d": 2}]}}, random),
    ):
        assert [repr(mutate(Random(seed))) for seed in range(50)] == [repr(mutate(Random(seed))) for seed in range(50)]
    assert sum(shared_out(50_000, list(TARGETS)).values()) == 50_000
