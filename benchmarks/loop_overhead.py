"""Measure what training under `PurchaseLoop` costs over a bare PyTorch loop.

    python benchmarks/loop_overhead.py

Both train the quickstart's network on the very same batches: same loader, augmentation, loss, optimizer and schedule,
one step of the one after each step of the other, in one process and on one thread. A pair is the sum of an epoch; the
first pair warms up. At the end the weights of both are compared: if they are not equal, they did not do the same work.
The times are those of the training steps with all callbacks, without the checkpoint that ends an epoch. Processor time
is what counts, since other work on the machine changes it less; the ratio by the wall clock stands beside it.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import override

from dpc_lightning.data.datamodule import PurchaseDataModule, TrainView
from dpc_lightning.data.loaders import ResumableLoader
from dpc_lightning.data.samplers import EpochBatches
from dpc_lightning.data.synthetic import SheetSettings
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.normalize import normalize
from dpc_lightning.models.recipe import Pipeline, Recipe
from dpc_lightning.purchase.plan import PurchasePlan
from dpc_lightning.run_dir import RunDir
from dpc_lightning.trainer import PurchaseTrainer

EXPECTED = 1.05

Moment = NDArray[np.float64]
"""Seconds of this process's processor time, and of the clock on the wall."""


def now() -> Moment:
    """Read both clocks."""
    return np.array([time.process_time(), time.perf_counter()])


class BareLoop:
    """Trains a network as a tutorial of PyTorch would."""

    def __init__(self, module: MultiLabelClassifier, loader: ResumableLoader, epochs: int) -> None:
        recipe = module.recipe
        self.network, self.loss, self.loader = module.network, module.loss, loader
        self.loss.prepare(torch.from_numpy(loader.dataset.labels))  # type: ignore[attr-defined]
        self.normalization, self.channels_last = recipe.normalization, recipe.channels_last
        self.optimizer = recipe.optimizer(self._groups())
        assert recipe.scheduler is not None
        self.scheduler: LRScheduler = recipe.scheduler(self.optimizer)
        self.scheduler.set_total_steps(epochs * len(loader))  # type: ignore[attr-defined]

    def _groups(self) -> list[dict[str, Any]]:
        parameters = list(self.network.parameters())
        decayed = [weights for weights in parameters if weights.ndim > 1]
        return [
            {"params": decayed},
            {"params": [weights for weights in parameters if weights.ndim <= 1], "weight_decay": 0.0},
        ]

    def begin(self, epoch: int) -> None:
        """Begin an epoch."""
        self.network.train()
        order = self.loader.batch_sampler
        assert isinstance(order, EpochBatches)
        order.set_epoch(epoch)
        self.batches = iter(self.loader)

    def step(self) -> None:
        """Train on the next batch."""
        batch = next(self.batches)
        images = normalize(batch["image"], self.normalization, torch.float32, channels_last=self.channels_last)
        loss = self.loss(self.network(images), batch["label"])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()


class Pairs(Callback):
    """Lets the bare loop take a step after each step of the trainer, and adds up the times of both by epoch.

    What the trainer does between two steps counts as the trainer's.
    """

    def __init__(self, bare: BareLoop) -> None:
        self.bare = bare
        self.times: list[tuple[Moment, Moment]] = []
        self._since = now()

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, MultiLabelClassifier)
        if pl_module.stage == "purchase":
            self.bare.begin(trainer.current_epoch)
            self.times.append((np.zeros(2), np.zeros(2)))
            self._since = now()

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        assert isinstance(pl_module, MultiLabelClassifier)
        if pl_module.stage == "purchase":
            looped, bare = self.times[-1]
            middle = now()
            looped += middle - self._since
            self.bare.step()
            self._since = now()
            bare += self._since - middle


def main() -> None:
    """Print seconds, ratio of each pair, and the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7, help="epochs of each, after the first")
    parser.add_argument("--images", type=int, default=1024, help="training images")
    parser.add_argument("--px", type=int, default=64, help="side of the images")
    parser.add_argument("--batch-size", type=int, default=32, help="images of a batch")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as place:
        pairs, equal = measure(Path(place), options)
    steps = -(-options.images // options.batch_size)
    print("processor time, ms a step: PurchaseLoop, bare loop, ratio; ratio by the clock on the wall")
    ratios = [looped / bare for looped, bare in pairs[1:]]
    for (looped, bare), ratio in zip(pairs[1:], ratios, strict=True):
        print(f"{looped[0] / steps * 1e3:8.2f} {bare[0] / steps * 1e3:8.2f} {ratio[0]:7.3f} {ratio[1]:7.3f}")
    print(f"the same weights in the end: {equal}")
    processor, wall = np.median(ratios, axis=0)
    print(f"median of {len(ratios)} pairs: {processor:.3f} (at most {EXPECTED} expected); by the wall {wall:.3f}")


def measure(place: Path, options: argparse.Namespace) -> tuple[list[tuple[Moment, Moment]], bool]:
    """Train both on generated sheets; gives the times of each pair, and whether the weights are equal."""
    epochs = options.pairs + 1
    recipe = Recipe(batch_size=options.batch_size)
    sheets = SheetSettings(px=options.px, training=options.images, unlabelled=8, validation=32, test=8)
    data = PurchaseDataModule(str(place / "data"), image_size=options.px, generator=sheets)
    data.prepare_data()
    data.setup()
    rival, module = (MultiLabelClassifier.from_recipes(recipe, Pipeline(epochs=1)) for _ in range(2))
    for each in (rival, module):
        each.classes = data.classes
        each.rebuild("purchase", seed=0)
    data.enter_phase(TrainView(batch_size=recipe.batch_size, augment=recipe.augment))
    callback = Pairs(BareLoop(rival, data.train_dataloader(), epochs))
    trainer = PurchaseTrainer.with_purchase(
        PurchasePlan(labels=0, pretrain_epochs=epochs),
        evaluate_epochs=1,
        run_dir=RunDir(place / "run"),
        seed=0,
        callbacks=[callback],
        accelerator="cpu",
        check_val_every_n_epoch=epochs,
        logger=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.run_dir.create()
    trainer.fit(module, datamodule=data)
    saved = torch.load(trainer.run_dir.checkpoints / "pretrain.ckpt", weights_only=True)["state_dict"]
    ended = {f"network.{name}": weights for name, weights in rival.network.state_dict().items()}
    return callback.times, all(torch.equal(weights, saved[name]) for name, weights in ended.items())


if __name__ == "__main__":
    main()
