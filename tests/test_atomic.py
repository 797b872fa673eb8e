from collections.abc import Iterator
from pathlib import Path

import pytest

from dpc_lightning.atomic import write_atomically, write_text
from dpc_lightning.errors import RunDirError


def test_the_old_content_stands_until_the_new_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")

    def broken() -> Iterator[bytes]:
        yield b"new"
        assert file.read_bytes() == b"old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, broken())
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]
    assert file.read_bytes() == b"old"
    write_atomically(file, [b"ne", b"w"])
    assert file.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "a.bin", [b""])


def test_a_text_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"Cannot write .*a\.txt.*Make room"):
        write_text(tmp_path / "no" / "a.txt", "text")
