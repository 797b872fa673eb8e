"""`ledger.sqlite`, spoilt, opened for writing as a run does and for reading as a report does."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np

from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase.export import purchases_as_csv
from dpc_lightning.purchase.ledger import Ledger, LedgerView
from dpc_lightning.purchase.oracle import HiddenLabels
from tests.fuzzing.mutation import mutate_bytes
from tests.fuzzing.verdict import require

__all__ = ["fuzz_case"]

CLASSES = ("scratch", "dent")
POOL = 30


def fuzz_case(seed: int, folder: Path) -> str:
    """Spoil a ledger in one way, then read it, and open it for writing.

    Args:
        seed: says how.
        folder: for the ledger; used again by later cases.

    Returns:
        `read`, or `refused: ` and the class of the error.

    Raises:
        AssertionError: if anything else comes out, if the message does not name the file, if a refused file has
            changed, or if purchases that are read are not those that were made.
    """
    random = Random(seed)
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()
    file = folder / "ledger.sqlite"
    content = _spoilt(random)
    file.write_bytes(content)
    outcomes = {_try(work, file, content) for work in (_look, _open)}
    return "read" if outcomes == {"read"} else max(outcomes)


def _spoilt(random: Random) -> bytes:
    whole = _whole()
    if random.random() < 0.1:
        return random.choice((b"", b"words", whole[:16], whole[:100], bytes(4096), random.randbytes(8192)))
    if random.random() < 0.3:  # a page takes the place of another
        page = int.from_bytes(whole[16:18])
        count = len(whole) // page
        first, second = random.randrange(count), random.randrange(count)
        return whole[: first * page] + whole[second * page : (second + 1) * page] + whole[(first + 1) * page :]
    if random.random() < 0.5:  # where something is written
        place = random.choice([place for place, value in enumerate(whole) if value])
        return whole[:place] + random.randbytes(1) + whole[place + 1 :]
    return mutate_bytes(whole, random)


@cache
def _whole() -> bytes:
    with TemporaryDirectory() as place:
        file = Path(place) / "ledger.sqlite"
        with _ledger(file) as ledger:
            ledger.buy(np.arange(4), round=1, scores=[0.5, 0.25, float("nan"), 1.0])
            ledger.record_event("start_model", {"informed": True})
            ledger.buy(np.array([9, 7]), round=2)
        return file.read_bytes()


def _ledger(file: Path) -> Ledger:
    oracle = HiddenLabels()
    oracle.attach(_labels())
    return Ledger.open(
        file,
        oracle=oracle,
        budget=8,
        pool_size=POOL,
        classes=CLASSES,
        pool_fingerprint=lambda count: f"{count} images",
        sleep=lambda _: None,
    )


def _labels() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.array([[index & 1, index >> 1 & 1] for index in range(POOL)], dtype=np.uint8)


def _look(file: Path) -> None:
    with Ledger.read(file) as ledger:
        ledger.verify()
        _check(ledger)
        purchases_as_csv(ledger.purchases(), None, ledger.classes)


def _open(file: Path) -> None:
    with _ledger(file) as ledger:
        _check(ledger)


def _check(ledger: LedgerView) -> None:
    bought = ledger.purchases()
    made = [0, 1, 2, 3, 9, 7][: len(bought)]  # rows cut off at the end go unseen by a chain whose head nobody knows
    require(bought.index.tolist() == made, "other purchases were read than were made")
    require(bought.labels.tolist() == _labels()[bought.index].tolist(), "other labels were read than were bought")


def _try(work: Callable[[Path], None], file: Path, content: bytes) -> str:
    try:
        work(file)
    except LedgerError as error:
        require(str(file) in str(error), f"the message does not name the file: {error}")
        require(file.read_bytes() == content, "a refused file has changed")
        return f"refused: {type(error).__name__}"
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    return "read"
