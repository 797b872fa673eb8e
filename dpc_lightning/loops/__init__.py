"""The loop that buys: Lightning's fit loop, run phase after phase."""

from dpc_lightning.loops.buyer import Bought, Buyer, StartModelWarning
from dpc_lightning.loops.checked_picks import checked_picks
from dpc_lightning.loops.phased_fit_loop import PhasedFitLoop
from dpc_lightning.loops.planner import Planner, PlanWarning
from dpc_lightning.loops.pool_scores import PoolScorer
from dpc_lightning.loops.purchase_loop import PurchaseLoop
from dpc_lightning.loops.scoring import ImageScores, score_images

__all__ = [
    "Bought",
    "Buyer",
    "ImageScores",
    "PhasedFitLoop",
    "PlanWarning",
    "Planner",
    "PoolScorer",
    "PurchaseLoop",
    "StartModelWarning",
    "checked_picks",
    "score_images",
]
