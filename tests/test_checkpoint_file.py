"""Checkpoint files: whole or absent, the one before kept, damage found, and a run that falls back to the one before."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dpc_lightning.__main__ import main
from dpc_lightning.checkpoint_file import CheckpointFile, CheckpointWarning, damage_of, usable_checkpoint
from dpc_lightning.errors import RunDirError
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.oracle import HiddenLabels
from tests.small_run import fit, purchases, words
from tests.test_resume import Stop, same_as, stop_at_call


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def flipped(file: Path) -> None:
    """One byte inside the largest weight."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def save(folder: Path, number: int) -> None:
    CheckpointFile(folder).save_checkpoint(
        {"number": number, "weights": torch.full((500,), float(number))}, folder / "last.ckpt"
    )


def number_in(file: Path) -> int:
    return int(CheckpointFile(file.parent).load_checkpoint(file, weights_only=True)["number"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_are_kept_and_other_files_are_not_kept_twice(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path, number)
    CheckpointFile(tmp_path).save_checkpoint({"number": 9}, tmp_path / "pretrain.ckpt")
    CheckpointFile(tmp_path).save_checkpoint({"number": 9}, tmp_path / "pretrain.ckpt")
    assert names(tmp_path) == ["last.ckpt", "pretrain.ckpt", "previous.ckpt"]
    assert (number_in(tmp_path / "last.ckpt"), number_in(tmp_path / "previous.ckpt")) == (2, 1)


@pytest.mark.parametrize("call", ["fsync", "link", "replace"])
def test_at_every_instant_there_is_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A process killed before any of the steps of a save leaves one that a run can go on from."""
    save(tmp_path, 0)
    save(tmp_path, 1)
    for place in range(4):
        owner: Any = Path if call == "replace" else os
        with monkeypatch.context() as patch:
            patch.setattr(owner, call, stop_at_call(getattr(owner, call), place))
            try:
                save(tmp_path, 2)
            except Stop:
                usable = usable_checkpoint(tmp_path)
                assert usable is not None
                assert number_in(usable) in {1, 2}
                assert damage_of(tmp_path / "previous.ckpt") is None
    assert number_in(tmp_path / "last.ckpt") == 2


def test_a_file_system_without_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for number in range(3):
        save(tmp_path, number)
    assert names(tmp_path) == ["last.ckpt", "previous.ckpt"]
    assert number_in(tmp_path / "previous.ckpt") == 1


def test_no_space_is_an_error_that_names_the_file_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 0)
    save(tmp_path, 1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunDirError, match=r"last\.ckpt: No space left on device\. Make room .* start again"):
        save(tmp_path, 2)
    assert names(tmp_path) == ["last.ckpt", "previous.ckpt"]
    assert (number_in(tmp_path / "last.ckpt"), number_in(tmp_path / "previous.ckpt")) == (1, 0)


@pytest.mark.parametrize("spoil", [truncated, emptied, flipped])
def test_a_damaged_last_is_set_aside_and_the_one_before_taken(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    save(tmp_path, 0)
    save(tmp_path, 1)
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    spoil(last)
    damaged = last.read_bytes()
    assert usable_checkpoint(tmp_path, set_aside=False) == previous  # another rank, before
    with pytest.warns(
        CheckpointWarning, match=r"last\.ckpt is damaged .* kept as last\.ckpt\.damaged, .* previous\.ckpt"
    ):
        assert usable_checkpoint(tmp_path) == previous
    assert usable_checkpoint(tmp_path, set_aside=False) == previous  # another rank, after
    assert (tmp_path / "last.ckpt.damaged").read_bytes() == damaged
    save(tmp_path, 2)
    assert usable_checkpoint(tmp_path) == last
    assert number_in(previous) == 0


def test_every_flipped_byte_of_a_record_and_every_truncation_is_found(tmp_path: Path) -> None:
    save(tmp_path, 0)
    file = tmp_path / "last.ckpt"
    whole = file.read_bytes()
    start = whole.index(torch.full((500,), 0.0).numpy().tobytes())
    for place in range(start, start + 2000, 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        assert damage_of(file) is not None
    for length in range(0, len(whole), 61):
        file.write_bytes(whole[:length])
        assert damage_of(file) is not None
    file.write_bytes(whole)
    assert damage_of(file) is None


def test_a_folder_without_checkpoints_is_a_new_run(tmp_path: Path) -> None:
    assert usable_checkpoint(tmp_path) is None
    assert usable_checkpoint(tmp_path / "nowhere") is None


def test_what_no_checkpoint_is_has_a_message(tmp_path: Path) -> None:
    file = tmp_path / "foreign.ckpt"
    torch.save({"array": torch.nn.Linear(1, 1)}, file)
    with pytest.raises(RunDirError, match=r"foreign\.ckpt cannot be used: Weights only load failed"):
        CheckpointFile(tmp_path).load_checkpoint(file, weights_only=True)
    file.write_text("words")
    with pytest.raises(RunDirError, match=r"foreign\.ckpt cannot be used: File is not a zip file"):
        CheckpointFile(tmp_path).load_checkpoint(file, weights_only=True)


def stop_at_step(number: int, root: Path, run_dir: Path) -> None:
    """Start a run and stop it before so many more steps, from 0, are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, number))
        with pytest.raises(Stop):
            main(words(root, run_dir))


@pytest.fixture(scope="module")
def stopped_run(finished_run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped in round 2, with all labels bought. Not to be changed."""
    run_dir = tmp_path_factory.mktemp("stopped") / "run"
    stop_at_step(7, finished_run[0], run_dir)
    return run_dir


def test_a_run_falls_back_to_the_checkpoint_before_and_ends_as_one_that_did_not(
    finished_run: tuple[Path, Path], stopped_run: Path, tmp_path: Path
) -> None:
    """Three times: the run is stopped again after each damage but the last."""
    root, whole = finished_run
    run_dir = tmp_path / "run"
    shutil.copytree(stopped_run, run_dir)
    for spoil in (truncated, emptied):
        spoil(run_dir / "checkpoints" / "last.ckpt")
        with pytest.warns(CheckpointWarning, match="previous"):
            stop_at_step(3, root, run_dir)
    flipped(run_dir / "checkpoints" / "last.ckpt")
    with pytest.warns(CheckpointWarning, match="previous"):
        fit(root, run_dir)
    same_as(run_dir, whole)
    assert (run_dir / "checkpoints" / "last.ckpt.damaged").exists()


def test_without_a_whole_checkpoint_the_run_says_how_to_go_on_and_replays_its_purchases(
    finished_run: tuple[Path, Path],
    stopped_run: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, whole = finished_run
    run_dir = tmp_path / "run"
    shutil.copytree(stopped_run, run_dir)
    checkpoints = run_dir / "checkpoints"
    truncated(checkpoints / "last.ckpt")
    flipped(checkpoints / "previous.ckpt")
    before = {file: file.read_bytes() for file in checkpoints.iterdir()}
    assert main(words(root, run_dir)) == 2
    said = capfd.readouterr().err
    assert "last.ckpt" in said
    assert "previous.ckpt" in said
    assert f"Remove the folder {checkpoints} and start again" in said
    assert {file: file.read_bytes() for file in checkpoints.iterdir()} == before

    shutil.rmtree(checkpoints)
    asked: list[int] = []

    def ask(_: HiddenLabels, indices: Any) -> None:
        asked.extend(indices)
        raise AssertionError

    original = HiddenLabels.label
    monkeypatch.setattr(
        HiddenLabels, "label", lambda self, indices: ask(self, indices) if len(indices) else original(self, indices)
    )
    fit(root, run_dir)
    assert asked == []  # nothing is bought anew
    assert purchases(run_dir) == purchases(whole)
    same_as(run_dir, whole)


@pytest.mark.parametrize("command", ["test", "predict"])
def test_a_damaged_final_file_is_named(
    finished_run: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    root, whole = finished_run
    run_dir = tmp_path / "run"
    shutil.copytree(whole, run_dir)
    final = run_dir / "checkpoints" / "evaluate.ckpt"
    flipped(final)
    more = (
        ["--images", str(root / "test" / "images"), "--out", str(tmp_path / "out.csv")] if command == "predict" else []
    )
    assert main([command, "--run_dir", str(run_dir), *more]) == 2
    said = capfd.readouterr().err
    assert f"{final} cannot be used: the checksum" in said
    assert "remove summary.json" in said
