"""The label budget as a callback: how many labels a round may buy."""

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord
from dpc_lightning.purchase.plan import PurchasePlan, share

__all__ = ["LabelBudget"]


class LabelBudget(PhaseCallback):
    """Shares the label budget over the rounds and says when it is used up.

    It is forced: the trainer adds it to every run, and no configuration can drop it. It is the first of two guards; the
    ledger, which counts what is really bought, refuses whatever goes beyond the budget.

    Args:
        plan: the plan that holds `labels`.

    Example:
        >>> budget = LabelBudget(PurchasePlan(labels=10, rounds=2))
        >>> budget.quota(rounds=2, in_pool=100), budget.left
        (5, 10)
    """

    def __init__(self, plan: PurchasePlan) -> None:
        self.plan = plan
        self.left = plan.labels
        """Labels that may still be bought."""

    def settle(self, bought: int) -> None:
        """Take over what the ledger says has been bought."""
        self.left = max(0, self.plan.labels - bought)

    def quota(self, rounds: int, in_pool: int) -> int:
        """Say how many labels the next round may buy.

        Args:
            rounds: rounds that are still to come, this one included.
            in_pool: images that can still be bought; a budget beyond the pool is shared out as if it were the pool.

        Returns:
            Labels; 0 when the budget or the pool is used up.
        """
        return share(min(self.left, in_pool), rounds)

    @override
    def on_purchase(self, trainer: Trainer, pl_module: LightningModule, record: PurchaseRecord) -> None:
        self.left = record.labels_left
