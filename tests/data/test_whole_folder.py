"""Folders that are complete or absent."""

import threading
import time
from pathlib import Path

import pytest

from dpc_lightning.data.whole_folder import check_description, whole_folder, write_description
from dpc_lightning.errors import DataError


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_folder_appears_at_the_end(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a" / "root") as folder:
        assert folder is not None
        (folder / "one").write_text("1", encoding="utf-8")
        assert visible(tmp_path / "a") == []
    assert visible(tmp_path / "a" / "root") == ["one"]
    assert not list((tmp_path / "a").glob(".root.writing-*"))


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_nothing_stays_after_an_error(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "root") as folder:
            assert folder is not None
            (folder / "one").write_text("1", encoding="utf-8")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert visible(tmp_path) == []
    assert not list(tmp_path.glob(".root.writing-*"))


def test_full_disk_is_a_data_error_that_names_the_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot write .*root: .*No space left"), whole_folder(tmp_path / "root"):
        raise OSError(28, "No space left on device")
    assert visible(tmp_path) == []


def test_place_where_nothing_can_be_written_fails_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(DataError, match=r"Cannot write .*root: .*Permission denied"), whole_folder(tmp_path / "root"):
        pass


def test_leftover_of_a_killed_process_is_removed_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / ".root.writing-dead" / "training").mkdir(parents=True)
    (tmp_path / ".rooted.writing-alive").mkdir()
    with whole_folder(tmp_path / "root"):
        pass
    assert not (tmp_path / ".root.writing-dead").exists()
    assert (tmp_path / ".rooted.writing-alive").exists()


def test_occupied_root_is_left_alone_and_an_empty_one_is_filled(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with whole_folder(tmp_path / "full") as folder:
        assert folder is None
    assert visible(tmp_path / "full") == ["mine"]
    (tmp_path / "empty").mkdir()
    with whole_folder(tmp_path / "empty") as folder:
        assert folder is not None
        (folder / "new").touch()
    assert visible(tmp_path / "empty") == ["new"]


def test_file_in_the_place_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(DataError, match="it is a file"), whole_folder(tmp_path / "root"):
        pass
    with pytest.raises(DataError, match="Cannot write"), whole_folder(tmp_path / "root" / "below"):
        pass


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with whole_folder(tmp_path / "root") as folder:
            assert folder is not None
            inside.set()
            time.sleep(0.2)
            (folder / "one").touch()
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with whole_folder(tmp_path / "root") as folder:
        order.append("second")
        assert folder is None
    thread.join()
    assert order == ["first", "second"]


def test_description_is_compared_and_the_difference_named(tmp_path: Path) -> None:
    write_description(tmp_path, "made.json", {"px": 64, "rates": [1, 2]})
    check_description(tmp_path, "made.json", {"px": 64, "rates": [1, 2]}, "a test")
    with pytest.raises(DataError, match="px is 64 there and 96 here"):
        check_description(tmp_path, "made.json", {"px": 96, "rates": [1, 2]}, "a test")
    with pytest.raises(DataError, match=r"has no other\.json"):
        check_description(tmp_path, "other.json", {}, "a test")
    for content in ("{", "[]"):
        (tmp_path / "made.json").write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=r"made\.json to be (a )?JSON"):
            check_description(tmp_path, "made.json", {}, "a test")
