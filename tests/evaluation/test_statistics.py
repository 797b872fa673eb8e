"""Intervals, tests and verdicts: what scipy and statsmodels say, and how often they are right."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.statistics import (
    FEWEST_SEEDS,
    PairedDifference,
    compare_arms,
    compare_families,
    mean_interval,
    paired_differences,
    summarize,
)
from tests.evaluation.simulated import OWN_SD, SHARED_SD

SAMPLES = {
    "a": [0.031, 0.012, 0.044, 0.027, 0.009, 0.038, 0.021, 0.015, 0.029],
    "b": [0.010, -0.021, 0.033, 0.004, -0.008, 0.019, -0.012, 0.025, 0.001],
    "c": [-0.013, 0.002, -0.031, -0.018, -0.006, -0.024, -0.009, 0.003, -0.020],
    "d": [0.021, 0.005, -0.003, 0.018, 0.012, 0.024, -0.006, 0.016, 0.011],
}


@pytest.fixture(autouse=True, scope="module")
def _no_collection() -> Iterator[None]:
    """statsmodels collects garbage at each correction: a tenth of a second, again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda *_: 0)
        yield


def test_intervals_and_p_are_those_of_scipy_and_statsmodels() -> None:
    found = compare_arms(SAMPLES)
    for name, values in SAMPLES.items():
        one, test = found[name], stats.ttest_1samp(values, 0)
        assert one.p == pytest.approx(test.pvalue)
        alone = test.confidence_interval(0.95)
        assert (one.interval.low, one.interval.high) == pytest.approx((alone.low, alone.high))
        assert (one.interval.low, one.interval.high) == pytest.approx(DescrStatsW(values).tconfint_mean(0.05))
        among = test.confidence_interval(one.adjusted.level)
        assert (one.adjusted.low, one.adjusted.high) == pytest.approx((among.low, among.high))
        assert one.p_wilcoxon == pytest.approx(stats.wilcoxon(values).pvalue)
        assert (one.mean, one.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
        assert one.wins + one.losses + one.ties == one.n == len(values)
    for p, corrected in (("p", "p_holm"), ("p_wilcoxon", "p_wilcoxon_holm")):
        theirs = multipletests([getattr(one, p) for one in found.values()], method="holm")[1]
        assert [getattr(one, corrected) for one in found.values()] == pytest.approx(list(theirs))
    assert {name: one.verdict for name, one in found.items()} == {
        "a": "better",
        "b": "not shown",
        "c": "worse",
        "d": "better",
    }


def test_a_plain_interval_may_exclude_zero_where_the_corrected_one_does_not() -> None:
    rest = {name: (np.array(SAMPLES["b"]) * sign).tolist() for name, sign in (("e", 1), ("f", -1))}
    weak = [0.021, 0.005, -0.010, 0.018, 0.012, 0.024, -0.007, 0.016, 0.011]
    assert 0 not in compare_arms({"weak": weak})["weak"].adjusted
    among = compare_arms({"weak": weak, **rest})["weak"]
    assert 0 not in among.interval
    assert 0 in among.adjusted
    assert among.verdict == "not shown"
    assert among.p < 0.05 < among.p_holm


def test_summaries_say_what_their_number_allows() -> None:
    assert summarize([]).mean is None
    assert summarize([0.5]).interval is None
    two = summarize([0.5, 0.7])
    assert (two.mean, two.sd) == pytest.approx((0.6, np.std([0.5, 0.7], ddof=1)))
    assert two.interval == mean_interval([0.5, 0.7])
    same = summarize([0.5, 0.5])
    assert same.sd == 0
    assert same.interval is None


def test_below_eight_seeds_no_verdict_is_given() -> None:
    few = compare_arms({"a": SAMPLES["a"][: FEWEST_SEEDS - 1]})["a"]
    assert few.p_holm < 0.01
    assert few.verdict == "too few seeds"
    assert compare_arms({"a": SAMPLES["a"][:FEWEST_SEEDS]})["a"].verdict == "better"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "at least two seeds"),
        ([0.1], "at least two seeds"),
        ([0.02, 0.02, 0.02], "all 3 are 0.02"),
        ([0.1, float("nan"), 0.2], r"positions \[1\] are NaN"),
        ([0.1, 0.2, float("inf")], r"positions \[2\] are NaN or infinite"),
        ([[0.1, 0.2], [0.3, 0.4]], "in one row"),
    ],
)
def test_samples_that_say_nothing_are_refused(values: list[float], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        mean_interval(values)
    with pytest.raises(EvaluationError, match="`badge`.*" + said if said != "in one row" else said):
        compare_arms({"fine": SAMPLES["a"], "badge": values})


def test_scores_of_other_seeds_do_not_pair() -> None:
    with pytest.raises(EvaluationError, match=r"random lacks seeds \[3\]"):
        paired_differences({1: 0.5, 2: 0.5, 3: 0.5}, {1: 0.5, 2: 0.5})
    with pytest.raises(EvaluationError, match=r"the arm lacks seeds \[2, 4\]"):
        paired_differences({1: 0.5}, {1: 0.5, 2: 0.5, 4: 0.5})
    with pytest.raises(EvaluationError, match=r"seeds \[2\] are NaN"):
        paired_differences({1: 0.5, 2: float("nan")}, {1: 0.5, 2: 0.5})


@given(
    st.lists(st.lists(st.floats(-0.2, 0.2), min_size=8, max_size=8), min_size=1, max_size=5),
    st.floats(-0.05, 0.05),
)
@settings(max_examples=40)
def test_an_interval_never_contradicts_holm(noise: list[list[float]], shift: float) -> None:
    arms = {
        str(k): np.array(each) + shift + 0.01 * np.sin(np.arange(8) + k) for k, each in enumerate(noise)
    }  # the sine keeps differences from being all equal
    found = compare_arms(arms)
    renamed = compare_arms({f"arm {name}": arms[name][::-1] for name in sorted(arms, reverse=True)})
    mirrored = compare_arms({name: -values for name, values in arms.items()})
    opposite = {"better": "worse", "worse": "better", "not shown": "not shown"}
    for name, one in found.items():
        assert (one.p_holm <= 0.05) == (0 not in one.adjusted) == (one.verdict != "not shown")
        assert one.adjusted.low <= one.interval.low <= one.mean <= one.interval.high <= one.adjusted.high
        assert renamed[f"arm {name}"].p_holm == pytest.approx(one.p_holm)
        assert renamed[f"arm {name}"].p_wilcoxon == pytest.approx(one.p_wilcoxon)
        assert mirrored[name].verdict == opposite[one.verdict]
        assert (mirrored[name].adjusted.low, mirrored[name].wins) == pytest.approx((-one.adjusted.high, one.losses))


def simulated_families(effect: float, seed: int, repetitions: int = 2000) -> list[dict[str, PairedDifference]]:
    """Four arms against one and the same random, ten seeds, scores as real runs have them."""
    rng = np.random.default_rng(seed)
    shared = SHARED_SD * rng.standard_normal((repetitions, 1, 10))
    random = shared + OWN_SD * rng.standard_normal((repetitions, 1, 10))
    arms: NDArray[np.float64] = effect + shared + OWN_SD * rng.standard_normal((repetitions, 4, 10))
    return compare_families([dict(zip("abcd", each, strict=True)) for each in arms - random])


def test_false_verdicts_are_rare_among_four_arms_that_are_as_random() -> None:
    found = simulated_families(0.0, seed=1)
    false = np.mean([any(one.verdict != "not shown" for one in family.values()) for family in found])
    assert 0.02 <= false <= 0.065
    uncorrected = np.mean([any(one.p <= 0.05 for one in family.values()) for family in found])
    assert uncorrected > 0.10  # what the correction is for


def test_intervals_hold_a_known_effect_as_often_as_they_say() -> None:
    found = simulated_families(0.02, seed=2)
    for arm in "abcd":
        assert 0.93 <= np.mean([0.02 in family[arm].interval for family in found]) <= 0.97
        assert np.mean([0.02 in family[arm].adjusted for family in found]) >= 0.95 - 0.01
