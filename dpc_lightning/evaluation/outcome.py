"""What a job gave: scores, purchases, seconds, or the error that ended it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from dpc_lightning.errors import ResultsError

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a job gave. The fields are those of `Result`, without its place in the tables."""

    status: Literal["done", "failed"] = "done"
    error: str | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    f1_per_class: Mapping[str, float | None] = field(default_factory=dict)
    bought: int = 0
    indices: tuple[int, ...] = ()
    spent: Mapping[str, float] = field(default_factory=dict)
    evaluate_seconds: float = 0.0
    wall_seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    finished: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def failed(cls, error: str, wall_seconds: float = 0.0) -> "Outcome":
        """Make the outcome of a job that gave nothing."""
        return cls(status="failed", error=error, wall_seconds=wall_seconds)

    def to_json(self) -> str:
        """Write as one line of JSON."""
        return json.dumps(asdict(self), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """Read what `to_json` wrote.

        Args:
            text: one line.

        Raises:
            ResultsError: if it is something else.

        Example:
            >>> Outcome.from_json(Outcome.failed("the disk was full").to_json()).error
            'the disk was full'
        """
        try:
            content = json.loads(text)
            outcome = cls(**{**content, "indices": tuple(int(index) for index in content["indices"])})
        except (ValueError, TypeError, KeyError) as error:
            names = ", ".join(each.name for each in fields(cls))
            msg = f"Expected an outcome as JSON ({names}), but got {text[:80]!r}: {error}"
            raise ResultsError(msg) from error
        if outcome.status not in ("done", "failed"):
            msg = f"Expected `status` to be done or failed, but got {outcome.status!r}."
            raise ResultsError(msg)
        return outcome
