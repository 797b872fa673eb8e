"""One job of a benchmark, and the settings of `fit` that it stands for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dpc_lightning.evaluation.result import PROTOCOL

__all__ = ["Job", "Place", "digest", "filled", "merged"]

PLACES = {"data": ("root", "cache_dir", "num_workers", "pin_memory"), "trainer": ("devices", "accelerator")}
"""Settings that say where and how something is computed, and not what."""


@dataclass(frozen=True)
class Place:
    """What a result is a result of: the place of a row in the tables. The names are those of `Result`."""

    study: str
    arm: str
    labels: int
    seconds: float | None
    pipeline: str
    seed: int
    purchase_seed: int
    judge_seed: int

    def __str__(self) -> str:
        """Say it as a person would."""
        seconds = "" if self.seconds is None else f" in {self.seconds:g} s"
        return f"{self.study}, {self.arm}, {self.labels} labels{seconds}, {self.pipeline}, seed {self.seed}"


@dataclass(frozen=True)
class Job:
    """A run of `fit` that makes a start model, buys and judges, or judges what another job has bought.

    Attributes:
        kind: `start`, `buy` (and judge), or `judge`.
        key: digest of all that determines the outcome; also the name of the job's folder.
        case: the place of its result; that of the first job that needs it, for a start.
        settings: configuration of `fit`, with `{root}`, `{start}` and `{purchases}` where a place is to be filled in.
        root: the data root, with `{run_dir}` for the benchmark's folder.
        prepare: words of a command that makes the root, or None.
        start: key of the job whose start model this one begins with; "" for a start.
        reference_start: key of the job whose start model `{start}` means in a pipeline.
        buyer: key of the job whose purchase is judged; "" unless the kind is `judge`.
        passes: images times epochs of training, where it can be said beforehand; for estimates only.
    """

    kind: Literal["start", "buy", "judge"]
    key: str
    case: Place
    settings: Mapping[str, Any]
    root: str
    prepare: tuple[str, ...] | None = None
    start: str = ""
    reference_start: str = ""
    buyer: str = ""
    passes: int = 0

    @property
    def starts(self) -> tuple[str, ...]:
        """Keys of the start models that must be there."""
        return tuple(dict.fromkeys(key for key in (self.start, self.reference_start) if key))


def digest(kind: str, *parts: object) -> str:
    """Digest what determines a job.

    Args:
        kind: what the digest is of.
        *parts: plain data; the settings of `fit` are taken without the places that they name.

    Returns:
        20 hexadecimal digits.

    Example:
        >>> digest("start", {"data": {"root": "a"}}) == digest("start", {"data": {"root": "b"}})
        True
    """
    content = [PROTOCOL, kind, *(_without_places(part) for part in parts)]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def merged(base: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over settings: mappings are merged, except where a class is named, which takes all with it.

    Args:
        base: what lies below.
        *others: laid over it in turn.

    Example:
        >>> merged({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"b": 4})
        {'a': {'x': 1, 'y': 3}, 'b': 4}
    """
    result = dict(base)
    for other in others:
        for key, value in other.items():
            below = result.get(key)
            if isinstance(below, Mapping) and isinstance(value, Mapping) and "class_path" not in value:
                result[key] = merged(below, value)
            else:
                result[key] = value
    return result


def filled(node: Any, places: Mapping[str, object]) -> Any:  # noqa: ANN401  any plain data
    """Fill `{name}` in all strings; a string that is nothing but `{name}` becomes the value itself.

    Args:
        node: plain data.
        places: values by name; other braces stay as they are.

    Example:
        >>> filled({"seed": "{seed}", "root": "data/{seed}"}, {"seed": 3})
        {'seed': 3, 'root': 'data/3'}
    """
    if isinstance(node, Mapping):
        return {key: filled(value, places) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [filled(value, places) for value in node]
    if not isinstance(node, str):
        return node
    for name, value in places.items():
        mark = "{" + name + "}"
        if node == mark:
            return value
        node = node.replace(mark, str(value))
    return node


def _without_places(part: object) -> object:
    if not isinstance(part, Mapping):
        return part
    kept = dict(part)
    for group, names in PLACES.items():
        if isinstance(kept.get(group), Mapping):
            kept[group] = {key: value for key, value in kept[group].items() if key not in names}
    return kept
