"""Which way of splitting the noise comes closest to the truth at the size of a real study, 4 x 3 x 3?

    OMP_NUM_THREADS=1 python -m benchmarks.variance_components --repetitions 300

Known components are simulated: start set, purchase within it, judge seed, rest. Expected mean squares (the balanced
analysis of variance, as in `dpc_lightning/evaluation/variance.py`) stand against REML by statsmodels' MixedLM: mean and
root mean square error of each variance, how often MixedLM fails or warns, and seconds. Then the coverage of three
intervals of nominally 95 %: generalized pivotal quantities, the parametric bootstrap of the mean squares, and the
bootstrap that draws start sets anew.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.variance import Grid, split_variance

Doubles = NDArray[np.float64]
CASE = Case("simulated", 100, None, "judge")
SOURCES = ("start set", "purchase", "training")


def simulate(rng: np.random.Generator, shape: tuple[int, int, int], sd: tuple[float, float, float]) -> Doubles:
    """Draw scores `(start sets, purchases, trainings)` float64 with known standard deviations."""
    a, b, _ = shape
    scores: Doubles = (
        rng.normal(0, sd[0], (a, 1, 1)) + rng.normal(0, sd[1], (a, b, 1)) + rng.normal(0, sd[2], shape) + 0.4
    )
    return scores


def reml(scores: Doubles) -> tuple[Doubles, bool]:
    """Fit the nested mixed model: variances `(3,)` float64, and whether statsmodels was content."""
    s, p, _ = (index.ravel() for index in np.indices(scores.shape))
    data = pd.DataFrame({"y": scores.ravel() * 100, "s": s, "p": p})  # points: near 0 its steps are too coarse
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = MixedLM.from_formula("y ~ 1", data, groups="s", re_formula="1", vc_formula={"p": "0 + C(p)"}).fit()
        except np.linalg.LinAlgError:
            return np.full(3, np.nan), False
    variances = np.array([float(fit.cov_re.iloc[0, 0]), float(fit.vcomp[0]), float(fit.scale)]) / 100**2
    return variances, bool(fit.converged) and not caught


def mean_squares(scores: Doubles) -> tuple[Doubles, Doubles]:
    """Mean squares and degrees of freedom of the nested design, both `(3,)` float64, for many draws at once."""
    a, b, c = scores.shape
    sets, purchases = scores.mean(axis=(1, 2)), scores.mean(axis=2)
    squares = np.array(
        [
            b * c * sets.var(ddof=1),
            c * ((purchases - sets[:, None]) ** 2).sum() / (a * (b - 1)),
            ((scores - purchases[..., None]) ** 2).sum() / (a * b * (c - 1)),
        ]
    )
    return squares, np.array([a - 1, a * (b - 1), a * b * (c - 1)], dtype=np.float64)


def components(squares: Doubles, b: int, c: int) -> Doubles:
    """Variances `(..., 3)` float64 out of mean squares, cut at 0."""
    first, second, rest = np.moveaxis(squares, -1, 0)
    variances: Doubles = np.maximum(np.stack([(first - second) / (b * c), (second - rest) / c, rest], axis=-1), 0)
    return variances


def intervals(scores: Doubles, rng: np.random.Generator) -> dict[str, Doubles]:
    """Give `(2, 3)` float64 ends by method."""
    _, b, c = scores.shape
    squares, degrees = mean_squares(scores)
    chi = stats.chi2.rvs(degrees, size=(1000, 3), random_state=rng)
    drawn = [scores[rng.integers(len(scores), size=len(scores))] for _ in range(200)]
    draws = {
        "generalized pivots": components(squares * degrees / chi, b, c),
        "parametric bootstrap": components(squares * chi / degrees, b, c),
        "bootstrap of start sets": components(np.stack([mean_squares(one)[0] for one in drawn]), b, c),
    }
    return {name: np.quantile(values, [0.025, 0.975], axis=0) for name, values in draws.items()}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--shape", type=int, nargs=3, default=(4, 3, 3))
    repetitions: int = parser.parse_args().repetitions
    a, b, c = parser.parse_args().shape
    rng = np.random.default_rng(0)
    for sd in ((0.02, 0.01, 0.02), (0.01, 0.0, 0.02), (0.0, 0.02, 0.01)):
        truth = np.square(sd)
        found: dict[str, list[Doubles]] = {"expected mean squares": [], "REML (MixedLM)": []}
        seconds = dict.fromkeys(found, 0.0)
        unhappy, hits = 0, dict.fromkeys(("generalized pivots", "parametric bootstrap", "bootstrap of start sets"), 0)
        covered = {name: np.zeros(3) + hit for name, hit in hits.items()}
        for _ in range(repetitions):
            scores = simulate(rng, (a, b, c), sd)
            start = time.perf_counter()
            split = split_variance(Grid(CASE, "random", scores, "nested"), [], draws=10)
            seconds["expected mean squares"] += time.perf_counter() - start
            assert split is not None
            found["expected mean squares"].append(np.array([part.variance for part in split.components]))
            start = time.perf_counter()
            variances, content = reml(scores)
            seconds["REML (MixedLM)"] += time.perf_counter() - start
            found["REML (MixedLM)"].append(variances)
            unhappy += not content
            for name, (low, high) in intervals(scores, rng).items():
                covered[name] += (low <= truth) & (truth <= high)
        print(f"\n{a} x {b} x {c}, true sd {dict(zip(SOURCES, sd, strict=True))}, {repetitions} repetitions")
        for name, values in found.items():
            table = np.stack(values)
            error = np.sqrt(np.nanmean((table - truth) ** 2, axis=0))
            print(
                f"  {name:24} mean variance / 1e-4 {np.nanmean(table, axis=0).round(7) * 1e4} (true {truth * 1e4}), "
                f"rms error {error * 1e4}, {seconds[name] / repetitions * 1000:.0f} ms"
            )
        print(f"  MixedLM failed or warned in {unhappy} of {repetitions}")
        for name, count in covered.items():
            print(f"  {name:24} covers {np.round(count / repetitions, 3)}")


if __name__ == "__main__":
    main()
