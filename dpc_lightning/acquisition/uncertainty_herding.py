"""Pick images that are near to as many doubtful ones as possible."""

from collections.abc import Callable

from dpc_lightning.acquisition.base import Need, PoolView
from dpc_lightning.acquisition.kernel_coverage import KernelCoverage, check_positive, gaussian_of_cosine
from dpc_lightning.acquisition.mean_entropy import MeanEntropy
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

__all__ = ["UncertaintyHerding"]


class UncertaintyHerding(KernelCoverage):
    """Takes the image that adds most to the coverage of what the model doubts, again and again.

    Covered is `Σ_n H_n max_j exp(-(1 - e_n·e_j) / scale)`: `MaxHerding` with each image of the pool weighted by its
    mean binary entropy.

    Score: what the pick added, as a share of all entropy; it falls from pick to pick. Deterministic; of equal images
    the smaller index. Cost and memory: those of `MaxHerding`. Use it at any number of labels: while the model doubts
    everything it is `MaxHerding`, later it asks where the doubt is.

    Source:
        Bae, Oliveira and Sutherland, Uncertainty herding: one active learning method for all label budgets, ICLR 2025.
        There the bandwidth shrinks with the distances of the labelled images, and a temperature is calibrated; both are
        fixed here.

    Args:
        scale: `1 - cosine` at which similarity has fallen to 1/e.
    """

    needs: frozenset[Need] = frozenset({"logits", "embeddings", "labelled_embeddings"})

    def __init__(self, scale: float = 0.3) -> None:
        check_positive("scale", scale)
        self.scale = scale

    def _weights(self, pool: PoolView) -> Doubles:
        return MeanEntropy().scores(pool)

    def _kernel(self, rows: UnitRows, pool: PoolView) -> Callable[[Doubles], Doubles]:  # noqa: ARG002
        return gaussian_of_cosine(self.scale)
