"""Where the noise comes from: variance split into start set, purchase and training."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from dpc_lightning.evaluation.cases import Case, Scored, case_of

__all__ = ["Component", "Grid", "VarianceSplit", "grids", "split_variance"]

Doubles = NDArray[np.float64]

_SOURCES = ("start set", "purchase", "training")


@dataclass(frozen=True)
class Component:
    """One source of noise.

    Attributes:
        source: `start set`, `purchase` or `training`; joined by `and` where the design cannot tell them apart.
        estimate: the unbiased estimate of the variance. It can come out below 0.
        variance: the estimate, or 0 where it is below.
        low: lower end of the 95 % interval of the variance.
        high: upper end.
        sd: root of `variance`, in units of the score.
        share: part of the total, 0 to 1.
        share_low: lower end of the 95 % interval of the share.
        share_high: upper end.
    """

    source: str
    estimate: float
    variance: float
    low: float
    high: float
    sd: float
    share: float
    share_low: float
    share_high: float


@dataclass(frozen=True)
class VarianceSplit:
    """The sources of noise of one arm in one case.

    Attributes:
        case: study, budget and pipeline.
        arm: name of the arm.
        start_sets: levels of the start set.
        purchases: purchases of each start set.
        trainings: trainings on each purchase.
        mean: mean score.
        sd: root of the sum of the variances: of one score with all its seeds drawn anew.
        components: in the order of the job: start set, purchase, training.
    """

    case: Case
    arm: str
    start_sets: int
    purchases: int
    trainings: int
    mean: float
    sd: float
    components: tuple[Component, ...]


@dataclass(frozen=True)
class Grid:
    """The balanced part of a study of noise.

    Attributes:
        case: study, budget and pipeline.
        arm: name of the arm.
        scores: `(start sets, purchases, trainings)` float64.
        design: `crossed` if all purchases were judged with the same seeds, `within` if those of a start set were,
            `nested` if each had seeds of its own.
    """

    case: Case
    arm: str
    scores: Doubles
    design: str


def grids(rows: Iterable[Scored], problems: list[str]) -> list[Grid]:
    """Find the studies of noise: arms with several purchase or judge seeds for a start set.

    A balanced design is needed. Of the start sets, those of the shape that covers most rows are kept; the others are
    listed in `problems`. Start sets with a single row are those of the main grid and of no concern here.

    Args:
        rows: checked rows with their scores.
        problems: gets a sentence for each start set that is left out.

    Returns:
        One grid for each case and arm.

    Example:
        >>> grids([], [])
        []
    """
    found: dict[tuple[Case, str], dict[int, dict[int, dict[int, float]]]] = {}
    for row, score in rows:
        purchases = found.setdefault((case_of(row), row.arm), {}).setdefault(row.seed, {})
        purchases.setdefault(row.purchase_seed, {})[row.judge_seed] = score
    listed = []
    for (case, arm), sets in sorted(found.items(), key=lambda item: (*item[0][0].order, item[0][1])):
        studied = {seed: _studied(seed, of) for seed, of in sets.items() if sum(map(len, of.values())) > 1}
        if studied:
            listed += _balanced(case, arm, studied, problems)
    return listed


def _studied(seed: int, purchases: Mapping[int, Mapping[int, float]]) -> Mapping[int, Mapping[int, float]]:
    """Leave out the row of the main grid where the rest is balanced without it only."""
    if _shape(purchases) is not None or len(purchases.get(seed, {})) != 1 or seed not in purchases[seed]:
        return purchases
    others = {purchase: of for purchase, of in purchases.items() if purchase != seed}
    return purchases if _shape(others) is None else others


def _balanced(
    case: Case, arm: str, sets: Mapping[int, Mapping[int, Mapping[int, float]]], problems: list[str]
) -> list[Grid]:
    shapes = {seed: _shape(of) for seed, of in sets.items()}
    sizes: dict[tuple[int, int], int] = {}
    for shape in shapes.values():
        if shape is not None:
            sizes[shape] = sizes.get(shape, 0) + shape[0] * shape[1]
    best = max(sizes, key=lambda shape: (sizes[shape], shape), default=None)
    out = [seed for seed in sorted(sets) if shapes[seed] is None or shapes[seed] != best]
    if out:
        wanted = "the same number of trainings on each purchase" if best is None else f"{best[0]} x {best[1]}"
        problems.append(
            f"{case}, arm {arm}: start set{'s' if len(out) > 1 else ''} {', '.join(map(str, out))} left out of the "
            f"noise: expected purchases x trainings to be {wanted}; compute the missing rows"
        )
    if best is None:
        return []
    kept = [sets[seed] for seed in sorted(sets) if seed not in out]
    scores = np.array([[[score for _, score in sorted(of[p].items())] for p in sorted(of)] for of in kept])
    judges = [[tuple(sorted(of[p])) for p in sorted(of)] for of in kept]
    if len({seeds for of in judges for seeds in of}) == 1:
        return [Grid(case, arm, scores, "crossed")]
    return [Grid(case, arm, scores, "within" if all(len(set(of)) == 1 for of in judges) else "nested")]


def _shape(purchases: Mapping[int, Mapping[int, float]]) -> tuple[int, int] | None:
    trainings = {len(of) for of in purchases.values()}
    return (len(purchases), trainings.pop()) if len(trainings) == 1 else None


def split_variance(grid: Grid, problems: list[str], *, draws: int = 4000) -> VarianceSplit | None:
    """Split the variance by the balanced analysis of variance and its expected mean squares.

    Purchases are nested in start sets (the same purchase seed picks other images from another pool); trainings are
    crossed with both where they share seeds. Intervals are of generalized pivotal quantities: mean squares are drawn as
    SS / chi-square (a parametric bootstrap), and what follows from them is cut at 0.

    Args:
        grid: a balanced study.
        problems: gets a sentence for an estimate below 0 and for a study without noise.
        draws: draws for the intervals.

    Returns:
        The split, or None if all scores are the same.

    Source:
        Searle, Casella, McCulloch, Variance Components, 1992, chapter 4; Weerahandi, Generalized confidence intervals,
        JASA 88 (1993).

    Example:
        >>> scores = np.array([[[1.0, 3.0], [5.0, 7.0]], [[2.0, 4.0], [4.0, 6.0]]])
        >>> split = split_variance(Grid(Case("default", 100, None, "b0"), "random", scores, "nested"), [])
        >>> [(part.source, round(part.estimate, 6)) for part in split.components]
        [('start set', -2.5), ('purchase', 4.0), ('training', 2.0)]
    """
    if np.ptp(grid.scores) == 0:
        problems.append(
            f"{grid.case}, arm {grid.arm}: all {grid.scores.size} scores of the noise study are {grid.scores.flat[0]:g}"
        )
        return None
    model = _Model(grid)
    degrees, squares = model.mean_squares()
    estimates = model.solve(squares)
    rng = np.random.default_rng(0)
    pivots = squares * degrees / stats.chi2.rvs(degrees, size=(draws, len(degrees)), random_state=rng)
    drawn = np.maximum(model.solve(pivots), 0.0)
    shares = drawn / drawn.sum(axis=1, keepdims=True)
    variances = np.maximum(estimates, 0.0)
    for source, estimate in zip(model.sources, estimates, strict=True):
        if estimate < 0:
            problems.append(
                f"{grid.case}, arm {grid.arm}: the estimate for {source} is {estimate:.3g}, below 0, and counts as 0: "
                "it is small beside the noise below it"
            )
    parts = [
        Component(
            source=source,
            estimate=float(estimates[i]),
            variance=float(variances[i]),
            low=float(np.quantile(drawn[:, i], 0.025)),
            high=float(np.quantile(drawn[:, i], 0.975)),
            sd=float(np.sqrt(variances[i])),
            share=float(variances[i] / variances.sum()),
            share_low=float(np.quantile(shares[:, i], 0.025)),
            share_high=float(np.quantile(shares[:, i], 0.975)),
        )
        for i, source in enumerate(model.sources)
    ]
    start_sets, purchases, trainings = grid.scores.shape
    return VarianceSplit(
        grid.case,
        grid.arm,
        start_sets,
        purchases,
        trainings,
        mean=float(grid.scores.mean()),
        sd=float(np.sqrt(variances.sum())),
        components=tuple(parts),
    )


class _Model:
    """Terms of the analysis of variance, and what mean squares they lead one to expect.

    One training on each purchase cannot be told from the purchase, and one purchase of a start set not from the start
    set. A single start set says nothing of start sets.
    """

    def __init__(self, grid: Grid) -> None:
        self._scores = grid.scores
        a, b, c = grid.scores.shape
        judges = 0 if c == 1 else 1
        design = "within" if a == 1 and grid.design == "crossed" else grid.design
        terms: list[str] = []
        expected: list[list[float]] = []  # by mean square, the multiples of start set, purchase, judge seed, residual
        common = c * judges if b > 1 else 0
        if a > 1 and b * c > 1:
            shared = b if judges and b > 1 and design == "within" else 0
            terms.append("C(s)")
            expected.append([b * c, common, shared, 1])
        if b > 1 and judges:
            terms.append("C(s):C(p)" if a > 1 else "C(p)")
            expected.append([0, c, 0, 1])
        if judges and design == "crossed" and a > 1:
            terms.append("C(j)")
            expected.append([0, 0, a * b, 1])
        elif judges and design == "within" and b > 1:
            terms.append("C(s):C(j)" if a > 1 else "C(j)")
            expected.append([0, 0, b, 1])
        expected.append([0, 0, 0, 1])
        self._terms = terms
        table = np.array(expected, dtype=np.float64)
        self._used: NDArray[np.bool_] = (table != 0).any(axis=0)
        self._inverse = np.linalg.inv(table[:, self._used])
        self.sources = _named(a, b, c)

    def mean_squares(self) -> tuple[Doubles, Doubles]:
        """Degrees of freedom and mean squares by term, the residual last, both `(terms + 1,)` float64."""
        s, p, j = (index.ravel() for index in np.indices(self._scores.shape))
        data = pd.DataFrame({"y": self._scores.ravel(), "s": s, "p": p, "j": j})
        with np.errstate(divide="ignore", invalid="ignore"):  # the F values, not used here, of a residual of 0
            table = anova_lm(ols("y ~ " + " + ".join(self._terms or ["1"]), data).fit())
        order = [*self._terms, "Residual"]
        return (
            table.loc[order, "df"].to_numpy(dtype=np.float64),
            table.loc[order, "mean_sq"].to_numpy(dtype=np.float64),
        )

    def solve(self, squares: Doubles) -> Doubles:
        """Variances by source, `(..., sources)` float64, from mean squares, `(..., terms + 1)` float64.

        What a judge seed does to all purchases alike, and the residual, are both training.
        """
        variances = np.zeros((*squares.shape[:-1], 4))
        variances[..., self._used] = squares @ self._inverse.T
        upper = [variances[..., i] for i in (0, 1) if self._used[i]]
        return np.stack([*upper, variances[..., 2] + variances[..., 3]], axis=-1)


def _named(a: int, b: int, c: int) -> tuple[str, ...]:
    """Name the sources, those together that the design cannot tell apart."""
    if b == 1 and c == 1:
        return ("start set, purchase and training",)
    first = ("start set" if b > 1 else "start set and purchase",) if a > 1 else ()
    if c == 1:
        return (*first, "purchase and training")
    return (*first, "purchase", "training") if b > 1 else (*first, "training")
