"""What is bought and when: the YAML group `purchase:` and the phases that follow from it."""

from dataclasses import dataclass, field
from typing import Literal

from dpc_lightning.acquisition.badge import Badge
from dpc_lightning.acquisition.base import Acquisition
from dpc_lightning.errors import ConfigError
from dpc_lightning.purchase.oracle import HiddenLabels, Oracle

__all__ = ["Phase", "PurchasePlan"]


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
    """Compute budget in seconds of wall clock for pretraining and buying together. Null sets no limit."""
    rounds: int = 3
    """Rounds of (score, pick, buy, train). The labels are shared evenly; the first rounds take the remainder."""
    pretrain_epochs: int = 30
    """Epochs on the labelled images before the first round."""
    round_epochs: int = 6
    """Epochs on all owned images after each purchase."""
    round_start: Literal["continue", "fresh"] = "continue"
    """Whether the model of a round goes on from the one before or starts from new weights."""
    acquisition: Acquisition = field(default_factory=Badge)
    """The rule that picks, for example `Badge` or `MeanEntropy`."""
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
        _at_least("rounds", self.rounds, 1)
        _at_least("pretrain_epochs", self.pretrain_epochs, 1)
        _at_least("round_epochs", self.round_epochs, 0)
        _at_least("oracle_attempts", self.oracle_attempts, 1)
        if not 0 <= self.oracle_backoff_seconds <= 3600:
            got = self.oracle_backoff_seconds
            msg = f"Expected `purchase.oracle_backoff_seconds` to be between 0 and 3600 seconds, but got {got}."
            raise ConfigError(msg)
        if self.seconds is not None and not self.seconds > 0:
            msg = f"Expected `purchase.seconds` to be a positive number of seconds or null, but got {self.seconds}."
            raise ConfigError(msg)
        if self.labels and self.rounds > self.labels:
            msg = (
                f"`purchase.rounds` is {self.rounds} but `purchase.labels` is {self.labels}: a round buys at least one "
                f"label. Set `purchase.rounds` to {self.labels} or less."
            )
            raise ConfigError(msg)
        if self.pseudo_labels is not None and not 0.5 < self.pseudo_labels < 1:
            msg = f"Expected `purchase.pseudo_labels` to be in (0.5, 1) or null, but got {self.pseudo_labels}."
            raise ConfigError(msg)

    def phases(self, evaluate_epochs: int) -> tuple[Phase, ...]:
        """List the phases of a run in order.

        Args:
            evaluate_epochs: epochs of the post-purchase pipeline.

        Returns:
            pretrain, the rounds (none when nothing may be bought), evaluate.

        Example:
            >>> [phase.name for phase in PurchasePlan(labels=20, rounds=2).phases(25)]
            ['pretrain', 'round_1', 'round_2', 'evaluate']
        """
        rounds = self.rounds if self.labels else 0
        return (
            Phase(0, "pretrain", self.pretrain_epochs),
            *(Phase(number, "round", self.round_epochs, number) for number in range(1, rounds + 1)),
            Phase(rounds + 1, "evaluate", evaluate_epochs),
        )

    def quota(self, round_number: int, left: int) -> int:
        """Say how many labels a round may buy.

        Args:
            round_number: the round, from 1.
            left: labels of the budget that are not yet spent.

        Returns:
            An even share of what is left over the rounds that are left, rounded up.

        Example:
            >>> plan = PurchasePlan(labels=20, rounds=3)
            >>> plan.quota(1, 20), plan.quota(2, 13), plan.quota(3, 6)
            (7, 7, 6)
        """
        rounds_left = self.rounds - round_number + 1
        return -(-left // rounds_left)


def _at_least(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:  # type: ignore[redundant-expr]  # Python callers
        msg = f"Expected `purchase.{name}` to be a whole number of at least {least}, but got {value!r}."
        raise ConfigError(msg)
