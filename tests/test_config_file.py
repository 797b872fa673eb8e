"""What is wrong with a configuration file is said with its name."""

from pathlib import Path

import pytest

from dpc_lightning.config_file import check_config_file
from dpc_lightning.configs import config_path
from dpc_lightning.errors import ConfigError

WRONG = {
    "purchase: [": "line 1, column 12 of .*run.yaml",
    "purchase: {labels: 1}\n a: b": "line 2, column 2 of .*run.yaml",
    "purchase: 4": "group `purchase:` of .*run.yaml, but got 4",
    "purchase: null": "group `purchase:` of .*run.yaml, but got None",
    "data: [1]": "group `data:` of .*run.yaml",
    "- 1": "`key: value` in .*run.yaml",
    "": "`key: value` in .*run.yaml, but it holds nothing",
    "# only a comment": "`key: value` in .*run.yaml",
    "1: 2": "names as keys in .*run.yaml, but got 1",
    "model: {a: [{2: 3}]}": "names as keys in .*run.yaml, but got 2",
    "? [1]\n: 2": "run.yaml, but: found unhashable key",
    "a: &a [*a]": "alias",
    "a: " + "[" * 2000: "run.yaml",
    "a: 2026-13-45": "run.yaml, but: month must be",
    "a: \x00": "run.yaml, but: unacceptable character",
    "!!python/object/apply:os.getcwd []": "line 1, column 1 of .*run.yaml, but: could not determine a constructor",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=WRONG[text]):
        check_config_file(file, ["data", "purchase"])


def test_other_encodings_and_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_bytes("purchase: {labels: 1}".encode("utf-16"))
    for file in (tmp_path / "run.yaml", tmp_path):
        with pytest.raises(ConfigError, match=str(file)):
            check_config_file(file, ["purchase"])


@pytest.mark.parametrize("text", ["purchase: other.yaml", "purchase: {}", "a: &a {b: 1}\nc: *a", "what: {ever: [1]}"])
def test_what_the_parser_understands_passes(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.yaml").write_text(text)
    check_config_file(tmp_path / "run.yaml", ["purchase"])
    check_config_file(config_path("quickstart"), ["purchase"])
