"""Compute budgets of 10 to 160 seconds with steps slowed at random: what was spent, and by how much it was exceeded.

    python -m benchmarks.time_budget --seeds 2

Required of every run with `rounds: auto`: exceeded by at most one step and one validation; at least 0.85 of the budget
spent wherever more work could have been added; all labels bought. For each seed one more run of 20 seconds is killed at
a random instant and goes on five seconds later: at most 2 seconds of the time before the kill are lost, and the time in
which no process ran is not counted. Times are taken by this script on the system's monotonic clock, not by the program.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

import dpc_lightning.cli  # noqa: F401  imported once, before the processes are forked
from benchmarks.killed_runs import Kill, run
from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.models.classifier import MultiLabelClassifier
from tests.small_run import words

SECONDS = (10, 20, 40, 80, 160)
SETTINGS = (
    "--data.generator.training=80",
    "--data.generator.unlabelled=300",
    "--data.generator.validation=60",
    "--purchase.labels=60",
    "--purchase.rounds=auto",
    "--purchase.pretrain_epochs=40",
    "--purchase.round_epochs=3",
    "--purchase.max_round_epochs=5000",
    "--trainer.check_val_every_n_epoch=4",
    "--evaluate.epochs=1",
)
PAUSE = 5.0
LEAST_USED, MOST_LOST = 0.85, 2.0


class Witness:
    """Slows the steps of a process, and writes down when what happened in it.

    Args:
        file: the notes, one JSON object a line, times on the system's monotonic clock.
        seed: of the slowness.
    """

    def __init__(self, file: Path, seed: str) -> None:
        self.file = file
        self.chance = random.Random(seed)
        self.spell, self.spell_ends = 1.0, 0.0

    def __call__(self) -> None:
        """Watch this process from now on."""
        self._note_calls(ComputeBudget, "on_fit_start", "begins")
        self._note_calls(ComputeBudget, "finish", "ends")
        self._time_calls(MultiLabelClassifier, "on_validation_start", "on_validation_epoch_end", "validation")
        step, slow = MultiLabelClassifier.training_step, self._slow

        @wraps(step)
        def slowed(module: MultiLabelClassifier, *args: Any) -> Any:
            began = time.monotonic()
            answer = step(module, *args)
            if module.phase != "evaluate":
                time.sleep(slow())
                self.note("step", time.monotonic() - began)
            return answer

        setattr(MultiLabelClassifier, "training_step", slowed)  # noqa: B010  type checkers know it as a method

    def note(self, what: str, value: float) -> None:
        """Write down a number."""
        with self.file.open("a") as stream:
            stream.write(json.dumps({what: value}) + "\n")

    def _slow(self) -> float:
        """Draw a pause: 20 to 60 ms, five times that now and then, all doubled or halved for seconds at a time."""
        now = time.monotonic()
        if now > self.spell_ends:
            self.spell, self.spell_ends = self.chance.choice([0.5, 1.0, 2.0]), now + self.chance.uniform(1, 5)
        return self.chance.uniform(0.02, 0.06) * self.spell * (5 if self.chance.random() < 0.05 else 1)

    def _note_calls(self, owner: type, name: str, what: str) -> None:
        function = getattr(owner, name)

        @wraps(function)
        def noted(*args: Any, **kwargs: Any) -> Any:
            self.note(what, time.monotonic())
            return function(*args, **kwargs)

        setattr(owner, name, noted)

    def _time_calls(self, owner: type, first: str, last: str, what: str) -> None:
        start, end, began = getattr(owner, first), getattr(owner, last), 0.0

        @wraps(start)
        def started(*args: Any, **kwargs: Any) -> Any:
            nonlocal began
            began = time.monotonic()
            return start(*args, **kwargs)

        @wraps(end)
        def ended(*args: Any, **kwargs: Any) -> Any:
            answer = end(*args, **kwargs)
            self.note(what, time.monotonic() - began)
            return answer

        setattr(owner, first, started)
        setattr(owner, last, ended)


def measure(folder: Path, data: Path, seconds: int, seed: int, *, killed: bool) -> dict[str, Any]:
    """Carry out one run and compare what it says with what was seen.

    Args:
        folder: of the run; empty.
        data: the data root.
        seconds: the budget.
        seed: of the slowness and of the instant of the kill.
        killed: whether it is killed once, and goes on after a pause.
    """
    folder.mkdir(parents=True)
    command = words(data, folder / "run", *SETTINGS, f"--purchase.seconds={seconds}")
    witness, chance = Witness(folder / "notes.jsonl", f"{seed} {seconds}"), random.Random(seed)
    lived = 0.0
    if killed:
        after = chance.uniform(0.25, 0.75) * seconds
        status, _ = run(command, folder / "log", Kill("any time", seconds=after), witness)
        lived = time.monotonic() - _notes(witness.file, "begins")[0]
        time.sleep(PAUSE)
    status, _ = run(command, folder / "log", prepare=witness)
    if status:
        sys.exit(f"status {status}, see {folder / 'log'}")
    summary = json.loads((folder / "run" / "summary.json").read_text())
    wall = lived + _notes(witness.file, "ends")[0] - _notes(witness.file, "begins")[-1]
    longest = max(_notes(witness.file, "step")) + max(_notes(witness.file, "validation"))
    trained = [phase["epochs"] for phase in summary["phases"][1:-1]]
    capped = summary["rounds"] == 10 and max(trained) >= 5000
    return {
        "seconds": seconds,
        "seed": seed,
        "killed": killed,
        "wall": round(wall, 3),
        "spent": summary["compute_spent_s"],
        "overrun": round(wall - seconds, 3),
        "allowed": round(longest, 3),
        "used": round(wall / seconds, 3),
        "lost": round(wall - summary["compute_spent_s"], 3),
        "rounds": summary["rounds"],
        "epochs": trained,
        "bought": summary["labels_bought"],
        "good": wall - seconds <= longest + killed * MOST_LOST
        and (capped or wall / seconds >= LEAST_USED)
        and wall - summary["compute_spent_s"] <= MOST_LOST
        and summary["labels_bought"] == summary["label_budget"],
    }


def _notes(file: Path, what: str) -> list[float]:
    found = (json.loads(line) for line in file.read_text().splitlines())
    return [note[what] for note in found if what in note]


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Compute budgets, seconds", title_justify="left")
    names = ("seconds", "seed", "killed", "wall", "overrun", "allowed", "used", "lost", "rounds", "good")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    return table


def main() -> int:
    """Carry out all runs one after the other and print the table; 0 if all are as required."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="Runs of each budget.")
    parser.add_argument("--budgets", type=int, nargs="+", default=SECONDS, help="Seconds.")
    args = parser.parse_args()
    plan = [(seconds, seed, False) for seed in range(args.seeds) for seconds in args.budgets]
    plan += [(20, seed, True) for seed in range(args.seeds)]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        run(words(data, Path(place) / "first", *SETTINGS, "--purchase.seconds=2"), Path(place) / "log")
        for number, (seconds, seed, killed) in enumerate(track(plan, "running", console=Console(stderr=True))):
            rows.append(measure(Path(place) / str(number), data, seconds, seed, killed=killed))
    Console().print(_table(rows))
    for row in rows:
        print(json.dumps(row))
    return 0 if all(row["good"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
