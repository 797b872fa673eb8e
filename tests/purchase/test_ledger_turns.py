"""Many processes buy from one ledger at once, each by turns: the budget holds, and no image is bought twice."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.acquisition.base import IntArray, LabelArray
from dpc_lightning.errors import BudgetExceededError, InvalidIndexError, LedgerError
from dpc_lightning.purchase.ledger import Ledger
from tests.purchase.oracles import Free, open_ledger, truth

BUDGET, POOL, PROCESSES = 10_000, 14_000, 8


class Logged(Free):
    """Writes down what it was asked."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log = log

    def label(self, indices: IntArray) -> LabelArray:
        with self.log.open("a") as file:
            file.write("".join(f"{index}\n" for index in indices))
        return truth(indices)


def buy_by_turns(path: Path, log: Path, seed: int) -> None:
    """Body of a child: wishes at random, overlapping with those of the others, some of them invalid."""
    rng = np.random.default_rng(seed)
    refused = Counter[str]()
    print("ready", flush=True)
    sys.stdin.readline()
    left = BUDGET
    while left:
        with open_ledger(path, Logged(log), budget=BUDGET, pool_size=POOL, wait_seconds=300) as ledger:
            for _ in range(4):
                wanted = rng.choice(POOL, rng.integers(1, 300), replace=False)
                before = ledger.rows
                if rng.random() < 0.1:
                    wrong = [[*wanted, wanted[0]], [*wanted, POOL], [-1, *wanted]][rng.integers(3)]
                    with pytest.raises(InvalidIndexError):
                        ledger.buy(wrong, round=seed)
                    assert ledger.rows == before
                    refused["invalid"] += 1
                try:
                    labels = ledger.buy(wanted, round=seed)
                except BudgetExceededError:
                    refused["over budget"] += 1
                    assert ledger.rows == before
                    wanted = wanted[: ledger.left]
                    labels = ledger.buy(wanted, round=seed)
                assert labels.tolist() == truth(wanted).tolist()
                assert before <= ledger.rows <= BUDGET
            left = ledger.left
        time.sleep(rng.uniform(0, 0.1))  # what a buyer does between its purchases
    print(refused["invalid"], refused["over budget"], flush=True)


def test_eight_processes_buy_at_once_until_the_budget_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    code = "import sys; from pathlib import Path; from tests.purchase.test_ledger_turns import buy_by_turns; "
    code += "buy_by_turns(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))"
    buyers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(tmp_path / f"asked_{seed}"), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(PROCESSES)
    ]
    for buyer in buyers:
        assert buyer.stdout is not None
        assert buyer.stdout.readline() == "ready\n"
    said = []
    for buyer in buyers:  # all of them wait for this
        assert buyer.stdin is not None
        buyer.stdin.write("go\n")
        buyer.stdin.flush()
    for buyer in buyers:
        said.append(buyer.communicate(timeout=300)[0])
        assert buyer.returncode == 0
    with Ledger.read(path) as view:
        bought = view.purchases(view.rows)
        assert view.verify() == 1 + 2 * BUDGET
        assert (view.rows, view.left) == (BUDGET, 0)
    assert len(set(bought.index.tolist())) == len(bought) == BUDGET
    assert bought.order.tolist() == list(range(1, BUDGET + 1))
    assert (bought.labels == truth(bought.index)).all()
    shares = Counter(bought.round.tolist())
    assert len(shares) >= PROCESSES // 2, f"whose turn it is is left to chance, but it is not to be one alone: {shares}"
    asked = [index for file in tmp_path.glob("asked_*") for index in map(int, file.read_text().split())]
    assert sorted(asked) == sorted(bought.index.tolist()), "each image is asked for once"
    invalid, over_budget = np.array([line.split() for line in said], dtype=int).sum(axis=0)
    assert invalid > 0
    assert over_budget > 0


def test_who_waits_in_vain_is_told_who_writes(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "l.sqlite"):
        begun = time.monotonic()
        with pytest.raises(LedgerError, match=r"in use by process .*This process waited 0\.1 s\. One run folder"):
            open_ledger(tmp_path / "l.sqlite", wait_seconds=0.1)
        assert time.monotonic() - begun >= 0.1
