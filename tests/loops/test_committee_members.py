"""Models of earlier phases: the right ones, as they were, in memory and in files."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy

from dpc_lightning.callbacks.cost_meter import CostMeter
from dpc_lightning.errors import RunDirError
from dpc_lightning.loops import pool_scores
from dpc_lightning.loops.committee_members import earlier_networks, member_phases
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.recipe import Pipeline, Recipe
from tests.loops.probes import Honest
from tests.small_run import fit, purchases

SHORT = ("--purchase.pretrain_epochs=1", "--purchase.rounds=3", "--evaluate.epochs=1", "--model.backbone=resnet10t")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    Honest.given.clear()
    yield
    Honest.given.clear()


@pytest.mark.parametrize(
    ("number", "members", "phases"),
    [
        (1, 2, []),
        (1, 9, []),
        (2, 1, []),
        (2, 2, ["pretrain"]),
        (2, 9, ["pretrain"]),
        (3, 2, ["round_1"]),
        (3, 3, ["round_1", "pretrain"]),
        (9, 3, ["round_7", "round_6"]),
    ],
)
def test_the_phases_before_the_current_model_are_heard_the_latest_first(
    number: int, members: int, phases: list[str]
) -> None:
    assert member_phases(number, members) == phases


def test_members_say_what_they_said_when_they_were_the_current_model(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    on_purchase = CostMeter.on_purchase

    def noted(meter: CostMeter, trainer: Any, module: Any, record: Any) -> None:
        counted.append(record.scored)
        on_purchase(meter, trainer, module, record)

    monkeypatch.setattr(CostMeter, "on_purchase", noted)
    fit(small_root, tmp_path / "run", *SHORT, "--purchase.acquisition=tests.loops.probes.Hearing")
    first, second, third = Honest.given
    assert counted == [17, 31, 42]  # of 50, 46 and 42 images, by one, two and three of three models
    for number, pool in enumerate(Honest.given, start=1):
        assert pool.committee_logits is not None
        assert pool.committee_logits.shape == (54 - 4 * number, number, 6)
        np.testing.assert_array_equal(pool.committee_logits[:, 0], pool.logits)
    for later, member, earlier in ((second, 1, first), (third, 1, second), (third, 2, first)):
        assert later.committee_logits is not None
        before = earlier.logits[np.searchsorted(earlier.indices, later.indices)]
        np.testing.assert_allclose(later.committee_logits[:, member], before, atol=1e-4)
        assert not np.allclose(later.committee_logits[:, member], later.logits, atol=1e-2)


def test_files_and_memory_buy_the_same_by_a_committee(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = ("--purchase.acquisition=Committee", "--purchase.acquisition.members=2", "--purchase.rounds=2")
    fit(small_root, tmp_path / "memory", *SHORT, *rule)
    monkeypatch.setattr(pool_scores, "IN_MEMORY", 0)
    fit(small_root, tmp_path / "files", *SHORT, *rule)
    bought = purchases(tmp_path / "files")
    assert bought == purchases(tmp_path / "memory")
    assert len({row["score"] for row in bought}) > 6


def test_weights_that_cannot_be_used_are_named(finished_run: tuple[Path, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished_run[1] / "checkpoints", tmp_path / "checkpoints"))
    module = MultiLabelClassifier.from_recipes(Recipe(), Pipeline(epochs=1))
    module.on_load_checkpoint(torch.load(folder / "round_1.ckpt", map_location="cpu", weights_only=True))
    trainer = cast("Trainer", SimpleNamespace(is_global_zero=True, strategy=SingleDeviceStrategy()))
    (network,) = earlier_networks(trainer, module, folder, ["pretrain"])
    assert not network.training
    assert network is not module.network
    (folder / "pretrain.ckpt").write_bytes((folder / "pretrain.ckpt").read_bytes()[:1000])
    (folder / "round_1.ckpt").unlink()
    other = MultiLabelClassifier.from_recipes(Recipe(backbone="resnet10t"), Pipeline(epochs=1))
    other.classes = module.classes
    other.rebuild("purchase", seed=0)
    for judge, phase in ((module, "pretrain"), (module, "round_1"), (other, "round_2")):
        with pytest.raises(RunDirError, match=f"earlier phase in .*{phase}.ckpt, for the rule is a committee"):
            earlier_networks(trainer, judge, folder, [phase])
