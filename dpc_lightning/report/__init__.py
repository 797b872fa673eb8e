"""What a person looks at: made from the files that a run left in its folder, never from a running loop."""

from dpc_lightning.report.purchase_picture import draw_purchases
from dpc_lightning.report.run_table import print_run

__all__ = ["draw_purchases", "print_run"]
