"""Components against a published example, against REML, and against what was simulated."""

import random
import warnings

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.mixed_linear_model import MixedLM

from dpc_lightning.evaluation.cases import Case, scored_rows
from dpc_lightning.evaluation.result import Result
from dpc_lightning.evaluation.variance import Grid, VarianceSplit, grids, split_variance
from tests.evaluation.simulated_rows import crossed, row

CASE = Case("default", 100, None, "b0")

# Moisture of pigment paste, 15 batches, 2 samples of each, 2 tests of each: Box, Hunter, Hunter, Statistics for
# Experimenters, 1978, chapter 17; it finds 7.1, 28.5 and 0.9
PIGMENT = (
    "40 39 30 30 26 28 25 26 29 28 14 15 30 31 24 24 19 20 17 17 33 32 26 24 23 24 32 33 34 34 29 29 27 27 31 31 "
    "13 16 27 24 25 23 25 27 29 29 31 32 19 20 29 30 23 24 25 25 39 37 26 28"
)


def found(rows: list[Result], problems: list[str]) -> list[Grid]:
    return grids(scored_rows(rows, "f1_macro").rows, problems)


def split(scores: object, design: str = "nested", **more: int) -> VarianceSplit:
    made = split_variance(Grid(CASE, "random", np.asarray(scores, dtype=np.float64), design), [], **more)
    assert made is not None
    return made


def simulated(rng: np.random.Generator, shape: tuple[int, int, int], sd: tuple[float, float, float]) -> np.ndarray:
    a, b, _ = shape
    parts = [rng.normal(0, sd[0], (a, 1, 1)), rng.normal(0, sd[1], (a, b, 1)), rng.normal(0, sd[2], shape)]
    return 0.4 + sum(parts, np.zeros(shape))


def test_the_published_example_comes_out() -> None:
    made = split(np.array(PIGMENT.split(), dtype=np.float64).reshape(15, 2, 2))
    assert [part.source for part in made.components] == ["start set", "purchase", "training"]
    assert [part.estimate for part in made.components] == pytest.approx([7.128, 28.533, 0.917], abs=1e-3)
    assert made.sd == pytest.approx(np.sqrt(7.128 + 28.533 + 0.917), abs=1e-3)
    assert sum(part.share for part in made.components) == pytest.approx(1)
    assert (made.start_sets, made.purchases, made.trainings) == (15, 2, 2)


def test_positive_components_are_those_of_reml() -> None:
    scores = simulated(np.random.default_rng(3), (6, 4, 3), (3.0, 2.0, 1.0))
    s, p, _ = (index.ravel() for index in np.indices(scores.shape))
    data = pd.DataFrame({"y": scores.ravel(), "s": s, "p": p})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM.from_formula("y ~ 1", data, groups="s", re_formula="1", vc_formula={"p": "0 + C(p)"}).fit()
    estimates = [part.estimate for part in split(scores).components]
    assert min(estimates) > 0
    assert estimates == pytest.approx([float(fit.cov_re.iloc[0, 0]), float(fit.vcomp[0]), float(fit.scale)], rel=0.01)


def test_known_components_are_recovered_and_covered() -> None:
    rng = np.random.default_rng(0)
    sd = (0.02, 0.01, 0.02)
    made = [split(simulated(rng, (4, 3, 3), sd), draws=400).components for _ in range(60)]
    estimates = np.array([[part.estimate for part in parts] for parts in made])
    error = estimates.std(axis=0, ddof=1) / np.sqrt(len(made))
    assert np.all(np.abs(estimates.mean(axis=0) - np.square(sd)) < 3 * error)
    covered = np.array([[part.low <= s**2 <= part.high for part, s in zip(parts, sd, strict=True)] for parts in made])
    assert covered.mean() > 0.92
    shares = np.square(sd) / np.sum(np.square(sd))
    held = [part.share_low <= s <= part.share_high for parts in made for part, s in zip(parts, shares, strict=True)]
    assert np.mean(held) > 0.92


def test_what_a_judge_seed_does_to_all_purchases_is_training() -> None:
    scores = simulated(np.random.default_rng(2), (4, 3, 3), (2.0, 1.5, 1.0))
    plain = {part.source: part.estimate for part in split(scores, "crossed").components}
    shifted = {part.source: part.estimate for part in split(scores + np.array([0, 5, -5]), "crossed").components}
    assert shifted["start set"] == pytest.approx(plain["start set"])
    assert shifted["purchase"] == pytest.approx(plain["purchase"])
    assert shifted["training"] == pytest.approx(plain["training"] + 25, rel=0.3)
    own = scores + np.array([[0, 5, -5], [5, 0, -5], [-5, 5, 0], [0, -5, 5]])[:, None]
    before, after = ({part.source: part.estimate for part in split(y, "within").components} for y in (scores, own))
    assert after["purchase"] == pytest.approx(before["purchase"])
    risen = after["training"] - before["training"]
    assert risen == pytest.approx(25, rel=0.3)
    # the means over three judge seeds have not moved: a third of the judges' variance is taken off the start set's
    assert after["start set"] == pytest.approx(before["start set"] - risen / 3, abs=0.5)


@pytest.mark.parametrize("design", ["crossed", "within", "nested"])
@pytest.mark.parametrize(
    ("shape", "sources"),
    [
        ((4, 3, 3), ["start set", "purchase", "training"]),
        ((4, 3, 1), ["start set", "purchase and training"]),
        ((4, 1, 3), ["start set and purchase", "training"]),
        ((1, 3, 3), ["purchase", "training"]),
        ((1, 1, 5), ["training"]),
        ((1, 5, 1), ["purchase and training"]),
    ],
)
def test_sources_that_the_design_cannot_tell_apart_are_named_together(
    shape: tuple[int, int, int], sources: list[str], design: str
) -> None:
    scores = np.random.default_rng(5).normal(size=shape)
    made = split(scores, design)
    assert [part.source for part in made.components] == sources
    if shape.count(1) == 2:
        assert made.components[0].estimate == pytest.approx(scores.var(ddof=1))


def test_an_estimate_below_zero_counts_as_zero_and_is_said() -> None:
    problems: list[str] = []
    scores = np.array([[[1.0, 3.0], [5.0, 7.0]], [[2.0, 4.0], [6.0, 6.0]]])
    made = split_variance(Grid(CASE, "random", scores, "nested"), problems)
    assert made is not None
    first = made.components[0]
    assert first.estimate == pytest.approx((0.5 - 12.5) / 4)
    assert (first.variance, first.sd, first.share) == (0.0, 0.0, 0.0)
    assert first.low == 0 < first.high
    (problem,) = problems
    assert "arm random: the estimate for start set is -3, below 0, and counts as 0" in problem


def test_trainings_that_repeat_to_the_bit_are_no_noise() -> None:
    scores = np.repeat(np.random.default_rng(0).normal(size=(4, 3, 1)), 3, axis=2)
    made = split(scores)
    assert made.components[-1].variance == pytest.approx(0, abs=1e-20)
    assert all(np.isfinite((part.low, part.high, part.share)).all() for part in made.components)


def test_equal_scores_are_said() -> None:
    problems: list[str] = []
    assert split_variance(Grid(CASE, "random", np.zeros((2, 2, 2)), "nested"), problems) is None
    assert problems == ["default, 100 labels, judged by b0, arm random: all 8 scores of the noise study are 0"]


def test_designs_are_told_by_their_judge_seeds() -> None:
    scores = np.random.default_rng(0).random((4, 3, 2))
    for rows, design in ((crossed(scores), "crossed"), (crossed(scores, nested=True), "nested")):
        (grid,) = found(rows, [])
        assert grid.design == design
        assert np.array_equal(grid.scores, scores)
    seeds = [(s, p, j) for s in range(3) for p in (1, 2) for j in (1, 2)]
    within = [row("random", s, 0.5, purchase_seed=p, judge_seed=10 * s + j) for s, p, j in seeds]
    assert found(within, [])[0].design == "within"


def test_rows_of_the_main_grid_are_of_no_concern() -> None:
    rows = [*crossed(np.ones((2, 2, 2))), *(row("random", seed, 0.5) for seed in range(5, 20)), row("badge", 1, 0.5)]
    problems: list[str] = []
    (grid,) = found(rows, problems)
    assert grid.scores.shape == (2, 2, 2)
    assert not problems


def test_rows_of_the_main_grid_beside_crossed_ones_of_the_same_study_are_of_no_concern() -> None:
    crossed_rows = [
        row("random", seed, 0.1 * seed + 0.01 * p * j, purchase_seed=p, judge_seed=j)
        for seed in range(3)
        for p in (10, 11)
        for j in (10, 11)
    ]
    main_grid = [row("random", seed, 0.1 * seed) for seed in range(5)]
    problems: list[str] = []
    (alone,) = grids(scored_rows(crossed_rows, "f1_macro").rows, problems)
    (beside,) = grids(scored_rows([*crossed_rows, *main_grid], "f1_macro").rows, problems)
    assert (beside.scores == alone.scores).all()
    assert problems == []


def test_start_sets_of_another_shape_are_left_out_and_said() -> None:
    rows = crossed(np.random.default_rng(0).random((4, 3, 3)))
    problems: list[str] = []
    (grid,) = found([r for r in rows if (r.seed, r.purchase_seed, r.judge_seed) != (2, 1, 1)], problems)
    assert grid.scores.shape == (3, 3, 3)
    (problem,) = problems
    assert "start set 2 left out of the noise: expected purchases x trainings to be 3 x 3" in problem
    problems = []
    assert found([r for r in rows if r.seed == 2 and (r.purchase_seed, r.judge_seed) != (1, 1)], problems) == []
    assert "expected purchases x trainings to be the same number of trainings on each purchase" in problems[0]


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False), st.floats(0.1, 10), st.floats(-1, 1))
def test_order_scale_and_level_change_nothing_but_the_scale(shuffle: random.Random, scale: float, level: float) -> None:
    scores = simulated(np.random.default_rng(2), (3, 2, 2), (2.0, 1.0, 1.0))
    rows = crossed(scores * scale + level)
    shuffle.shuffle(rows)
    (grid,) = found(rows, [])
    one, other = split_variance(grid, []), split(scores, "crossed")
    assert one is not None
    for part, plain in zip(one.components, other.components, strict=True):
        assert part.estimate == pytest.approx(plain.estimate * scale**2)
        assert (part.share, part.share_low) == pytest.approx((plain.share, plain.share_low), abs=1e-9)
