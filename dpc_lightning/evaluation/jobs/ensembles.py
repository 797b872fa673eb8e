"""Ensembles of trainings on one purchase: their mean probabilities, scored as one more pipeline."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.errors import ResultsError
from dpc_lightning.evaluation.jobs.carry_out import SCORES
from dpc_lightning.evaluation.jobs.job import Job, Place, digest
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import ResultsFile
from dpc_lightning.kept_predictions import PREDICTIONS, KeptPredictions

__all__ = ["Added", "Ensemble", "add_ensembles", "combine", "groups", "keeping_predictions", "mean_logits"]

KEEPER = {"class_path": "dpc_lightning.callbacks.PredictionsKeeper"}

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Ensemble:
    """Trainings of one purchase that are scored together.

    Attributes:
        place: of its result; the pipeline is named `NAME x3`, the judge seed is the first member's.
        members: keys of the jobs, in the order of their judge seeds.
        judge_seeds: of the members.
    """

    place: Place
    members: tuple[str, ...]
    judge_seeds: tuple[int, ...]

    @property
    def key(self) -> str:
        """Digest of what determines the result: the members'."""
        return digest("ensemble", *self.members)


@dataclass
class Added:
    """What became of the ensembles.

    Attributes:
        made: how many were put together now.
        skipped: what those lack whose members are all done, by place.
    """

    made: int = 0
    skipped: dict[Place, str] = field(default_factory=dict)


def groups(cases: Mapping[Place, str], counts: Sequence[int]) -> Iterator[Ensemble]:
    """Divide the trainings of each purchase into disjoint groups, in the order of their judge seeds.

    Which training belongs to which group does not depend on what is done already. Trainings beyond the last whole group
    are in none.

    Args:
        cases: keys of the jobs by place; those that differ in the judge seed alone are trainings of one purchase.
        counts: numbers of members.

    Returns:
        The ensembles.

    Example:
        >>> place = Place("sheets", "random", 6, None, "b0", 1, 1, 0)
        >>> cases = {replace(place, judge_seed=seed): f"job {seed}" for seed in (4, 1, 2, 3, 9)}
        >>> [(each.place.pipeline, each.judge_seeds) for each in groups(cases, [2])]
        [('b0 x2', (1, 2)), ('b0 x2', (3, 4))]
    """
    purchases: dict[Place, dict[int, str]] = {}
    for case, key in cases.items():
        purchases.setdefault(replace(case, judge_seed=0), {})[case.judge_seed] = key
    for count in counts:
        for purchase, trainings in purchases.items():
            seeds = sorted(trainings)
            for first in range(0, len(seeds) - count + 1, count):
                chosen = tuple(seeds[first : first + count])
                place = replace(purchase, pipeline=f"{purchase.pipeline} x{count}", judge_seed=chosen[0])
                yield Ensemble(place, tuple(trainings[seed] for seed in chosen), chosen)


def keeping_predictions(job: Job) -> Job:
    """Let a job keep what its network says about validation and test. Its key stays what it is.

    Args:
        job: the job.
    """
    trainer = dict(job.settings.get("trainer", {}))
    named = trainer.get("callbacks")
    others = named if isinstance(named, list | tuple) else [] if named is None else [named]
    trainer["callbacks"] = [*others, KEEPER]
    return replace(job, settings={**job.settings, "trainer": trainer})


def add_ensembles(ensembles: Iterable[Ensemble], results: ResultsFile, run_dir: Path) -> Added:
    """Score the ensembles whose members are all done, each once.

    Args:
        ensembles: all that are asked for.
        results: where the members' outcomes are, and the ensembles' are put.
        run_dir: folder of the benchmark, with the jobs' predictions.

    Returns:
        How many were made, and which could not be.
    """
    known, added = results.outcomes(), Added()
    for ensemble in ensembles:
        outcomes = [known[key] for key in ensemble.members if key in known and known[key].status == "done"]
        if ensemble.key in known or len(outcomes) < len(ensemble.members):
            continue
        try:
            kept = [KeptPredictions.read(run_dir / "jobs" / key / PREDICTIONS) for key in ensemble.members]
            made = combine(outcomes, kept, ensemble.judge_seeds)
        except ResultsError as error:
            added.skipped[ensemble.place] = str(error)
            continue
        results.put(ensemble.key, made)
        added.made += 1
    return added


def combine(outcomes: Sequence[Outcome], kept: Sequence[KeptPredictions], judge_seeds: Sequence[int]) -> Outcome:
    """Score the mean probabilities of trainings, at thresholds that are tuned on validation anew.

    Args:
        outcomes: of the members.
        kept: what each of them said.
        judge_seeds: of the members.

    Returns:
        The outcome. What was bought and spent on it is the first member's; seconds of training are the sum.

    Raises:
        ResultsError: if the members were not tested on the same images.
    """
    import torch  # noqa: PLC0415  as slow to import as the next

    from dpc_lightning.models import evaluate_predictions, tune_thresholds  # noqa: PLC0415  imports Lightning

    first = kept[0]
    for each in kept[1:]:
        pairs = ((first.validation_labels, each.validation_labels), (first.test_labels, each.test_labels))
        if each.classes != first.classes or not all(np.array_equal(one, other) for one, other in pairs):
            msg = "Expected members with the same classes and labels of validation and test, but they differ."
            raise ResultsError(msg)
    thresholds = tune_thresholds(mean_logits([each.validation_logits for each in kept]), first.validation_labels)
    probabilities = torch.from_numpy(mean_logits([each.test_logits for each in kept])).double().sigmoid().numpy()
    scores = evaluate_predictions(probabilities, first.test_labels, thresholds, first.classes).as_numbers()
    return replace(
        outcomes[0],
        scores={name: scores[name] for name in SCORES},
        f1_per_class=scores["f1_per_class"],
        evaluate_seconds=round(sum(each.evaluate_seconds for each in outcomes), 3),
        wall_seconds=round(sum(each.wall_seconds for each in outcomes), 3),
        facts={"members": list(judge_seeds)},
        finished=Outcome().finished,
    )


def mean_logits(logits: Sequence[Floats]) -> Floats:
    """Average probabilities, and say the mean as a logit, without a probability that is rounded to 0 or 1.

    Args:
        logits: `(N, C)` float32 of each member.

    Returns:
        `(N, C)` float32.

    Example:
        >>> mean_logits([np.float32([[2.0]]), np.float32([[-2.0]])]).tolist()
        [[0.0]]
    """
    stacked = np.stack(logits).astype(np.float64)
    present = np.logaddexp.reduce(-np.logaddexp(0, -stacked), axis=0)  # log of the sum of p
    absent = np.logaddexp.reduce(-np.logaddexp(0, stacked), axis=0)  # log of the sum of 1 - p
    mean: Floats = (present - absent).astype(np.float32)
    return mean
