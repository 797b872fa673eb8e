"""A pool says what is wrong with it before any rule sees it."""

import numpy as np
import pytest
from numpy.typing import DTypeLike

from dpc_lightning.acquisition import pool_view
from dpc_lightning.errors import AcquisitionError
from tests.acquisition.pools import pool_of


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_images_that_are_not_finite_are_counted_over_all_blocks(
    monkeypatch: pytest.MonkeyPatch, kind: DTypeLike
) -> None:
    monkeypatch.setattr(pool_view, "NUMBERS", 12)  # three rows of four numbers a block
    embeddings = np.ones((11, 4), kind)
    embeddings[[2, 3, 10], [0, 3, 1]] = np.nan, np.inf, -np.inf
    with pytest.raises(
        AcquisitionError, match=r"`embeddings`, but 3 rows hold NaN or infinity, first image index 102\."
    ):
        pool_of(np.zeros((11, 2), np.float32), embeddings, indices=np.arange(100, 111))
