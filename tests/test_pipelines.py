"""The shipped pipelines: each is the group `evaluate:` and means the same on every run; each trains."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.configs import config_path
from dpc_lightning.models.weights import read_weights
from tests.small_run import fit, words

ON_GPU = ("round2_documented", "b4_unfrozen_cosine_40", "b0_unfrozen", "b1_averaged", "overfit")
ON_CPU = ("cpu_frozen", "cpu_cosine", "cpu_long", "cpu_longest", "cpu_short", "cpu_averaged", "cpu_overfit")
NAMES = (*ON_GPU, *ON_CPU)
MARKED = ("round2_documented", "cpu_frozen")
UNSPOKEN = {"scheduler_monitor", "retries_after_nan", "rate_after_nan", "channels_last"}
"""Settings that no shipped run changes, so that no pipeline has to name them."""


def given(name: str) -> dict[str, Any]:
    """What the file of a pipeline says."""
    settings: dict[str, Any] = yaml.safe_load(config_path(f"pipelines/{name}").read_text(encoding="utf-8"))
    return settings


def resolved(capsys: pytest.CaptureFixture[str], *configs: str) -> dict[str, Any]:
    """The group `evaluate:` as the real command line reads it."""
    named = [f"--config={config_path(name)}" for name in configs]
    with pytest.raises(SystemExit) as ended:
        main(["fit", *named, "--print_config"])
    assert ended.value.code == 0
    settings: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)["evaluate"]
    return settings


def test_the_promised_pipelines_are_there_and_no_other() -> None:
    assert {file.stem for file in config_path("quickstart").parent.glob("pipelines/*.yaml")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_is_the_same_whatever_the_run_had_for_evaluation(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(given(name)) == ["evaluate"]
    # these two runs differ in optimizer, schedule, backbone, freezing, blur, normalisation and length
    on_quickstart = resolved(capsys, "quickstart", f"pipelines/{name}")
    assert on_quickstart == resolved(capsys, "challenge_round2", f"pipelines/{name}")
    assert set(given(name)["evaluate"]) == set(on_quickstart) - UNSPOKEN
    assert on_quickstart["epochs"] == given(name)["evaluate"]["epochs"]
    assert on_quickstart["backbone"] == given(name)["evaluate"]["backbone"]


def test_the_documented_pipeline_is_the_evaluation_of_the_challenge(capsys: pytest.CaptureFixture[str]) -> None:
    challenge = resolved(capsys, "challenge_round2")
    assert resolved(capsys, "quickstart", "pipelines/round2_documented") == challenge


@pytest.mark.parametrize("name", MARKED)
def test_each_documented_value_is_told_from_an_own_choice(name: str) -> None:
    lines = config_path(f"pipelines/{name}").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("  "):
            assert "documented" in line.partition("#")[2] or "# own choice" in line, line


@pytest.mark.parametrize(
    ("name", "differing"),
    [
        ("cpu_short", {"epochs"}),
        ("cpu_long", {"epochs"}),
        ("cpu_longest", {"epochs"}),
        ("cpu_averaged", {"drop_rate", "average_decay"}),
        ("cpu_overfit", {"augment", "optimizer"}),
    ],
)
def test_what_is_compared_with_the_long_pipeline_differs_in_what_it_says_alone(name: str, differing: set[str]) -> None:
    other, long = given(name)["evaluate"], given("cpu_cosine")["evaluate"]
    assert {key for key in long if other[key] != long[key]} == differing
    decays = [each["optimizer"]["init_args"].pop("weight_decay") for each in (long, other)]
    assert other["optimizer"] == long["optimizer"]
    assert decays[1] == (0.0 if name == "cpu_overfit" else decays[0])


@pytest.mark.parametrize("name", ON_CPU)
def test_a_pipeline_for_a_processor_trains_what_it_says_from_the_start_models_weights(
    name: str, finished_run: tuple[Path, Path], tmp_path: Path
) -> None:
    root, before = finished_run
    start = before / "checkpoints" / "pretrain.ckpt"
    pipeline = f"--config={config_path(f'pipelines/{name}')}"
    summary = fit(root, tmp_path / "run", pipeline, f"--evaluate.checkpoint_path={start}", "--evaluate.epochs=2")
    assert summary["phases"][-1]["epochs"] == 2
    old, new = read_weights(start), read_weights(tmp_path / "run" / "checkpoints" / "evaluate.ckpt")
    same = {name for name in old if torch.equal(old[name], new[name])}
    assert same == (set(old) - {"classifier.weight", "classifier.bias"} if name == "cpu_frozen" else set())


def test_a_pipeline_without_its_start_model_says_which_setting_it_needs(
    small_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = f"--config={config_path('pipelines/cpu_cosine')}"
    assert main(words(small_root, tmp_path / "run", pipeline, "--purchase.rounds=1")) != 0
    said = capsys.readouterr().err
    assert "evaluate.checkpoint_path" in said
    assert "{start}" in said


@pytest.mark.parametrize("name", ON_GPU)
def test_a_pipeline_for_a_gpu_takes_a_step_without_its_weights(name: str, small_root: Path, tmp_path: Path) -> None:
    settings = (
        f"--config={config_path(f'pipelines/{name}')}",
        "--evaluate.pretrained=false",
        "--evaluate.freeze=none",
        "--evaluate.epochs=1",
        "--evaluate.batch_size=2",
        "--trainer.limit_train_batches=1",
        "--trainer.limit_val_batches=1",
        "--trainer.limit_test_batches=1",
        "--purchase.rounds=1",
    )
    summary = fit(small_root, tmp_path / "run", *settings)
    assert summary["phases"][-1]["epochs"] == 1
