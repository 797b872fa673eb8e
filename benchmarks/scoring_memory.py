"""How much memory the scoring of a pool takes on rank 0, against what the acquisition asked for.

    python -m benchmarks.scoring_memory --images 1000000

Expected: at most 3 times the bytes of the logits, at most 1.5 times those of logits and embeddings. With `--to_files`
the scores go to files, as those of a large pool do, and what counts is memory that is no file's: the same for logits
alone and for both. The images are made from their index when they are asked for, and are eight times the logits; the
network is linear. Needs Linux's `/proc`.
"""

import argparse
import json
import re
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from timm.models import register_model
from torch import Tensor, nn

from dpc_lightning.acquisition.base import Need
from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.data.datasets import UnlabelledDataset
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.loops import pool_scores
from dpc_lightning.loops.buyer import Buyer
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.recipe import Pipeline, Recipe
from dpc_lightning.purchase.plan import PurchasePlan

CLASSES, FEATURES, SIDE = 6, 64, 8


class Linear(nn.Module):
    """Features and logits by two matrices."""

    head_hidden_size = FEATURES

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Linear(3 * SIDE * SIDE, FEATURES)
        self.head = nn.Linear(FEATURES, num_classes)

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.head

    def forward_features(self, images: Tensor) -> Tensor:
        """Compute the features."""
        return cast("Tensor", self.features(images.flatten(1)))

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002  timm's way
        """Compute the logits."""
        return features if pre_logits else cast("Tensor", self.head(features))

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits of images."""
        return self.forward_head(self.forward_features(images))


@register_model
def scoring_memory_linear(pretrained: bool = False, num_classes: int = CLASSES, **_: object) -> Linear:  # noqa: ARG001, FBT001, FBT002
    """The linear network under timm's rules."""
    return Linear(num_classes)


class Made:
    """Images made from their index: what `ImageStore.array` is to a dataset."""

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.full((SIDE, SIDE, 3), index % 251, np.uint8)


class MadePool(PurchaseDataModule):
    """A pool of any size without files."""

    def __init__(self, images: int) -> None:
        super().__init__("nowhere", image_size=SIDE)
        self.images = images

    @property
    def pool(self) -> Any:
        """What is listed."""
        return SimpleNamespace(fingerprint=lambda: "made")

    @property
    def unlabelled(self) -> UnlabelledDataset:
        """The images, none of them bought."""

        class Store(SimpleNamespace):
            def __len__(self) -> int:
                return int(self.count)

        return UnlabelledDataset(cast("ImageStore", Store(count=self.images, array=Made())))

    @property
    def aggregated(self) -> Any:
        """Next to nothing is owned."""
        labels = np.eye(CLASSES, dtype=np.uint8)

        class Owned(SimpleNamespace):
            def __len__(self) -> int:
                return len(labels)

        return Owned(labels=labels)


def resident(name: str) -> int:
    """Read a figure of this process in bytes: `VmRSS` now, `VmHWM` at its height, `RssAnon` now without files."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


class Height(threading.Thread):
    """Looks again and again how much memory this process has that is no file's."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = self.height = resident("RssAnon")
        self.ended = threading.Event()

    def run(self) -> None:
        """Look until it is told to end."""
        while not self.ended.wait(0.01):
            self.height = max(self.height, resident("RssAnon"))


def measure(images: int, needs: set[Need], *, to_files: bool) -> dict[str, float]:
    """Score a pool in this process; gives bytes asked for, bytes by which the process grew, and seconds."""
    if to_files:
        pool_scores.IN_MEMORY = 0
    torch.set_num_threads(1)
    module = MultiLabelClassifier.from_recipes(Recipe(backbone="scoring_memory_linear"), Pipeline(epochs=1))
    module.classes = tuple("abcdef")
    module.rebuild("purchase", seed=0)
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    with TemporaryDirectory() as place:
        buyer = Buyer(trainer, PurchasePlan(labels=10), Path(place), seed=0, clock=ComputeBudget(None))
        buyer.scorer.view(MadePool(10_000), module, needs, 1)  # what takes memory once is taken now
        Path("/proc/self/clear_refs").write_text("5")  # the height begins anew
        before, since, height = resident("VmRSS"), time.monotonic(), Height()
        height.start()
        view = buyer.scorer.view(MadePool(images), module, needs, 1)
        grown, seconds = resident("VmHWM") - before, time.monotonic() - since
        height.ended.set()
        height.join()
        if to_files:
            grown = height.height - height.before
    asked = view.logits.nbytes + view.embeddings.nbytes
    return {"images": images, "asked": asked, "grown": grown, "factor": grown / asked, "seconds": seconds}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="print a line for a program in place of one for a person")
    parser.add_argument("--to_files", action="store_true", help="score into files, whatever the size")
    words = parser.parse_args()
    asked_for: tuple[set[Need], ...] = ({"logits"}, {"logits", "embeddings"})
    for needs in asked_for:
        found = measure(words.images, needs, to_files=words.to_files)
        if words.json:
            print(json.dumps(found))
            continue
        print(
            f"{words.images:,} images ({words.images * 3 * SIDE * SIDE / 2**20:.0f} MiB) for "
            f"{' and '.join(sorted(needs, reverse=True))}: asked {found['asked'] / 2**20:.1f} MiB, grew "
            f"{found['grown'] / 2**20:.1f} MiB, factor {found['factor']:.2f}, {found['seconds']:.1f} s"
        )


if __name__ == "__main__":
    main()
