import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from dpc_lightning.errors import DpcError
from dpc_lightning.models.logit_table import LogitTable


class Ranks(SingleDeviceStrategy):
    """Puts together what this rank and the one after it hold, as all-reduces would."""

    def __init__(self, *others: Tensor) -> None:
        super().__init__(torch.device("cpu"))
        self.others = list(others)

    def reduce(self, tensor: object, *args: object, **kwargs: object) -> Tensor:
        assert isinstance(tensor, Tensor)
        other = self.others.pop(0)
        if kwargs["reduce_op"] == "sum":
            return tensor + other
        return torch.maximum(tensor, other) if kwargs["reduce_op"] == "max" else torch.minimum(tensor, other)


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


def test_of_a_row_that_two_ranks_have_seen_only_the_first_counts() -> None:
    other = torch.zeros(4, 4)
    other[3] = torch.tensor([9.0, 9.0, 0, 0])  # rank 1 has repeated row 0, which rank 0 has, and so gives nothing of it
    nobody = torch.iinfo(torch.int32).max
    seen_by = torch.tensor([1, nobody, nobody, 1], dtype=torch.int32)
    logits, labels = _table([0, 1, 2]).gather(Ranks(torch.tensor(4), seen_by, other), 2)
    assert logits.tolist() == [[0.25, 0.0], [1.25, -1.0], [2.25, -2.0], [9.0, 9.0]]
    assert labels.tolist() == [[0, 1], [1, 1], [0, 1], [0, 0]]


def test_a_rank_without_images_takes_part() -> None:
    other = torch.tensor([[5.0, 6.0, 1.0, 0.0]])
    seen_by = torch.tensor([1], dtype=torch.int32)
    logits, labels = LogitTable().gather(Ranks(torch.tensor(1), seen_by, other), 2)
    assert logits.tolist() == [[5.0, 6.0]]
    assert labels.tolist() == [[1, 0]]


def test_an_empty_set_is_refused_and_clear_forgets() -> None:
    table = _table([0])
    table.clear()
    with pytest.raises(DpcError, match="no image"):
        table.gather(SingleDeviceStrategy(torch.device("cpu")), 2)
