"""What is bought and when, who answers, and the durable record of it. Imports nothing of `data/` and no Lightning."""

from dpc_lightning.purchase.export import write_purchases
from dpc_lightning.purchase.files_oracle import FilesOracle
from dpc_lightning.purchase.ledger import Ledger, LedgerView, Purchases
from dpc_lightning.purchase.oracle import CallableOracle, HiddenLabels, Oracle
from dpc_lightning.purchase.plan import Phase, PurchasePlan

__all__ = [
    "CallableOracle",
    "FilesOracle",
    "HiddenLabels",
    "Ledger",
    "LedgerView",
    "Oracle",
    "Phase",
    "PurchasePlan",
    "Purchases",
    "write_purchases",
]
