"""A benchmark that judges purchases made elsewhere."""

from collections.abc import Sequence
from pathlib import Path

from dpc_lightning.acquisition.listed import read_indices
from dpc_lightning.errors import ConfigError
from dpc_lightning.evaluation.jobs.fit_settings import FitSettings
from dpc_lightning.evaluation.jobs.settings import Benchmark, Pair, Reference, Study
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM

__all__ = ["benchmark_of_purchases"]


def benchmark_of_purchases(
    purchases: Sequence[Path],
    *,
    config: str | None,
    pipelines: Sequence[str],
    seeds: Sequence[int],
    references: Sequence[Reference],
    metric: str,
) -> Benchmark:
    """Make arms that buy what files list, beside the references on the same data.

    Args:
        purchases: `purchases.csv` of runs, or one image index a line. An arm is called as its file, or as the folder of
            a `purchases.csv`.
        config: configuration of `fit` with the data; None takes `config.yaml` beside the first file.
        pipelines: names in `configs/pipelines/`, or YAML files.
        seeds: of the judging training.
        references: beside random.
        metric: score by which the tables rank.

    Returns:
        The benchmark, not run.

    Raises:
        ConfigError: if there is no configuration, or a file lists nothing.
    """
    files = [file.absolute() for file in purchases]
    config = config or str(files[0].with_name("config.yaml"))
    if not Path(config).is_file():
        msg = f"Expected the configuration of `fit` with the data by `--config`; there is no {config}."
        raise ConfigError(msg)
    arms: dict[str, FitSettings] = {}
    budgets: dict[str, int] = {}
    for file in files:
        name = file.stem if file.stem != "purchases" else file.parent.name
        name = name if name not in {*arms, NONE, RANDOM, ALL} else str(file)
        listed = {"class_path": "Listed", "init_args": {"file": str(file)}}
        arms[name] = FitSettings({"purchase": {"acquisition": listed, "rounds": 1, "round_epochs": 0}})
        budgets[name] = len(read_indices(file))
        if not budgets[name]:
            msg = f"{file} lists nothing: there is nothing to judge; `none` is a reference of every benchmark."
            raise ConfigError(msg)
    studies = [
        Study(
            name="judged",
            pipelines=pipelines,
            seeds=seeds,
            pairs=[Pair(labels)],
            arms=[name for name in arms if budgets[name] == labels],
            references=references,
        )
        for labels in dict.fromkeys(budgets.values())
    ]
    return Benchmark(arms=arms, studies=studies, fit=config, metric=metric)
