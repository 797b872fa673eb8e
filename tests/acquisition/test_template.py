"""What every rule has to keep. A rule that the package exports is tested here by itself."""

import copy
import inspect
import pickle
import random
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning import acquisition
from dpc_lightning.acquisition import Acquisition, ClassQuota, ExpectedGain, PoolView, Scored
from dpc_lightning.acquisition.base import FloatArray
from dpc_lightning.acquisition.rule_list import rules
from dpc_lightning.errors import AcquisitionError
from tests.acquisition.examples import EXAMPLES
from tests.acquisition.pools import pool_of, random_pool, with_rows

each_rule = pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)

Make = Callable[[], Acquisition]


def pick(make: Make, pool: PoolView, count: int, seed: int = 0) -> list[int]:
    selection = make().select(pool, count, np.random.default_rng(seed))
    assert selection.indices.dtype == np.int64
    assert selection.scores.dtype == np.float32
    assert len(selection.scores) == len(selection.indices) == min(count, len(pool))
    assert len(np.unique(selection.indices)) == len(selection.indices)
    assert np.isin(selection.indices, pool.indices).all()
    assert not np.isinf(selection.scores).any()
    return [int(index) for index in selection.indices]


def every_subclass(parent: type) -> set[type]:
    children: set[type] = set(parent.__subclasses__())
    return children.union(*(every_subclass(child) for child in children))


def test_every_rule_of_the_package_is_exported_and_has_an_example_here() -> None:
    ours = {rule for rule in every_subclass(Acquisition) if rule.__module__.startswith("dpc_lightning.")}
    ours = {rule for rule in ours if not inspect.isabstract(rule)}
    assert ours == set(rules().values())
    assert ours == {type(make()) for make in EXAMPLES.values()}
    assert acquisition.__all__ == sorted(acquisition.__all__)


@pytest.mark.parametrize("rule", rules().values(), ids=rules())
def test_a_rule_says_what_it_costs(rule: type[Acquisition]) -> None:
    assert rule.time.startswith(("O(", "a few per cent of O("))
    assert rule.memory
    text = (rule.__doc__ or "").lower()
    for word in ("score", "cost", "use it"):
        assert word in text, f"the docstring of {rule.__name__} has no {word!r}"


@each_rule
@pytest.mark.parametrize("count", [0, 1, 7, 59, 60, 61, 1_000])
def test_gives_exactly_so_many_distinct_images(make: Make, count: int) -> None:
    pick(make, random_pool(60), count)


@each_rule
@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 40),
    count=st.integers(0, 45),
    classes=st.integers(1, 9),
    width=st.integers(1, 5),
    labelled=st.integers(0, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_keeps_the_contract_on_any_pool(
    make: Make, *, rows: int, count: int, classes: int, width: int, labelled: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.choice([-1e4, -1.0, 0.0, 0.5, 1e4], (rows, classes)).astype(np.float32)
    embeddings = rng.choice([0.0, 1.0, -2.0], (rows, width)).astype(np.float16)
    labels = rng.integers(0, 2, (labelled, classes)).astype(np.uint8)
    owned = rng.choice([0.0, 1.0], (labelled, width)).astype(np.float32)
    pool = pool_of(logits, embeddings.astype(np.float32), labels=labels, owned=owned)
    shuffled = with_rows(pool, rng.permutation(rows))
    assert pick(make, pool, count, seed) == pick(make, shuffled, count, seed)


@each_rule
def test_is_a_function_of_the_generator(make: Make) -> None:
    pool = random_pool(200)
    first = pick(make, pool, 20, seed=1)
    assert first == pick(make, pool, 20, seed=1)
    assert first == pick(make, copy.deepcopy(pool), 20, seed=1)
    other = pick(make, pool, 20, seed=2)
    assert (other != first) == make().stochastic


@each_rule
def test_does_not_depend_on_the_order_of_the_pool(make: Make) -> None:
    pool = random_pool(300)
    shuffled = with_rows(pool, np.random.default_rng(5).permutation(300))
    assert pick(make, pool, 40) == pick(make, shuffled, 40)


@each_rule
def test_does_not_change_the_pool(make: Make) -> None:
    pool = random_pool(50)  # its arrays refuse to be written
    before = pickle.dumps(pool)
    pick(make, pool, 10)
    assert pickle.dumps(pool) == before


@each_rule
def test_leaves_the_global_random_state_alone(make: Make) -> None:
    def state() -> tuple[int, int]:
        numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002  the very thing that must not be touched
        return zlib.crc32(repr(numpy_state).encode()), zlib.crc32(repr(random.getstate()).encode())

    before = state()
    pick(make, random_pool(50), 10)
    assert state() == before


def all_equal(rows: int) -> PoolView:
    return pool_of(np.full((rows, 3), 0.3, dtype=np.float32), np.full((rows, 4), 0.7, dtype=np.float32))


def one_hot(rows: int) -> PoolView:
    return pool_of(np.zeros((rows, 3), dtype=np.float32), np.eye(4, dtype=np.float32)[np.arange(rows) % 4])


def only_extremes(rows: int) -> PoolView:
    rng = np.random.default_rng(0)
    logits = rng.choice([-1e4, 1e4], (rows, 3)).astype(np.float32)
    return pool_of(logits, rng.standard_normal((rows, 4)).astype(np.float32))


def zero_embeddings(rows: int) -> PoolView:
    return pool_of(np.zeros((rows, 3), dtype=np.float32), np.zeros((rows, 4), dtype=np.float32))


def no_positive_and_unknown_f1(rows: int) -> PoolView:
    pool = random_pool(rows, classes=3)
    return pool_of(
        pool.logits.copy(),
        pool.embeddings.copy(),
        labels=np.zeros((5, 3), dtype=np.uint8),
        owned=pool.labelled_embeddings.copy(),
        f1=np.full(3, np.nan, dtype=np.float32),
    )


def half_precision(rows: int) -> PoolView:
    pool = random_pool(rows)
    half: FloatArray = pool.embeddings.astype(np.float16)  # shards may be float16
    return pool_of(pool.logits.copy(), half)


def column_major(rows: int) -> PoolView:
    pool = random_pool(rows)
    return pool_of(np.asfortranarray(pool.logits), np.asfortranarray(pool.embeddings))


ODD = [all_equal, one_hot, only_extremes, zero_embeddings, no_positive_and_unknown_f1, half_precision, column_major]


@each_rule
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
@pytest.mark.parametrize("rows", [1, 2, 120])
def test_odd_pools(make: Make, odd: Callable[[int], PoolView], rows: int) -> None:
    pool = odd(rows)
    for count in (1, rows // 2, rows):
        picks = pick(make, pool, count)
        assert picks == pick(make, with_rows(pool, np.arange(rows)[::-1]), count)


@each_rule
def test_ties_go_to_the_smaller_index(make: Make) -> None:
    if not make().stochastic:
        assert pick(make, all_equal(5_000), 7) == list(range(7))
        assert pick(make, zero_embeddings(5_000), 7) == list(range(7))


@each_rule
def test_twins_far_apart_in_the_pool_are_ties(make: Make) -> None:
    """Equal images get equal scores to the last bit, wherever they stand: 9 classes, and a last block of one row."""
    rng = np.random.default_rng(3)
    logits, embeddings = rng.standard_normal((100, 9)), rng.standard_normal((100, 19))
    copies = 41
    pool = pool_of(
        np.tile(logits, (copies, 1)).astype(np.float32)[:4097],
        np.tile(embeddings, (copies, 1)).astype(np.float32)[:4097],
    )
    rule = make()
    if isinstance(rule, Scored):
        picks = pick(make, pool, 82)
        assert picks[:41] == sorted(picks[:41])
        assert len({row % 100 for row in picks[:40]}) == 1
    elif isinstance(rule, ClassQuota | ExpectedGain):
        picks = pick(make, pool, 60)
        assert max(picks) < 100, "a copy was preferred to the first of its kind"


@each_rule
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["logits", "embeddings"])
def test_names_the_image_whose_scores_are_not_finite(make: Make, name: str, broken: float) -> None:
    pool = random_pool(30)
    arrays = {"logits": pool.logits.copy(), "embeddings": pool.embeddings.copy()}
    arrays[name][17, 1] = broken
    with pytest.raises(AcquisitionError, match=f"image index {pool.indices[17]}"):
        pick(make, pool_of(arrays["logits"], arrays["embeddings"], indices=pool.indices.copy()), 3)


@each_rule
def test_says_what_it_needs(make: Make) -> None:
    pool = random_pool(30)
    nothing = pool_of(np.zeros((30, 0), np.float32), np.zeros((30, 0), np.float32), labels=pool.labelled_labels.copy())
    if make().needs:
        with pytest.raises(AcquisitionError, match="not computed"):
            pick(make, nothing, 3)
    else:
        pick(make, nothing, 3)
    with pytest.raises(AcquisitionError, match="at least 0"):
        pick(make, pool, -1)


@each_rule
def test_works_without_a_labelled_image(make: Make) -> None:
    pick(make, random_pool(40, labelled=0), 40)


@each_rule
def test_survives_pickling(make: Make) -> None:
    again = pickle.loads(pickle.dumps(make()))
    pool = random_pool(40)
    expected = make().select(pool, 9, np.random.default_rng(0)).indices
    assert again.select(pool, 9, np.random.default_rng(0)).indices.tolist() == expected.tolist()
