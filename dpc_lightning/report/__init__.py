"""What a person looks at: made from the files that a run or a benchmark left, never from a running loop.

A name is imported when it is first asked for: `report --help` waits for no library of pictures.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpc_lightning.report.purchase_picture import draw_purchases
    from dpc_lightning.report.run_table import print_run
    from dpc_lightning.report.verdict_table import print_verdicts
    from dpc_lightning.report.wandb_log import log_benchmark, log_run
    from dpc_lightning.report.writing import report_tables, write_report

__all__ = [
    "draw_purchases",
    "log_benchmark",
    "log_run",
    "print_run",
    "print_verdicts",
    "report_tables",
    "write_report",
]

_PLACES = {
    "draw_purchases": "purchase_picture",
    "log_benchmark": "wandb_log",
    "log_run": "wandb_log",
    "print_run": "run_table",
    "print_verdicts": "verdict_table",
    "report_tables": "writing",
    "write_report": "writing",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
