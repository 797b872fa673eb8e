"""What all tests share: one small data root, made once, and one small run on it."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_MODE", "offline")

settings.register_profile("any machine", deadline=None)  # how long an example takes depends on what else runs
settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration a test that skips is a failure, unless it needs a GPU."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        refuse_skip(report, needs_gpu=item.get_closest_marker("gpu") is not None)
    return report


def refuse_skip(report: pytest.TestReport, *, needs_gpu: bool) -> None:
    """Turn a skip into a failure that says why."""
    if not needs_gpu:
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which is a failure where CI is set: {report.longrepr}"


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


@pytest.fixture
def wandb_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[None]:
    """Weights & Biases without network or account, and without a trace in the next test."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):  # else it writes into the home folder
        monkeypatch.setenv(name, str(tmp_path / "home"))
    yield
    import wandb

    wandb.teardown()
