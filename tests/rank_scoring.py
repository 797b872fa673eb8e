"""What 1, 2 and 4 processes say about one pool by one checkpoint; a program, because it forks before it has threads."""

import os
import socket
import sys
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from dpc_lightning.acquisition import Badge, ClassQuota, Committee, ExpectedGain, HardClass, MeanEntropy, Random
from dpc_lightning.acquisition.base import Acquisition, Need
from dpc_lightning.cli import PurchaseCLI
from dpc_lightning.loops.scoring import score_images
from dpc_lightning.run_dir import RunDir

WORLDS = (1, 2, 4)
RULES: tuple[Acquisition, ...] = (Badge(), ClassQuota(), ExpectedGain(), HardClass(), MeanEntropy(), Random())
NEEDS: set[Need] = {"logits", "embeddings", "labelled_embeddings"}


def judge(run_dir: RunDir, out: Path, rank: int, world: int) -> None:
    """Validate, score and pick on one rank; rank 0 writes what came out."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(world), "GROUP_WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "here"}
    words = ["--config", str(run_dir.config), "--run_dir", str(out), "--data.eval_batch_size=6"]
    built = PurchaseCLI([*words, "--trainer.num_sanity_val_steps=0"], run=False)
    trainer, module, data = built.trainer, built.model, built.datamodule
    checkpoint = torch.load(run_dir.checkpoints / "pretrain.ckpt", map_location="cpu", weights_only=True)
    module.on_load_checkpoint(checkpoint)
    module.load_state_dict(checkpoint["state_dict"])
    for buffer in module.buffers():  # as after training steps, which make those of BatchNorm differ from rank to rank
        buffer.add_(rank)
    trainer.validate(module, datamodule=data, verbose=False)
    for buffer in module.buffers():
        buffer.add_(rank)
    scorer = trainer.purchase_loop.buyer.scorer
    view = scorer.view(data, module, NEEDS, 1)
    scorer.plan, scorer.run_dir = replace(scorer.plan, acquisition=Committee()), run_dir.path
    heard = scorer.view(data, module, {"committee_logits"}, 3)
    data.set_bought(np.arange(len(data.pool) - 1), np.zeros((len(data.pool) - 1, module.num_classes)))
    single = scorer.view(data, module, NEEDS, 2)  # one image, so ranks without any
    with pytest.raises(RuntimeError, match="each of 99 images to be scored once"):  # on all ranks, or some would wait
        score_images(module, trainer.strategy, [], 99, embeddings=True)
    if rank:
        assert heard.committee_logits is None
        assert view.logits.size == view.embeddings.size == view.labelled_embeddings.size == 0
        return
    picks = {type(rule).__name__: rule.select(view, 12, np.random.default_rng(0)).indices for rule in RULES}
    said = {name: getattr(view, name) for name in ("indices", "logits", "embeddings", "labelled_embeddings")}
    assert heard.committee_logits is not None
    said["committee"] = heard.committee_logits
    last = {"last_logits": single.logits, "last_embeddings": single.embeddings}
    validation = {"thresholds": module.thresholds, "f1": module.class_f1, "map": np.array(module.validation_map)}
    np.savez(out / f"{world}.npz", **said, **last, **validation, **picks)  # type: ignore[arg-type]  # names of arrays


def main(run_dir: Path, out: Path) -> None:
    """Let each number of processes judge in turn."""
    torch.set_num_threads(1)
    fork = get_context("fork")
    for world in WORLDS:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        ranks = [fork.Process(target=judge, args=(RunDir(run_dir), out, rank, world)) for rank in range(world)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
        if any(process.exitcode for process in ranks):
            sys.exit(f"{world} ranks ended with {[process.exitcode for process in ranks]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
