"""How often the intervals of a comparison hold the truth, and how often verdicts are false, at few seeds.

Run from the repository: `python -m benchmarks.interval_coverage`. Scores of an arm and of random are drawn for each
seed with a shared effect of the seed (sd .04) and noise of their own, so that the differences have an sd of about .025
to .03, as those of real runs do. Each figure is a share of `--repetitions` simulated benchmarks; at 2,000 its standard
error is half a percentage point. Expected: Student's t holds in 93 to 97 %, and at most 6.5 % have a false verdict.
Printed as Markdown; the tables are in docs/statistics.md.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dpc_lightning.evaluation.gap_closed import gap_closed
from dpc_lightning.evaluation.labels_needed import labels_needed
from dpc_lightning.evaluation.statistics import LEVEL, compare_families

Table = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Table]

SEEDS = (8, 10, 12, 20)
OWN_SD = 0.018  # of an arm's and of random's own noise: differences have .018 * sqrt(2) = .025
SHARED_SD = 0.04
RESAMPLES = 999
BUDGETS = (100, 200, 400, 800)


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Table:
    """Noise of mean 0 and sd 1."""
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Table:
    """Noise of mean 0 and sd 1 with a tail of bad seeds: skewness -1.4."""
    return np.asarray((2 - rng.gamma(2.0, 1.0, shape)) / np.sqrt(2), dtype=np.float64)


def accident(rng: np.random.Generator, shape: tuple[int, ...]) -> Table:
    """Normal noise of sd 1; a seed in ten is 7 points of score worse in addition. Mean 0."""
    return rng.standard_normal(shape) - 0.07 / OWN_SD * ((rng.random(shape) < 0.1) - 0.1)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Table:
    """Noise of mean 0 and sd 1 with heavy tails: Student's t with 4 degrees of freedom."""
    return np.asarray(rng.standard_t(4, shape) / np.sqrt(2), dtype=np.float64)


# arm's noise, random's noise, how strongly the shared effect acts on the arm (1: it cancels in the difference)
POPULATIONS: dict[str, tuple[Noise, Noise, float]] = {
    "normal": (normal, normal, 1.0),
    "skewed arm": (skewed, normal, 1.0),
    "skewed both": (skewed, skewed, 1.0),
    "one seed in ten 7 points off": (accident, normal, 1.0),
    "heavy tails": (heavy, heavy, 1.0),
    "seed effect of other size": (normal, normal, 0.6),
    "skewed seed effect of other size": (normal, normal, -0.6),  # the sign stands for a skewed shared effect
}


def differences(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Table:
    """Draw paired differences with mean 0."""
    arm, random, strength = POPULATIONS[name]
    shared = SHARED_SD * (skewed if strength < 0 else normal)(rng, shape)
    scores = abs(strength) * shared + OWN_SD * arm(rng, shape)
    return scores - (shared + OWN_SD * random(rng, shape))


def student(sample: Table, rng: np.random.Generator) -> tuple[Table, Table]:
    """Give Student's t intervals of the rows' means."""
    del rng
    scale = stats.sem(sample, axis=1)
    low, high = stats.t.interval(LEVEL, sample.shape[1] - 1, loc=sample.mean(axis=1), scale=scale)
    return np.asarray(low), np.asarray(high)


def studentised(sample: Table, rng: np.random.Generator) -> tuple[Table, Table]:
    """Give studentised bootstrap intervals of the rows' means."""
    rows, n = sample.shape
    low, high = np.empty(rows), np.empty(rows)
    for part in _parts(rows):
        some = sample[part]
        drawn = np.take_along_axis(some[:, None, :], rng.integers(0, n, (len(some), RESAMPLES, n)), axis=2)
        spread = drawn.std(axis=2, ddof=1) / np.sqrt(n)
        spread = np.where(spread > 0, spread, np.inf)  # a resample of one value alone says nothing
        pivot = (drawn.mean(axis=2) - some.mean(axis=1, keepdims=True)) / spread
        ends = np.quantile(pivot, [(1 + LEVEL) / 2, (1 - LEVEL) / 2], axis=1)
        low[part], high[part] = some.mean(axis=1) - ends * stats.sem(some, axis=1)
    return low, high


def bca(sample: Table, rng: np.random.Generator) -> tuple[Table, Table]:
    """Give scipy's bias-corrected and accelerated bootstrap intervals of the rows' means."""
    found = stats.bootstrap(
        (sample,), np.mean, axis=1, confidence_level=LEVEL, n_resamples=RESAMPLES, method="BCa", batch=50, rng=rng
    ).confidence_interval
    return np.asarray(found.low), np.asarray(found.high)


def means(repetitions: int, rng: np.random.Generator) -> None:
    """Print the coverage and width of three intervals of a mean difference."""
    methods = {"Student's t": student, "studentised bootstrap": studentised, "BCa bootstrap": bca}
    print("| differences | seeds | " + " | ".join(f"{name}: holds, width" for name in methods) + " |")
    print("|---|---|" + "---|" * len(methods))
    for name in POPULATIONS:
        for n in SEEDS:
            sample = differences(rng, name, (repetitions, n))
            found = [method(sample, rng) for method in methods.values()]
            shown = [f"{_percent((low <= 0) & (high >= 0))}, {np.median(high - low):.4f}" for low, high in found]
            print(f"| {name} | {n} | " + " | ".join(shown) + " |", flush=True)


def families(repetitions: int, rng: np.random.Generator) -> None:
    """Print false verdicts among four arms, and how many true effects are found."""
    print(
        "| differences | seeds | false verdict among 4 arms like random: t | Wilcoxon | 1 to 4 points found: t "
        "| Wilcoxon | all 4 adjusted intervals hold these |"
    )
    print("|---|---|---|---|---|---|---|")
    effects = np.array([0.01, 0.02, 0.03, 0.04])
    for name in POPULATIONS:
        for n in (8, 10, 20):
            noise = _with_shared_random(rng, name, repetitions, n)
            null, real = (
                compare_families([dict(zip("abcd", one, strict=True)) for one in noise + shift])
                for shift in (0.0, effects[:, None])
            )
            false = [any(d.verdict != "not shown" for d in each.values()) for each in null]
            ranks = [any(d.p_wilcoxon_holm <= 0.05 for d in each.values()) for each in null]
            sizes = [all(e in d.adjusted for e, d in zip(effects, each.values(), strict=True)) for each in real]
            found = [d.verdict == "better" for each in real for d in each.values()]
            by_ranks = [d.p_wilcoxon_holm <= 0.05 for each in real for d in each.values()]
            shown = " | ".join(_percent(np.array(each)) for each in (false, ranks, found, by_ranks, sizes))
            print(f"| {name} | {n} | {shown} |", flush=True)


def ratios(repetitions: int, rng: np.random.Generator) -> None:
    """Print the coverage of the gap closed and of the labels that random would need."""
    print("| noise | seeds | gap closed: Fieller | bootstrap | labels needed: paired t | bootstrap |")
    print("|---|---|---|---|---|---|")
    for name, noise in (("normal", normal), ("skewed", skewed)):
        for n in (8, 10, 20):
            held: list[list[bool]] = [[], [], [], []]
            for _ in range(repetitions):
                shared = SHARED_SD * normal(rng, (n, 1))
                truth = np.array([0.50, 0.54, 0.58, 0.62, 0.70, 0.54 + 0.04 * np.log2(300 / 200)])
                scores = truth + shared + OWN_SD * noise(rng, (n, 6))
                curve, every, arm = ({s: float(v) for s, v in enumerate(scores[:, k])} for k in (1, 4, 5))
                gap = gap_closed(arm, curve, every)
                share = (truth[5] - truth[1]) / (truth[4] - truth[1])
                held[0].append(gap is not None and share in gap.interval)
                random = {b: {s: float(v) for s, v in enumerate(scores[:, k])} for k, b in enumerate(BUDGETS)}
                held[2].append(300 in labels_needed(200, arm, random).interval)
                again = scores[rng.integers(0, n, (RESAMPLES, n))].mean(axis=1)
                low, high = np.quantile((again[:, 5] - again[:, 1]) / (again[:, 4] - again[:, 1]), [0.025, 0.975])
                held[1].append(bool(low <= share <= high))
                low, high = np.quantile(_crossings(again[:, :4], again[:, 5]), [0.025, 0.975])
                held[3].append(bool(low <= 300 <= high))
            print(f"| {name} | {n} | " + " | ".join(_percent(np.array(each)) for each in held) + " |", flush=True)


def _with_shared_random(rng: np.random.Generator, name: str, repetitions: int, n: int) -> Table:
    """Draw differences of four arms to one and the same random: `(repetitions, 4, n)`."""
    arm, random, strength = POPULATIONS[name]
    shared = SHARED_SD * (skewed if strength < 0 else normal)(rng, (repetitions, 1, n))
    arms = abs(strength) * shared + OWN_SD * arm(rng, (repetitions, 4, n))
    return arms - (shared + OWN_SD * random(rng, (repetitions, 1, n)))


def _crossings(curves: Table, scores: Table) -> Table:
    """Give the labels at which each row's isotonic curve reaches its score, cut at the smallest and largest budget."""
    sums = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(curves, axis=1)], axis=1)
    count = curves.shape[1]
    pooled = [
        [(sums[:, j + 1] - sums[:, i]) / (j + 1 - i) for j in range(k, count)]
        for k in range(count)
        for i in range(k + 1)
    ]
    least = iter(np.min(each, axis=0) for each in pooled)
    rising = np.stack([np.max([next(least) for _ in range(k + 1)], axis=0) for k in range(count)], axis=1)
    places = np.log(BUDGETS)
    right = np.clip((rising < scores[:, None]).sum(axis=1), 1, count - 1)
    rows = np.arange(len(curves))
    low, high = rising[rows, right - 1], rising[rows, right]
    share = np.clip((scores - low) / np.maximum(high - low, 1e-12), 0, 1)
    crossing = places[right - 1] + share * (places[right] - places[right - 1])
    return np.asarray(np.exp(crossing), dtype=np.float64)


def _parts(rows: int, size: int = 250) -> Iterator[slice]:
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _percent(held: NDArray[np.bool_]) -> str:
    return f"{100 * held.mean():.1f} %"


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2000, help="simulated benchmarks for each row")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    words = parser.parse_args()
    gc.collect = lambda *_: 0  # statsmodels does at each of 168,000 corrections
    start = time.monotonic()
    for section in (means, families, ratios):
        section(words.repetitions, np.random.default_rng(words.seed))
        print(f"\n({time.monotonic() - start:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
