"""What a benchmark compares: the settings of `benchmark --config`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from dpc_lightning.errors import ConfigError
from dpc_lightning.evaluation.jobs.fit_settings import FitSettings
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM

__all__ = ["ARM_GROUPS", "Benchmark", "Pair", "Reference", "Sealed", "Study"]

ARM_GROUPS = ("model", "purchase")
"""Groups of `fit` that an arm may set: the network that buys, and how it buys."""

Reference = Literal["none", "double", "all"]

SET_BY_PAIR = ("labels", "seconds")


@dataclass(frozen=True)
class Pair:
    """A budget: labels, and seconds for pretraining and buying."""

    labels: int
    """Label budget, at least 1."""
    seconds: float | None = None
    """Compute budget in seconds, or null for none. The shared start model's seconds count."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _at_least("pairs.labels", self.labels, 1)
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            msg = f"Expected `pairs.seconds` to be a positive number or null, but got {self.seconds}."
            raise ConfigError(msg)


@dataclass(frozen=True)
class Sealed:
    """Budgets that are drawn when the benchmark first starts, so that nobody tunes to them."""

    labels: tuple[int, int]
    """Least and largest label budget; drawn evenly on a logarithmic scale."""
    count: int = 1
    """How many pairs are drawn."""
    seconds: tuple[float, float] | None = None
    """Shortest and longest compute budget in seconds, drawn likewise, or null for none."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _at_least("sealed.count", self.count, 1)
        for name, limits in (("labels", self.labels), ("seconds", self.seconds)):
            if limits is not None and not 0 < limits[0] <= limits[1] < float("inf"):
                msg = f"Expected `sealed.{name}` to be a least and a largest value above 0, but got {list(limits)}."
                raise ConfigError(msg)


@dataclass(frozen=True)
class Study:
    """Data, with what is compared on it. Studies of the same name are one, measured in several sets of jobs."""

    name: str
    """Name of the data in tables, for example `default`."""
    pipelines: Sequence[str]
    """Pipelines that judge: names out of `configs/pipelines/`, or YAML files with the group `evaluate:`."""
    seeds: Sequence[int]
    """Seeds: of start set, order, initialisation and split, the same for all arms."""
    data: FitSettings = field(default_factory=FitSettings)
    """Group `data:` of `fit`, on top of the base's. `{seed}` stands for the seed, `{run_dir}` for the folder of the
    benchmark."""
    fit: FitSettings = field(default_factory=FitSettings)
    """Further settings of `fit`, on top of the base's."""
    prepare: Sequence[str | int] | None = None
    """Words of a command that makes the data root where it is missing, for example `[data, deeppcb, …]`; `{root}`
    stands for it."""
    pairs: Sequence[Pair] = ()
    """Budgets."""
    sealed: Sealed | None = None
    """Budgets that are drawn at the first start, beside `pairs`."""
    arms: Sequence[str] | None = None
    """Names of the arms compared here; null for all. The references are always there."""
    purchase_seeds: Sequence[int] | None = None
    """Seeds of the picks, crossed with `seeds`, to see what chance in buying does; null for the seed itself."""
    judge_seeds: Sequence[int] | None = None
    """Seeds of the judging training, crossed with the others; null for the seed of the picks. Where given, it must
    contain the seeds of the picks."""
    ensembles: Sequence[int] = ()
    """Numbers of members, for example [3]: the trainings of each purchase, in the order of their judge seeds, are put
    together in groups of so many, whose mean probabilities are scored as the pipeline `NAME x3`."""
    references: Sequence[Reference] = get_args(Reference)
    """References beside `random`, which always is one: `none`, `double` (random at double budget), `all`."""

    def __post_init__(self) -> None:
        """Check what can be checked without the arms."""
        where = f"study `{self.name}`"
        if not self.pairs and self.sealed is None:
            msg = f"Expected `pairs` or `sealed` in {where}: a comparison needs a budget."
            raise ConfigError(msg)
        for name in ("pipelines", "seeds", "purchase_seeds", "judge_seeds"):
            values = getattr(self, name)
            if values is not None and (not values or len(set(values)) != len(values)):
                msg = f"Expected distinct `{name}` in {where}, at least one, but got {list(values)}."
                raise ConfigError(msg)
        for seeds in (self.seeds, self.purchase_seeds or (), self.judge_seeds or ()):
            for seed in seeds:
                _at_least("studies.seeds", seed, 0)
        bought = self.seeds if self.purchase_seeds is None else self.purchase_seeds
        wrong = set(bought) - set(bought if self.judge_seeds is None else self.judge_seeds)
        if wrong:
            picks = "seeds" if self.purchase_seeds is None else "purchase_seeds"
            msg = f"Expected `judge_seeds` of {where} to contain its `{picks}`, but {sorted(wrong)} are missing."
            raise ConfigError(msg)
        self._check_ensembles(where)

    def _check_ensembles(self, where: str) -> None:
        members = list(self.ensembles)
        for count in members:
            _at_least("studies.ensembles", count, 2)
        if len(set(members)) != len(members):
            msg = f"Expected distinct `ensembles` in {where}, but got {members}."
            raise ConfigError(msg)
        trainings = len(self.judge_seeds or ())
        if members and trainings < max(members):
            msg = (
                f"Expected at least {max(members)} `judge_seeds` in {where} for `ensembles: {members}`, but it has "
                f"{trainings}: the members of an ensemble are trainings of one purchase with seeds of their own."
            )
            raise ConfigError(msg)


@dataclass(frozen=True)
class Benchmark:
    """Arms that are compared, and the studies in which they are."""

    arms: Mapping[str, FitSettings]
    """Rules by name: settings of the groups `purchase:` (without labels and seconds) and `model:` of `fit`."""
    studies: Sequence[Study]
    """Data, budgets, pipelines and seeds."""
    fit: str = "quickstart"
    """Configuration of `fit` that all jobs begin with: a packaged name, or a file."""
    overrides: FitSettings = field(default_factory=FitSettings)
    """Settings of `fit` on top of it, for all jobs."""
    metric: str = "f1_macro"
    """Score by which the tables rank: f1_macro (thresholds tuned on validation), f1_macro_at_half, map or
    exact_match."""

    def __post_init__(self) -> None:
        """Check the arms, and that the studies name arms that there are."""
        if self.metric not in METRICS:
            msg = f"Expected `metric` to be one of {', '.join(METRICS)}, but got {self.metric!r}."
            raise ConfigError(msg)
        if not self.studies:
            msg = "Expected at least one study in `studies`."
            raise ConfigError(msg)
        for name, settings in self.arms.items():
            self._check_arm(name, settings)
        for study in self.studies:
            unknown = [name for name in study.arms or () if name not in self.arms]
            if unknown:
                known = ", ".join(self.arms)
                msg = f"There is no arm `{unknown[0]}`, which the study `{study.name}` names. There are: {known}."
                raise ConfigError(msg)

    @staticmethod
    def _check_arm(name: str, settings: object) -> None:
        if name in {NONE, RANDOM, ALL}:
            msg = f"The arm `{name}` is a reference, which every benchmark has: give it another name."
            raise ConfigError(msg)
        groups: Mapping[str, Any] = settings if isinstance(settings, Mapping) else {}
        wrong = [key for key, value in groups.items() if key not in ARM_GROUPS or not isinstance(value, Mapping)]
        if wrong or "purchase" not in groups:
            msg = (
                f"Expected the arm `{name}` to hold settings of `purchase:`, and of `model:` if you like, but got "
                f"{settings!r}. For example `{name}: {{purchase: {{acquisition: Badge}}}}`."
            )
            raise ConfigError(msg)
        taken = [key for key in SET_BY_PAIR if key in groups["purchase"]]
        if taken:
            msg = f"`purchase.{taken[0]}` of the arm `{name}` has no place there: `pairs` of the studies set it."
            raise ConfigError(msg)


METRICS = ("f1_macro", "f1_macro_at_half", "map", "exact_match")


def _at_least(key: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        msg = f"Expected `{key}` to be a whole number of at least {least}, but got {value!r}."
        raise ConfigError(msg)
