"""SIGKILL at random instants: nothing is lost, nothing is charged twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.acquisition.base import IntArray, LabelArray
from dpc_lightning.purchase.ledger import Ledger
from tests.purchase.oracles import Scripted, open_ledger, truth

POOL = 4_000


class Logged(Scripted):
    """Writes down what it has been asked, before it answers."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log = log

    def label(self, indices: IntArray) -> LabelArray:
        with self.log.open("a") as file:
            file.write("".join(f"{index}\n" for index in indices))
        return super().label(indices)


def buy_until_killed(path: Path, log: Path, seed: int) -> None:
    """Body of the child: buy new and old images, five at a time, and say what has been given out."""
    rng = np.random.default_rng(seed)
    with open_ledger(path, Logged(log), budget=POOL, pool_size=POOL) as ledger:
        print("open", flush=True)
        while ledger.left >= 5:
            wanted = rng.choice(POOL, 5, replace=False)
            labels = ledger.buy(wanted, round=1)
            assert labels.tolist() == truth(wanted).tolist()
            print("given", *wanted, flush=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_kills_lose_nothing_and_charge_nothing_twice(tmp_path: Path) -> None:
    path, log = tmp_path / "ledger.sqlite", tmp_path / "asked.txt"
    code = "import sys; from pathlib import Path; from tests.purchase.test_ledger_kill import buy_until_killed; "
    code += "buy_until_killed(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))"
    chance = random.Random(0)
    given: set[int] = set()
    rows, pending = 0, 0
    for kill in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(log), str(kill)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0, 0.12))
        os.kill(child.pid, signal.SIGKILL)
        lines = child.stdout.read().split("\n")[:-1]  # the last one may be cut off
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        given.update(int(word) for line in lines for word in line.split()[1:])
        with Ledger.read(path) as view:
            view.verify()
            bought = view.purchases()
            charged = view.rows
            pending += len(view.unanswered)
        assert charged >= rows, "a purchase was lost"
        assert charged - len(bought) in {0, *range(1, 6)}
        rows = charged
        assert len(set(bought.index.tolist())) == len(bought)
        assert bought.labels.tolist() == truth(bought.index).tolist()
        assert given <= set(bought.index.tolist()), "labels were given out that are not in the ledger"
    oracle = Scripted()
    with open_ledger(path, oracle, budget=POOL, pool_size=POOL) as ledger:
        assert ledger.rows == rows
        open_indices = ledger.unanswered.tolist()
        ledger.settle()
        assert oracle.asked == ([open_indices] if open_indices else [])
        assert ledger.rows == rows
        everything = ledger.purchases(rows)
    assert everything.order.tolist() == list(range(1, rows + 1))
    assert set(map(int, log.read_text().split())) <= set(everything.index.tolist()), "asked before it was charged"
    assert rows > 50


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_between_charge_and_answer(tmp_path: Path) -> None:
    """The oracle itself kills the process: the worst instant there is."""
    path = tmp_path / "ledger.sqlite"
    code = (
        "import os, signal, sys; from pathlib import Path; from tests.purchase.oracles import Scripted, open_ledger\n"
        "class Deadly(Scripted):\n"
        "    def label(self, indices):\n"
        "        if indices[0] == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().label(indices)\n"
        "ledger = open_ledger(Path(sys.argv[1]), Deadly()); ledger.buy([1, 2], round=1); ledger.buy([4, 3], round=2)\n"
    )
    child = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert child.returncode == -signal.SIGKILL
    oracle = Scripted()
    with open_ledger(path, oracle) as ledger:
        assert (ledger.rows, ledger.left, ledger.unanswered.tolist()) == (4, 1, [4, 3])
        assert ledger.buy([3, 4], round=2).tolist() == truth([3, 4]).tolist()
        assert (ledger.rows, ledger.left) == (4, 1)
        assert ledger.purchases().index.tolist() == [1, 2, 4, 3]
    assert oracle.asked == [[4, 3]]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("delay", [0.0, 0.002, 0.006, 0.012, 0.02])
def test_killed_while_it_is_being_made(tmp_path: Path, delay: float) -> None:
    path = tmp_path / "ledger.sqlite"
    code = (
        "import os, sys, threading, time; from pathlib import Path; from tests.purchase.oracles import open_ledger\n"
        "threading.Thread(target=lambda: (time.sleep(float(sys.argv[2])), os.kill(os.getpid(), 9))).start()\n"
        "open_ledger(Path(sys.argv[1])); time.sleep(9)\n"
    )
    child = subprocess.run([sys.executable, "-c", code, str(path), str(delay)], check=False)
    assert child.returncode == -signal.SIGKILL
    with open_ledger(path) as ledger:
        assert ledger.buy([1], round=1).tolist() == truth([1]).tolist()
        assert ledger.verify(ledger.head) == 3
