"""docs/acquisition.md names every rule, and its YAML is understood."""

import re
from pathlib import Path

import pytest
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.acquisition.rule_list import rules
from tests.small_run import words

TEXT = (Path(__file__).parents[2] / "docs" / "acquisition.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", rules())
def test_every_rule_has_a_line_that_is_true(name: str) -> None:
    rule = rules()[name]
    lists = TEXT[TEXT.index("## The rules") : TEXT.index("## Cold start")]
    lines = [line for line in lists.splitlines() if line.startswith(f"| `{name}` |")]
    assert len(lines) == 1
    cells = [cell.strip() for cell in lines[0].strip("|").split("|")]
    if len(cells) == 4:  # a composition has two
        assert (cells[2] == "yes") == rule.stochastic
        assert cells[3] == ("any" if rule.largest_pool is None else f"{rule.largest_pool:,}")


def test_the_yaml_is_understood(small_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "composed.yaml"
    file.write_text(block, encoding="utf-8")
    with pytest.raises(SystemExit, match="0"):
        main([*words(small_root, tmp_path / "run", "--config", str(file)), "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["purchase"]["acquisition"]["class_path"].endswith("Switch")
