"""The table at the end of a benchmark."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from dpc_lightning.evaluation.comparison import compare
from dpc_lightning.evaluation.jobs.job import Place
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import RESULTS, ResultsFile, read_results
from dpc_lightning.report.verdict_table import print_verdicts

SCORES = {"random": 0.5, "badge": 0.6, "noise": 0.5}


def write_rows(folder: Path, seeds: int) -> None:
    cases = {}
    with ResultsFile(folder / RESULTS) as results:
        for seed in range(seeds):
            for number, (arm, mean) in enumerate(SCORES.items()):
                score = mean + 0.01 * ((7 * seed + 3 * number * seed * seed) % 5)
                cases[Place("sheets", arm, 100, None, "cpu", seed, seed, seed)] = f"{arm}{seed}"
                results.put(f"{arm}{seed}", Outcome(scores={"f1_macro": score}, bought=100))
        results.set_cases(cases)


def shown(folder: Path) -> str:
    said = StringIO()
    assert print_verdicts(folder, console=Console(file=said, width=160))
    return said.getvalue()


def test_each_arm_has_its_verdict_and_the_interval_that_it_stands_on(tmp_path: Path) -> None:
    write_rows(tmp_path, 8)
    lines = {line.split("│")[2].strip(): line for line in shown(tmp_path).splitlines() if line.count("│") > 4}
    assert "better" in lines["badge"]
    assert "not shown" in lines["noise"]
    (case,) = compare(read_results(tmp_path)).cases
    badge = next(arm for arm in case.arms if arm.arm == "badge")
    assert badge.difference is not None
    assert f"{badge.difference.mean:+.3f} ({badge.difference.adjusted.low:+.3f} to" in lines["badge"]
    assert list(lines).index("badge") < list(lines).index("noise") < list(lines).index("random")


def test_few_seeds_have_no_verdict(tmp_path: Path) -> None:
    write_rows(tmp_path, 7)
    assert "better" not in shown(tmp_path)
    assert "too few seeds" in shown(tmp_path)


def test_verdicts_are_provisional_while_results_are_missing(tmp_path: Path) -> None:
    write_rows(tmp_path, 8)
    assert "provisional" not in shown(tmp_path)
    with ResultsFile(tmp_path / RESULTS) as results:
        results.set_cases({**results.cases(), Place("sheets", "badge", 100, None, "cpu", 9, 9, 9): "badge9"})
    assert "1 results are not measured yet: these verdicts are provisional." in shown(tmp_path)


def test_without_a_score_there_is_nothing_to_print(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / RESULTS) as results:
        results.put("k", Outcome.failed("no room"))
        results.set_cases({Place("sheets", "badge", 100, None, "cpu", 1, 1, 1): "k"})
    assert not print_verdicts(tmp_path)
