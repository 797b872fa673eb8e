"""What `fit` says to the settings of a job before the job begins."""

from typing import Any

import pytest

from dpc_lightning.evaluation.jobs.grid import read_fit
from dpc_lightning.evaluation.jobs.job import merged
from dpc_lightning.evaluation.jobs.settings_check import refusal_of


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"purchase": {"acquisition": {"class_path": "Listed", "init_args": {"file": "{purchases}"}}}},
        {"purchase": {"labels": "{labels}", "rounds": 1}},
        {
            "purchase": {
                "acquisition": {
                    "class_path": "Cascade",
                    "init_args": {
                        "first": {"class_path": "PowerNoised", "init_args": {"rule": "RareEntropy"}},
                        "factor": 4,
                        "then": {"class_path": "Mix", "init_args": {"rules": ["KCenter", "Random"]}},
                    },
                }
            }
        },
        {"evaluate": {"checkpoint_path": "{start}", "freeze": "backbone"}},
        {
            "trainer": {
                "callbacks": [{"class_path": "dpc_lightning.callbacks.StartKeeper", "init_args": {"folder": "x"}}]
            }
        },
    ],
)
def test_settings_of_jobs_are_taken(changes: dict[str, Any]) -> None:
    assert refusal_of(merged(read_fit("quickstart"), changes)) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"purchase": {"acquisition": "Bagde"}}, "There is no such rule. There are: Badge, "),
        ({"purchase": {"rounds": 0}}, "`purchase.rounds` to be a whole number of at least 1"),
        ({"evaluate": {"epochs": 0}}, "`evaluate.epochs` to be a whole number of at least 1"),
        ({"evaluate": {"epoch": 3}}, "does not accept option 'epoch'"),
        ({"evaluate": {"freeze": "backbone"}}, "the network starts from random weights"),
        ({"data": {"generator": {"px": 3}}}, "`data.generator.px` to be a whole number from 16 to 1024"),
    ],
)
def test_what_fit_refuses_is_said_in_its_words(changes: dict[str, Any], said: str) -> None:
    assert said in (refusal_of(merged(read_fit("quickstart"), changes)) or "it was taken")
