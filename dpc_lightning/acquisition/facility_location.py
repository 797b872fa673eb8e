"""Pick images to which the others are as similar as possible."""

from collections.abc import Callable

import numpy as np

from dpc_lightning.acquisition.base import Need, PoolView
from dpc_lightning.acquisition.kernel_coverage import KernelCoverage
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

__all__ = ["FacilityLocation"]


class FacilityLocation(KernelCoverage):
    """Takes the image that adds most to `Σ_n max_j max(0, e_n·e_j)`, again and again.

    The sum runs over the unit features e of the pool, the maximum over what is owned or picked. It is `MaxHerding` with
    the cosine in place of a Gaussian: images far away count too.

    Score: what the pick added, as a share of the pool; it falls from pick to pick. Deterministic; of equal images the
    smaller index. Cost: O(N² D) once, then a few columns of cosines a pick. Memory: 8 N (D + 64) bytes. Use it to show
    people a few images that stand for a pool.

    Source:
        Wei, Iyer and Bilmes, Submodularity in data subset selection and active learning, ICML 2015.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "labelled_embeddings"})

    def _kernel(self, rows: UnitRows, pool: PoolView) -> Callable[[Doubles], Doubles]:  # noqa: ARG002
        def positive(cosines: Doubles) -> Doubles:
            similarity: Doubles = np.maximum(cosines, 0)
            return similarity

        return positive
