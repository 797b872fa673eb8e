"""A disk that fails at each place where a run writes: what is said, what is left, and that the same command goes on."""

from pathlib import Path

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.oracle import HiddenLabels
from tests.failing_disk import Fault, failing_file, failing_ledger
from tests.small_run import fit, words
from tests.test_resume import same_as

FILES = {
    "generated images": (r"\.data\.writing-.*\.png", "data"),
    "generated labels": (r"\.data\.writing-.*labels\.csv", "data"),
    "decoded images": (r"\.cache/.*\.part", ".cache"),
    "the run folder": (r"run/\.writable", "run"),
    "the configuration": (r"\.config\.yaml.*\.part", "config.yaml"),
    "the last checkpoint": (r"\.last\.ckpt.*\.part", "last.ckpt"),
    "the metrics": (r"\.metrics\.csv.*\.part", "metrics.csv"),
    "the weights of a phase": (r"\.round_1\.ckpt.*\.part", "round_1.ckpt"),
    "the purchases": (r"\.purchases\.csv.*\.part", "purchases.csv"),
    "the final weights": (r"\.evaluate\.ckpt.*\.part", "evaluate.ckpt"),
    "the summary": (r"\.summary\.json.*\.part", "summary.json"),
    "the picture": (r"\.purchases\.png.*", "purchases.png"),
}
"""Files in the order of a run: what to look for, and what the message must name."""

LEDGER = {
    "a new ledger": "_create",
    "a list of picks": "record_picks",
    "a charge": "_charge",
    "an answer": "settle",
    "a charge with its answer": "_charge_and_answer",
}
"""What the ledger writes: in which method."""

IN_TWO_STEPS = ("a charge", "an answer")
"""What it writes where the oracle does not know the labels by heart."""

WAYS_OUT = (
    "Make room",
    "Free some space",
    "free the place",
    "Check free space",
    "Make the folder writable",
    "make room",
)


def nothing_half_written(place: Path) -> None:
    """There is no draft of a file, and the ledger is absent, empty or whole."""
    drafts = [path for path in place.rglob("*") if path.name.endswith((".part", ".tmp")) or ".writing-" in path.name]
    assert drafts == []
    ledger = place / "run" / "ledger.sqlite"
    if ledger.exists() and ledger.stat().st_size:
        with Ledger.read(ledger) as view:
            view.verify()


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_the_same_command_goes_on_after_the_disk_has_failed_at_every_place(
    finished_run: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    """One run, started again after each failure, so that each is also a failure of a resumed run."""
    command = words(tmp_path / "data", tmp_path / "run")
    order = [place for place in FILES if (fault, place) != ("full", "the run folder")]  # an empty file has room
    after = {
        "the configuration": ["a new ledger"],
        "the metrics": ["a list of picks", *IN_TWO_STEPS],
        "the weights of a phase": ["a charge with its answer"],
    }
    for place in order:
        for name in (place, *after.get(place, ())):
            pattern, named = FILES.get(name, ("", "ledger.sqlite"))
            failing = failing_ledger(LEDGER[name], fault) if name in LEDGER else failing_file(pattern, fault)
            monkeypatch.setattr(HiddenLabels, "instant", name not in IN_TWO_STEPS)
            with failing as met:
                status = main(command)
            said = capfd.readouterr().err
            assert met, f"{name}: nothing was written"
            assert status == 2, f"{name}: {said}"
            assert "Traceback" not in said, name
            error = said[said.rindex("error: ") :]
            assert named in error, f"{name}: {error}"
            assert any(way_out in error for way_out in WAYS_OUT), f"{name}: {error}"
            nothing_half_written(tmp_path)
    fit(tmp_path / "data", tmp_path / "run")
    same_as(tmp_path / "run", finished_run[1])
    assert (tmp_path / "run" / "purchases.png").exists()
