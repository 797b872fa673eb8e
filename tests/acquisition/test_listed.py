"""Buying what a file lists."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.acquisition import Listed, MeanEntropy, Mix
from dpc_lightning.acquisition.listed import read_indices
from dpc_lightning.errors import AcquisitionError, ConfigError
from tests.acquisition.pools import random_pool


def picks(file: Path, count: int, bought: int = 0) -> list[int]:
    pool = random_pool(20)
    owned = np.zeros((5, pool.num_classes), dtype=np.uint8)
    pool = replace(pool, bought=bought, labelled_labels=owned)
    return [int(index) for index in Listed(str(file)).select(pool, count, np.random.default_rng(0)).indices]


def test_the_order_of_the_file_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "bought.txt"
    wanted = [int(index) for index in random_pool(20).indices[[7, 3, 11]]]
    file.write_text("".join(f"{index}\n" for index in wanted))
    assert picks(file, 3) == wanted
    assert picks(file, 2) == wanted[:2]


def test_later_rounds_go_on_in_the_list(tmp_path: Path) -> None:
    file = tmp_path / "bought.txt"
    pool = random_pool(20)
    wanted = [int(index) for index in pool.indices[[7, 3, 11, 1]]]
    file.write_text("".join(f"{index}\n" for index in wanted))
    left = replace(pool.subset(np.setdiff1d(np.arange(20), [7, 3])), bought=2)
    assert Listed(str(file)).select(left, 2, np.random.default_rng(0)).indices.tolist() == wanted[2:]


def test_what_another_rule_of_a_mix_bought_is_passed_over(tmp_path: Path) -> None:
    """In round 2 the list has lost one image to the other rule, which bought another one besides."""
    file = tmp_path / "bought.txt"
    pool = random_pool(20)
    wanted = [int(index) for index in pool.indices[[7, 3, 11, 1]]]
    file.write_text("".join(f"{index}\n" for index in wanted))
    left = replace(pool.subset(np.setdiff1d(np.arange(20), [7, 3, 15])), bought=3)
    mix = Mix([Listed(str(file)), MeanEntropy()], [1, 1])
    bought = mix.select(left, 4, np.random.default_rng(0)).indices.tolist()
    assert bought[:2] == wanted[2:]
    assert len(set(bought)) == 4


def test_a_table_of_purchases_is_read_by_its_column(tmp_path: Path) -> None:
    file = tmp_path / "purchases.csv"
    file.write_text("order,round,index,image\n1,1,5,a.png\n2,1,3,b.png\n\n")
    assert read_indices(file).tolist() == [5, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\n2\n1\n", r"row 3: the image index 1 is listed in row 1 already"),
        ("1\n-2\n", r"row 2: expected an image index .* but got '-2'"),
        ("1\n2.0\n", r"row 2: expected an image index"),
        ("1\nnan\n", r"row 2: expected an image index"),
        ("order,index\n1,\n", r"row 2: expected an image index .* but got ''"),
        ("order,index\n1\n", r"row 2: expected an image index"),
        ("1\n99999999999999999999\n", r"row 2: expected an image index"),
        ('"1\n', r"cannot be read"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bought.txt"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as refused:
        Listed(str(file))
    assert str(file) in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Listed(str(tmp_path / "nothing.txt"))


def test_images_that_are_not_in_the_pool_are_named(tmp_path: Path) -> None:
    file = tmp_path / "bought.txt"
    file.write_text("123456\n")
    with pytest.raises(AcquisitionError, match=r"lists the image index 123456, which is not in the pool"):
        picks(file, 1)


def test_a_list_that_is_too_short_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bought.txt"
    file.write_text(f"{int(random_pool(20).indices[0])}\n")
    with pytest.raises(AcquisitionError, match=r"lists 1 images, of which 1 are still .* set `purchase.labels` to 1"):
        picks(file, 2)
