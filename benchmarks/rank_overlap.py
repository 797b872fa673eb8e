"""How much of what one rank buys do 2 and 4 ranks buy, with a shipped network and the same global batch?

    python -m benchmarks.rank_overlap --seeds 3

Expected: nothing in particular, and so no test. From one checkpoint all numbers of ranks pick the same, and a float64
network without BatchNorm buys the same over a whole run: `tests/loops/test_scoring.py`, `tests/test_ranks.py`. Here
each rank normalises by its own part of a batch, so that weights, and with them purchases, are others. Another seed on
one rank, and chance, stand beside it. Processes are started by torchrun, on the CPU.
"""

import argparse
import csv
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

RANKS = (1, 2, 4)
LABELS, POOL, BATCH = 60, 400, 32
SETTINGS = (
    "--threads=1",
    "--data.image_size=32",
    "--data.generator.px=32",
    "--data.generator.training=96",
    f"--data.generator.unlabelled={POOL}",
    "--data.generator.validation=96",
    "--data.generator.test=96",
    "--data.eval_batch_size=32",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    f"--purchase.labels={LABELS}",
    "--purchase.rounds=2",
    "--purchase.pretrain_epochs=12",
    "--purchase.round_epochs=3",
    "--evaluate.epochs=1",
)


def bought(place: Path, seed: int, ranks: int) -> list[int]:
    """Carry out a run and give the images that it bought, in order."""
    run_dir = place / f"seed_{seed}_ranks_{ranks}"
    sizes = (f"--model.batch_size={BATCH // ranks}", f"--evaluate.batch_size={BATCH // ranks}")
    words = ("fit", "--config", "quickstart", f"--data.root={place / 'data'}", f"--run_dir={run_dir}")
    torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}")
    command = [sys.executable, *torchrun, "-m", "dpc_lightning", *words, *SETTINGS, *sizes, f"--seed_everything={seed}"]
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    with (run_dir / "purchases.csv").open(newline="") as stream:
        return [int(row["index"]) for row in csv.DictReader(stream)]


def overlap(one: list[int], other: list[int]) -> tuple[int, int]:
    """Count what two runs have both bought, in the first round and in all."""
    half = LABELS // 2
    return len(set(one[:half]) & set(other[:half])), len(set(one) & set(other))


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    with TemporaryDirectory() as place:
        runs = {(seed, ranks): bought(Path(place), seed, ranks) for seed in seeds for ranks in RANKS}
    print(f"bought in common with one rank of the same seed: of {LABELS // 2} in round 1, of {LABELS} in all")
    print("seed  " + "".join(f"{ranks} ranks".rjust(16) for ranks in RANKS[1:]))
    for seed in seeds:
        pairs = (overlap(runs[seed, 1], runs[seed, ranks]) for ranks in RANKS[1:])
        print(f"{seed:<6}" + "".join(f"{first:>10}{both:>6}" for first, both in pairs))
    others = [overlap(runs[one, 1], runs[two, 1]) for one, two in pairwise([*seeds, 0])] if len(seeds) > 1 else []
    if others:
        print(f"another seed on one rank: {mean(a for a, _ in others):.1f} and {mean(b for _, b in others):.1f}")
    print(f"chance: {(LABELS // 2) ** 2 / POOL:.1f} and {LABELS**2 / POOL:.1f}")


if __name__ == "__main__":
    main()
