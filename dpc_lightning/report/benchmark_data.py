"""What the page of a benchmark is made of: the rows, and the statistics over them, or the reason why there are none."""

import gc
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.agreement import Agreement, agree
from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.comparison import CaseComparison, Comparison, compare
from dpc_lightning.evaluation.head_to_head import HeadToHead, head_to_head
from dpc_lightning.evaluation.noise import Noise, noise
from dpc_lightning.evaluation.ranking import Ranking, rank
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM, Result
from dpc_lightning.evaluation.statistics import summarize

__all__ = ["REFERENCES", "BenchmarkData", "Cell", "case_slug", "mean_of", "said_of_left_out", "slug"]

REFERENCES = (NONE, RANDOM, ALL)

COLOURS = 7
"""Arms that can be told apart by colour and marker; one more is random's."""

Cell = tuple[str, int, float | None]
"""Arm, labels, seconds."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class BenchmarkData:
    """The rows of a benchmark and what follows from them. Each statistic is computed when it is first asked for.

    Attributes:
        folder: of the benchmark.
        results: its rows, done and failed.
        metric: the score that judges.
        missing: how many cases were asked for and have no row yet.
        settings: `benchmark.yaml`, empty if it is gone.
        against: an arm that all others are compared with, too; None for random alone.
    """

    folder: Path
    results: Sequence[Result]
    metric: str
    missing: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    against: str | None = None

    def __post_init__(self) -> None:
        """Check that the metric, and the arm to compare with, are those that the rows have."""
        known = sorted({name for row in self.results for name in row.scores})
        if known and self.metric not in known:
            msg = f"Expected `--metric` to be one of {', '.join(known)} in {self.folder}, but got {self.metric!r}."
            raise EvaluationError(msg)
        arms = (*self.arms, RANDOM)
        if self.against is not None and self.against not in arms:
            msg = f"Expected `--against` to be one of {', '.join(arms)} in {self.folder}, but got {self.against!r}."
            raise EvaluationError(msg)

    @cached_property
    def comparison(self) -> Comparison | str:
        """Every arm against random, or why there is no comparison."""
        return _tried(lambda: compare(self.results, self.metric))

    @cached_property
    def cases(self) -> tuple[CaseComparison, ...]:
        """The cases of the comparison by study; the pipeline that judged most budgets comes first."""
        if isinstance(self.comparison, str):
            return ()
        judged = Counter((case.case.study, case.case.pipeline) for case in self.comparison.cases)

        def place(found: CaseComparison) -> tuple[str, int, str]:
            return found.case.study, -judged[found.case.study, found.case.pipeline], found.case.pipeline

        return tuple(sorted(self.comparison.cases, key=place))

    @cached_property
    def ranking(self) -> Ranking | str:
        """The final order, or why there is none."""
        return _tried(lambda: rank(self.results, self.metric))

    @cached_property
    def head_to_head(self) -> HeadToHead | str:
        """Every arm against one of them, or why that cannot be said."""
        return _tried(lambda: head_to_head(self.results, self.against or RANDOM, self.metric))

    @cached_property
    def agreement(self) -> Agreement | str:
        """How judges agree, or why that cannot be said."""
        return _tried(lambda: agree(self.results, self.metric))

    @cached_property
    def noise(self) -> Noise | str:
        """Where the noise comes from, or why that cannot be said."""
        found = _tried(lambda: noise(self.results, self.metric))
        nothing = "nothing was repeated with other seeds on the same purchase or start set, and no arm is beside random"
        return nothing if found is None else found

    @cached_property
    def plain(self) -> tuple[Result, ...]:
        """Finished rows of the main grid: those whose three seeds are one."""
        return tuple(
            row for row in self.results if row.status == "done" and row.seed == row.purchase_seed == row.judge_seed
        )

    @cached_property
    def by_judge(self) -> Mapping[tuple[str, str], Mapping[Cell, Sequence[Result]]]:
        """Finished rows of the main grid by study and pipeline, then by arm and budget, references first."""
        judged = Counter((row.study, row.pipeline) for row in self.plain)
        found: dict[tuple[str, str], dict[Cell, list[Result]]] = {
            place: {} for place in sorted(judged, key=lambda place: (place[0], -judged[place], place[1]))
        }
        for row in sorted(self.plain, key=lambda row: (row.labels, row.seconds or 0.0, row.arm != RANDOM, row.arm)):
            found[row.study, row.pipeline].setdefault((row.arm, row.labels, row.seconds), []).append(row)
        return found

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, without the references."""
        return tuple(sorted({row.arm for row in self.results} - set(REFERENCES)))

    def series(self, arm: str) -> int:
        """Give the colour of an arm: the same in every picture that names arms beside it; the last one is random's.

        Args:
            arm: its name.
        """
        return COLOURS if arm == RANDOM else self.arms.index(arm) % COLOURS

    def told_apart(self, scores: Mapping[str, float]) -> dict[str, int]:
        """Choose the arms of a picture with a legend, in which no two may look alike, and their colours.

        Args:
            scores: of the arms. The largest are chosen, random if it is there, and no other reference.

        Returns:
            The colour of each that is chosen, in the order of their names. Colours are those of `series`, unless two
            arms would share one.
        """
        chosen = sorted(sorted(scores.keys() & set(self.arms), key=lambda arm: (-scores[arm], arm))[:COLOURS])
        colours = {arm: self.series(arm) for arm in chosen}
        if len(set(colours.values())) < len(chosen):
            colours = {arm: number for number, arm in enumerate(chosen)}
        return {RANDOM: COLOURS} | colours if RANDOM in scores else colours


def said_of_left_out(arms: int) -> str:
    """Say in a caption how many arms `told_apart` did not choose; nothing if it chose all.

    Args:
        arms: how many.

    Example:
        >>> said_of_left_out(2), said_of_left_out(0)
        (' The picture leaves out the 2 arms that score lowest; the table has them.', '')
    """
    return f" The picture leaves out the {arms} arms that score lowest; the table has them." if arms else ""


def mean_of(values: Iterable[float | None]) -> float | None:
    """Give the mean of the values that are there, None if there are none.

    Args:
        values: one for each seed.

    Example:
        >>> mean_of([1.0, None, 2.0]), mean_of([])
        (1.5, None)
    """
    return summarize([value for value in values if value is not None]).mean


def case_slug(what: str, case: Case) -> str:
    """Make a name for what is shown of a case.

    Args:
        what: the kind of thing.
        case: the case.

    Example:
        >>> case_slug("case", Case("default", 100, 60.0, "b0"))
        'case_default_100_60s_b0'
    """
    limit = () if case.seconds is None else (f"{case.seconds:g}s",)
    return slug(what, case.study, case.labels, *limit, case.pipeline)


def slug(*words: object) -> str:
    """Make a name for a file or an anchor.

    Args:
        words: what it names.

    Example:
        >>> slug("curves", "Deep PCB", 100)
        'curves_deep_pcb_100'
    """
    return re.sub(r"[^a-z0-9]+", "_", "_".join(map(str, words)).lower()).strip("_")


def _tried(compute: Callable[[], Found]) -> Found | str:
    gc.freeze()  # statsmodels collects garbage at every correction: with all that is loaded, most of the time
    try:
        return compute()
    except EvaluationError as error:
        return " ".join(str(error).split())
    finally:
        gc.unfreeze()
