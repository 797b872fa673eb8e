"""What is bought and when: the YAML group `purchase:` and the phases that follow from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from dpc_lightning.acquisition.base import Acquisition
from dpc_lightning.acquisition.expected_gain import ExpectedGain
from dpc_lightning.errors import ConfigError
from dpc_lightning.purchase.oracle import HiddenLabels, Oracle

__all__ = ["Activity", "Phase", "PurchasePlan", "share", "tail"]

Activity = Literal["pretrain", "score", "pick", "buy", "train"]
"""What the seconds of a run are spent on before the evaluation: training on what was labelled from the start, the three
parts of a purchase, and training on what is owned after it."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training with its own epochs, optimizer and checkpoints."""

    cursor: int
    """Position in the run, from 0 (pretrain); the last phase is the evaluation."""
    kind: Literal["pretrain", "round", "evaluate"]
    """What happens: train on the labelled images, buy and train, or judge by the post-purchase pipeline."""
    epochs: int
    """Passes over the training images of this phase."""
    round: int = 0
    """Number of the round from 1; 0 outside rounds."""

    @property
    def stream(self) -> int:
        """Number of the phase's random stream: pretrain 0, evaluate 1, then the rounds, whatever their number.

        Runs of one seed that buy otherwise, or not at all, so begin their evaluation with the same weights.
        """
        return {"pretrain": 0, "evaluate": 1}.get(self.kind, self.round + 1)

    @property
    def name(self) -> str:
        """Name in files and logs: `pretrain`, `round_1`, …, `evaluate`."""
        return f"round_{self.round}" if self.kind == "round" else self.kind


@dataclass(frozen=True)
class PurchasePlan:
    """What may be bought, in how many rounds, by which rule, and how long the buying model trains.

    Raises:
        ConfigError: if a value is out of its range or values contradict each other.
    """

    labels: int = 300
    """Label budget: how many labels may be bought in all. 0 buys nothing; more than the pool holds buys all."""
    seconds: float | None = None
    """Compute budget in seconds of wall clock for what `seconds_cover` names. Null sets no limit."""
    seconds_cover: Sequence[Activity] = get_args(Activity)
    """What the compute budget covers: any of `pretrain`, `score`, `pick`, `buy`, `train`; the evaluation never."""
    spend_all: bool = True
    """Whether the labels that are left when the seconds are up are bought at once, by the model at hand. The seconds
    that this takes are kept back. Otherwise they stay unspent."""
    rounds: int | Literal["auto"] = 3
    """Rounds of (score, pick, buy, train). The labels are shared evenly; the first rounds take the remainder. `auto`
    takes as many rounds and epochs as fit into `seconds`, by what steps and images cost on this machine."""
    pretrain_epochs: int = 30
    """Epochs on the labelled images before the first round; with `rounds: auto` fewer if they took over half of
    `seconds`."""
    round_epochs: int = 6
    """Epochs on all owned images after each purchase; with `rounds: auto` the fewest, and none after the last."""
    max_rounds: int = 10
    """Rounds at most with `rounds: auto`."""
    max_round_epochs: int = 60
    """Epochs after a purchase at most with `rounds: auto`, where seconds are left over."""
    round_start: Literal["continue", "fresh"] = "continue"
    """Whether the model of a round goes on from the one before or starts from new weights."""
    acquisition: Acquisition = field(default_factory=ExpectedGain)
    """The rule that picks, for example `ExpectedGain` or `Badge`."""
    oracle: Oracle = field(default_factory=HiddenLabels)
    """Who answers what the label of a bought image is."""
    oracle_attempts: int = 3
    """How often a failing oracle is asked before the run stops; its next start asks for the same labels again."""
    oracle_backoff_seconds: float = 1.0
    """Pause in seconds after an oracle's first failure, doubled after each further one."""
    pseudo_labels: float | None = None
    """Train the models of the rounds also on unbought images for which every class has a probability of at least this
    value or at most one minus it, with these as labels. The ledger and the evaluation never see them. Null is off."""

    def __post_init__(self) -> None:
        """Check every range and how the values fit together."""
        _at_least("labels", self.labels, 0)
        if self.rounds != "auto":
            _at_least("rounds", self.rounds, 1, 'or "auto"')
        _at_least("pretrain_epochs", self.pretrain_epochs, 1)
        _at_least("round_epochs", self.round_epochs, 0)
        _at_least("max_rounds", self.max_rounds, 1)
        _at_least("oracle_attempts", self.oracle_attempts, 1)
        if not 0 <= self.oracle_backoff_seconds <= 3600:
            got = self.oracle_backoff_seconds
            msg = f"Expected `purchase.oracle_backoff_seconds` to be between 0 and 3600 seconds, but got {got}."
            raise ConfigError(msg)
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            msg = f"Expected `purchase.seconds` to be a positive number of seconds or null, but got {self.seconds}."
            raise ConfigError(msg)
        wrong = [name for name in self.seconds_cover if name not in get_args(Activity)]
        if wrong or not self.seconds_cover:
            msg = f"Expected `purchase.seconds_cover` to be a list of {', '.join(get_args(Activity))}, but got "
            raise ConfigError(msg + repr(list(self.seconds_cover)) + ".")
        if self.rounds == "auto":
            self._check_auto()
        elif self.labels and self.rounds > self.labels:
            msg = (
                f"`purchase.rounds` is {self.rounds} but `purchase.labels` is {self.labels}: a round buys at least one "
                f"label. Set `purchase.rounds` to {self.labels} or less."
            )
            raise ConfigError(msg)
        if self.pseudo_labels is not None and not 0.5 < self.pseudo_labels < 1:
            msg = f"Expected `purchase.pseudo_labels` to be in (0.5, 1) or null, but got {self.pseudo_labels}."
            raise ConfigError(msg)

    def _check_auto(self) -> None:
        if self.seconds is None:
            msg = (
                "`purchase.rounds` is `auto`, which plans for `purchase.seconds`, but these are null: set one of them."
            )
            raise ConfigError(msg)
        _at_least("max_round_epochs", self.max_round_epochs, max(self.round_epochs, 1))

    @property
    def automatic(self) -> bool:
        """Whether rounds and epochs follow from the compute budget."""
        return self.rounds == "auto"

    @property
    def usual_quota(self) -> int:
        """Labels that a round buys, or the most rounds that there may be; the first rounds may buy one less.

        Example:
            >>> PurchasePlan(labels=20, rounds=3).usual_quota
            7
        """
        return share(self.labels, self.max_rounds if self.rounds == "auto" else self.rounds)

    def phases(self, evaluate_epochs: int) -> tuple[Phase, ...]:
        """List the phases of a run in order, as far as they are known before anything is measured.

        Args:
            evaluate_epochs: epochs of the post-purchase pipeline.

        Returns:
            pretrain, the rounds (none when nothing may be bought or `rounds` is `auto`), evaluate.

        Example:
            >>> [phase.name for phase in PurchasePlan(labels=20, rounds=2).phases(25)]
            ['pretrain', 'round_1', 'round_2', 'evaluate']
        """
        rounds = 0 if self.rounds == "auto" or not self.labels else self.rounds
        return (Phase(0, "pretrain", self.pretrain_epochs), *tail(0, [self.round_epochs] * rounds, evaluate_epochs))


def tail(after: int, round_epochs: Sequence[int], evaluate_epochs: int) -> tuple[Phase, ...]:
    """List the phases that follow a phase.

    Args:
        after: cursor of that phase, which is the number of rounds up to it.
        round_epochs: epochs of each round that follows.
        evaluate_epochs: epochs of the post-purchase pipeline.

    Example:
        >>> [(phase.name, phase.cursor, phase.epochs) for phase in tail(2, [6, 0], 25)]
        [('round_3', 3, 6), ('round_4', 4, 0), ('evaluate', 5, 25)]
    """
    rounds = [Phase(number, "round", epochs, number) for number, epochs in enumerate(round_epochs, after + 1)]
    return (*rounds, Phase(after + len(rounds) + 1, "evaluate", evaluate_epochs))


def share(left: int, rounds: int) -> int:
    """Say how many labels the first of some rounds may buy: an even share, rounded up.

    Args:
        left: labels that may still be bought.
        rounds: rounds that share them, at least 1.

    Example:
        >>> share(20, 3), share(13, 2), share(6, 1)
        (7, 7, 6)
    """
    return -(-left // rounds)


def _at_least(name: str, value: object, least: int, other: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        expected = " ".join(filter(None, (f"a whole number of at least {least}", other)))
        msg = f"Expected `purchase.{name}` to be {expected}, but got {value!r}."
        raise ConfigError(msg)
