"""The grid of a benchmark: from its settings to the jobs, each once, and the places of their results."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from dpc_lightning.acquisition.listed import read_indices
from dpc_lightning.configs import config_path
from dpc_lightning.errors import ConfigError
from dpc_lightning.evaluation.jobs.ensembles import Ensemble, groups, keeping_predictions
from dpc_lightning.evaluation.jobs.job import Job, Place, digest, filled, merged
from dpc_lightning.evaluation.jobs.settings import Benchmark, Pair, Study
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM

__all__ = ["Grid", "read_fit", "read_pipeline"]

BY_CHANCE: Mapping[str, Any] = {"purchase": {"acquisition": "Random", "rounds": 1, "round_epochs": 0}}
"""The reference `random`: nothing is learnt from what it buys, so one round does."""

EVERYTHING = 10**9
"""More labels than any pool has: the run buys all."""

SHORTEST = {"evaluate": {"epochs": 1}}
"""The evaluation of a start: it is made for its pretraining."""

ONE_PROCESS = {"trainer": {"devices": 1, "enable_progress_bar": False}}


@dataclass
class Grid:
    """The jobs of a benchmark in the order in which they are best done, and the cases that they answer.

    Args:
        benchmark: the settings.
        drawn: the sealed pairs by the number of their study.

    Attributes:
        jobs: by key; every start comes before the jobs that begin with it, every purchase before those that judge it.
        cases: key of the outcome of each case that a job answers.
        ensembles: of jobs, by their places.

    Raises:
        ConfigError: if a setting is wrong, or a pair exceeds the pool.
    """

    benchmark: Benchmark
    drawn: Mapping[int, Sequence[Pair]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict, init=False)
    cases: dict[Place, str] = field(default_factory=dict, init=False)
    ensembles: dict[Place, Ensemble] = field(default_factory=dict, init=False)
    _bought_by: dict[str, str] = field(default_factory=dict, init=False)
    _first: dict[object, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Lay out all jobs."""
        base = merged(read_fit(self.benchmark.fit), self.benchmark.overrides, ONE_PROCESS)
        base.pop("run_dir", None)
        for number, study in enumerate(self.benchmark.studies):
            pipelines = _pipelines(study)
            pairs = [*study.pairs, *self.drawn.get(number, ())]
            for seed in study.seeds:
                self._lay_out(study, merged(base, study.fit), pairs, pipelines, seed)
        for key in {member for ensemble in self.ensembles.values() for member in ensemble.members}:
            self.jobs[key] = keeping_predictions(self.jobs[key])

    @property
    def places(self) -> dict[Place, str]:
        """All cases with the keys of their outcomes, those of ensembles last."""
        return self.cases | {place: ensemble.key for place, ensemble in self.ensembles.items()}

    def _lay_out(
        self,
        study: Study,
        base: Mapping[str, Any],
        pairs: Sequence[Pair],
        pipelines: Mapping[str, Mapping[str, Any]],
        seed: int,
    ) -> None:
        data = filled(study.data, {"seed": seed})
        settings = merged(base, {"data": data, "seed_everything": seed})
        plan = _Seed(self, study, settings, seed, pipelines)
        pool = plan.pool
        for pair in pairs:
            if pool is not None and pair.labels > pool:
                msg = (
                    f"The study `{study.name}` has a pair of {pair.labels} labels, but its pool has {pool} images: "
                    "expected fewer labels, or a larger pool."
                )
                raise ConfigError(msg)
        if "none" in study.references:
            plan.add(NONE, Pair(1), {"purchase": {**BY_CHANCE["purchase"], "labels": 0}}, labels=0)
        for pair in pairs:
            plan.add(RANDOM, Pair(pair.labels), BY_CHANCE)
            for name in study.arms if study.arms is not None else self.benchmark.arms:
                plan.add(name, pair, self.benchmark.arms[name])
        for pair in pairs if "double" in study.references else ():
            double = 2 * pair.labels
            plan.add(RANDOM, Pair(double if pool is None else min(double, pool)), BY_CHANCE)
        if "all" in study.references:
            plan.add(ALL, Pair(EVERYTHING), BY_CHANCE, labels=pool or EVERYTHING)

    def add_job(self, job: Job) -> None:
        """Add a job, unless it is there."""
        self.jobs.setdefault(job.key, job)

    def add_ensemble(self, ensemble: Ensemble) -> None:
        """Add an ensemble.

        Raises:
            ConfigError: if there is another one in its place.
        """
        if self.ensembles.setdefault(ensemble.place, ensemble) != ensemble:
            msg = (
                f"Two ensembles would stand for {ensemble.place}, with other members: expected the same `judge_seeds` "
                "in all studies of one name that ask for `ensembles` of the same pipeline."
            )
            raise ConfigError(msg)

    def expect_same(self, what: str, place: Place | tuple[str, object], found: str) -> None:
        """Refuse studies of the same name whose scores would be paired though they are not of the same thing."""
        if self._first.setdefault(place, found) != found:
            study = place.study if isinstance(place, Place) else place[0]
            msg = (
                f"Two entries `{study}` of `studies` have different {what}: their scores would be compared as if they "
                "were of one study. Give them different names."
            )
            raise ConfigError(msg)

    def buyer_of(self, purchase: str, job: str) -> str:
        """Say which job makes a purchase: the first that was laid out."""
        return self._bought_by.setdefault(purchase, job)


@dataclass(frozen=True)
class _Seed:
    """Lays out the jobs of one seed of a study."""

    grid: Grid
    study: Study
    settings: Mapping[str, Any]
    seed: int
    pipelines: Mapping[str, Mapping[str, Any]]

    @property
    def root(self) -> str:
        return str(self.settings["data"].get("root", ""))

    @property
    def prepare(self) -> tuple[str, ...] | None:
        words = self.study.prepare
        return None if words is None else tuple(map(str, filled(list(words), {"seed": self.seed})))

    @property
    def generator(self) -> Mapping[str, Any] | None:
        found = self.settings["data"].get("generator")
        if found is not None and not isinstance(found, Mapping):
            msg = (
                f"Expected settings by name, or null, in `data.generator` of study `{self.study.name}`, but got "
                f"{found!r}. For example `generator: {{preset: default}}`."
            )
            raise ConfigError(msg)
        return found

    @property
    def pool(self) -> int | None:
        """Images in the pool, where it can be said before the data are there."""
        return None if self.generator is None else int(_number(self.generator, "unlabelled", 2000))

    @property
    def training(self) -> int:
        """Labelled images, roughly: for estimates."""
        return 200 if self.generator is None else int(_number(self.generator, "training", 200))

    @cached_property
    def identity(self) -> object:
        """What tells these data from others: how they are made, or what their files say."""
        if self.generator is not None:
            return "generated"  # the settings of the generator are part of the job's settings
        if self.prepare is not None:
            return [word for word in self.prepare if "/" not in word and word != "{root}"]  # without places
        return _fingerprint(Path(self.root))

    def add(self, arm: str, pair: Pair, arm_settings: Mapping[str, Any], *, labels: int | None = None) -> None:
        """Lay out an arm at a pair, under all pipelines and seeds of the study."""
        bought = pair.labels if labels is None else labels
        budget = {"labels": pair.labels, "seconds": pair.seconds}
        settings = merged(self.settings, {"purchase": budget}, arm_settings)
        added: dict[Place, str] = {}
        for purchase_seed in self.study.purchase_seeds or (self.seed,):
            for judge_seed in self.study.judge_seeds or (purchase_seed,):
                for name, pipeline in self.pipelines.items():
                    case = Place(self.study.name, arm, bought, pair.seconds, name, self.seed, purchase_seed, judge_seed)
                    added[case] = self._add_case(case, settings, pipeline)
        for ensemble in groups(added, self.study.ensembles):
            self.grid.add_ensemble(ensemble)

    def _add_case(self, case: Place, settings: Mapping[str, Any], pipeline: Mapping[str, Any]) -> str:
        start = self._start(case, settings)
        reference = self._start(case, self.settings) if "{start}" in str(pipeline) else ""
        purchase = digest("purchase", start, *_as_bought(settings["purchase"]), case.purchase_seed)
        key = digest("outcome", purchase, reference, pipeline, case.judge_seed)
        buyer = key  # where nothing is bought, nothing is shared
        if case.labels:
            first = digest("outcome", purchase, reference, pipeline, case.purchase_seed)
            buyer = self.grid.buyer_of(purchase, first)
        own = merged(settings, {"evaluate": None, "seed_everything": case.judge_seed}) | {"evaluate": pipeline}
        if buyer != key:
            listed = {"class_path": "Listed", "init_args": {"file": "{purchases}"}}
            judged = {"acquisition": listed, "rounds": 1, "round_epochs": 0, "seconds": None, "labels": "{labels}"}
            own = merged(own, {"purchase": judged})
        job = Job(
            kind="buy" if buyer == key else "judge",
            key=key,
            case=case,
            settings=own,
            root=self.root,
            prepare=self.prepare,
            start=start,
            reference_start=reference,
            buyer="" if buyer == key else buyer,
            passes=self._passes(own, min(case.labels, self.pool or case.labels), buys=buyer == key),
        )
        self.grid.add_job(job)
        if case.arm in {NONE, RANDOM}:
            self.grid.expect_same(f"data or start models for seed {case.seed}", (case.study, case.seed), start)
        self.grid.expect_same(f"pipelines `{case.pipeline}`", (case.study, case.pipeline), digest("pipeline", pipeline))
        self.grid.expect_same(f"settings for the arm `{case.arm}` at one budget", case, key)
        self.grid.cases[case] = key
        return key

    def _start(self, case: Place, settings: Mapping[str, Any]) -> str:
        """Lay out the start model that a job begins with, and give its key."""
        plan = settings["purchase"]
        pretrain = {name: plan[name] for name in ("pretrain_epochs",) if name in plan}
        keep = {"class_path": "dpc_lightning.callbacks.StartKeeper", "init_args": {"folder": "{kept}"}}
        own = {key: value for key, value in settings.items() if key not in {"purchase", "evaluate"}}
        callbacks = (own.get("trainer") or {}).get("callbacks") or []
        callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
        own = merged(
            own,
            SHORTEST,
            {
                "purchase": {**BY_CHANCE["purchase"], **pretrain, "labels": 0},
                "trainer": {"callbacks": [*callbacks, keep]},
            },
            {"seed_everything": self.seed},
        )
        key = digest("start", own, self.identity)
        passes = int(_number(pretrain, "pretrain_epochs", 30)) * self.training
        self.grid.add_job(Job("start", key, case, own, self.root, self.prepare, passes=passes))
        return key

    def _passes(self, settings: Mapping[str, Any], labels: int, *, buys: bool) -> int:
        passes = int(_number(settings["evaluate"], "epochs", 25)) * (self.training + labels)
        if not buys or not labels:
            return passes
        plan = settings["purchase"]
        if plan.get("rounds") == "auto":
            return passes
        rounds, epochs = _number(plan, "rounds", 3), _number(plan, "round_epochs", 6)
        return passes + int(epochs * (rounds * self.training + labels * (rounds + 1) / 2))


def _number(settings: Mapping[str, Any], name: str, default: float) -> float:
    """Read a number for an estimate; whether it is one that will do, `fit` says when it reads the settings."""
    found = settings.get(name)
    return found if isinstance(found, int | float) and math.isfinite(found) else default


def _pipelines(study: Study) -> dict[str, dict[str, Any]]:
    """Read the pipelines of a study, by the names that they have in tables."""
    found: dict[str, dict[str, Any]] = {}
    for name in study.pipelines:
        short = Path(name).stem if Path(name).is_file() else name
        if short in found:
            msg = f"The study `{study.name}` names two pipelines `{short}`: give their files different names."
            raise ConfigError(msg)
        found[short] = read_pipeline(name)
    return found


def read_fit(name: str) -> dict[str, Any]:
    """Read a configuration of `fit` by its packaged name or from a file."""
    return _read(name, "fit")


def read_pipeline(name: str) -> dict[str, Any]:
    """Read a pipeline: the group `evaluate:` of a file.

    Args:
        name: of a file in `configs/pipelines/`, or a path.

    Returns:
        Settings of `evaluate:`.

    Raises:
        ConfigError: if there is no such file, or it holds no `evaluate:`.

    Example:
        >>> read_pipeline("quickstart")["epochs"]
        25
    """
    content = _read(name, "pipelines")
    pipeline = content.get("evaluate")
    if not isinstance(pipeline, dict):
        msg = f"Expected the group `evaluate:` in the pipeline `{name}`, but it holds {list(content)}."
        raise ConfigError(msg)
    return pipeline


def _read(name: str, key: str) -> dict[str, Any]:
    path = next(_candidates(name))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        msg = f"`{key}`: cannot read {path}: {error}"
        raise ConfigError(msg) from error
    if not isinstance(content, dict):
        msg = f"`{key}`: expected settings by name in {path}, but got {type(content).__name__}."
        raise ConfigError(msg)
    return content


def _candidates(name: str) -> Iterator[Path]:
    if Path(name).is_file():
        yield Path(name)
    for packaged in (f"pipelines/{name}", name):
        try:
            yield config_path(packaged)
        except ConfigError:
            if packaged == name:
                raise


def _as_bought(plan: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[int]]:
    """Give the settings of a purchase, and what it buys out of a file: its content matters, and not its name."""
    rule = plan.get("acquisition")
    if not isinstance(rule, Mapping) or str(rule.get("class_path")).rpartition(".")[2] != "Listed":
        return plan, []
    file = (rule.get("init_args") or {}).get("file")
    if not isinstance(file, str):
        return plan, []
    return merged(plan, {"acquisition": {"init_args": {"file": ""}}}), read_indices(Path(file)).tolist()


def _fingerprint(root: Path) -> list[str]:
    """Digest the tables of a data root, and the names and sizes of its images."""
    tables = sorted(root.glob("*/labels.csv"))
    if not tables:
        msg = (
            f"There is no data root {root} (no */labels.csv in it), and no `data.generator` or `prepare` in the study "
            "that would make it."
        )
        raise ConfigError(msg)
    return [f"{table.parent.name} {_digest_of_split(table)}" for table in tables]


def _digest_of_split(table: Path) -> str:
    content = hashlib.sha256(table.read_bytes())
    images = table.parent / "images"
    found = sorted((image.name, image.stat().st_size) for image in (images.iterdir() if images.is_dir() else ()))
    content.update(repr(found).encode("utf-8", "surrogateescape"))
    return content.hexdigest()
