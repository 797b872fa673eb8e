"""Pairs of scores of one seed, as far as a benchmark that may still be running has them."""

from collections.abc import Mapping

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.statistics import PairedDifference, compare_arms, mean_interval, paired_differences

__all__ = ["common_seeds", "compare_common"]


def common_seeds(scores: Mapping[int, float], *others: Mapping[int, float]) -> dict[int, float]:
    """Keep the scores of the seeds that all others have, too, in the order of the seeds.

    Example:
        >>> common_seeds({2: 0.5, 1: 0.25, 3: 0.75}, {1: 0.5, 2: 0.5})
        {1: 0.25, 2: 0.5}
    """
    return {seed: scores[seed] for seed in sorted(scores) if all(seed in other for other in others)}


def compare_common(
    arms: Mapping[str, tuple[Mapping[int, float], Mapping[int, float]]], where: str, against: str = "random"
) -> tuple[dict[str, PairedDifference], list[str]]:
    """Compare arms with random, or another arm, over the seeds that each has in common with it.

    Args:
        arms: for each name the arm's scores and random's, by seed; the arms are corrected for each other.
        where: what is compared, for messages.
        against: what stands in random's place, for messages.

    Returns:
        the comparison by name, without the arms that cannot be compared, and a sentence for each whose differences are
        all equal.
    """
    ready: dict[str, list[float]] = {}
    problems = []
    for name, (scores, others) in arms.items():
        mine = common_seeds(scores, others)
        if len(mine) < 2:
            continue
        values = paired_differences(mine, common_seeds(others, mine)).tolist()
        try:
            mean_interval(values)
        except EvaluationError as error:
            problems.append(f"{where}: `{name}` minus {against}: {error}")
        else:
            ready[name] = values
    return compare_arms(ready), problems
