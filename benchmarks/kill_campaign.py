"""Kill real runs at random instants, let the same command go on, and compare with a run that was not killed.

    python -m benchmarks.kill_campaign --kills 200 --budget_kills 20

Required: every killed run ends with the purchases in the same order, the weights of every phase, the metrics and the
summary of the whole run; no label lost, none charged twice. Half of the kills come at any time, half at the places of
`killed_runs.PLACES`; every fifth run is killed again while it goes on; with 0 and 2 processes that load. The runs with
a binding budget show that plans, stops of the clock and pick lists are replayed and not decided anew. `--impure` is the
control: with an order of images that is drawn from a generator of the process the campaign must fail.

Results are appended to OUT/results.jsonl; the same command goes on where it stopped.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

import dpc_lightning.cli  # noqa: F401  what a run imports is imported once, before the processes are forked
from benchmarks.killed_runs import PLACES, Kill, differences, impure_order, ledger_faults, run
from dpc_lightning.loops.planner import PLAN, PRETRAIN_PLAN
from dpc_lightning.loops.purchase_loop import CLOCK_STOP
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import words

PHASES = ("pretrain", "round_1", "round_2", "evaluate")
BUDGET = (
    "--purchase.seconds=4",
    "--purchase.rounds=auto",
    "--purchase.pretrain_epochs=200",
    "--purchase.round_epochs=2",
)
TRIES = 20
"""How often an instant is drawn until one comes before the run has ended."""
DECISIONS = (PRETRAIN_PLAN, PLAN, CLOCK_STOP, "picks")


class Campaign:
    """The runs of a campaign in one folder, with the whole run that all are compared with.

    Args:
        folder: where everything lies.
        seed: of the instants.
        impure: whether the order of images is drawn from a generator of the process.
    """

    def __init__(self, folder: Path, seed: int, *, impure: bool) -> None:
        self.folder = folder
        self.seed = seed
        self.prepare = impure_order if impure else None
        self.data, self.whole = folder / "data", folder / "whole"
        self.seconds = 0.0

    def begin(self) -> None:
        """Make the data and the whole run; the second time it takes as long as a killed one would."""
        for name in ("first", "whole"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            command = words(self.data, self.folder / name)
            status, self.seconds = run(command, self.folder / f"{name}.log", prepare=self.prepare)
            if status:
                sys.exit(f"The run that is not killed failed, see {self.folder / name}.log")

    def trial(self, number: int, place: str) -> dict[str, Any]:
        """Kill one run at a place, let it go on, and compare."""
        chance = random.Random(f"{self.seed} {number}")
        fresh = place in PLACES and PLACES[place].fresh
        folder = Path(tempfile.mkdtemp(prefix=f"run{number}-", dir=self.folder))
        run_dir, log = folder / "run", self.folder / f"run{number}.log"
        log.unlink(missing_ok=True)
        workers = number % 2 * 2
        settings = [f"--data.num_workers={workers}", *(["--checkpoint_every=1"] if number % 3 == 0 else [])]
        command = words(folder / "data" if fresh else self.data, run_dir, *settings)
        result: dict[str, Any] = {"number": number, "place": place, "workers": workers, "kills": 0, "faults": []}
        statuses = [self._kill(command, run_dir, log, lambda: Kill.draw(place, chance, self.seconds))]
        result["faults"] += ledger_faults(run_dir, self.whole)
        if number % 5 == 4:  # once more, unless it ends before
            again = Kill.draw("any time", chance, self.seconds)
            statuses.append(run(command, log, again, self.prepare)[0])
            result["faults"] += ledger_faults(run_dir, self.whole)
        result["kills"] = statuses.count(-9)
        result["faults"] += [f"status {status}" for status in statuses if status not in {0, -9}]
        status, seconds = run(command, log, prepare=self.prepare)
        result["seconds"] = round(seconds, 2)
        if status:
            result["faults"].append(f"status {status} of the last start")
        else:
            result["faults"] += differences(run_dir, self.whole, PHASES)
        if not result["faults"]:
            shutil.rmtree(folder)
            log.unlink()
        return result

    def _kill(self, command: list[str], run_dir: Path, log: Path, draw: Callable[[], Kill]) -> int:
        """Kill a run; one that ends before the instant comes, or has not that many calls, is begun anew."""
        status = 0
        for _ in range(TRIES):
            status, _ = run(command, log, draw(), self.prepare)
            if status or not (run_dir / "summary.json").exists():
                break
            shutil.rmtree(run_dir)
            shutil.rmtree(run_dir.with_name("data"), ignore_errors=True)  # of a run that makes its own
        return status

    def budget_trial(self, number: int) -> dict[str, Any]:
        """Kill a run that plans by the clock, and see that what was decided before stands."""
        chance = random.Random(f"{self.seed} budget {number}")
        folder = Path(tempfile.mkdtemp(prefix=f"budget{number}-", dir=self.folder))
        run_dir, log = folder / "run", self.folder / f"budget{number}.log"
        log.unlink(missing_ok=True)
        command = words(self.data, run_dir, *BUDGET, *(["--checkpoint_every=5"] if number % 2 else []))
        status = self._kill(command, run_dir, log, lambda: Kill.draw("any time", chance, self.seconds + 4))
        before = _decisions(run_dir)
        result: dict[str, Any] = {"number": number, "place": "budget", "workers": 0, "kills": int(status == -9)}
        status, seconds = run(command, log)
        after = _decisions(run_dir)
        faults = [f"status {status} of the last start"] if status else _undecided(run_dir)
        for kind, events in before.items():
            if after[kind][: len(events)] != events:
                faults.append(f"{kind} decided anew")
        result |= {"faults": faults, "seconds": round(seconds, 2), "decided": sum(map(len, before.values()))}
        if not faults:
            shutil.rmtree(folder)
            log.unlink()
        return result


def _decisions(run_dir: Path) -> dict[str, list[dict[str, Any]]]:
    if not (run_dir / "ledger.sqlite").exists() or not (run_dir / "ledger.sqlite").stat().st_size:
        return {kind: [] for kind in DECISIONS}
    with Ledger.read(run_dir / "ledger.sqlite") as ledger:
        return {kind: ledger.events(kind) for kind in DECISIONS}


def _undecided(run_dir: Path) -> list[str]:
    """See that nothing was decided twice, and that the run did what was decided."""
    found, decided = [], _decisions(run_dir)
    for kind, key in ((PRETRAIN_PLAN, "epoch"), (PLAN, "after"), (CLOCK_STOP, "phase"), ("picks", "round")):
        if len({event[key] for event in decided[kind]}) != len(decided[kind]):
            found.append(f"{kind} decided twice")
    for stop in decided[CLOCK_STOP]:
        file = run_dir / "checkpoints" / f"{stop['phase']}.ckpt"
        step = torch.load(file, map_location="cpu", weights_only=True)["global_step"]
        if step != stop["step"]:
            found.append(f"{stop['phase']} ended at step {step}, but the clock had stopped it at {stop['step']}")
    summary = json.loads((run_dir / "summary.json").read_text())
    if summary["labels_bought"] != summary["label_budget"]:
        found.append(f"{summary['labels_bought']} labels bought")
    return found


def _plan(kills: int, budget_kills: int) -> list[tuple[str, int, str]]:
    places = list(PLACES)
    free = [
        ("kill", number, places[number // 2 % len(places)] if number % 2 else "any time") for number in range(kills)
    ]
    return [*free, *(("budget", number, "") for number in range(budget_kills))]


def _at(places: Sequence[str]) -> list[tuple[str, int, str]]:
    return [("budget" if place == "budget" else "kill", number, place) for number, place in enumerate(places)]


def _carry_out(campaign: Campaign, todo: Sequence[tuple[str, int, str]], results: Path) -> None:
    for kind, number, place in todo:
        result = campaign.budget_trial(number) if kind == "budget" else campaign.trial(number, place)
        with results.open("a") as stream:
            stream.write(json.dumps({"kind": kind, **result}) + "\n")


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Killed runs", title_justify="left")
    for name in ("place", "runs", "kills", "identical", "faults"):
        table.add_column(name, justify="left" if name in {"place", "faults"} else "right")
    for place in dict.fromkeys(row["place"] for row in rows):
        here = [row for row in rows if row["place"] == place]
        faults = Counter(fault for row in here for fault in row["faults"])
        good = sum(not row["faults"] for row in here)
        told = ", ".join(f"{fault} ({count})" for fault, count in faults.items())
        table.add_row(place, str(len(here)), str(sum(row["kills"] for row in here)), str(good), told)
    good = sum(not row["faults"] for row in rows)
    table.add_section()
    table.add_row("all", str(len(rows)), str(sum(row["kills"] for row in rows)), str(good), "")
    return table


def main() -> int:
    """Carry out what is not done yet and print the table; 0 if nothing differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="Killed runs of the fixed plan.")
    parser.add_argument("--budget_kills", type=int, default=20, help="Killed runs of a plan by the clock.")
    parser.add_argument(
        "--places", nargs="+", choices=[*PLACES, "any time", "budget"], help="One kill at each instead."
    )
    parser.add_argument("--impure", action="store_true", help="The control, which must fail.")
    parser.add_argument("--jobs", type=int, default=2, help="Runs at a time.")
    parser.add_argument("--seed", type=int, default=0, help="Of the instants.")
    parser.add_argument("--out", type=Path, default=Path("runs/kill_campaign"), help="Folder of runs and results.")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results, start = args.out / "results.jsonl", time.monotonic()
    campaign = Campaign(args.out.absolute(), args.seed, impure=args.impure)
    campaign.begin()
    done = {(row["kind"], row["number"]) for row in _rows(results)}
    plan = _at(args.places) if args.places else _plan(args.kills, args.budget_kills)
    todo = [task for task in plan if task[:2] not in done]
    children = []
    for share in range(args.jobs):
        child = os.fork()
        if child == 0:
            _carry_out(campaign, todo[share :: args.jobs], results)
            os._exit(0)
        children.append(child)
    console = Console()
    for _ in track(range(len(todo)), "killing", console=Console(stderr=True), disable=not console.is_terminal):
        wanted = len(done) + _ + 1
        while len(_rows(results)) < wanted and any(_alive(child) for child in children):
            time.sleep(0.5)
    for child in children:
        _alive(child, wait=True)
    rows = _rows(results)
    console.print(_table(rows))
    faulty = [row for row in rows if row["faults"]]
    told = f"{len(rows) - len(faulty)} of {len(rows)} identical in {time.monotonic() - start:.0f} s"
    console.print(f"{told}; a whole run takes {campaign.seconds:.1f} s", highlight=False)
    return 1 if faulty or len(rows) < len(plan) else 0


_DEAD: set[int] = set()


def _alive(child: int, *, wait: bool = False) -> bool:
    if child in _DEAD:
        return False
    found, _ = os.waitpid(child, 0 if wait else os.WNOHANG)
    if found:
        _DEAD.add(child)
    return not found


def _rows(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines() if line.endswith("}")]


if __name__ == "__main__":
    sys.exit(main())
