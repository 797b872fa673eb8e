"""One row of the results: how a purchase did under a pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["ALL", "NONE", "PROTOCOL", "RANDOM", "Result"]

PROTOCOL = 1
"""Version of the protocol. It grows when the same settings would give other scores; rows of two versions never mix."""

NONE, RANDOM, ALL = "none", "random", "all"
"""Names of the references: nothing bought, bought by chance, everything bought."""


@dataclass(frozen=True)
class Result:
    """A purchase judged by a pipeline: one job of a benchmark, done or failed.

    Two results with the same `study`, `labels`, `seconds`, `pipeline` and seeds but different arms are paired: start
    set, validation split, initial weights and order of training are the same.

    Attributes:
        key: digest of everything that determines the result.
        study: name of the data that it was measured on, for example `default` or `deeppcb`.
        arm: name of the rule with its settings, or one of the references `none`, `random`, `all`.
        labels: label budget; 0 for `none`, the size of the pool for `all`.
        seconds: compute budget in seconds, or None.
        pipeline: name of the pipeline that judged.
        seed: of start set, start model and split; what is paired has it in common.
        purchase_seed: of the picks; equal to `seed` but in studies of noise.
        judge_seed: of the pipeline's training; equal to `seed` but in studies of noise.
        status: whether there is a score.
        error: what ended a failed job.
        scores: on the test set: `f1_macro`, `f1_macro_at_half`, `map`, `exact_match`, None where one is not defined;
            empty for a failed job.
        f1_per_class: test F1 by class, None for a class without positives.
        bought: labels bought.
        indices: what was bought, in the order of purchase.
        spent: compute seconds by activity (`pretrain`, `score`, `pick`, `buy`, `train`); the start model is shared, so
            its seconds are those of the run that made it.
        evaluate_seconds: seconds of the pipeline's training.
        wall_seconds: seconds of the whole job on its machine.
        facts: what else is worth keeping: `versions`, `hardware`, `phases`, `classes`, `images`, `run_dir`.
        protocol: version of the protocol.
        finished: UTC time in ISO format.
    """

    key: str
    study: str
    arm: str
    labels: int
    seconds: float | None
    pipeline: str
    seed: int
    purchase_seed: int
    judge_seed: int
    status: Literal["done", "failed"] = "done"
    error: str | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    f1_per_class: Mapping[str, float | None] = field(default_factory=dict)
    bought: int = 0
    indices: tuple[int, ...] = ()
    spent: Mapping[str, float] = field(default_factory=dict)
    evaluate_seconds: float = 0.0
    wall_seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    protocol: int = PROTOCOL
    finished: str = ""
