import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpc_lightning.data.split import split_validation
from dpc_lightning.errors import DataError

fractions = st.floats(0.02, 0.9)


@st.composite
def tables(draw: st.DrawFn, columns: int = 4) -> NDArray[np.uint8]:
    count = draw(st.integers(2, 40))
    seed, share = draw(st.integers(0, 99)), draw(st.floats(0, 0.6))
    return (np.random.default_rng(seed).random((count, columns)) < share).astype(np.uint8)


@given(tables(), st.integers(1, 8), fractions, st.integers(0, 99))
def test_each_row_once_and_no_group_shared(labels: NDArray[np.uint8], names: int, fraction: float, seed: int) -> None:
    groups = [f"g{number}" for number in np.random.default_rng(seed).integers(0, names, len(labels))]
    if len(set(groups)) < 2:
        with pytest.raises(DataError, match="two groups"):
            split_validation(labels, groups, fraction, seed)
        return
    train, validation = split_validation(labels, groups, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert len(train)
    assert len(validation)
    assert not {groups[row] for row in train} & {groups[row] for row in validation}
    again = split_validation(labels, groups, fraction, seed)
    assert np.array_equal(again[0], train)


@given(tables(columns=1), fractions, st.integers(0, 99))
def test_one_class_has_positives_on_both_sides_where_it_has_two(
    labels: NDArray[np.uint8], fraction: float, seed: int
) -> None:
    train, validation = split_validation(labels, None, fraction, seed)
    if labels.sum() >= 2:
        assert labels[train].any()
        assert labels[validation].any()


def _possible(labels: NDArray[np.uint8]) -> bool:
    """Whether some split gives every class with two positives one on both sides: tried by brute force."""
    needed = labels[:, labels.sum(axis=0) >= 2]
    for choice in range(1, 2 ** len(labels) - 1):
        held = np.array([choice >> row & 1 for row in range(len(labels))], dtype=bool)
        if needed[held].any(axis=0).all() and needed[~held].any(axis=0).all():
            return True
    return not needed.size


def test_several_classes_nearly_always_get_what_brute_force_finds_possible() -> None:
    rng = np.random.default_rng(1)
    possible = reached = 0
    for seed in range(150):
        labels = (rng.random((9, 4)) < 0.3).astype(np.uint8)
        if not _possible(labels):
            continue
        train, validation = split_validation(labels, None, 0.3, seed)
        frequent = labels[:, labels.sum(axis=0) >= 2]
        possible += 1
        reached += bool(frequent[train].any(axis=0).all() and frequent[validation].any(axis=0).all())
    assert possible > 100
    assert reached >= 0.97 * possible


def test_shares_are_kept_for_each_class() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((1_000, 6)) < [0.36, 0.09, 0.32, 0.06, 0.12, 0.02]).astype(np.uint8)
    train, validation = split_validation(labels, None, 0.1, 0)
    assert abs(len(validation) - 100) <= 3
    held = labels[validation].sum(axis=0)
    assert np.abs(held - labels.sum(axis=0) * 0.1).max() <= 1.5
    other = split_validation(labels, None, 0.1, 1)[1]
    assert not np.array_equal(other, validation)
    assert np.intersect1d(train, validation).size == 0


def test_groups_of_unequal_size_still_give_about_the_share() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((2_000, 6)) < 0.07).astype(np.uint8)
    groups = [str(group) for group in rng.integers(0, 100, 2_000) ** 2 // 100]
    _, validation = split_validation(labels, groups, 0.1, 0)
    assert 180 <= len(validation) <= 220


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_is_between_0_and_1(fraction: float) -> None:
    with pytest.raises(DataError, match=r"data.validation_fraction"):
        split_validation(np.zeros((4, 1), dtype=np.uint8), None, fraction, 0)


def test_one_image_cannot_be_split() -> None:
    with pytest.raises(DataError, match="validation/ folder"):
        split_validation(np.zeros((1, 2), dtype=np.uint8), None, 0.1, 0)
