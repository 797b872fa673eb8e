"""Rules that are made of others, through the real command line and through a benchmark's settings."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.acquisition import Acquisition, KCenter
from dpc_lightning.acquisition.rule_list import rules
from dpc_lightning.loops.buyer import Buyer
from dpc_lightning.models.classifier import MultiLabelClassifier
from tests.small_run import fit, purchases, words
from tests.test_resume import Stop

NESTED = """\
purchase:
  acquisition:
    class_path: Switch
    init_args:
      rules:
        - Random
        - class_path: Mix
          init_args:
            shares: [2, 1]
            rules:
              - class_path: Cascade
                init_args:
                  first: {class_path: PowerNoised, init_args: {rule: RareEntropy, beta: 2.0}}
                  then: Badge
                  factor: 3
              - class_path: Subsample
                init_args: {rule: KCenter, size: 20, by: anchors}
"""


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    file = tmp_path / "nested.yaml"
    file.write_text(NESTED)
    return file


def test_a_nested_rule_buys_and_its_configuration_comes_back(
    small_root: Path, tmp_path: Path, nested: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    summary = fit(small_root, run_dir, "--config", str(nested))
    bought = purchases(run_dir)
    assert len(bought) == 12
    assert [row["score"] for row in bought[:6]] == [""] * 6 or all(row["score"] == "nan" for row in bought[:6])
    kept = yaml.safe_load((run_dir / "config.yaml").read_text())["purchase"]["acquisition"]
    assert kept["class_path"].endswith("Switch")
    inner = kept["init_args"]["rules"][1]["init_args"]["rules"][0]["init_args"]
    assert inner["first"]["init_args"]["rule"]["class_path"].endswith("RareEntropy")
    assert inner["then"]["class_path"].endswith("Badge")
    again = fit(small_root, run_dir, "--config", str(nested))  # a finished run says so, with the same settings
    assert again["test"] == summary["test"]


@pytest.mark.parametrize(("owner", "method"), [(MultiLabelClassifier, "score_batch"), (KCenter, "_pick")])
def test_a_nested_rule_goes_on_after_a_stop_and_buys_the_same(
    small_root: Path, tmp_path: Path, nested: Path, monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> None:
    """Stopped before and within the picking of the second round, which is the nested rule's."""
    settings = ("--config", str(nested), "--purchase.pretrain_epochs=1", "--purchase.round_epochs=1")
    fit(small_root, tmp_path / "whole", *settings)
    whole = purchases(tmp_path / "whole")
    assert {row["round"] for row in whole} == {"1", "2"}
    original = getattr(owner, method)

    def stopping(*args: Any, **kwargs: Any) -> Any:
        if (tmp_path / "run" / "checkpoints" / "round_1.ckpt").exists():
            raise Stop
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, stopping)
        with pytest.raises(Stop):
            main(words(small_root, tmp_path / "run", *settings))
    fit(small_root, tmp_path / "run", *settings)
    assert purchases(tmp_path / "run") == whole


def test_every_rule_buys_in_a_real_run_and_in_one_that_is_stopped_between(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rule a round: what a network gives it, and what the ledger keeps of its scores, come back after a stop."""
    names = [name for name, rule in rules().items() if name != "Listed" and made_without_settings(rule)]
    file = tmp_path / "every.yaml"
    switch = {"class_path": "Switch", "init_args": {"rules": names}}
    file.write_text(yaml.safe_dump({"purchase": {"acquisition": switch}}))
    settings = (f"--config={file}", f"--purchase.labels={len(names)}", f"--purchase.rounds={len(names)}")
    fit(small_root, tmp_path / "whole", *settings)
    whole = purchases(tmp_path / "whole")
    assert [int(row["round"]) for row in whole] == list(range(1, len(names) + 1))
    turns = iter(range(len(names)))
    plain = Buyer.buy

    def stopping(*args: Any, **kwargs: Any) -> Any:
        if next(turns) == len(names) // 2:
            raise Stop
        return plain(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Buyer, "buy", stopping)
        with pytest.raises(Stop):
            main(words(small_root, tmp_path / "run", *settings))
    fit(small_root, tmp_path / "run", *settings)
    assert purchases(tmp_path / "run") == whole
    assert main(["ledger", "verify", str(tmp_path / "run")]) == 0


def made_without_settings(rule: type[Acquisition]) -> bool:
    try:
        rule()
    except TypeError:
        return False
    return True


@pytest.mark.parametrize(
    ("acquisition", "said"),
    [
        ("{class_path: Cascade, init_args: {first: Nowhere, then: Badge, factor: 2}}", "Nowhere"),
        ("{class_path: Cascade, init_args: {first: MeanEntropy, then: Badge}}", "init_args.factor"),
        ("{class_path: Mix, init_args: {rules: []}}", "at least 1"),
        ("{class_path: PowerNoised, init_args: {rule: Badge}}", "Badge"),
        (
            "{class_path: Mix, init_args: {rules: [Badge, {class_path: ProbCover, init_args: {radius: 5}}]}}",
            "`purchase.acquisition`, rule ProbCover: Expected `init_args.radius` in (0, 2], but got 5.0.",
        ),
        ("{class_path: Subsample, init_args: {rule: Badge, size: 0}}", "init_args.size"),
    ],
)
def test_what_is_wrong_in_a_nested_rule_is_said_before_anything_is_trained(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], acquisition: str, said: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(f"purchase: {{acquisition: {acquisition}}}\n")
    try:
        status = main(words(small_root, tmp_path / "run", "--config", str(file)))
    except SystemExit as stop:  # what the settings' parser refuses
        status = int(stop.code or 0)
    captured = capfd.readouterr()
    assert status == 2
    assert said in captured.err + captured.out
    assert not (tmp_path / "run" / "ledger.sqlite").exists()
