"""Scoring: each image once, whatever the shares; the model is left as it was."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from dpc_lightning.loops.scoring import ImageScores, score_images
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.recipe import Pipeline, Recipe
from tests.rank_scoring import RULES, WORLDS

COUNT = 11


@pytest.fixture(scope="module")
def module() -> MultiLabelClassifier:
    torch.manual_seed(0)
    made = MultiLabelClassifier.from_recipes(Recipe(), Pipeline(epochs=1))
    made.classes = ("scratch", "dent", "stain")
    made.rebuild("purchase", seed=0)
    for block in made.network.modules():
        if isinstance(block, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(block.running_mean, std=0.2)  # type: ignore[arg-type]
    return made


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(0, 256, (COUNT, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def batches(images: Tensor, rows: list[list[int]]) -> Iterator[tuple[Tensor, Tensor]]:
    return ((torch.tensor(some, dtype=torch.int64), images[some]) for some in rows)


def scored(module: MultiLabelClassifier, images: Tensor, rows: list[list[int]], **more: Any) -> ImageScores:
    strategy = more.pop("strategy", None) or SingleDeviceStrategy()
    embeddings = more.pop("embeddings", True)
    return score_images(module, strategy, batches(images, rows), COUNT, embeddings=embeddings, **more)


def test_each_image_gets_its_own_scores_in_any_order_and_batch(module: MultiLabelClassifier, images: Tensor) -> None:
    module.eval()
    with torch.no_grad():
        logits, features = module.score_batch(images, embeddings=True)
    assert features is not None
    for rows in ([list(range(COUNT))], [[row] for row in range(COUNT)], [[10, 0, 3], [1, 2, 9, 8, 7], [6, 5, 4]]):
        found = scored(module, images, rows)
        np.testing.assert_allclose(found.logits, logits.numpy(), atol=1e-4)
        np.testing.assert_allclose(found.embeddings, features.numpy(), atol=1e-4)
        assert found.logits.dtype == found.embeddings.dtype == np.float32


def test_features_are_not_computed_where_nobody_asks(
    module: MultiLabelClassifier, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(module.network), "forward_both", None)
    found = scored(module, images, [list(range(COUNT))], embeddings=False)
    assert found.embeddings.shape == (COUNT, 0)
    assert found.logits.shape == (COUNT, 3)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_and_the_statistics_are_left_as_they_were(
    module: MultiLabelClassifier, images: Tensor, training: bool
) -> None:
    module.train(training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    scored(module, images, [list(range(COUNT))])
    assert module.training is training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())

    def broken() -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.tensor([0]), images[:1]
        raise InterruptedError

    with pytest.raises(InterruptedError):
        score_images(module, SingleDeviceStrategy(), broken(), COUNT, embeddings=False)
    assert module.training is training


@pytest.mark.parametrize(
    "rows",
    [[list(range(COUNT - 1))], [list(range(COUNT)), [3]], [], [[0, 0, *range(2, COUNT)]]],
    ids=["one missing", "one in two batches", "none", "one twice in a batch"],
)
def test_wrong_shares_are_a_defect(module: MultiLabelClassifier, images: Tensor, rows: list[list[int]]) -> None:
    with pytest.raises(RuntimeError, match="each of 11 images to be scored once"):
        scored(module, images, rows)


def test_an_empty_set_has_no_scores(module: MultiLabelClassifier, images: Tensor) -> None:
    found = score_images(module, SingleDeviceStrategy(), batches(images, []), 0, embeddings=True)
    assert found.logits.shape == (0, 3)
    assert found.embeddings.shape == (0, module.embedding_dim)


def test_batches_are_counted_as_they_are_scored(module: MultiLabelClassifier, images: Tensor) -> None:
    counted: list[int] = []
    scored(module, images, [[*range(4)], [*range(4, 8)], [*range(8, COUNT)]], on_batch=counted.append)
    assert counted == [4, 4, 3]


def program(module: str, *words: str) -> str:
    """Run a program of this repository in a process of its own; gives what it printed."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=os.environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_one_checkpoint_any_number_of_ranks_picks_the_same(
    finished_run: tuple[Path, Path], tmp_path: Path
) -> None:
    """Real processes, a shipped network with BatchNorm; 50 images in batches of 6, and then one image for all ranks."""
    program("tests.rank_scoring", str(finished_run[1]), str(tmp_path))
    one, *others = (np.load(tmp_path / f"{world}.npz") for world in WORLDS)
    assert one["logits"].shape == (50, 6)
    assert one["last_logits"].shape == (1, 6)
    assert one["committee"].shape == (50, 3, 6)
    assert {type(rule).__name__ for rule in RULES} <= set(one)
    assert len({tuple(one[type(rule).__name__]) for rule in RULES}) == len(RULES)
    for other in others:
        for name in one:
            assert one[name].tobytes() == other[name].tobytes(), name


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_memory_grows_by_what_was_asked_for_and_not_by_the_images() -> None:
    """The images of this pool would be 8 times the logits."""
    logits, both = map(json.loads, program("benchmarks.scoring_memory", "--images", "300000", "--json").splitlines())
    assert logits["asked"] == 300_000 * 6 * 4
    assert both["asked"] == 300_000 * (6 + 64) * 4
    assert logits["factor"] < 4
    assert both["factor"] < 1.5
