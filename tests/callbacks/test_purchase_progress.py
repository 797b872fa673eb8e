"""The progress display: phase, round, labels left and seconds left, in a terminal and in a log."""

import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from dpc_lightning.__main__ import main
from dpc_lightning.callbacks import purchase_progress
from dpc_lightning.callbacks.purchase_progress import PurchaseProgress
from dpc_lightning.models.classifier import MultiLabelClassifier
from tests.small_run import words
from tests.test_resume import Stop, stop_at_call

Show = Callable[..., io.StringIO]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Let the display write into a text instead of standard error."""

    def to_text(*, terminal: bool) -> io.StringIO:
        text = io.StringIO()
        console = partial(Console, file=text, force_terminal=terminal, width=160, color_system=None)
        monkeypatch.setattr(purchase_progress, "Console", lambda **_: console())
        return text

    return to_text


def command(root: Path, run_dir: Path) -> list[str]:
    return words(root, run_dir, "--trainer.enable_progress_bar=true", "--purchase.seconds=1000")


def lines(text: io.StringIO) -> list[str]:
    """What was written, without the codes that move the cursor."""
    return [line.strip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue()))]


def test_a_terminal_always_shows_phase_round_labels_and_seconds(small_root: Path, tmp_path: Path, shown: Show) -> None:
    text = shown(terminal=True)
    assert main(command(small_root, tmp_path / "run")) == 0
    live = [line for line in lines(text) if "epoch" in line and " of " in line and "/" in line]
    assert live
    assert all(re.search(r"\d+ labels left, \d+ s left", line) for line in live)
    wanted = {
        "pretrain: epoch 1 of 2": "12 labels left",
        "pretrain: epoch 2 of 2": "12 labels left",
        "round 1: epoch 1 of 1": "6 labels left",
        "round 2: epoch 1 of 1": "0 labels left",
        "evaluate: epoch 2 of 2": "0 labels left",
    }
    for place, left in wanted.items():
        assert [line for line in live if line.startswith(place) and left in line], place
    assert any(line.startswith("round 1: scoring and picking") for line in lines(text))


def test_a_log_gets_a_line_for_each_phase_and_purchase_and_no_bar(
    small_root: Path, tmp_path: Path, shown: Show
) -> None:
    text = shown(terminal=False)
    assert main(command(small_root, tmp_path / "run")) == 0
    said = [line for line in lines(text) if line]
    assert [line.split(":")[0] for line in said] == [
        "pretrain",
        *("round 1", "round 1", "round 2", "round 2"),
        "evaluate",
    ]
    assert re.fullmatch(
        r"pretrain: 2 epochs in [\d.]+ s, validation macro-F1 0\.\d{3}; 12 labels left, (9\d\d|1000) s left", said[0]
    )
    assert re.fullmatch(
        r"round 1: bought 6 labels, \d of them clean; 6 left; scoring [\d.]+ s, picking [\d.]+ s", said[1]
    )
    assert said[3].startswith("round 2: bought 6 labels")
    assert "0 labels left" in said[5]
    assert "\x1b" not in text.getvalue()


def test_a_resumed_phase_is_named_and_what_is_left_is_right(
    small_root: Path, tmp_path: Path, shown: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, 5))
        with pytest.raises(Stop):
            main(words(small_root, tmp_path / "run", "--purchase.seconds=1000"))
    text = shown(terminal=True)
    assert main(command(small_root, tmp_path / "run")) == 0
    first = next(line for line in lines(text) if "epoch" in line)
    assert first.startswith("round 1: epoch 1 of 1")
    assert "6 labels left" in first


def test_text_is_printed_as_it_is_and_not_at_all_when_disabled(shown: Show) -> None:
    text = shown(terminal=False)
    progress = PurchaseProgress()
    progress.print("class [red] of [/] folder")
    progress.disable()
    progress.print("no")
    progress.enable()
    progress.print("yes")
    assert lines(text) == ["class [red] of [/] folder", "yes", ""]
