"""What a benchmark lays out: each job once, paired, with its references."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.errors import ConfigError
from dpc_lightning.evaluation.jobs.grid import Grid, read_pipeline
from dpc_lightning.evaluation.jobs.job import Place
from tests.evaluation.jobs.small_benchmark import DATA, benchmark_of


def grid(folder: Path, **changes: Any) -> Grid:
    return Grid(benchmark_of(folder, **changes))


def cases(laid: Grid) -> list[tuple[str, int]]:
    return [(case.arm, case.labels) for case in laid.cases]


def test_references_are_always_there(tmp_path: Path) -> None:
    laid = grid(tmp_path, pairs=[{"labels": 6}], references=["none", "double", "all"])
    assert cases(laid) == [("none", 0), ("random", 6), ("entropy", 6), ("random", 12), ("all", 40)]
    assert Counter(job.kind for job in laid.jobs.values()) == {"start": 1, "buy": 5}


def test_random_at_double_budget_is_shared_with_the_next_pair(tmp_path: Path) -> None:
    laid = grid(tmp_path, pairs=[{"labels": 6}, {"labels": 12}], references=["none", "double", "all"])
    assert Counter(cases(laid))["random", 12] == 1
    assert ("random", 24) in cases(laid)


def test_arms_of_a_seed_begin_with_the_same_start_model(tmp_path: Path) -> None:
    laid = grid(tmp_path, seeds=[1, 2])
    starts = {
        case.seed: {laid.jobs[key].start for c, key in laid.cases.items() if c.seed == case.seed} for case in laid.cases
    }
    assert [len(each) for each in starts.values()] == [1, 1]
    assert starts[1] != starts[2]


def test_an_arm_with_another_network_has_a_start_model_of_its_own(tmp_path: Path) -> None:
    benchmark = benchmark_of(tmp_path)
    arms = {**benchmark.arms, "large": {"purchase": {"acquisition": "Badge"}, "model": {"backbone": "resnet18"}}}
    laid = Grid(type(benchmark)(**{**vars(benchmark), "arms": arms}))
    by_arm = {case.arm: laid.jobs[key].start for case, key in laid.cases.items()}
    assert by_arm["entropy"] == by_arm["random"] == by_arm["none"] != by_arm["large"]


def test_the_first_pipeline_judges_in_the_run_that_buys_and_the_others_judge_its_purchase(tmp_path: Path) -> None:
    second = tmp_path / "second.yaml"
    second.write_text("evaluate: {epochs: 3}\n")
    laid = grid(tmp_path, pipelines=[str(tmp_path / "quick_look.yaml"), str(second)])
    kinds = {(case.arm, Path(case.pipeline).stem): laid.jobs[key] for case, key in laid.cases.items()}
    assert kinds["entropy", "quick_look"].kind == "buy"
    judge = kinds["entropy", "second"]
    assert (judge.kind, judge.buyer) == ("judge", kinds["entropy", "quick_look"].key)
    assert kinds["none", "second"].kind == "buy"  # nothing was bought that could be shared


def test_crossed_seeds_share_purchases(tmp_path: Path) -> None:
    laid = grid(tmp_path, purchase_seeds=[1, 2], judge_seeds=[1, 2, 3], references=[])
    jobs = [laid.jobs[key] for case, key in laid.cases.items() if case.arm == "entropy"]
    assert Counter(job.kind for job in jobs) == {"buy": 2, "judge": 4}
    assert {job.buyer for job in jobs if job.kind == "judge"} == {job.key for job in jobs if job.kind == "buy"}


def test_names_of_studies_and_arms_do_not_change_a_key(tmp_path: Path) -> None:
    first, renamed = grid(tmp_path), grid(tmp_path, name="other")
    assert list(first.jobs) == list(renamed.jobs)
    assert list(first.cases) != list(renamed.cases)


def test_what_decides_a_score_changes_the_key(tmp_path: Path) -> None:
    keys = [grid(tmp_path).cases[Place("sheets", "random", 6, None, "quick_look", 1, 1, 1)]]
    harder = {**DATA, "generator": {**DATA["generator"], "preset": "hard"}}
    for changes in ({"data": harder}, {"fit": {"purchase": {"pretrain_epochs": 2}}}, {"fit": {"threads": 2}}):
        laid = grid(tmp_path, **changes)
        keys.append(next(key for case, key in laid.cases.items() if case.arm == "random"))
    benchmark = benchmark_of(tmp_path)
    (tmp_path / "quick_look.yaml").write_text("evaluate: {epochs: 9}\n")
    keys.append(next(key for case, key in Grid(benchmark).cases.items() if case.arm == "random"))
    assert len(set(keys)) == 5


def test_a_list_of_purchases_is_known_by_what_it_lists(tmp_path: Path) -> None:
    listed = tmp_path / "bought.txt"
    benchmark = benchmark_of(tmp_path)
    rule = {"class_path": "Listed", "init_args": {"file": str(listed)}}
    arms = {"mine": {"purchase": {"acquisition": rule}}}
    keys = []
    for text in ("1\n2\n3\n4\n5\n6\n", "6\n5\n4\n3\n2\n1\n"):
        listed.write_text(text)
        laid = Grid(type(benchmark)(**{**vars(benchmark), "arms": arms}))
        keys.append(next(key for case, key in laid.cases.items() if case.arm == "mine"))
    assert keys[0] != keys[1]
    renamed = listed.rename(tmp_path / "renamed.txt")
    again = {"class_path": "Listed", "init_args": {"file": str(renamed)}}
    arms = {"mine": {"purchase": {"acquisition": again}}}
    laid = Grid(type(benchmark)(**{**vars(benchmark), "arms": arms}))
    assert keys[1] == next(key for case, key in laid.cases.items() if case.arm == "mine")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {**DATA, "generator": {**DATA["generator"], "preset": "hard"}}}, "data or start models for seed 1"),
        ({"pairs": [{"labels": 12}], "pipelines": ["other/quick_look.yaml"]}, "pipelines `quick_look`"),
        ({"fit": {"purchase": {"round_epochs": 2}}}, "settings for the arm `entropy` at one budget"),
    ],
)
def test_studies_of_one_name_that_differ_in_what_is_paired_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other" / "quick_look.yaml"
    other.parent.mkdir()
    other.write_text("evaluate: {epochs: 3}\n")
    first, second = benchmark_of(tmp_path), benchmark_of(tmp_path, **changes)
    studies = [*first.studies, *second.studies]
    with pytest.raises(ConfigError, match="Two entries `sheets` of `studies` have different") as refused:
        Grid(type(first)(**{**vars(first), "studies": studies}))
    assert said in str(refused.value)
    Grid(type(first)(**{**vars(first), "studies": [*first.studies, *benchmark_of(tmp_path).studies]}))


@pytest.mark.parametrize(
    "purchase",
    [{"rounds": "3"}, {"rounds": 0}, {"round_epochs": None}, {"pretrain_epochs": "many"}, {"acquisition": "Nonsense"}],
)
def test_what_fit_refuses_is_laid_out_and_refused_by_fit(tmp_path: Path, purchase: dict[str, Any]) -> None:
    data = {**DATA, "generator": {**DATA["generator"], "training": None, "unlabelled": "many"}}
    assert len(grid(tmp_path, fit={"purchase": purchase}, data=data).cases) == 3


def test_the_file_of_a_rule_of_ones_own_is_not_read_as_a_list_of_purchases(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"\x80")
    benchmark = benchmark_of(tmp_path)
    rules = {
        "mine": {"class_path": "mine.Rule", "init_args": {"file": str(tmp_path / "weights.bin")}},
        "bare": {"class_path": "Badge", "init_args": None},
    }
    arms = {name: {"purchase": {"acquisition": rule}} for name, rule in rules.items()}
    laid = Grid(type(benchmark)(**{**vars(benchmark), "arms": arms}))
    assert {case.arm for case in laid.cases} == {"none", "random", *rules}


@pytest.mark.parametrize("changed", ["training/labels.csv", "unlabelled/labels.csv", "test/images/a.png"])
def test_a_root_of_ones_own_is_known_by_its_labels_and_images(tmp_path: Path, changed: str) -> None:
    for split in ("training", "unlabelled", "test"):
        (tmp_path / "root" / split / "images").mkdir(parents=True)
        (tmp_path / "root" / split / "images" / "a.png").write_bytes(b"one")
        (tmp_path / "root" / split / "labels.csv").write_text("image,dent\na.png,1\n")
    (tmp_path / "root").rename(tmp_path / "moved")
    (tmp_path / "root").symlink_to(tmp_path / "moved")
    data = [{"root": str(tmp_path / name), "generator": None} for name in ("root", "moved")]
    keys = [list(grid(tmp_path, data=each).jobs) for each in data]
    assert keys[0] == keys[1]
    (tmp_path / "moved" / changed).write_text("image,dent\na.png,0\n")
    assert not set(keys[0]) & grid(tmp_path, data=data[0]).jobs.keys()


def test_callbacks_of_the_settings_are_in_the_start_model_too(tmp_path: Path) -> None:
    callbacks = [{"class_path": "StochasticWeightAveraging", "init_args": {"swa_lrs": 0.1}}]
    laid = grid(tmp_path, fit={"trainer": {"callbacks": callbacks}})
    start = next(job for job in laid.jobs.values() if job.kind == "start")
    assert [each["class_path"] for each in start.settings["trainer"]["callbacks"]] == [
        "StochasticWeightAveraging",
        "dpc_lightning.callbacks.StartKeeper",
    ]
    assert not laid.jobs.keys() & grid(tmp_path).jobs.keys()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pairs": [{"labels": 41}]}, "study `sheets` has a pair of 41 labels, but its pool has 40 images"),
        ({"arms": ["badge"]}, "no arm `badge`, which the study `sheets` names. There are: entropy"),
        ({"pipelines": ["nonsense"]}, "no packaged configuration `nonsense`"),
        ({"pairs": []}, "Expected `pairs` or `sealed` in study `sheets`"),
        ({"seeds": []}, "Expected distinct `seeds` in study `sheets`"),
        ({"seeds": [1, 1]}, "Expected distinct `seeds`"),
        ({"seeds": [-1]}, "at least 0, but got -1"),
        ({"purchase_seeds": [1, 2], "judge_seeds": [1]}, "to contain its `purchase_seeds`, but [2] are missing"),
        ({"judge_seeds": [5, 6]}, "to contain its `seeds`, but [1] are missing"),
        ({"data": {"root": "x", "generator": "default"}}, "in `data.generator` of study `sheets`, but got 'default'"),
        ({"data": {"root": "nowhere", "generator": None}}, "no data root nowhere"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        grid(tmp_path, **changes)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"random": {"purchase": {}}}, "`random` is a reference"),
        ({"mine": {"acquisition": "Badge"}}, "Expected the arm `mine` to hold settings of `purchase:`"),
        ({"mine": {"purchase": {"labels": 3}}}, "`purchase.labels` of the arm `mine` has no place"),
        ({"mine": "Badge"}, "Expected the arm `mine`"),
    ],
)
def test_wrong_arms_are_named(tmp_path: Path, arm: dict[str, Any], said: str) -> None:
    benchmark = benchmark_of(tmp_path)
    with pytest.raises(ConfigError) as refused:
        type(benchmark)(**{**vars(benchmark), "arms": arm})
    assert said in str(refused.value)


def test_an_unknown_metric_is_named(tmp_path: Path) -> None:
    benchmark = benchmark_of(tmp_path)
    with pytest.raises(ConfigError, match="`metric` to be one of f1_macro, .* but got 'accuracy'"):
        type(benchmark)(**{**vars(benchmark), "metric": "accuracy"})


def test_pipelines_have_the_names_of_their_files_and_no_two_the_same(tmp_path: Path) -> None:
    assert {case.pipeline for case in grid(tmp_path).cases} == {"quick_look"}
    other = tmp_path / "other" / "quick_look.yaml"
    other.parent.mkdir()
    other.write_text("evaluate: {epochs: 3}\n")
    with pytest.raises(ConfigError, match="two pipelines `quick_look`"):
        grid(tmp_path, pipelines=[str(tmp_path / "quick_look.yaml"), str(other)])


def test_a_file_without_a_pipeline_is_named(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("purchase: {labels: 3}\n")
    with pytest.raises(ConfigError, match="Expected the group `evaluate:` in the pipeline"):
        read_pipeline(str(file))
