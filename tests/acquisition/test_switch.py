"""Which rule buys when."""

from dataclasses import replace

import numpy as np
import pytest

from dpc_lightning.acquisition import HardClass, MeanEntropy, Random, Switch
from dpc_lightning.errors import ConfigError
from tests.acquisition.pools import pool_of, random_pool


@pytest.mark.parametrize(("number", "expected"), [(1, 0), (2, 1), (3, 2), (9, 2)])
def test_rules_follow_upon_each_other_and_the_last_goes_on(number: int, expected: int) -> None:
    rules = [Random(), HardClass(), MeanEntropy()]
    pool = replace(random_pool(30), round=number)
    assert Switch(rules).rule_for(pool) is rules[expected]


@pytest.mark.parametrize(("positives", "expected"), [(0, 0), (2, 0), (3, 1), (4, 1)])
def test_the_second_rule_buys_once_every_class_has_its_positives(positives: int, expected: int) -> None:
    labels = np.ones((8, 2), dtype=np.uint8)
    labels[positives:, 1] = 0
    pool = pool_of(np.zeros((5, 2), np.float32), np.zeros((5, 1), np.float32), labels=labels)
    rules = [HardClass(), MeanEntropy()]
    assert Switch(rules, until_positives=3).rule_for(pool) is rules[expected]


def test_picks_are_those_of_the_rule_that_buys() -> None:
    pool, rng = random_pool(50), np.random.default_rng(0)
    picked = Switch([HardClass(), Random()]).select(pool, 9, rng)
    expected = HardClass().select(pool, 9, rng)
    assert picked.indices.tolist() == expected.indices.tolist()
    assert picked.scores.tolist() == expected.scores.tolist()


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        Switch([Random()])
    with pytest.raises(ConfigError, match="two rules"):
        Switch([Random(), Random(), Random()], until_positives=1)
    with pytest.raises(ConfigError, match="until_positives"):
        Switch([Random(), Random()], until_positives=0)
