"""Dropout of the last layer against torch's, image by image."""

import numpy as np
import pytest
import torch

from dpc_lightning.acquisition import Bald, BatchBald, DropQuery, Head, VariationRatio
from dpc_lightning.acquisition.head_dropout import HeadDropout, exact_unit, label_cuts, without_dropout
from dpc_lightning.acquisition.probability import sigmoid
from dpc_lightning.errors import AcquisitionError, ConfigError
from tests.acquisition.pools import pool_of, random_pool


def head_of(classes: int, width: int, seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    return Head(
        rng.standard_normal((classes, width)).astype(np.float32), rng.standard_normal(classes).astype(np.float32)
    )


def test_a_draw_is_the_last_layer_of_masked_and_scaled_embeddings() -> None:
    head, rng = head_of(3, 17), np.random.default_rng(1)
    embeddings = rng.standard_normal((11, 17)).astype(np.float32)
    masks = rng.random((5, 17)) >= 0.4
    draws = HeadDropout(head, masks, 0.4).logits(embeddings)
    assert draws.shape == (3, 5, 11)
    for mask, drawn in zip(masks, np.moveaxis(draws, 1, 0), strict=True):
        masked = torch.tensor(embeddings * mask / 0.6).double()
        layer = torch.nn.functional.linear(masked, torch.tensor(head.weight).double(), torch.tensor(head.bias).double())
        np.testing.assert_allclose(drawn.T, layer.numpy(), atol=2e-6)


def test_without_dropout_it_is_the_last_layer() -> None:
    head = head_of(4, 9)
    embeddings = np.random.default_rng(0).standard_normal((6, 9)).astype(np.float16)
    expected = embeddings.astype(np.float64) @ head.weight.T.astype(np.float64) + head.bias
    np.testing.assert_allclose(without_dropout(head).logits(embeddings.astype(np.float32))[:, 0].T, expected, atol=1e-6)


def test_masks_leave_out_the_given_share_and_are_those_of_the_generator() -> None:
    """Of weights and embeddings of 1, a draw is the number of columns kept, by 1 - rate: D on average."""
    head = Head(np.ones((1, 2_000), dtype=np.float32), np.zeros(1, dtype=np.float32))
    ones = np.ones((2, 2_000), dtype=np.float32)
    draws = HeadDropout.draw(head, 200, 0.3, np.random.default_rng(0)).logits(ones)[0]
    assert draws.mean() == pytest.approx(2_000, rel=0.005)
    assert draws[:, 0].std() == pytest.approx(np.sqrt(2_000 * 0.3 / 0.7), rel=0.2)
    assert (draws[:, 0] == draws[:, 1]).all(), "images have masks of their own"
    again = HeadDropout.draw(head, 200, 0.3, np.random.default_rng(0)).logits(ones)[0]
    assert (again == draws).all()


@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
def test_equal_images_have_equal_draws_wherever_they_stand(unit: float) -> None:
    rng = np.random.default_rng(0)
    head = head_of(7, 515)
    one = (unit * rng.standard_normal(515)).astype(np.float32)
    pool = (unit * rng.standard_normal((301, 515))).astype(np.float32)
    places = [0, 1, 7, 150, 299, 300]
    pool[places] = one
    dropout = HeadDropout.draw(head, 9, 0.3, rng)
    alone = dropout.logits(one[None])[:, :, 0]
    draws = dropout.logits(pool)
    assert all((draws[:, :, place] == alone).all() for place in places)
    assert (dropout.logits(np.asfortranarray(pool)) == draws).all()


def test_blocks_cover_every_row_the_last_one_included() -> None:
    """Peers drop the last block, which is shorter (defect 4)."""
    head = head_of(6, 3)
    embeddings = np.random.default_rng(0).standard_normal((9_001, 3)).astype(np.float32)
    dropout = HeadDropout.draw(head, 50, 0.3, np.random.default_rng(0))
    seen = np.zeros(9_001)
    for block, logits in dropout.blocks(embeddings):
        assert (logits == dropout.logits(embeddings[block])).all()
        seen[block] += 1
    assert (seen == 1).all()


def test_units_are_exact_up_to_the_grid() -> None:
    rows = (10.0 ** np.arange(-30, 30, 5)[:, None] * np.random.default_rng(0).standard_normal((12, 7))).astype(
        np.float32
    )
    unit, size = exact_unit(rows)
    assert (np.linalg.norm(unit, axis=1) <= 1 + 1e-6).all()
    assert (unit * 2**25 == np.rint(unit * 2**25)).all()
    np.testing.assert_allclose(unit, rows / size[:, None], atol=2**-26)
    assert not exact_unit(np.zeros((2, 3), dtype=np.float32))[0].any()


def test_cuts_are_the_logits_of_the_thresholds() -> None:
    thresholds = np.array([1e-6, 0.2, 0.5, 0.999], dtype=np.float32)
    np.testing.assert_allclose(sigmoid(label_cuts(thresholds)), thresholds, rtol=1e-6)


def test_embeddings_of_another_model_are_refused() -> None:
    pool = random_pool(5, width=8)
    foreign = pool_of(pool.logits.copy(), pool.embeddings.copy(), head=head_of(4, 9))
    with pytest.raises(AcquisitionError, match="the 9 columns that the last layer takes, but got 8"):
        Bald().select(foreign, 2, np.random.default_rng(0))


@pytest.mark.parametrize("rule", [Bald, BatchBald, DropQuery, VariationRatio])
@pytest.mark.parametrize(
    ("name", "value"), [("samples", 1), ("samples", 10_001), ("rate", 0.0), ("rate", 1.0), ("rate", float("nan"))]
)
def test_settings_out_of_range_are_named(
    rule: type[Bald | BatchBald | DropQuery | VariationRatio], name: str, value: float
) -> None:
    with pytest.raises(ConfigError, match=rf"init_args\.{name}` in .*, but got {value}"):
        rule(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", [BatchBald, DropQuery])
def test_no_candidates_are_refused(rule: type[BatchBald | DropQuery]) -> None:
    with pytest.raises(ConfigError, match=r"init_args\.candidates` in 1 …, but got 0"):
        rule(candidates=0)
