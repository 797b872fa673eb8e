"""The shipped configurations: each is parsed by the real command line, and found by name."""

from pathlib import Path

import pytest
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.configs import config_path
from dpc_lightning.errors import ConfigError

FILES = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_configuration_is_parsed_by_the_real_command_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", str(file), "--print_config"])
    assert ended.value.code == 0
    given, resolved = yaml.safe_load(file.read_text(encoding="utf-8")), yaml.safe_load(capsys.readouterr().out)
    assert resolved["purchase"]["labels"] == given["purchase"]["labels"]
    assert resolved["evaluate"]["epochs"] == given["evaluate"]["epochs"]
    assert resolved["model"]["backbone"] == given["model"]["backbone"]


def test_the_promised_configurations_are_there() -> None:
    assert {file.stem for file in FILES} >= {
        "quickstart",
        "deeppcb",
        "deeppcb_gpu",
        "challenge_round2",
        "sheets_gpu",
    }


def test_each_value_of_the_challenge_is_marked_as_documented_or_own_choice() -> None:
    lines = config_path("challenge_round2").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if ":" in line.split("#")[0] and not line.lstrip().startswith("#") and not line.rstrip().endswith(":"):
            assert "# documented" in line or "# own choice" in line, line


def test_a_configuration_is_found_by_name() -> None:
    assert config_path("quickstart") == config_path("quickstart.yaml")
    assert config_path("pipelines/cpu_cosine").parts[-2:] == ("pipelines", "cpu_cosine.yaml")
    with pytest.raises(ConfigError, match=r"no packaged configuration `quickstrat`.*quickstart\.yaml"):
        config_path("quickstrat")
