"""The command that lists and explains rules."""

import subprocess
import sys

import pytest
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.acquisition.rule_list import rules


def test_lists_every_rule_with_what_it_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["acquisitions"]) == 0
    said = capsys.readouterr().out
    for name in rules():
        assert f" {name} " in said
    assert "labelled embeddings" in said
    assert "O(N C)" in said


def test_a_narrow_terminal_gets_lines_instead_of_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert main(["acquisitions"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 70
    assert [line.partition(":")[0] for line in lines if line.partition(":")[0] in rules()] == list(rules())
    assert "    needs embeddings, labelled embeddings; O(N² D); at most 50,000" in lines
    assert "    chance; needs nothing; O(N)" in lines


@pytest.mark.parametrize("name", rules())
def test_explains_each_with_yaml_to_paste(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["acquisitions", name]) == 0
    said = capsys.readouterr().out
    assert "Use it" in said
    words = "".join(said.split())
    for line in (rules()[name].__doc__ or "").splitlines():
        assert "".join(line.split()) in words, "a line of the docstring is missing or changed"
    if "Example in YAML:" in said:
        example = said[said.index("Example in YAML:") :].split("\n\n")[1]
        assert yaml.safe_load(example)["acquisition"]["class_path"] == name
        return
    pasted = yaml.safe_load(said[said.rindex("purchase:\n") :])
    assert pasted["purchase"]["acquisition"]["class_path"] == name


def test_an_unknown_rule_is_answered_by_those_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["acquisitions", "badg"]) == 2
    assert "There is no rule `badg`. Did you mean Badge or Bald?" in capsys.readouterr().err


def test_loads_no_torch() -> None:
    program = (
        "import sys; from dpc_lightning.__main__ import main; main(['acquisitions']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'lightning', 'sklearn', 'matplotlib')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
