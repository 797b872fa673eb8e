"""Purchases as a table that any program reads."""

from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.errors import RunDirError
from dpc_lightning.purchase.export import purchases_as_csv, write_purchases
from dpc_lightning.purchase.ledger_view import Purchases

BOUGHT = Purchases(
    order=np.array([1, 2]),
    round=np.array([1, 2]),
    index=np.array([1, 0]),
    score=np.array([0.125, np.nan], dtype=np.float32),
    labels=np.array([[0, 1], [1, 0]], dtype=np.uint8),
    time=np.zeros(2),
)


def test_rows_are_in_the_order_of_purchase_and_a_missing_score_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "purchases.csv"
    write_purchases(file, BOUGHT, ["a.png", 'b, "c".png'], ["dent", "scratch"])
    assert file.read_text() == (
        'order,round,index,image,score,dent,scratch\n1,1,1,"b, ""c"".png",0.125,0,1\n2,2,0,a.png,,1,0\n'
    )


def test_without_names_there_is_no_column_for_them() -> None:
    assert purchases_as_csv(BOUGHT, None, ["dent", "scratch"]).splitlines()[0] == "order,round,index,score,dent,scratch"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="purchases.csv"):
        write_purchases(tmp_path / "no" / "purchases.csv", BOUGHT, ["a.png", "b.png"], ["dent", "scratch"])
