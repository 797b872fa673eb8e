"""Which images of the pool a rule wants scored."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, IntArray
from dpc_lightning.errors import AcquisitionError
from dpc_lightning.purchase.plan import PurchasePlan

__all__ = ["WantedRows", "round_generator"]


def round_generator(seed: int, round_number: int, stream: int) -> np.random.Generator:
    """Make the randomness of a round: a function of its arguments.

    Args:
        seed: of the run.
        round_number: from 1.
        stream: what it is for: 1 the picks, 3 which images are scored.

    Example:
        >>> int(round_generator(0, 1, 1).integers(100)) == int(round_generator(0, 1, 1).integers(100))
        True
    """
    return np.random.default_rng(np.random.SeedSequence([seed, round_number], spawn_key=(stream,)))


class WantedRows:
    """Asks the rule which images are scored: for a round, and for plans by the clock.

    Args:
        plan: the rule, and how many labels it will be asked for.
        seed: seed of the run.
    """

    def __init__(self, plan: PurchasePlan, seed: int) -> None:
        self.plan = plan
        self.seed = seed
        self._share = (0, 1.0)

    def rows(self, images: int, round_number: int, quota: int) -> IntArray | None:
        """Ask the rule which images it wants scored in a round.

        Args:
            images: size of the pool.
            round_number: the round, from 1.
            quota: how many labels are to be bought.

        Returns:
            Increasing positions in the pool; None for all.

        Raises:
            AcquisitionError: if there are no such images, or they are too few.
        """
        rule = self.plan.acquisition
        count = min(quota, images)
        rows = rule.rows_to_score(images, count, round_generator(self.seed, round_number, stream=3))
        if rows is None:
            return None
        rows = np.asarray(rows)
        fits = rows.ndim == 1 and rows.dtype.kind in "iu" and len(rows) >= count
        if not (fits and (np.diff(rows) > 0).all() and (not len(rows) or (rows[0] >= 0 and rows[-1] < images))):
            msg = (
                f"Expected `rows_to_score` of {type(rule).__name__} to give at least {count} increasing rows below "
                f"{images}, but got {rows!r:.80}. This is a defect of the rule: nothing was bought."
            )
            raise AcquisitionError(msg)
        return rows.astype(np.int64)

    def share(self, images: int) -> float:
        """Say which share of a pool the rule will want scored, as far as it can be known: for plans by the clock.

        Args:
            images: size of the pool.
        """
        rule = self.plan.acquisition
        if type(rule).rows_to_score is Acquisition.rows_to_score or not images:
            return 1.0
        if self._share[0] != images:  # asked at every step of the training
            count = min(self.plan.usual_quota, images)
            rows = rule.rows_to_score(images, count, round_generator(self.seed, 0, stream=3))
            self._share = images, 1.0 if rows is None else np.size(rows) / images
        return self._share[1]
