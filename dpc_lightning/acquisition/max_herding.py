"""Pick images that are near to as many others as possible."""

from collections.abc import Callable

from dpc_lightning.acquisition.base import Need, PoolView
from dpc_lightning.acquisition.kernel_coverage import KernelCoverage, check_positive, gaussian_of_cosine
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

__all__ = ["MaxHerding"]


class MaxHerding(KernelCoverage):
    """Takes the image that adds most to the coverage of the pool, again and again.

    Covered is `Σ_n max_j exp(-(1 - e_n·e_j) / scale)` over the unit features e of the pool n and of what is owned or
    picked j.

    Score: what the pick added, as a share of the pool; it falls from pick to pick. Deterministic; of equal images the
    smaller index. Cost: O(N² D) once, then a few columns of the kernel a pick. Memory: 8 N (D + 64) bytes. Use it with
    few labels, where an image that stands for many is worth more than a doubtful one.

    Source:
        Bae, Noh and Sutherland, Generalized coverage for more robust low-budget active learning, ECCV 2024. The
        bandwidth is an own choice, the scale of `ClassQuota`.

    Args:
        scale: `1 - cosine` at which similarity has fallen to 1/e.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "labelled_embeddings"})

    def __init__(self, scale: float = 0.3) -> None:
        check_positive("scale", scale)
        self.scale = scale

    def _kernel(self, rows: UnitRows, pool: PoolView) -> Callable[[Doubles], Doubles]:  # noqa: ARG002
        return gaussian_of_cosine(self.scale)
