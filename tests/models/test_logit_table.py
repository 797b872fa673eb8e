import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from dpc_lightning.errors import DpcError
from dpc_lightning.models.logit_table import LogitTable


class TwoRanks(SingleDeviceStrategy):
    """Adds what another rank holds, as an all-reduce would."""

    def __init__(self, others: list[Tensor]) -> None:
        super().__init__(torch.device("cpu"))
        self.others = others

    def reduce(self, tensor: object, *args: object, **kwargs: object) -> Tensor:
        assert isinstance(tensor, Tensor)
        other = self.others.pop(0)
        return torch.maximum(tensor, other) if kwargs["reduce_op"] == "max" else tensor + other


def _table(rows: list[int]) -> LogitTable:
    table = LogitTable()
    for row in rows:
        table.add(torch.tensor([row]), torch.tensor([[row + 0.25, -row]]), torch.tensor([[row % 2, 1]]))
    return table


def test_rows_come_in_their_order_and_repeated_ones_count_once() -> None:
    logits, labels = _table([2, 0, 1, 2]).gather(SingleDeviceStrategy(torch.device("cpu")), 2)
    assert logits.tolist() == [[0.25, 0.0], [1.25, -1.0], [2.25, -2.0]]
    assert labels.tolist() == [[0, 1], [1, 1], [0, 1]]


def test_rows_that_nobody_has_seen_are_left_out() -> None:
    logits, _ = _table([3, 1]).gather(SingleDeviceStrategy(torch.device("cpu")), 2)
    assert logits[:, 0].tolist() == [1.25, 3.25]


def test_a_row_that_two_ranks_have_seen_is_not_added_up() -> None:
    other = torch.zeros(4, 5)
    for row in (2, 3):
        other[row] = torch.tensor([row + 0.25, -row, row % 2, 1, 1])
    strategy = TwoRanks([torch.tensor(4), other])
    table = _table([0, 1, 2])
    table.add(torch.tensor([3]), torch.tensor([[3.25, -3.0]]), torch.tensor([[1, 1]]))
    logits, labels = table.gather(strategy, 2)
    assert logits[:, 0].tolist() == [0.25, 1.25, 2.25, 3.25]
    assert labels[:, 0].tolist() == [0, 1, 0, 1]


def test_a_rank_without_images_takes_part() -> None:
    other = torch.tensor([[5.0, 6.0, 1.0, 0.0, 1.0]])
    logits, labels = LogitTable().gather(TwoRanks([torch.tensor(1), other]), 2)
    assert logits.tolist() == [[5.0, 6.0]]
    assert labels.tolist() == [[1, 0]]


def test_an_empty_set_is_refused_and_clear_forgets() -> None:
    table = _table([0])
    table.clear()
    with pytest.raises(DpcError, match="no image"):
        table.gather(SingleDeviceStrategy(torch.device("cpu")), 2)
