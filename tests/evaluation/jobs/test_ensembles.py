"""Ensembles: trainings of one purchase whose mean probabilities are scored as one more pipeline."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.special import expit
from sklearn.metrics import f1_score

from dpc_lightning.__main__ import main
from dpc_lightning.configs import config_path
from dpc_lightning.errors import ConfigError, ResultsError
from dpc_lightning.evaluation.jobs.ensembles import add_ensembles, combine, groups, keeping_predictions
from dpc_lightning.evaluation.jobs.grid import Grid
from dpc_lightning.evaluation.jobs.job import Place
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import ResultsFile, read_cases, read_results
from dpc_lightning.evaluation.noise import noise
from dpc_lightning.evaluation.result import Result
from dpc_lightning.kept_predictions import KeptPredictions
from dpc_lightning.models import tune_thresholds
from tests.evaluation.jobs.small_benchmark import benchmark_of, config

CROSSED: dict[str, Any] = {"arms": [], "references": [], "purchase_seeds": [1], "judge_seeds": [1, 2, 3, 4]}


def words(file: Path, run_dir: Path, *more: str) -> list[str]:
    return ["benchmark", f"--config={file}", f"--run_dir={run_dir}", "--workers=2", *more]


def said(draw: int, *, images: int = 60) -> KeptPredictions:
    """Predictions of a network that knows a little."""
    labels = (np.random.default_rng(0).random((images, 3)) < 0.3).astype(np.uint8)
    rng = np.random.default_rng(draw + 1)
    logits = (3.0 * labels - 2 + rng.normal(0, 2, (2, images, 3))).astype(np.float32)
    return KeptPredictions(logits[0], labels, logits[1], labels, ("scratch", "dent", "hole"))


def score(predictions: KeptPredictions) -> tuple[float, float]:
    """Macro-F1 of one network by scikit-learn, at tuned thresholds and at 1/2."""
    cut = tune_thresholds(predictions.validation_logits, predictions.validation_labels)
    chances = expit(predictions.test_logits.astype(np.float64))
    tuned, fixed = (f1_score(predictions.test_labels, chances >= at, average="macro") for at in (cut, 0.5))
    return float(tuned), float(fixed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A purchase that was judged four times, in ensembles of two and of three."""
    folder = tmp_path_factory.mktemp("ensembles")
    file = config(folder, **CROSSED, ensembles=[2, 3])
    assert main(words(file, folder / "run", "--minutes=0.0001")) == 4  # nothing is put together of nothing
    assert main(words(file, folder / "run")) == 0
    return folder


def test_ensembles_are_rows_beside_their_members(finished: Path) -> None:
    rows = read_results(finished / "run")
    alone = [row for row in rows if not row.facts.get("members")]
    together = rows[len(alone) :]
    assert [row.judge_seed for row in alone] == [1, 2, 3, 4]
    assert [(row.pipeline, row.judge_seed, row.facts["members"]) for row in together] == [
        (f"{alone[0].pipeline} x2", 1, [1, 2]),
        (f"{alone[0].pipeline} x2", 3, [3, 4]),
        (f"{alone[0].pipeline} x3", 1, [1, 2, 3]),
    ]
    assert len(read_cases(finished / "run")) == 7
    for row in together:
        members = [each for each in alone if each.judge_seed in row.facts["members"]]
        kept = [KeptPredictions.read(finished / "run" / "jobs" / each.key / "predictions.npz") for each in members]
        mean = np.mean([expit(each.test_logits.astype(np.float64)) for each in kept], axis=0)
        seen = kept[0].test_labels.any(axis=0)
        at_half = f1_score(kept[0].test_labels[:, seen], mean[:, seen] >= 0.5, average="macro", zero_division=0)
        assert row.scores["f1_macro_at_half"] == pytest.approx(at_half)
        assert row.evaluate_seconds == pytest.approx(sum(each.evaluate_seconds for each in members))
        assert row.indices == members[0].indices


def test_what_a_job_keeps_is_what_it_was_scored_by(finished: Path) -> None:
    for row in read_results(finished / "run")[:4]:
        kept = KeptPredictions.read(finished / "run" / "jobs" / row.key / "predictions.npz")
        assert kept.test_logits.dtype == kept.validation_logits.dtype == np.float32
        assert kept.validation_logits.shape == kept.test_logits.shape == (30, 6)
        alone = combine([Outcome()], [kept], [row.judge_seed])
        assert alone.scores == row.scores
        assert alone.f1_per_class == row.f1_per_class


def test_an_ensemble_is_put_together_once_and_travels_with_the_rows(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_results(finished / "run")
    assert main(words(finished / "small.yaml", finished / "run")) == 0
    assert "put together" not in capsys.readouterr().out
    assert read_results(finished / "run") == before
    rows = f"--rows={json.dumps([str(finished / 'run' / 'rows.jsonl')])}"
    assert main(words(finished / "small.yaml", tmp_path / "all", rows)) == 0
    assert read_results(tmp_path / "all") == before
    # without the ensembles' rows, and without predictions: they are left out, and that is said
    lines = (finished / "run" / "rows.jsonl").read_text().splitlines()
    (tmp_path / "alone.jsonl").write_text("".join(line + "\n" for line in lines if '"members"' not in line))
    capsys.readouterr()
    rows = f"--rows={json.dumps([str(tmp_path / 'alone.jsonl')])}"
    assert main(words(finished / "small.yaml", tmp_path / "some", rows)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "3 ensembles are left out" in out
    assert "predictions.npz, but they cannot be read" in out
    assert len(read_results(tmp_path / "some")) == 4


def test_an_ensemble_of_the_same_training_is_that_training() -> None:
    member = said(0)
    outcome = Outcome(evaluate_seconds=3.0, wall_seconds=5.0, bought=6, indices=(4, 2))
    one, three = combine([outcome], [member], [7]), combine([outcome] * 3, [member] * 3, [7, 8, 9])
    assert (three.scores, three.f1_per_class) == (one.scores, one.f1_per_class)
    assert (three.evaluate_seconds, three.wall_seconds) == (9.0, 15.0)
    assert (three.bought, three.indices, three.facts) == (6, (4, 2), {"members": [7, 8, 9]})
    assert (one.scores["f1_macro"], one.scores["f1_macro_at_half"]) == pytest.approx(score(member))


def test_probabilities_are_averaged_and_thresholds_tuned_anew() -> None:
    members = [said(draw) for draw in range(5)]
    logits = []
    for name in ("validation_logits", "test_logits"):
        mean = np.mean([expit(getattr(member, name).astype(np.float64)) for member in members], axis=0)
        logits.append(np.log(mean / (1 - mean)).astype(np.float32))
    expected = score(replace(members[0], validation_logits=logits[0], test_logits=logits[1]))
    together = combine([Outcome()] * 5, members, range(5))
    found = together.scores["f1_macro"], together.scores["f1_macro_at_half"]
    assert found == pytest.approx(expected)
    assert expected[0] > max(score(member)[0] for member in members)


def test_members_of_other_images_are_refused() -> None:
    with pytest.raises(ResultsError, match="the same classes and labels"):
        combine([Outcome()] * 2, [said(0), said(1, images=50)], [1, 2])


def test_an_ensemble_waits_until_all_its_members_are_done(tmp_path: Path) -> None:
    place = Place("sheets", "random", 6, None, "b0", 1, 1, 0)
    cases = {replace(place, judge_seed=seed): f"job{seed}" for seed in range(4)}
    with ResultsFile(tmp_path / "results.sqlite") as results:
        for number, (_, key) in enumerate(cases.items()):
            if number < 3:
                (tmp_path / "jobs" / key).mkdir(parents=True)
                said(number).write(tmp_path / "jobs" / key / "predictions.npz")
                results.put(key, Outcome(scores={"f1_macro": 0.5}))
        results.put("job3", Outcome.failed("no room"))
        ensembles = list(groups(cases, [2]))
        added = add_ensembles(ensembles, results, tmp_path)
        assert (added.made, added.skipped) == (1, {})
        assert ensembles[0].key in results.outcomes()
        (tmp_path / "jobs" / "job3").mkdir()
        (tmp_path / "jobs" / "job3" / "predictions.npz").write_bytes(b"PK\x03\x04 broken")
        results.put("job3", Outcome(scores={"f1_macro": 0.5}))
        added = add_ensembles(ensembles, results, tmp_path)
        assert (added.made, list(added.skipped)) == (0, [ensembles[1].place])


def test_keys_are_those_that_committed_results_have(tmp_path: Path) -> None:
    """Results are known by these digests: a change here makes every committed row worthless."""
    known = {
        "start": "5e31a7bbc981e8ff7f97",
        "buy random 1": "f433e1f98ef294cde429",
        "judge random 2": "5927210e439d84887287",
        "judge random 3": "f6097937238304ee6857",
    }
    for changes in ({}, {"ensembles": [3]}):
        laid = Grid(benchmark_of(tmp_path, **{**CROSSED, "judge_seeds": [1, 2, 3]}, **changes))
        keys = {f"{job.kind} random {job.case.judge_seed}": job.key for job in laid.jobs.values()}
        assert {name.replace("start random 1", "start"): key for name, key in keys.items()} == known
        assert [key for key, job in laid.jobs.items() if key != job.key] == []
        callbacks = {job.kind: str(job.settings["trainer"].get("callbacks")) for job in laid.jobs.values()}
        assert "PredictionsKeeper" not in callbacks["start"]
        assert ("PredictionsKeeper" in callbacks["buy"]) == ("PredictionsKeeper" in callbacks["judge"]) == bool(changes)


def test_predictions_are_kept_also_where_another_study_laid_the_job_out(tmp_path: Path) -> None:
    plain = benchmark_of(tmp_path, **CROSSED)
    asking = benchmark_of(tmp_path, **CROSSED, ensembles=[4])
    laid = Grid(replace(plain, studies=[*plain.studies, *asking.studies]))
    assert all("PredictionsKeeper" in str(job.settings) for job in laid.jobs.values() if job.kind != "start")
    other = benchmark_of(tmp_path, **{**CROSSED, "judge_seeds": [1, 2, 3, 5]}, ensembles=[4])
    with pytest.raises(ConfigError, match="Two ensembles would stand for sheets, random"):
        Grid(replace(plain, studies=[*asking.studies, *other.studies]))


def test_callbacks_of_the_users_stay(tmp_path: Path) -> None:
    job = next(iter(Grid(benchmark_of(tmp_path)).jobs.values()))
    mine = {"class_path": "mine.Callback"}
    for named, kept in ((None, []), (mine, [mine]), ([mine, mine], [mine, mine])):
        given = replace(job, settings={**job.settings, "trainer": {"callbacks": named}})
        assert keeping_predictions(given).settings["trainer"]["callbacks"][:-1] == kept


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ensembles": [1]}, "at least 2, but got 1"),
        ({"ensembles": [2, 2]}, "Expected distinct `ensembles` in study `sheets`"),
        ({"ensembles": [2, 5]}, "Expected at least 5 `judge_seeds` in study `sheets`"),
        ({"ensembles": [2], "judge_seeds": None}, "for `ensembles: [2]`, but it has 0"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        benchmark_of(tmp_path, **{**CROSSED, **changes})
    assert said in str(refused.value)


def test_the_study_of_noise_is_laid_out_at_the_settings_of_the_benchmark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [yaml.safe_load(config_path(f"benchmark/{name}").read_text(encoding="utf-8")) for name in ("noise", "cpu")]
    ours, main_one = files
    assert (ours["fit"], ours["overrides"]) == (main_one["fit"], main_one["overrides"])
    assert all(study["data"] == main_one["studies"][0]["data"] for study in ours["studies"])
    seeds = {seed for study in ours["studies"] for seed in study["seeds"]}
    assert not seeds & {seed for study in main_one["studies"] for seed in study["seeds"]}
    assert main(words(config_path("benchmark/noise"), tmp_path / "run", "--minutes=0.0001")) == 4
    assert "133 jobs are left" in capsys.readouterr().out
    cases = read_cases(tmp_path / "run")
    simulated = [_simulated(case, key) for case, key in cases.items()]
    found = noise(simulated, base="cpu_cosine")
    assert found is not None
    assert not [problem for problem in found.problems if "below 0" not in problem]
    remedies = {each.pipeline: (each.purchases, each.degrees) for each in found.remedies}
    few = dict.fromkeys(("cpu_short", "cpu_averaged", "cpu_frozen", "cpu_overfit"), (4, 8))
    assert remedies == {**few, "cpu_long": (3, 6), "cpu_cosine x2": (12, 24), "cpu_cosine x3": (12, 12)}
    whole = next(each for each in found.splits if each.case.pipeline == "cpu_cosine")
    assert [part.source for part in whole.components] == ["start set", "purchase", "training"]
    assert [(each.case and each.case.pipeline, each.experiments) for each in found.chance] == [("cpu_cosine", 18)]


def _simulated(case: Place, key: str) -> Result:
    place = {name: getattr(case, name) for name in case.__dataclass_fields__}
    rng = np.random.default_rng(int(key[:12], 16))
    facts = {"members": [1, 2, 3]} if " x" in case.pipeline else {}
    scores = {"f1_macro": 0.5 + 0.02 * rng.normal()}
    return Result(key=key, **place, scores=scores, evaluate_seconds=20.0, facts=facts)
