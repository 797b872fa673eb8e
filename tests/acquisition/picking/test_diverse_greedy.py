"""The lazy search picks what the full computation picks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpc_lightning.acquisition.picking import diverse_greedy
from dpc_lightning.acquisition.picking.diverse_greedy import DiverseGreedy
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

Doubles = NDArray[np.float64]


def eager(values: Doubles, unit: Doubles, owned: Doubles, keys: list[int]) -> list[int]:
    """Look at every row for every pick."""
    avoid = list(owned)
    taken: list[int] = []
    for key in keys:
        nearest = np.max(unit @ np.array(avoid).T, axis=1) if avoid else np.full(len(unit), -1.0)
        scores = values[:, key] * np.clip((1 - nearest) / 0.3, 0.02, 1)
        scores[taken] = -np.inf
        taken.append(int(np.argmax(scores)))
        avoid.append(unit[taken[-1]])
    return taken


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 60),
    owned=st.integers(0, 5),
    width=st.integers(1, 6),
    kinds=st.integers(1, 60),
    sizes=st.fixed_dictionaries(
        {"ACTIVE": st.integers(1, 8), "PULL": st.integers(1, 4), "MOST": st.integers(1, 4), "FEW": st.integers(1, 70)}
        | {"SKETCH": st.integers(1, 3), "KEPT": st.just(1)}
    ),
)
def test_lazy_is_eager(*, seed: int, rows: int, owned: int, width: int, kinds: int, sizes: dict[str, int]) -> None:
    """Many ties: rows come in `kinds` kinds, values in quarters. Tiny sizes make every branch run."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, rows)
    values = (rng.integers(0, 5, (60, 2)) / 4)[kind]
    embeddings = rng.standard_normal((60, width)).astype(np.float32)[kind]
    unit_rows = UnitRows(embeddings, rng.standard_normal((owned, width)).astype(np.float32))
    unit = unit_rows.read(np.arange(rows))
    keys = rng.integers(0, 2, int(rng.integers(1, rows + 1))).tolist()
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(diverse_greedy, name, size)
        greedy = DiverseGreedy(values, unit_rows, 0.3, 0.02)
        picks = [greedy.take(key, np.eye(2)[key]) for key in keys]
    assert picks == eager(values, unit, unit_rows.owned, keys)
    assert greedy.picks()[0].tolist() == picks
