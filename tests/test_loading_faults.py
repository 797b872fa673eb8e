"""What may happen to images and to the processes that load them while a run is under way."""

import multiprocessing
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.loops.buyer import Buyer
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import fit, purchases, weights, words
from tests.test_resume import PHASES, Stop, same_as, stop_at_call

Method = Callable[..., Any]


def with_deed(function: Method, number: int, deed: Callable[[], object]) -> Method:
    """Wrap a function so that something happens before its n-th call, from 0."""
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number + 1:
            deed()
        return function(*args, **kwargs)

    return wrapped


def kill_the_workers() -> None:
    """As the system does where the memory is full; those that wait for their next phase too."""
    workers = multiprocessing.active_children()
    assert workers
    for worker in workers:
        worker.kill()
    time.sleep(0.2)


PLACES = {"training": ("training_step", 1), "scoring": ("score_batch", 0)}


# torch's handler of SIGCHLD raises wherever the process is just then, and that may be a loader that is being collected
@pytest.mark.filterwarnings(
    r"ignore:(?s)Exception ignored in.*_MultiProcessingDataLoaderIter:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_worker_is_said_and_the_same_command_goes_on_to_the_same_result(
    finished_run: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    root, whole = finished_run
    method, number = PLACES[place]
    small = "--data.eval_batch_size=8"  # so that batches are waited for when the worker dies
    with monkeypatch.context() as patch:
        original = getattr(MultiLabelClassifier, method)
        patch.setattr(MultiLabelClassifier, method, with_deed(original, number, kill_the_workers))
        assert main(words(root, tmp_path / "run", "--data.num_workers=2", small)) == 2
    said = capfd.readouterr().err
    assert "error: A process that loads data died: DataLoader worker" in said
    assert "--data.num_workers=0" in said
    assert "Traceback" not in said
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        ledger.verify()
    fit(root, tmp_path / "run", small)
    assert [row["index"] for row in purchases(tmp_path / "run")] == [row["index"] for row in purchases(whole)]
    assert [weights(tmp_path / "run", phase) for phase in PHASES] == [weights(whole, phase) for phase in PHASES]


def images_of(root: Path) -> Path:
    return root / "unlabelled" / "images"


@pytest.fixture
def own_root(small_root: Path, tmp_path: Path) -> Path:
    """A copy of the small root, to be spoilt."""
    return Path(shutil.copytree(small_root, tmp_path / "data"))


def test_images_and_stores_that_disappear_do_not_stop_a_run_that_has_opened_them(
    finished_run: tuple[Path, Path], own_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_everything() -> None:
        shutil.rmtree(images_of(own_root))
        shutil.rmtree(own_root / ".cache")

    deed = with_deed(MultiLabelClassifier.training_step, 1, lose_everything)
    monkeypatch.setattr(MultiLabelClassifier, "training_step", deed)
    fit(own_root, tmp_path / "run")
    same_as(tmp_path / "run", finished_run[1])
    assert (tmp_path / "run" / "purchases.png").exists()


@pytest.mark.parametrize("listed", ["labels.csv", "index.csv"])
def test_a_resume_names_an_image_that_has_disappeared_and_goes_on_when_it_is_back(
    own_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    more: tuple[str, ...] = ()
    labels = own_root / "unlabelled" / "labels.csv"
    if listed == "index.csv":  # a bare pool
        (own_root / "sheets.json").unlink(missing_ok=True)
        labels.unlink()
        more = (
            "--data.generator=null",
            "--purchase.oracle=CallableOracle",
            "--purchase.oracle.function=tests.loops.probes:label",
        )
    with monkeypatch.context() as patch:
        patch.setattr(Buyer, "buy", stop_at_call(Buyer.buy, 1))
        with pytest.raises(Stop):
            main(words(own_root, tmp_path / "run", *more))
    victim = sorted(images_of(own_root).iterdir())[3]
    content = victim.read_bytes()
    victim.unlink()
    before = (tmp_path / "run" / "ledger.sqlite").read_bytes()
    assert main(words(own_root, tmp_path / "run", *more)) == 2
    said = capfd.readouterr().err
    assert victim.name in said
    assert listed in said
    assert "Put the files back" in said
    assert (tmp_path / "run" / "ledger.sqlite").read_bytes() == before
    if listed == "index.csv":
        return
    victim.write_bytes(content)
    fit(own_root, tmp_path / "run", *more)
    assert len(purchases(tmp_path / "run")) == 12
