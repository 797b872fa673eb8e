"""Lightning callbacks: budgets, checkpoints, records, progress.

The files stand in `callbacks/` at the top of the repository; their import name is `dpc_lightning.callbacks`.
"""

from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.callbacks.cost_meter import CostMeter
from dpc_lightning.callbacks.label_budget import LabelBudget
from dpc_lightning.callbacks.lowered_rates import LoweredRates
from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord
from dpc_lightning.callbacks.phase_records import PhaseRecord, PhaseRecords
from dpc_lightning.callbacks.phase_reset import PhaseReset
from dpc_lightning.callbacks.predictions_keeper import PredictionsKeeper
from dpc_lightning.callbacks.preemption import Preemption
from dpc_lightning.callbacks.purchase_log import PurchaseLog
from dpc_lightning.callbacks.purchase_progress import PurchaseProgress
from dpc_lightning.callbacks.run_checkpoint import RunCheckpoint
from dpc_lightning.callbacks.start_keeper import StartKeeper
from dpc_lightning.callbacks.step_seed import StepSeed
from dpc_lightning.callbacks.weight_averaging import WeightAveraging

__all__ = [
    "ComputeBudget",
    "CostMeter",
    "LabelBudget",
    "LoweredRates",
    "PhaseCallback",
    "PhaseRecord",
    "PhaseRecords",
    "PhaseReset",
    "PredictionsKeeper",
    "Preemption",
    "PurchaseLog",
    "PurchaseProgress",
    "PurchaseRecord",
    "RunCheckpoint",
    "StartKeeper",
    "StepSeed",
    "WeightAveraging",
]
