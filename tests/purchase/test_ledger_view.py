"""Reading a ledger without writing it."""

from pathlib import Path

import pytest

from dpc_lightning.errors import LabelsPendingError, LedgerError
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.ledger_view import LedgerView, labels_of
from tests.purchase.oracles import CLASSES, People, open_ledger, truth


def test_an_empty_ledger_reads_as_empty_tables(tmp_path: Path) -> None:
    open_ledger(tmp_path / "l.sqlite").close()
    with LedgerView(tmp_path / "l.sqlite") as view:
        assert (view.rows, view.left, view.budget, view.classes) == (0, 5, 5, CLASSES)
        purchases = view.purchases()
        assert purchases.labels.shape == (0, 3)
        types = [str(array.dtype) for array in (purchases.index, purchases.score, purchases.labels, purchases.time)]
        assert types == ["int64", "float32", "uint8", "float64"]
        assert view.picks(1) is None
        assert len(view.unanswered) == 0


def test_what_is_charged_and_not_answered_is_listed_apart(tmp_path: Path) -> None:
    people = People()
    people.ready = True
    with open_ledger(tmp_path / "l.sqlite", people) as ledger:
        ledger.buy([8, 3], round=1)
        people.ready = False
        with pytest.raises(LabelsPendingError):
            ledger.buy([6, 1], round=2)
    with Ledger.read(tmp_path / "l.sqlite") as view:
        assert (view.rows, view.left) == (4, 1)
        assert view.purchases().index.tolist() == [8, 3]
        assert view.purchases(2).labels.tolist() == truth([8, 3]).tolist()
        assert view.unanswered.tolist() == [6, 1]
        with pytest.raises(LedgerError, match="first 3 purchases, but 4 are charged and 2 answered"):
            view.purchases(3)


def test_labels_are_read_as_they_were_written() -> None:
    assert labels_of([], 4).shape == (0, 4)
    assert labels_of(["0110"], 4).tolist() == [[0, 1, 1, 0]]
