"""Networks and how they are trained. Importing this registers `compact_efficientnet` with timm."""

from dpc_lightning.models.backbone import Network, build_network
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.compact import compact_efficientnet
from dpc_lightning.models.freeze import FreezeUntil, count_trainable
from dpc_lightning.models.losses import AsymmetricLoss, BinaryCrossEntropy, FocalLoss, MultiLabelLoss
from dpc_lightning.models.metrics import Scores, evaluate_predictions
from dpc_lightning.models.recipe import Pipeline, Recipe
from dpc_lightning.models.schedules import Cosine, OneCycle, PhaseSchedule
from dpc_lightning.models.thresholds import tune_thresholds

__all__ = [
    "AsymmetricLoss",
    "BinaryCrossEntropy",
    "Cosine",
    "FocalLoss",
    "FreezeUntil",
    "MultiLabelClassifier",
    "MultiLabelLoss",
    "Network",
    "OneCycle",
    "PhaseSchedule",
    "Pipeline",
    "Recipe",
    "Scores",
    "build_network",
    "compact_efficientnet",
    "count_trainable",
    "evaluate_predictions",
    "tune_thresholds",
]
