"""Spoil files in tens of thousands of ways and see what comes out: something read, or an error of ours that names it.

Run it as `python -m benchmarks.fuzz --cases 50000`. A case is a function of its seed, so that
`--target yaml --seed 430 --cases 1` repeats one. It prints how many cases came out how, and the seeds of those that
came out wrong; its status is 1 then.
"""

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzzing import labels_fuzz, ledger_fuzz, yaml_fuzz
from tests.purchase import request_fuzz

TARGETS: dict[str, Callable[[int, Path], str]] = {
    "labels": labels_fuzz.fuzz_case,
    "ledger": ledger_fuzz.fuzz_case,
    "requests": request_fuzz.fuzz_case,
    "yaml": yaml_fuzz.fuzz_case,
}
"""What is spoilt, and by which function: it gives the kind of outcome, or raises AssertionError for a wrong one."""

SHARES = {"yaml": 0.05}
"""Share of the cases of a target that takes longer than others; the others have the rest in equal parts."""

SHOWN = 10
"""Wrong cases that are shown of each kind of file."""


def campaign(target: str, seeds: range) -> tuple[Counter[str], dict[int, str]]:
    """Carry out the cases of one target.

    Args:
        target: a key of `TARGETS`.
        seeds: one case each.

    Returns:
        How often each outcome came, and what was wrong by seed.
    """
    outcomes: Counter[str] = Counter()
    wrong: dict[int, str] = {}
    with TemporaryDirectory() as folder:
        for seed in seeds:
            try:
                outcomes[TARGETS[target](seed, Path(folder))] += 1
            except AssertionError as error:
                outcomes["WRONG"] += 1
                wrong[seed] = str(error).partition("\n")[0]
    return outcomes, wrong


def shared_out(cases: int, targets: list[str]) -> dict[str, int]:
    """Say how many cases each target gets.

    Example:
        >>> shared_out(1000, ["labels", "ledger", "yaml"])
        {'labels': 475, 'ledger': 475, 'yaml': 50}
    """
    slow = sum(SHARES.get(target, 0.0) for target in targets)
    others = sum(target not in SHARES for target in targets)
    if not others:
        return {target: cases // len(targets) for target in targets}
    shares = {target: int(cases * SHARES.get(target, (1 - slow) / others)) for target in targets}
    return shares | {targets[0]: shares[targets[0]] + cases - sum(shares.values())}


def main() -> int:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=50_000, help="in all")
    parser.add_argument("--target", choices=sorted(TARGETS), help="only this kind of file")
    parser.add_argument("--seed", type=int, default=0, help="of the first case of each target")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    targets = [given.target] if given.target else list(TARGETS)
    failed = 0
    print(f"{'file':8} {'cases':>7} {'seconds':>8}  outcomes")
    for target, cases in shared_out(given.cases, targets).items():
        start = time.monotonic()
        outcomes, wrong = campaign(target, range(given.seed, given.seed + cases))
        seconds = time.monotonic() - start
        counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        print(f"{target:8} {cases:7} {seconds:8.1f}  {counts}", flush=True)
        for seed, what in list(wrong.items())[:SHOWN]:
            print(f"    --target {target} --seed {seed} --cases 1: {what[:160]}", flush=True)
        failed += len(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
