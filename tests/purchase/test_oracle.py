"""Oracles and what is accepted as an answer."""

import copy
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from jsonargparse import ArgumentParser

from dpc_lightning.errors import ConfigError, LabelsPendingError, OracleError
from dpc_lightning.purchase.oracle import CallableOracle, HiddenLabels, Oracle, ask, checked_labels
from tests.purchase.oracles import Scripted, truth

HERE = "tests.purchase.test_oracle"


def answer(indices: list[int]) -> list[list[int]]:
    assert all(type(index) is int for index in indices)
    return [[index % 2, 1] for index in indices]


def answer_too_little(indices: list[int]) -> list[list[int]]:
    return answer(indices)[1:]


not_callable = 3


def test_hidden_labels_gives_rows_in_the_order_asked() -> None:
    oracle = HiddenLabels()
    table = truth(range(8))
    oracle.attach(table)
    table[:] = 9  # the oracle has a copy
    assert oracle.label(np.array([5, 0, 3])).tolist() == truth([5, 0, 3]).tolist()
    assert oracle.label(np.array([], dtype=np.int64)).shape == (0, 3)
    assert oracle.simulated
    assert not CallableOracle(f"{HERE}:answer").simulated


def test_hidden_labels_without_a_table_says_what_to_do() -> None:
    with pytest.raises(OracleError, match=r"labels\.csv. is missing"):
        HiddenLabels().label(np.array([0]))


@pytest.mark.parametrize("index", [-1, 8, 10**9])
def test_hidden_labels_refuses_unknown_images(index: int) -> None:
    oracle = HiddenLabels()
    oracle.attach(truth(range(8)))
    with pytest.raises(OracleError, match=str(index)):
        oracle.label(np.array([0, index]))


@pytest.mark.parametrize("table", [[0, 1], [[0, 2]], [[0.5]], [[np.nan]], [["1"]], 7, [[[1]]]])
def test_hidden_labels_takes_only_a_table_of_0_and_1(table: object) -> None:
    with pytest.raises(OracleError):
        HiddenLabels().attach(np.array(table))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([[0, 1]], r"shape \(1, 2\)"),
        ([[0, 1], [1]], "no table|shape"),
        ([[0, 1], [1, 2]], "says 2 for class column 1 of image index 9"),
        ([[0, 1], [1, -1]], "image index 9"),
        ([[0, 1], [0.5, 0]], "says 0.5 for class column 0 of image index 9"),
        ([[float("nan"), 1], [0, 0]], "image index 4"),
        ([["0", "1"], ["0", "1"]], "of type"),
        ([[None, 1], [0, 1]], "of type object"),
        (None, "shape"),
        ([[0, 1, 0], [0, 1, 0]], "shape"),
        (np.zeros((2, 2, 1)), "shape"),
    ],
)
def test_wrong_answers_are_named(wrong: object, says: str) -> None:
    with pytest.raises(OracleError, match=says):
        checked_labels(wrong, np.array([4, 9]), 2)


def test_callable_gets_plain_ints_and_is_checked() -> None:
    oracle = CallableOracle(f"{HERE}:answer")
    labels = oracle.label(np.array([3, 8]))
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[1, 1], [0, 1]]
    with pytest.raises(OracleError, match=r"answer_too_little.*shape \(1, 2\)"):
        CallableOracle(f"{HERE}:answer_too_little").label(np.array([3, 8]))


@pytest.mark.parametrize(
    "path", ["", "os", "os:", ":f", "no_such_module:f", "os:no_such_function", f"{HERE}:not_callable", "a..b:c"]
)
def test_callable_that_does_not_exist_is_refused_at_once(path: str) -> None:
    with pytest.raises(ConfigError, match=r"purchase\.oracle\.init_args\.function"):
        CallableOracle(path)


@pytest.mark.parametrize("oracle", [HiddenLabels(), CallableOracle(f"{HERE}:answer")], ids=["hidden", "callable"])
def test_can_be_pickled_and_copied(oracle: Oracle) -> None:
    if isinstance(oracle, HiddenLabels):
        oracle.attach(truth(range(9)))
    expected = oracle.label(np.array([1, 2])).tolist()
    for again in (pickle.loads(pickle.dumps(oracle)), copy.deepcopy(oracle)):
        assert again.label(np.array([1, 2])).tolist() == expected


@pytest.mark.parametrize(
    "words",
    [
        ["--oracle", "dpc_lightning.purchase.oracle.HiddenLabels"],
        ["--oracle", "dpc_lightning.purchase.oracle.CallableOracle", "--oracle.function", f"{HERE}:answer"],
    ],
)
def test_can_be_named_on_the_command_line(words: Sequence[str]) -> None:
    parser = ArgumentParser()
    parser.add_subclass_arguments(Oracle, "oracle")
    oracle = parser.instantiate_classes(parser.parse_args(list(words))).oracle
    assert type(oracle).__name__ == words[1].rsplit(".", 1)[1]


def test_a_failing_oracle_is_asked_again_with_longer_pauses() -> None:
    oracle, pauses = Scripted(TimeoutError("slow"), ValueError("odd")), list[float]()
    assert ask(oracle, np.array([6]), 1, 3, 2.0, pauses.append).tolist() == [[1, 1, 0]]
    assert oracle.asked == [[6], [6], [6]]
    assert pauses == [2.0, 4.0]


def test_an_oracle_that_keeps_failing_is_given_up() -> None:
    oracle, pauses = Scripted(*[TimeoutError("line is down")] * 9), list[float]()
    with pytest.raises(OracleError, match="failed 4 times, last with TimeoutError: line is down") as caught:
        ask(oracle, np.array([6]), 1, 4, 1.0, pauses.append)
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert len(oracle.asked) == 4
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize("error", [OracleError("never"), LabelsPendingError("later"), KeyboardInterrupt()])
def test_what_will_not_change_is_not_tried_again(error: BaseException) -> None:
    oracle = Scripted(error)
    with pytest.raises(type(error)):
        ask(oracle, np.array([6]), 1, 3, 1.0, lambda _: pytest.fail("paused"))
    assert len(oracle.asked) == 1
