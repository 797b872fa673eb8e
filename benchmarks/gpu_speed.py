"""On a GPU: images a second of EfficientNets in training and scoring, and picking by eager torch against our rules.

    python -m benchmarks.gpu_speed --folder /tmp/pools --rows docs/results/gpu_speed.jsonl

Our rules run on one processor thread beside it. The eager versions read the whole pool for every pick; they show what
picking would take if the rules themselves ran on the GPU. Medians of three.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor

from benchmarks.acquisition_pools import make_pool, open_pool
from dpc_lightning.acquisition import Acquisition, Badge, KCenter, PoolView

Note = Callable[..., None]

NETWORKS = (("efficientnet_b0", 224), ("efficientnet_b4", 224), ("efficientnet_b4", 380))
BATCH = 64


def train(name: str, px: int, device: torch.device, note: Note) -> None:
    """Time steps in bfloat16 with AdamW, batches of 64, nothing frozen, random weights; then scoring."""
    network = timm.create_model(name, num_classes=6, pretrained=False)
    network = network.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    images = torch.randint(0, 255, (BATCH, 3, px, px), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 2, (BATCH, 6), device=device).float()

    def logits() -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            found: Tensor = network((images.float() / 255).to(memory_format=torch.channels_last))
        return found.float()

    def step() -> None:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def score() -> None:
        with torch.no_grad():
            logits()

    seconds = timed(step, device)
    network.eval()
    rate = BATCH / timed(score, device)
    note(train=name, px=px, batch=BATCH, ms_step=1e3 * seconds, images_second=BATCH / seconds, scored_second=rate)


def timed(work: Callable[[], None], device: torch.device, repeats: int = 10) -> float:
    """Seconds of one call, after ten to warm up."""
    found = []
    for turn in range(4):
        wait_for(device)
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        wait_for(device)
        if turn:
            found.append((time.perf_counter() - start) / repeats)
    return statistics.median(found)


def wait_for(device: torch.device) -> None:
    """Wait until all that was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def moved(rows: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """Embeddings as float32 on the device."""
    return torch.from_numpy(np.array(rows)).to(device).float()


def eager_k_center(pool: PoolView, picks: int, device: torch.device) -> list[int]:
    """Distances of all rows to every new centre."""
    rows, owned = moved(pool.embeddings, device), moved(pool.labelled_embeddings, device)
    squares = (rows * rows).sum(1)
    near = torch.full((len(rows),), float("inf"), device=device)
    for start in range(0, len(owned), 256):
        some = owned[start : start + 256]
        near = torch.minimum(near, (squares[:, None] + (some * some).sum(1) - 2 * rows @ some.T).amin(1))
    found: list[Tensor] = []
    for _ in range(picks):
        best = near.argmax()
        found.append(best)
        near = torch.minimum(near, squares + squares[best] - 2 * (rows @ rows[best]))
        near[best] = -1
    return [int(each) for each in torch.stack(found).tolist()]


def eager_badge(pool: PoolView, picks: int, device: torch.device) -> list[int]:
    """D² sampling with the factorised inner product, all rows for every pick."""
    logits, rows = torch.from_numpy(pool.logits).to(device), moved(pool.embeddings, device)
    other = torch.sigmoid(-logits.abs())
    parts = torch.where(logits >= 0, -other, other)
    squares = (parts * parts).sum(1) * (rows * rows).sum(1)
    near, found = squares.clone(), []
    generator = torch.Generator(device).manual_seed(0)
    for _ in range(picks):
        best = torch.multinomial(near, 1, generator=generator)[0]
        found.append(best)
        inner = (parts @ parts[best]) * (rows @ rows[best])
        near = torch.minimum(near, (squares + squares[best] - 2 * inner).clamp_min(0))
        near[best] = 0
    return [int(each) for each in torch.stack(found).tolist()]


def compare(  # noqa: PLR0917  all of it
    rule: Acquisition,
    eager: Callable[[PoolView, int, torch.device], list[int]],
    pool: PoolView,
    picks: int,
    device: torch.device,
    note: Note,
) -> None:
    """Time a rule on the processor, and its eager version on the device with the moving of the pool."""
    start = time.perf_counter()
    ours = rule.select(pool, picks, np.random.default_rng(0)).indices
    lazy = time.perf_counter() - start
    eager(pool, 8, device)
    spent, theirs = [], [0]
    for _ in range(3):
        start = time.perf_counter()
        theirs = eager(pool, picks, device)
        spent.append(time.perf_counter() - start)
    same = int(np.isin(theirs, ours).sum()) if not rule.stochastic else None
    seconds = statistics.median(spent)
    note(rule=type(rule).__name__, images=len(pool), picks=picks, lazy_s=lazy, eager_s=seconds, same_picks=same)


def main() -> None:
    """Measure, print, and write rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Where the pools are, or are made.")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--picks", type=int, nargs="+", default=[100, 1_000])
    parser.add_argument("--device", default="cuda")
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    rows: list[dict[str, Any]] = []

    def note(**facts: Any) -> None:
        rows.append(facts)
        print(json.dumps(facts), flush=True)
        chosen.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    note(device=name, torch=torch.__version__, timm=timm.__version__)
    for network, px in NETWORKS:
        train(network, px, device, note)
    torch.set_num_threads(1)
    make_pool(chosen.folder, chosen.images)
    pool = open_pool(chosen.folder, chosen.images)
    for picks in chosen.picks:
        compare(KCenter(), eager_k_center, pool, picks, device, note)
        compare(Badge(), eager_badge, pool, picks, device, note)


if __name__ == "__main__":
    main()
