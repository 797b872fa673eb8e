"""How good predictions are: F1, average precision and exact match, by torchmetrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_average_precision,
    binary_f1_score,
    multilabel_exact_match,
)

from dpc_lightning.errors import DpcError

__all__ = ["Scores", "evaluate_predictions"]


@dataclass(frozen=True)
class Scores:
    """Scores of one set of images. All are in [0, 1], higher is better.

    A class without positives in this set has no F1 and no average precision: its values are NaN, it is left out of the
    means, and `classes_without_positives` names it.

    Attributes:
        f1_macro: mean of the classes' F1 at the tuned thresholds (never the F1 of mean precision and mean recall).
        f1_macro_at_half: the same at a threshold of 0.5.
        map: mean of the classes' average precision, which needs no threshold.
        exact_match: share of images for which every class is decided rightly, at the tuned thresholds.
        f1_per_class: F1 at the tuned thresholds, by name of the class.
        f1_per_class_at_half: F1 at a threshold of 0.5, by name of the class.
        ap_per_class: average precision, by name of the class.
        classes_without_positives: names of the classes that cannot be scored on this set.
    """

    f1_macro: float
    f1_macro_at_half: float
    map: float
    exact_match: float
    f1_per_class: dict[str, float]
    f1_per_class_at_half: dict[str, float]
    ap_per_class: dict[str, float]
    classes_without_positives: tuple[str, ...]

    def as_log(self, prefix: str = "") -> dict[str, float]:
        """Flatten the scores for a logger.

        Args:
            prefix: put before every name, for example `val/`.

        Returns:
            `f1_macro`, `f1_macro_at_half`, `map`, `exact_match`, and `f1/<class>`, `f1_at_half/<class>`, `ap/<class>`
            for the classes that can be scored.
        """
        table = {name: getattr(self, name) for name in ("f1_macro", "f1_macro_at_half", "map", "exact_match")}
        per_class = {"f1": self.f1_per_class, "f1_at_half": self.f1_per_class_at_half, "ap": self.ap_per_class}
        for name, values in per_class.items():
            table |= {f"{name}/{label}": value for label, value in values.items() if not np.isnan(value)}
        return {prefix + name: value for name, value in table.items()}

    def as_numbers(self) -> dict[str, Any]:
        """Give the scores as plain data for a file.

        Returns:
            `f1_macro`, `f1_macro_at_half`, `map`, `exact_match`, `f1_per_class` and `classes_without_positives`, None
            for a score that is not defined.
        """
        return {
            "f1_macro": _number(self.f1_macro),
            "f1_macro_at_half": _number(self.f1_macro_at_half),
            "map": _number(self.map),
            "exact_match": _number(self.exact_match),
            "f1_per_class": {name: _number(value) for name, value in self.f1_per_class.items()},
            "classes_without_positives": list(self.classes_without_positives),
        }


def evaluate_predictions(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.uint8],
    thresholds: NDArray[np.float32],
    classes: Sequence[str],
) -> Scores:
    """Score predictions.

    Args:
        probabilities: `(N, C)` float32 or float64 in [0, 1]; float64 tells a logit of 20 from one of 30.
        labels: `(N, C)` uint8, 0/1.
        thresholds: `(C,)` float32; a class is present if its probability is at least this.
        classes: C names.

    Returns:
        The scores; NaN where nothing can be scored.

    Raises:
        DpcError: if shapes do not fit, there is no image, or a probability is outside [0, 1].

    Example:
        >>> probabilities = np.array([[0.9, 0.2], [0.4, 0.1]], dtype=np.float32)
        >>> labels = np.array([[1, 0], [1, 0]], dtype=np.uint8)
        >>> scores = evaluate_predictions(probabilities, labels, np.float32([0.3, 0.5]), ["scratch", "dent"])
        >>> scores.f1_macro, round(scores.f1_macro_at_half, 4), scores.classes_without_positives
        (1.0, 0.6667, ('dent',))
    """
    _check(probabilities, labels, thresholds, classes)
    targets = torch.from_numpy(labels.astype(np.int64))
    # average precision depends on the order alone: ranks keep apart what float32 would round to 1
    ranks = torch.from_numpy(rankdata(probabilities, method="dense", axis=0) / (len(probabilities) + 1))
    tuned = torch.from_numpy((probabilities >= thresholds).astype(np.int64))
    at_half = torch.from_numpy((probabilities >= 0.5).astype(np.int64))
    absent = tuple(name for name, column in zip(classes, labels.T, strict=True) if not column.any())
    f1, f1_at_half, precision = dict[str, float](), dict[str, float](), dict[str, float]()
    for k, name in enumerate(classes):
        scorable = name not in absent
        f1[name] = binary_f1_score(tuned[:, k], targets[:, k]).item() if scorable else np.nan
        f1_at_half[name] = binary_f1_score(at_half[:, k], targets[:, k]).item() if scorable else np.nan
        precision[name] = binary_average_precision(ranks[:, k], targets[:, k]).item() if scorable else np.nan
    return Scores(
        f1_macro=_mean(f1),
        f1_macro_at_half=_mean(f1_at_half),
        map=_mean(precision),
        exact_match=_exact_match(tuned, targets),
        f1_per_class=f1,
        f1_per_class_at_half=f1_at_half,
        ap_per_class=precision,
        classes_without_positives=absent,
    )


def _exact_match(decisions: Tensor, targets: Tensor) -> float:
    if targets.shape[1] == 1:  # torchmetrics wants two labels at least
        return float(binary_accuracy(decisions[:, 0], targets[:, 0]).item())
    return float(multilabel_exact_match(decisions, targets, num_labels=targets.shape[1]).item())


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value  # JSON knows no NaN


def _mean(values: dict[str, float]) -> float:
    scored = [value for value in values.values() if not np.isnan(value)]
    return float(np.mean(scored)) if scored else float("nan")


def _check(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.uint8],
    thresholds: NDArray[np.float32],
    classes: Sequence[str],
) -> None:
    shape = (len(probabilities), len(classes))
    if probabilities.shape != shape or labels.shape != shape or thresholds.shape != shape[1:] or 0 in shape:
        msg = (
            f"Expected probabilities and labels (N, {len(classes)}) and {len(classes)} thresholds, N and the "
            f"classes at least 1, but got {probabilities.shape}, {labels.shape} and {thresholds.shape}."
        )
        raise DpcError(msg)
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        msg = "Expected probabilities in [0, 1], but some are NaN or outside: the network has diverged."
        raise DpcError(msg)
