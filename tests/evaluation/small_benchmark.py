"""A benchmark made small: seconds a job."""

from pathlib import Path
from typing import Any

import yaml

from dpc_lightning.evaluation.fit_settings import FitSettings
from dpc_lightning.evaluation.settings import Benchmark, Pair, Sealed, Study

DATA: dict[str, Any] = {
    "root": "{run_dir}/data/{seed}",
    "generator": {"px": 32, "training": 40, "unlabelled": 40, "validation": 30, "test": 30, "seed": "{seed}"},
}


def content(folder: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a small benchmark: one arm, one pair, one pipeline, one seed."""
    pipeline = folder / "quick_look.yaml"
    pipeline.write_text("evaluate: {epochs: 2}\n")
    study = {
        "name": "sheets",
        "data": DATA,
        "pairs": [{"labels": 6}],
        "pipelines": [str(pipeline)],
        "seeds": [1],
        "references": ["none"],
    }
    return {
        "fit": "quickstart",
        "overrides": {
            "threads": 1,
            "data": {"image_size": 32},
            "trainer": {"accelerator": "cpu"},
            "purchase": {"rounds": 2, "pretrain_epochs": 1, "round_epochs": 1},
        },
        "arms": {"entropy": {"purchase": {"acquisition": "MeanEntropy"}}},
        "studies": [study | changes],
    }


def config(folder: Path, **changes: Any) -> Path:
    """The same as a file."""
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(content(folder, **changes)))
    return file


def benchmark_of(folder: Path, **changes: Any) -> Benchmark:
    """The same as an object."""
    made = content(folder, **changes)
    studies = []
    for study in made["studies"]:
        pairs = [Pair(**pair) for pair in study.pop("pairs")]
        sealed = study.pop("sealed", None)
        data, fit = FitSettings(study.pop("data")), FitSettings(study.pop("fit", {}))
        drawn = None if sealed is None else Sealed(**sealed)
        studies.append(Study(pairs=pairs, sealed=drawn, data=data, fit=fit, **study))
    arms = {name: FitSettings(settings) for name, settings in made["arms"].items()}
    return Benchmark(arms=arms, studies=studies, fit=made["fit"], overrides=FitSettings(made["overrides"]))
