"""What the processes of a benchmark have imported before they are forked off."""

import dpc_lightning.cli
import dpc_lightning.evaluation.carry_out  # noqa: F401  imported for those that are forked off

__all__: list[str] = []
