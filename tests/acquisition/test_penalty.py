"""Settings of the penalty that are out of range are named."""

import numpy as np
import pytest

from dpc_lightning.acquisition.penalty import check_penalty
from dpc_lightning.errors import ConfigError


@pytest.mark.parametrize(("scale", "floor"), [(0, 0.1), (-1, 0.1), (2.5, 0.1), (np.nan, 0.1), (0.3, -0.1), (0.3, 1.5)])
def test_constants_out_of_range_are_refused(scale: float, floor: float) -> None:
    with pytest.raises(ConfigError, match="init_args"):
        check_penalty(scale, floor)
