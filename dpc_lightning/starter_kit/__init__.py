"""Entries of the Data Purchasing Challenge 2022, run as they are, with the labels sealed.

An entry is a file with a class `ZEWDPCBaseRun`; see `examples/` and docs/entry.md. What runs inside of the sealed
process is `runner`, `shop`, `datasets` and `shims`; what holds the labels is `entry` and `server`.
"""

from dpc_lightning.starter_kit.exceptions import OutOfBudgetException, OutOfTimeException

__all__ = ["OutOfBudgetException", "OutOfTimeException"]
