"""How many rounds and epochs fit into the seconds: the arithmetic of the planner, without a clock."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from dpc_lightning.purchase.plan import Activity, share

__all__ = [
    "MARGIN",
    "PRETRAIN_SHARE",
    "Costs",
    "Workload",
    "fit_pretraining",
    "fit_rounds",
    "purchase_seconds",
    "rounds_seconds",
    "training_seconds",
]

MARGIN = 0.05
"""Share of the seconds left that a plan leaves free: what was measured is not what will be."""
PRETRAIN_SHARE = 0.5
"""Share of the compute budget that an automatic plan gives to the pretraining at most."""
UNUSED = 0.05
"""Share of the seconds left that the last training may leave unused before it gets an epoch more, cut by the clock."""


@dataclass(frozen=True)
class Costs:
    """What work costs on this machine, in seconds, as measured in this run."""

    step: float
    """A training step: loading, forward, backward, update, callbacks."""
    epoch: float = 0.0
    """What an epoch takes beside its steps and its validation: checkpoints, start of loaders."""
    validation: float = 0.0
    """A pass over the validation images."""
    phase: float = 0.0
    """What a phase takes before its first epoch: new optimizers and loaders, a checkpoint."""
    score: float = 0.0
    """What scoring takes beside its images: start of loaders."""
    score_image: float = 0.0
    """Scoring an image of the pool, over all ranks."""
    pick: float | None = None
    """Picking, by image of the pool and image picked; None before the first time: then half of the scoring."""
    buy: float = 0.0
    """Asking the oracle and writing the ledger."""

    def __post_init__(self) -> None:
        """Refuse what no clock has measured."""
        assert self.step >= 0, "a clock ran backwards"

    def covered(self, activities: Collection[Activity], training: Activity = "train") -> "Costs":
        """Give the costs that count towards the budget: what it does not cover is free.

        Args:
            activities: what the budget covers.
            training: what steps and validations are booked as: `pretrain` or `train`.
        """
        costs = self
        if training not in activities:
            costs = replace(costs, step=0.0, epoch=0.0, validation=0.0, phase=0.0)
        if "score" not in activities:
            costs = replace(costs, score=0.0, score_image=0.0, pick=costs.pick or 0.0)
        if "pick" not in activities:
            costs = replace(costs, pick=0.0)
        return costs if "buy" in activities else replace(costs, buy=0.0)


@dataclass(frozen=True)
class Workload:
    """What is left to do when a plan is made."""

    owned: int
    """Images that are trained on now."""
    pool: int
    """Images that can still be bought."""
    labels: int
    """Labels that may still be bought, at most as many as the pool has images."""
    batch: int
    """Images of a training step over all ranks."""
    pseudo: int = 0
    """Images that rounds train on with pseudo-labels, beside those that are owned."""
    validate_every: int = 1
    """Epochs from one validation to the next; each phase ends with one."""
    scored_share: float = 1.0
    """Share of the pool that the rule wants scored."""
    owned_share: float = 0.0
    """What scoring an owned image takes beside one of the pool: 0 where the rule wants to know nothing of them."""


def purchase_seconds(costs: Costs, pool: int, count: int, scored_share: float = 1.0, owned: float = 0.0) -> float:
    """Predict what scoring a pool and what is owned, picking and buying take.

    Args:
        costs: what work costs.
        pool: images of the pool.
        count: images to be bought.
        scored_share: share of the pool that is scored; at least what is bought is.
        owned: images to be scored beside the pool.

    Example:
        >>> purchase_seconds(Costs(step=0.1, score_image=0.001, pick=1e-6, buy=0.5), 2000, 100)
        2.7
        >>> purchase_seconds(Costs(step=0.1, score_image=0.001, buy=0.5), 2000, 100, scored_share=0.5)
        2.0
    """
    scoring = costs.score + costs.score_image * (max(count, pool * scored_share) + owned)
    picking = 0.5 * scoring if costs.pick is None else costs.pick * pool * count
    return scoring + picking + costs.buy


def training_seconds(costs: Costs, work: Workload, owned: int, epochs: int) -> float:
    """Predict what a phase of training takes.

    Args:
        costs: what work costs.
        work: batch size, and how often is validated.
        owned: images of an epoch.
        epochs: passes over them; 0 trains nothing.

    Example:
        >>> training_seconds(Costs(step=0.1, validation=1.0, phase=2.0), Workload(64, 0, 0, batch=32), 64, 10)
        14.0
    """
    steps = -(-owned // work.batch)
    validations = -(-epochs // work.validate_every)
    return costs.phase + epochs * (costs.epoch + steps * costs.step) + validations * costs.validation


def rounds_seconds(costs: Costs, work: Workload, round_epochs: Sequence[int]) -> float:
    """Predict what some rounds take, which share the labels that are left.

    Args:
        costs: what work costs.
        work: what is left to do.
        round_epochs: epochs after each purchase.

    Example:
        >>> rounds_seconds(Costs(step=0.1, buy=1.0), Workload(32, 100, 20, batch=32), [10, 0])
        4.0
    """
    seconds, owned, pool, labels = 0.0, work.owned, work.pool, work.labels
    for number, epochs in enumerate(round_epochs):
        count = share(labels, len(round_epochs) - number)
        seconds += purchase_seconds(costs, pool, count, work.scored_share, owned * work.owned_share)
        owned, pool, labels = owned + count, pool - count, labels - count
        seconds += training_seconds(costs, work, owned + work.pseudo, epochs)
    return seconds


def fit_rounds(
    costs: Costs, work: Workload, seconds: float, *, most: int, epochs: int, most_epochs: int
) -> tuple[int, ...]:
    """Take the schedule with the most rounds that fits into the seconds, then train as long as they allow.

    Nothing is trained after the last purchase, because the evaluation begins with a fresh network: every second of
    training serves a purchase that comes after it. The last training is rounded up to whole epochs if rounding down
    left seconds unused; the clock then ends it.

    Args:
        costs: what work costs; what the budget does not cover costs nothing.
        work: what is left to do.
        seconds: what is left of the budget.
        most: rounds at most, at least 1.
        epochs: epochs after a purchase at least.
        most_epochs: epochs after a purchase at most.

    Returns:
        Epochs after each purchase, the last 0; at least one round, even if it does not fit; none without labels.

    Example:
        >>> costs, work = Costs(step=0.1, buy=1.0), Workload(320, 1000, 100, batch=32)
        >>> fit_rounds(costs, work, 30.0, most=10, epochs=5, most_epochs=60)
        (6, 6, 6, 0)
        >>> fit_rounds(costs, work, 8.0, most=10, epochs=5, most_epochs=60)
        (0,)
    """
    if not work.labels:
        return ()
    usable = seconds * (1 - MARGIN)

    def fits(rounds: int, each: int) -> bool:
        return rounds_seconds(costs, work, _even(rounds, each)) <= usable

    rounds = next((rounds for rounds in range(min(most, work.labels), 1, -1) if fits(rounds, epochs)), 1)
    if rounds == 1:
        return (0,)
    low, high = epochs, max(most_epochs, epochs)
    while low < high:  # the largest number of epochs that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(rounds, middle) else (low, middle - 1)
    if rounds == 2 and low < most_epochs:
        unused = usable - rounds_seconds(costs, work, _even(rounds, low))
        low += unused > UNUSED * seconds
    return _even(rounds, low)


def fit_pretraining(costs: Costs, work: Workload, seconds: float, done: int, epochs: int) -> int:
    """Cut the pretraining of an automatic plan to its share of the budget.

    Args:
        costs: what work costs.
        work: images, batch size and how often is validated.
        seconds: what the pretraining may still take.
        done: epochs that are finished.
        epochs: epochs that the user asked for.

    Returns:
        Epochs in all: at least those that are done, at most those asked for.

    Example:
        >>> fit_pretraining(Costs(step=0.1), Workload(320, 0, 0, batch=32), 10.0, done=1, epochs=30)
        11
    """
    one = training_seconds(replace(costs, phase=0.0), replace(work, validate_every=1), work.owned, 1)
    often = (one - costs.validation) + costs.validation / work.validate_every
    return epochs if often <= 0 else max(done, min(epochs, done + int(seconds / often)))


def _even(rounds: int, epochs: int) -> tuple[int, ...]:
    return (*[epochs] * (rounds - 1), 0)
