"""Greedy covering against a look at every image for every pick, and against the best choice there is."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skactiveml.pool import ProbCover as TheirProbCover
from skactiveml.utils import MISSING_LABEL

from dpc_lightning.acquisition import (
    Acquisition,
    FacilityLocation,
    MaxHerding,
    MeanEntropy,
    PoolView,
    ProbCover,
    UncertaintyHerding,
)
from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.acquisition.prob_cover import pure_radius
from dpc_lightning.errors import AcquisitionError, ConfigError
from tests.acquisition.pools import pool_of, random_pool

Doubles = NDArray[np.float64]
Kernel = Callable[[Doubles], Doubles]
RULES: dict[str, tuple[Callable[[], Acquisition], Kernel]] = {
    "MaxHerding": (MaxHerding, lambda cosine: np.exp((cosine - 1) / 0.3)),
    "UncertaintyHerding": (UncertaintyHerding, lambda cosine: np.exp((cosine - 1) / 0.3)),
    "FacilityLocation": (FacilityLocation, lambda cosine: np.maximum(cosine, 0)),
    "ProbCover": (lambda: ProbCover(radius=0.4), lambda cosine: (1 - cosine <= 0.4).astype(np.float64)),
}
each_rule = pytest.mark.parametrize(("make", "kernel"), RULES.values(), ids=RULES)


def value(pool: PoolView, kernel: Kernel, weights: Doubles, chosen: list[int]) -> float:
    rows = UnitRows(pool.embeddings, pool.labelled_embeddings)
    unit = rows.read(np.arange(len(pool)))
    centres = np.concatenate([rows.owned, unit[chosen]])
    similar = kernel(unit @ centres.T)
    if kernel is RULES["ProbCover"][1]:
        similar[chosen, len(rows.owned) + np.arange(len(chosen))] = (
            1  # an image is near to itself, even without a direction
        )
    return float(weights @ similar.max(axis=1, initial=0))


def weights_of(make: Callable[[], Acquisition], pool: PoolView) -> Doubles:
    return MeanEntropy().scores(pool) if isinstance(make(), UncertaintyHerding) else np.ones(len(pool))


@each_rule
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 30), labelled=st.integers(0, 4), kinds=st.integers(1, 30))
def test_every_pick_adds_as_much_as_any_could(
    make: Callable[[], Acquisition], kernel: Kernel, seed: int, rows: int, labelled: int, kinds: int
) -> None:
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((30, 3)).astype(np.float32)[rng.integers(0, kinds, rows)]
    pool = pool_of(
        rng.standard_normal((rows, 2)).astype(np.float32),
        embeddings,
        labels=np.zeros((labelled, 2), np.uint8),
        owned=rng.standard_normal((labelled, 3)).astype(np.float32),
    )
    weights = weights_of(make, pool)
    picked = make().select(pool, rows, rng)
    chosen: list[int] = []
    for row, added in zip(picked.indices.tolist(), picked.scores.tolist(), strict=True):
        before = value(pool, kernel, weights, chosen)
        gains = {at: value(pool, kernel, weights, [*chosen, at]) - before for at in range(rows) if at not in chosen}
        assert gains[row] >= max(gains.values()) - 1e-9
        assert added == pytest.approx(gains[row] / weights.sum(), abs=1e-6)
        chosen.append(row)


@each_rule
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_of_greedy_picking_holds(make: Callable[[], Acquisition], kernel: Kernel, seed: int) -> None:
    pool = random_pool(10, width=3, labelled=0, seed=seed)
    weights = weights_of(make, pool)
    places = np.searchsorted(pool.indices, make().select(pool, 3, np.random.default_rng(0)).indices).tolist()
    best = max(value(pool, kernel, weights, list(chosen)) for chosen in itertools.combinations(range(10), 3))
    assert value(pool, kernel, weights, places) >= (1 - math.exp(-1)) * best


def test_few_images_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from dpc_lightning.acquisition import kernel_coverage

    looked = 0
    plain = kernel_coverage._gains

    def counted(unit: Doubles, some: NDArray[np.int64], *more: object) -> Doubles:
        nonlocal looked
        looked += len(some)
        return plain(unit, some, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(kernel_coverage, "_gains", counted)
    MaxHerding().select(random_pool(1_500, width=16), 150, np.random.default_rng(0))
    assert looked < 1_500 + 0.2 * 1_500 * 150


def test_what_another_rule_has_chosen_is_covered() -> None:
    pool = pool_of(np.zeros((4, 1), np.float32), np.array([[1, 0], [1, 0.1], [1, 0.05], [-1, 0]], np.float32))
    assert MaxHerding().select(pool, 1, np.random.default_rng(0)).indices[0] != 3
    assert MaxHerding().select(pool.with_chosen(np.array([0])), 1, np.random.default_rng(0)).indices[0] == 3


def test_peer_defect_4_an_image_covers_itself_and_the_last_block_counts() -> None:
    """130 copies of one image, the last of which stands in a block of two: it covers them all, the other one itself."""
    embeddings = np.ones((131, 2), np.float32)
    embeddings[130] = [-1, 1]
    pool = pool_of(np.zeros((131, 1), np.float32), embeddings)
    picked = ProbCover(radius=0.1).select(pool, 2, np.random.default_rng(0))
    assert picked.indices.tolist() == [0, 130]
    np.testing.assert_allclose(picked.scores, [130 / 131, 1 / 131], rtol=1e-6)


def test_scikit_activeml_covers_as_many() -> None:
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, 2 * np.pi, 150)
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    pool = pool_of(np.zeros((150, 1), np.float32), embeddings)
    unit = UnitRows(embeddings, np.zeros((0, 2), np.float32)).read(np.arange(150))
    radius = 0.05
    delta = float(np.sqrt(2 * radius))  # of unit rows |a - b|² = 2 (1 - cosine)
    rule = TheirProbCover(random_state=0, n_classes=2, deltas=[delta])
    with pytest.warns(UserWarning, match="maximum purity"):  # it looks for no radius where one is given
        theirs = rule.query(unit, np.full(150, MISSING_LABEL), batch_size=8)
    ours = ProbCover(radius=radius).select(pool, 8, rng).indices.tolist()
    kernel: Kernel = lambda cosine: (1 - cosine <= radius).astype(np.float64)  # noqa: E731
    weights = np.ones(150)
    assert value(pool, kernel, weights, ours) == pytest.approx(
        value(pool, kernel, weights, [int(row) for row in theirs]), abs=4
    )


def test_the_radius_is_the_largest_pure_one() -> None:
    rng = np.random.default_rng(0)
    unit = UnitRows(rng.standard_normal((40, 3)).astype(np.float32), np.zeros((0, 3), np.float32)).read(np.arange(40))
    labels = (unit[:, :1] > 0).astype(np.uint8)
    radius = pure_radius(unit, labels, 0.9)

    def purity(limit: float) -> float:
        pairs = [(a, b) for a, b in itertools.combinations(range(40), 2) if 1 - unit[a] @ unit[b] <= limit]
        return float(np.mean([labels[a, 0] == labels[b, 0] for a, b in pairs]))

    assert purity(radius) >= 0.9
    larger = sorted(1 - unit[a] @ unit[b] for a, b in itertools.combinations(range(40), 2))
    assert all(purity(limit) < 0.9 for limit in larger if limit > radius)
    assert pure_radius(unit[:0], labels[:0], 0.9) == 0.3
    assert pure_radius(unit[:2], np.array([[0], [1]], np.uint8), 0.9) == 0.3


def test_a_large_pool_is_refused_with_the_way_out() -> None:
    with pytest.raises(AcquisitionError, match=r"(?s)MaxHerding takes O\(N² D\).*Cascade"):
        MaxHerding().check_pool(20_001)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (lambda: MaxHerding(0), "scale"),
        (lambda: UncertaintyHerding(math.nan), "scale"),
        (lambda: ProbCover(radius=0), "radius"),
        (lambda: ProbCover(purity=1.1), "purity"),
    ],
)
def test_wrong_settings_are_refused(rule: Callable[[], object], name: str) -> None:
    with pytest.raises(ConfigError, match=f"init_args.{name}"):
        rule()
