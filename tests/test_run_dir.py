"""The folder of a run: who decides it, who holds it, and what may change in it."""

import os
from pathlib import Path

import pytest

from dpc_lightning.errors import RunDirError
from dpc_lightning.run_dir import HANDED_ON, RunDir
from tests.run_dir_holder import held_by_another_process

CONFIG = """\
seed_everything: 0
run_dir: null
data: {root: data/quickstart, num_workers: 0}
purchase: {labels: 300, acquisition: {class_path: dpc_lightning.acquisition.Badge}}
trainer: {devices: auto, logger: false}
"""


def test_the_folder_asked_for_is_taken(tmp_path: Path) -> None:
    assert RunDir.settle(str(tmp_path / "a"), "quickstart", {}).path == tmp_path / "a"


def test_a_rank_takes_the_folder_that_its_launcher_decided(tmp_path: Path) -> None:
    handed_on = {"LOCAL_RANK": "1", HANDED_ON: str(tmp_path)}
    assert RunDir.settle(None, "quickstart", handed_on).path == tmp_path


def test_a_leftover_of_an_earlier_run_in_the_same_process_is_not_taken(tmp_path: Path) -> None:
    settled = RunDir.settle(None, "quickstart", {HANDED_ON: str(tmp_path)}).path
    assert settled.parent == Path.cwd() / "runs" / "quickstart"


def test_torchrun_must_name_the_folder() -> None:
    with pytest.raises(RunDirError, match="--run_dir DIR"):
        RunDir.settle(None, "quickstart", {"TORCHELASTIC_RUN_ID": "x", "LOCAL_RANK": "0"})


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "run")
    run_dir.create()
    with (
        held_by_another_process(run_dir),
        pytest.raises(RunDirError, match=rf"{run_dir.path} is in use by process \d+ on .* since .*another `--run_dir`"),
        run_dir.locked(),
    ):
        pass
    # the lock must have gone with the killed process
    with run_dir.locked():
        pass


def test_a_second_start_with_the_same_settings_goes_on(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.keep_config(CONFIG)
    run_dir.ledger.touch()
    run_dir.keep_config(CONFIG.replace("num_workers: 0", "num_workers: 4").replace("devices: auto", "devices: 2"))
    assert run_dir.config.read_text() == CONFIG


def test_a_changed_setting_is_refused_by_its_key(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.keep_config(CONFIG)
    run_dir.ledger.touch()
    with pytest.raises(RunDirError, match=r"purchase\.labels: 300 -> 301\n.*another `--run_dir`") as caught:
        run_dir.keep_config(CONFIG.replace("300", "301"))
    assert "data.root" not in str(caught.value)
    with pytest.raises(RunDirError, match=r"purchase\.acquisition\.class_path"):
        run_dir.keep_config(CONFIG.replace("Badge", "Random"))
    assert run_dir.config.read_text() == CONFIG


def test_a_place_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RunDirError, match=f"{blocked}.*--run_dir"):
        RunDir(blocked / "run").create()


def test_the_launcher_hands_the_folder_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HANDED_ON, "before")
    RunDir(tmp_path).hand_on()
    assert os.environ[HANDED_ON] == str(tmp_path)


def test_a_start_that_failed_before_it_did_anything_binds_nobody(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.keep_config(CONFIG.replace("data/quickstart", "typo"))
    run_dir.keep_config(CONFIG)
    assert run_dir.config.read_text() == CONFIG
