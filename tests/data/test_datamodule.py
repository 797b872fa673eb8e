import itertools
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dpc_lightning.data.datamodule import DataWarning, PurchaseDataModule, TrainView
from dpc_lightning.data.synthetic import SheetSettings
from dpc_lightning.data.transforms import gaussian_blur
from dpc_lightning.errors import ConfigError, DataError
from tests.data.sample_root import CLASSES, random_labels, write_root, write_split


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("root"))


@pytest.fixture
def data(root: Path) -> PurchaseDataModule:
    module = PurchaseDataModule(str(root), image_size=8, validation_fraction=0.2, eval_batch_size=4)
    module.prepare_data()
    module.setup("fit")
    return module


def _hidden(data: PurchaseDataModule) -> NDArray[np.uint8]:
    labels = data.hidden_labels()
    assert labels is not None
    return labels


def _indices(loader: Any) -> list[int]:
    return [index for batch in loader for index in batch["index"].tolist()]


def test_sheets_are_generated_where_the_root_is_missing(tmp_path: Path) -> None:
    sheets = SheetSettings(training=12, unlabelled=6, validation=0, test=4, px=16)
    data = PurchaseDataModule(str(tmp_path / "sheets"), image_size=16, generator=sheets)
    data.prepare_data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # twelve sheets need not have all classes
        data.setup()
    assert (len(data.labelled) + len(data.validation), len(data.unlabelled), len(data.test_set)) == (12, 6, 4)
    data.prepare_data()
    other = SheetSettings(training=13, unlabelled=6, validation=0, test=4, px=16)
    with pytest.raises(DataError, match="generator"):
        PurchaseDataModule(str(tmp_path / "sheets"), generator=other).prepare_data()


def test_own_images_need_no_generator_and_ignore_it(root: Path) -> None:
    PurchaseDataModule(str(root), image_size=8, generator=SheetSettings()).prepare_data()
    with pytest.raises(DataError, match=r"--data.generator"):
        PurchaseDataModule(str(root / "no")).prepare_data()


def test_nothing_is_served_before_setup(root: Path) -> None:
    with pytest.raises(DataError, match=r"setup\(\)"):
        PurchaseDataModule(str(root)).train_dataloader()


def test_a_phase_trains_on_what_its_view_says(data: PurchaseDataModule) -> None:
    bought = [9, 2, 14]
    data.set_bought(bought, _hidden(data)[bought])
    data.set_pseudo_labels([2, 5], np.ones((2, 3)))
    training = data.labelled.rows.tolist()
    for view, expected in (
        (TrainView(), training),
        (TrainView(bought=True), training + bought),
        (TrainView(bought=True, pseudo=True), [*training, *bought, 5]),
    ):
        data.enter_phase(view)
        assert sorted(_indices(data.train_dataloader())) == sorted(expected)
    assert [data.unlabelled[place]["index"] for place in range(len(data.unlabelled))] == sorted(
        set(range(15)) - set(bought)
    )
    assert np.array_equal(data.aggregated.labels[-3:], _hidden(data)[bought])
    assert data.aggregated.bought.tolist() == bought
    data.set_bought([], [])
    assert len(data.unlabelled) == 15


def test_a_refused_purchase_changes_nothing(data: PurchaseDataModule) -> None:
    data.set_bought([3], [[1, 0, 1]])
    for indices, labels in (([3, 3], np.zeros((2, 3))), ([99], np.zeros((1, 3))), ([1], np.zeros((1, 2)))):
        with pytest.raises(DataError):
            data.set_bought(indices, labels)
    assert data.aggregated.bought.tolist() == [3]


def test_no_hidden_label_is_kept(data: PurchaseDataModule) -> None:
    hidden = _hidden(data)
    kept = [value for value in vars(data).values() if isinstance(value, np.ndarray)]
    assert all(array.shape != hidden.shape for array in kept)
    assert data.aggregated.labels.shape[0] == len(data.labelled)


def test_batch_order_depends_on_the_phase_and_not_on_history(root: Path, data: PurchaseDataModule) -> None:
    data.enter_phase(TrainView(cursor=1, stream=1, batch_size=4))
    first = _indices(data.train_dataloader())
    data.enter_phase(TrainView(cursor=2, stream=2, batch_size=4))
    assert _indices(data.train_dataloader()) != first
    other = PurchaseDataModule(str(root), image_size=8, validation_fraction=0.2)
    other.setup()
    other.enter_phase(TrainView(cursor=1, stream=1, batch_size=4))
    assert _indices(other.train_dataloader()) == first


@settings(deadline=None, max_examples=20)
@given(world=st.integers(1, 5), bought=st.sets(st.integers(0, 14)))
def test_ranks_score_each_image_once(world: int, bought: set[int], root: Path) -> None:
    data = PurchaseDataModule(str(root), image_size=8, validation_fraction=0.2, eval_batch_size=4)
    data.setup()
    data.set_bought(sorted(bought), np.zeros((len(bought), 3)))
    pool = [index for rank in range(world) for index in _indices(data.pool_loader(rank, world))]
    assert sorted(pool) == sorted(set(range(15)) - bought)
    rows = [
        row for rank in range(world) for batch in data.labelled_loader(rank, world) for row in batch["row"].tolist()
    ]
    assert sorted(rows) == list(range(len(data.aggregated)))


class _Place:
    """Stands for the trainer of one rank."""

    def __init__(self, global_rank: int, world_size: int) -> None:
        self.global_rank = global_rank
        self.world_size = world_size


@pytest.mark.parametrize("world", [1, 2, 3, 9])
def test_every_rank_validates_the_same_number_of_batches(data: PurchaseDataModule, world: int) -> None:
    for name in ("val_dataloader", "test_dataloader"):
        rows: set[int] = set()
        lengths = set()
        for rank in range(world):
            data.trainer = _Place(rank, world)  # type: ignore[assignment]
            batches = list(getattr(data, name)())
            lengths.add(len(batches))
            rows |= {row for batch in batches for row in batch["row"].tolist()}
        assert len(lengths) == 1
        assert rows == set(range(len(data.validation if name == "val_dataloader" else data.test_set)))


def test_rows_lead_to_labels(data: PurchaseDataModule) -> None:
    for batch in data.val_dataloader():
        for row, index, label in zip(batch["row"], batch["index"], batch["label"], strict=True):
            assert data.validation.index(int(row)) == int(index)
            assert label.tolist() == data.validation.labels[int(row)].tolist()


@pytest.mark.parametrize("blur", ["none", "train", "test", "both"])
def test_the_blur_switch(root: Path, blur: Any) -> None:
    data = PurchaseDataModule(str(root), image_size=64, validation_fraction=0.2)
    data.setup()
    data.enter_phase(TrainView(augment="none", blur=blur))

    def blurred(batch: Any, pixels: NDArray[np.uint8]) -> bool:
        image = batch["image"][0].numpy().transpose(1, 2, 0)
        assert np.array_equal(image, pixels) != np.array_equal(image, gaussian_blur(pixels))
        return np.array_equal(image, gaussian_blur(pixels))

    batch = next(iter(data.train_dataloader()))
    position = data.labelled.rows.tolist().index(int(batch["index"][0]))
    assert blurred(batch, data.labelled.pixels(position)) == (blur in {"train", "both"})
    tested = blur in {"test", "both"}
    assert blurred(next(iter(data.val_dataloader())), data.validation.pixels(0)) == tested
    assert blurred(next(iter(data.test_dataloader())), data.test_set.pixels(0)) == tested
    assert blurred(next(iter(data.labelled_loader())), data.labelled.pixels(0)) == tested
    assert blurred(next(iter(data.pool_loader())), data._opened().pool_store.array[0]) == tested


def test_the_state_is_plain_and_comes_back_with_the_ledger(
    root: Path, data: PurchaseDataModule, tmp_path: Path
) -> None:
    data.enter_phase(TrainView(cursor=3))
    labels = _hidden(data)[[4, 8]]
    data.set_bought([4, 8], labels)
    data.set_pseudo_labels([1], [[0, 1, 0]])
    torch.save(data.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state == {"cursor": 3, "ledger_rows": 2, "pseudo": {"indices": [1], "labels": [[0, 1, 0]]}}

    def fetch(rows: int) -> tuple[Sequence[int], NDArray[np.uint8]]:
        return [4, 8, 11][:rows], np.concatenate([labels, labels])[:rows]

    other = PurchaseDataModule(str(root), image_size=8, validation_fraction=0.2)
    other.setup()
    other.fetch_bought = fetch
    other.load_state_dict(state)
    assert other.cursor == 3
    assert other.aggregated.bought.tolist() == [4, 8]
    assert other.state_dict() == data.state_dict()
    other.fetch_bought = lambda rows: fetch(rows - 1)
    with pytest.raises(DataError, match="2 purchases.*gave 1"):
        other.load_state_dict(state)


def test_an_empty_state_comes_back(data: PurchaseDataModule) -> None:
    data.load_state_dict(data.state_dict())
    data.fetch_bought = lambda _: ([], np.zeros((0, 3)))
    data.load_state_dict(data.state_dict())
    assert len(data.aggregated) == len(data.labelled)


def test_a_class_without_positives_warns(tmp_path: Path) -> None:
    root = write_root(tmp_path, training=0)
    labels = random_labels(12)
    labels[:, 1] = 0
    write_split(root / "training", labels)
    data = PurchaseDataModule(str(root), image_size=8)
    with pytest.warns(DataWarning, match=rf"\['{CLASSES[1]}'\]"):
        data.setup()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.setup()


def test_a_cache_folder_of_ones_own(root: Path, tmp_path: Path) -> None:
    PurchaseDataModule(str(root), image_size=4, cache_dir=str(tmp_path / "decoded")).prepare_data()
    assert len(list((tmp_path / "decoded").glob("*.npy"))) == 3
    assert not list((root / ".cache").glob("*-4px-*"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"--data.cache_dir"):
        PurchaseDataModule(str(root), image_size=4, cache_dir=str(tmp_path / "file")).prepare_data()


def test_any_folder_can_be_predicted_without_a_root(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "c.jpg"):
        Image.new("RGB", (20, 20), (5, 6, 7)).save(tmp_path / name)
    data = PurchaseDataModule("nowhere", image_size=8, eval_batch_size=2)
    batches = list(data.image_folder_loader(tmp_path))
    assert [batch["name"] for batch in batches] == [["a.png", "b.png"], ["c.jpg"]]
    assert batches[0]["image"].shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 0),
        ("eval_batch_size", 0),
        ("num_workers", -1),
        ("seed", -1),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("validation_fraction", float("nan")),
    ],
)
def test_numbers_out_of_range_name_their_key(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"`data\.{name}`"):
        PurchaseDataModule("root", **{name: value})


def test_the_command_line_makes_it_and_explains_every_argument(capsys: pytest.CaptureFixture[str]) -> None:
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(PurchaseDataModule, "data")
    made = parser.instantiate(
        parser.parse_args(["--data.root=x", "--data.generator.px=32", "--data.cache_dir=null", "--data.num_workers=2"])
    ).data
    assert made.generator.px == 32
    assert made.cache_dir == Path("x/.cache")
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    text = capsys.readouterr().out
    for name in ("root", "image_size", "validation_fraction", "eval_batch_size", "num_workers", "pin_memory", "seed"):
        line = next(line for line in text.splitlines() if line.strip().startswith(f"--data.{name} "))
        assert line.strip()
    assert "side in pixels that all images are resized to" in " ".join(text.split())


class _Epochs(pl.LightningModule):
    """Collects the batches that a real trainer hands out."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[list[int]] = []
        self.rows: list[int] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen.append(batch["index"].tolist())
        return self.layer(batch["label"][:, :1]).sum()  # type: ignore[no-any-return]

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.rows += batch["row"].tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_a_real_trainer_sets_the_epoch(data: PurchaseDataModule, tmp_path: Path) -> None:
    module = _Epochs()
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
    )
    data.enter_phase(TrainView(cursor=1, stream=1, batch_size=4))
    trainer.fit(module, datamodule=data)
    batches = len(module.seen) // 2
    first, second = module.seen[:batches], module.seen[batches:]
    assert first != second
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*second)) == data.labelled.rows.tolist()
    assert sorted(module.rows) == sorted(list(range(len(data.validation))) * 2)
    loader = data.train_dataloader()
    expected = [[position for _, position in batch] for batch in loader.batch_sampler]  # type: ignore[union-attr]
    assert first == [[data.labelled.index(position) for position in batch] for batch in expected]
    assert os.environ.get("WORLD_SIZE") is None
