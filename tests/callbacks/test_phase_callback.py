"""The four hooks of a phase: in which order they come."""

from pathlib import Path

from tests.callbacks.probes import Hooks
from tests.small_run import fit


def test_hooks_come_in_the_order_of_the_run(small_root: Path, tmp_path: Path) -> None:
    fit(small_root, tmp_path / "run", "--trainer.callbacks+=tests.callbacks.probes.Hooks")
    rounds = [(hook, f"round_{number}") for number in (1, 2) for hook in ("round", "purchase", "start", "end")]
    before, after = [("start", "pretrain"), ("end", "pretrain")], [("start", "evaluate"), ("end", "evaluate")]
    assert Hooks.called == [*before, *rounds, *after]
    assert Hooks.names[:2] == ["LabelBudget", "ComputeBudget"]
