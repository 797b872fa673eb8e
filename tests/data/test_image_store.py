import os
import pickle
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpc_lightning.data import image_store as module
from dpc_lightning.data.decoding import Pixels, read_image
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.data.manifest import Manifest, read_pool
from dpc_lightning.errors import DataError
from tests.data.sample_root import write_split


def _pool(folder: Path, count: int = 5, size: int = 8) -> Manifest:
    write_split(folder, None, count=count, size=size)
    return read_pool(folder)


def _files(cache: Path) -> list[str]:
    return sorted(entry.name for entry in cache.iterdir() if not entry.name.endswith(".lock"))


def test_images_are_stored_in_order(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "pool")
    store = ImageStore.open_or_build(pool, 8, tmp_path / "cache", workers=3)
    assert store.array.shape == (5, 8, 8, 3)
    assert store.array.dtype == np.uint8
    for index in range(len(pool)):
        assert np.array_equal(store.array[index], np.array(Image.open(pool.path(index))))
    assert not store.array.flags.writeable
    assert ImageStore.open_or_build(pool, 4, tmp_path / "cache").array.shape == (5, 4, 4, 3)


def test_an_empty_store(tmp_path: Path) -> None:
    assert ImageStore.open_or_build(_pool(tmp_path / "pool", 0), 8, tmp_path / "cache").array.shape == (0, 8, 8, 3)


def test_a_store_is_opened_again_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = _pool(tmp_path / "pool")
    ImageStore.open_or_build(pool, 8, tmp_path / "cache")
    monkeypatch.setattr(module, "read_image", None)
    assert len(ImageStore.open_or_build(pool, 8, tmp_path / "cache")) == 5


@pytest.mark.parametrize("change", ["pixels", "time", "name", "added", "damaged store", "version"])
def test_any_change_builds_anew(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = _pool(tmp_path / "pool")
    cache = tmp_path / "cache"
    before = ImageStore.open_or_build(pool, 8, cache)
    if change == "pixels":
        Image.new("RGB", (8, 8), (9, 9, 9)).save(pool.path(2))
    elif change == "time":
        os.utime(pool.path(2), ns=(1, 1))
    elif change == "name":
        pool.path(2).rename(pool.path(2).with_name("new.png"))
        pool = Manifest(pool.folder, (*pool.images[:2], "new.png", *pool.images[3:]))
    elif change == "added":
        Image.new("RGB", (8, 8)).save(pool.folder / "images/zzz.png")
        pool = read_pool(pool.folder)
    elif change == "damaged store":
        os.truncate(before.file, 300)
    else:
        monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    decoded: list[Path] = []

    def read(file: Path, *, at_least: int | None = None) -> Pixels:
        decoded.append(file)
        return read_image(file, at_least=at_least)

    monkeypatch.setattr(module, "read_image", read)
    after = ImageStore.open_or_build(pool, 8, cache)
    assert len(decoded) == len(pool)
    assert np.array_equal(after.array[2], np.array(Image.open(pool.path(2)).convert("RGB")))
    assert _files(cache) == [after.file.name]


def test_moving_the_root_keeps_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = _pool(tmp_path / "a/pool")
    ImageStore.open_or_build(pool, 8, tmp_path / "a/.cache")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.setattr(module, "read_image", None)
    moved = Manifest(tmp_path / "b/pool", pool.images)
    assert len(ImageStore.open_or_build(moved, 8, tmp_path / "b/.cache")) == 5


def test_two_roots_may_share_a_cache(tmp_path: Path) -> None:
    first, second = _pool(tmp_path / "a/pool"), _pool(tmp_path / "b/pool", 3)
    stores = [ImageStore.open_or_build(pool, 8, tmp_path / "cache") for pool in (first, second)]
    assert _files(tmp_path / "cache") == sorted(store.file.name for store in stores)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_broken_image_is_named_and_nothing_is_left(tmp_path: Path, content: bytes) -> None:
    pool = _pool(tmp_path / "pool")
    pool.path(3).write_bytes(content)
    with pytest.raises(DataError, match=r"Image 3 of .*row 4 below the header.*0003.png"):
        ImageStore.open_or_build(pool, 8, tmp_path / "cache")
    assert _files(tmp_path / "cache") == []


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "pool")
    pool.path(1).unlink()
    with pytest.raises(DataError, match=r"0001.png \(image 1"):
        ImageStore.open_or_build(pool, 8, tmp_path / "cache")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "pool", 20, size=64)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DataError, match=r"\(0.2 MB\).*Free some space or name another folder by --data.cache_dir"):
            ImageStore.open_or_build(pool, 64, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _files(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"--data.cache_dir"):
        ImageStore.open_or_build(_pool(tmp_path / "pool"), 8, tmp_path / "file" / "cache")


def test_only_the_path_travels_to_another_process(tmp_path: Path) -> None:
    store = ImageStore.open_or_build(_pool(tmp_path / "pool", 50, size=64), 64, tmp_path / "cache")
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent).array, store.array)


def test_no_store_is_a_data_error(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    for name in ("a.npy", "b.npy"):
        with pytest.raises(DataError, match="Delete it"):
            ImageStore(tmp_path / name)
    with pytest.raises(DataError, match=r"data\.image_size"):
        ImageStore.open_or_build(Manifest(tmp_path, ()), 0, tmp_path)


SCRIPT = """
import sys, pathlib
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.data.manifest import read_pool
store = ImageStore.open_or_build(read_pool(pathlib.Path(sys.argv[1])), 32, pathlib.Path(sys.argv[2]))
print(store.array.sum(dtype="int64"), store.file.stat().st_ino)
"""


def _start(pool: Manifest, cache: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SCRIPT, str(pool.folder), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_two_processes_build_one_store(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "pool", 200, size=64)
    answers = {process.communicate()[0] for process in [_start(pool, tmp_path / "cache") for _ in range(2)]}
    assert len(answers) == 1
    assert answers != {""}


def test_a_killed_process_leaves_nothing_that_counts(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "pool", 1_500, size=64)
    cache = tmp_path / "cache"
    process = _start(pool, cache)
    while process.poll() is None and not list(cache.glob(".*.part")):
        time.sleep(0.002)
    process.kill()
    process.communicate()
    leftover = list(cache.glob(".*.part"))
    assert leftover
    assert not list(cache.glob("*.npy"))
    store = ImageStore.open_or_build(pool, 32, cache)
    assert len(store) == 1_500
    assert _files(cache) == [store.file.name]
