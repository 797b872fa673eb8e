"""A template: fill in the two phases. `OutOfBudgetException` says that no label is left."""

from evaluator.exceptions import OutOfBudgetException


class ZEWDPCBaseRun:
    """Called by the host: pre_training_phase, save_checkpoint, load_checkpoint, purchase_phase."""

    def pre_training_phase(self, training_dataset, compute_budget, register_progress=lambda progress: False):
        """Learn from the labelled images: each is a dict with `idx`, `image` (PIL) and `label` (C numbers, 0 or 1).

        `compute_budget` is how many seconds are left, of this phase and the next together.
        """
        register_progress(1.0)

    def purchase_phase(
        self,
        unlabelled_dataset,
        training_dataset,
        purchase_budget,
        compute_budget,
        register_progress=lambda progress: False,
    ):
        """Buy labels. What counts is what was bought by `purchase_label`, not what is returned."""
        bought = {}
        for item in unlabelled_dataset:
            try:
                bought[item["idx"]] = unlabelled_dataset.purchase_label(item["idx"])
            except OutOfBudgetException:
                break
            register_progress(len(bought) / purchase_budget)
        return bought

    def save_checkpoint(self, checkpoint_folder):
        """Keep what was learnt. Called after pre_training_phase."""

    def load_checkpoint(self, checkpoint_folder):
        """Read it again. Called before purchase_phase."""
