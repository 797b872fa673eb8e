"""Settings of fit stay as they stand in the file."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from dpc_lightning.evaluation.jobs.fit_settings import FitSettings


@dataclass(frozen=True)
class Holder:
    """Holds settings."""

    fit: FitSettings = field(default_factory=FitSettings)


def parser() -> ArgumentParser:
    made = ArgumentParser(exit_on_error=False)
    made.add_argument("--config", action="config")
    made.add_class_arguments(Holder, as_group=True)
    return made


def test_a_class_path_is_not_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("fit: {model: {optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.1}}, nothing: null}}\n")
    read = parser().parse_args([f"--config={file}"]).fit
    assert read == {
        "model": {"optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.1}}, "nothing": None}
    }


@pytest.mark.parametrize("word", ["3", "[1, 2]", "words"])
def test_anything_else_is_refused(word: str) -> None:
    with pytest.raises(Exception, match="Expected settings by name"):
        parser().parse_args([f"--fit={word}"])
