"""What all tests share: one small data root, made once, and one small run on it."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_MODE", "offline")

settings.register_profile("any machine", deadline=None)  # how long an example takes depends on what else runs
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data root and the folder of a run that bought 12 labels in two rounds on it. Not to be changed."""
    from tests.small_run import fit

    place = tmp_path_factory.mktemp("small")
    fit(place / "data", place / "run")
    return place / "data", place / "run"


@pytest.fixture
def small_root(finished_run: tuple[Path, Path]) -> Path:
    """The small data root, made already. Not to be changed."""
    return finished_run[0]
