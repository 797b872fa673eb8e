"""What each round bought, for whatever logger is set."""

from typing import Any, cast

import numpy as np
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord
from dpc_lightning.data.datamodule import PurchaseDataModule

__all__ = ["PurchaseLog"]


class PurchaseLog(PhaseCallback):
    """Logs each round: labels bought and left, positives of each class, share of clean images, seconds.

    Weights & Biases also gets a table with the bought images.

    Args:
        table_images: images in that table at most, the most preferred first.
    """

    def __init__(self, table_images: int = 64) -> None:
        self.table_images = table_images

    @override
    def on_purchase(self, trainer: Trainer, pl_module: LightningModule, record: PurchaseRecord) -> None:
        data = cast("PurchaseDataModule", trainer.datamodule)  # type: ignore[attr-defined]
        facts = {
            "purchase/round": float(record.round),
            "purchase/bought": float(len(record.indices)),
            "purchase/labels_left": float(record.labels_left),
            "purchase/clean_share": float((record.labels.sum(axis=1) == 0).mean()) if len(record.labels) else 0.0,
            "purchase/score_seconds": record.score_seconds,
            "purchase/pick_seconds": record.pick_seconds,
        }
        positives = record.labels.sum(axis=0, dtype=np.int64)
        facts |= {
            f"purchase/positives/{name}": float(count) for name, count in zip(data.classes, positives, strict=True)
        }
        for logger in trainer.loggers:
            logger.log_metrics(facts, step=trainer.global_step)
            if isinstance(logger, WandbLogger) and trainer.is_global_zero:
                self._log_images(logger, data, record)

    def _log_images(self, logger: WandbLogger, data: PurchaseDataModule, record: PurchaseRecord) -> None:
        import wandb  # noqa: PLC0415  it takes a second to import and is only wanted with its logger

        rows: list[list[Any]] = []
        shown = slice(0, self.table_images)
        for index, score, labels in zip(record.indices[shown], record.scores[shown], record.labels[shown], strict=True):
            found = [name for name, value in zip(data.classes, labels, strict=True) if value]
            picture = wandb.Image(np.asarray(data.pool_image(int(index))))
            rows.append([int(index), picture, float(score), ", ".join(found) or "clean"])
        logger.log_table(f"purchase/round_{record.round}", columns=["index", "image", "score", "labels"], data=rows)
