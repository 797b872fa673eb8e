"""Every benchmark that ships is understood, by `fit` too."""

from pathlib import Path

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.configs import config_path
from dpc_lightning.evaluation.jobs.results import read_cases

NAMES = sorted(path.stem for path in config_path("quickstart").parent.glob("benchmark/*.yaml"))


def test_there_are_some() -> None:
    assert {"cpu", "quick", "round2_gpu"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_benchmark_is_laid_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"--config=benchmark/{name}", f"--run_dir={tmp_path / 'run'}", "--workers=1", "--minutes=0.00001"]
    assert main(["benchmark", *words]) == 4
    cases = read_cases(tmp_path / "run")
    for case in cases:  # whatever is compared has random of the same budget, seed and pipeline beside it
        if case.arm not in {"none", "all"}:
            assert any(
                (other.arm, other.study, other.labels, other.pipeline, other.seed)
                == ("random", case.study, case.labels, case.pipeline, case.seed)
                for other in cases
            )
