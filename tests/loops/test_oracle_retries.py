"""An oracle that takes money at each request and fails: how often it is asked, over starts and crashes."""

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.loops import buyer
from dpc_lightning.purchase import ledger as ledger_module
from dpc_lightning.purchase.export import write_purchases
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.oracle import checked_labels
from tests.small_run import words
from tests.test_resume import Stop, stop_at_call

BILL = "DPC_LIGHTNING_TEST_BILL"
FAILURES = 5


def charging(indices: list[int]) -> Sequence[Sequence[int]]:
    """Put a request on the bill, then fail if it is one of the first; the bill is a file, so it outlives a start."""
    bill = Path(os.environ[BILL])
    with bill.open("a") as file:
        file.write(json.dumps(indices) + "\n")
    if len(bill.read_text().splitlines()) <= FAILURES:
        msg = "the line is down"
        raise ConnectionError(msg)
    return [[index >> bit & 1 for bit in range(6)] for index in indices]


def test_a_charging_oracle_is_asked_again_only_for_what_has_no_answer_on_record(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bill, run_dir = tmp_path / "bill.jsonl", tmp_path / "run"
    monkeypatch.setenv(BILL, str(bill))
    oracle = ("--purchase.oracle=CallableOracle", f"--purchase.oracle.function={__name__}:charging")
    settings = ("--purchase.acquisition=Random", "--purchase.pretrain_epochs=1", "--evaluate.epochs=1")
    patience = ("--purchase.oracle_attempts=2", "--purchase.oracle_backoff_seconds=0")
    command = words(small_root, run_dir, *settings, *oracle, *patience)
    for start in (1, 2):
        assert main(command) == 2
        said = capfd.readouterr().err
        assert "error: The oracle failed 2 times, last with ConnectionError: the line is down" in said
        assert "the next start asks again and charges nothing" in said
        assert "Traceback" not in said
        with Ledger.read(run_dir / "ledger.sqlite") as view:
            assert (view.rows, len(view.unanswered), view.left) == (6, 6, 6)
        assert len(bill.read_text().splitlines()) == 2 * start
    # more patience is no other run; the answer of round 2 is lost on its way to the disk
    command = words(small_root, run_dir, *settings, *oracle, "--purchase.oracle_attempts=4", patience[1])
    with monkeypatch.context() as patch:
        patch.setattr(ledger_module, "checked_labels", stop_at_call(checked_labels, 1))
        with pytest.raises(Stop):
            main(command)
    with monkeypatch.context() as patch:  # now it is on record, and the process dies before anybody has seen it
        patch.setattr(buyer, "write_purchases", stop_at_call(write_purchases, 0))
        with pytest.raises(Stop):
            main(command)
    assert main(command) == 0
    with Ledger.read(run_dir / "ledger.sqlite") as view:
        bought = view.purchases(12)
        assert view.verify() == len(view._fetch("SELECT seq FROM events")) + 12 + 12
    first, second = bought.index[:6].tolist(), bought.index[6:].tolist()
    assert len({*first, *second}) == 12
    assert bought.labels.tolist() == [[index >> bit & 1 for bit in range(6)] for index in [*first, *second]]
    asked = [json.loads(line) for line in bill.read_text().splitlines()]
    assert asked == [first] * (FAILURES + 1) + [second] * 2


def test_a_signal_is_heard_while_a_failing_oracle_is_waited_for(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BILL, str(tmp_path / "bill.jsonl"))
    oracle = ("--purchase.oracle=CallableOracle", f"--purchase.oracle.function={__name__}:asking_to_go")
    settings = ("--purchase.acquisition=Random", "--purchase.pretrain_epochs=1", "--evaluate.epochs=1")
    command = words(small_root, tmp_path / "run", *settings, *oracle, "--purchase.oracle_backoff_seconds=300")
    since = time.monotonic()
    assert main(command) == 75
    assert time.monotonic() - since < 60
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as view:
        assert (view.rows, len(view.unanswered)) == (6, 6)


def asking_to_go(indices: list[int]) -> Sequence[Sequence[int]]:
    """Fail, and have a scheduler ask the process to go."""
    os.kill(os.getpid(), signal.SIGTERM)
    return charging(indices)
