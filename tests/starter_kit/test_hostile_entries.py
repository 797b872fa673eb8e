"""Whatever an entry does: the labels stay hidden, the ledger is right, the host lives, and says what happened."""

import hashlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.errors import EntryError
from dpc_lightning.starter_kit.entry import run_entry
from dpc_lightning.starter_kit.hosted_data import HostedData
from dpc_lightning.starter_kit.material import list_code
from dpc_lightning.starter_kit.seal import landlock
from dpc_lightning.starter_kit.seal.cgroup import ControlGroup
from dpc_lightning.starter_kit.settings import EntrySettings
from tests.starter_kit.hostile import HOSTILE, LEAKS, Hostile
from tests.starter_kit.hosting import Hosted, host, sheets


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> HostedData:
    """A pool of 60 sheets from a secret seed."""
    return sheets(tmp_path_factory.mktemp("sheets") / "root")


def check(hosted: Hosted, expected: Hostile, data: HostedData) -> None:
    """Hold an end against what must come of it, and the ledger against the oracle."""
    record = hosted.record
    assert record.how == expected.how, record.text
    assert expected.said in record.text
    assert expected.printed.replace("HOST", str(os.getpid())) in hosted.printed
    assert "LEAK" not in hosted.printed
    if expected.bought is None:
        assert 0 < len(hosted.bought) <= 5
    else:
        assert hosted.bought == expected.bought
    assert len(set(hosted.bought)) == len(hosted.bought) == record.bought <= 5
    hidden = data.hidden_labels()
    assert np.array_equal(hosted.labels, hidden[hosted.bought].reshape(hosted.labels.shape))
    assert all(char.isprintable() or char.isspace() for char in record.text)
    assert (hosted.folder / "log.txt").stat().st_size < 200_000


@pytest.mark.parametrize("entry", HOSTILE, ids=lambda entry: entry.name)
def test_the_ledger_is_right_and_the_host_lives(entry: Hostile, data: HostedData, tmp_path: Path) -> None:
    began = time.monotonic()
    hosted = host(entry.code, data, tmp_path, phase=not entry.whole, **entry.settings)
    check(hosted, entry, data)
    if entry.how == "out of time":
        assert hosted.record.seconds >= 1.5
        assert time.monotonic() - began < 25
    assert not [line for line in processes() if "4711" in line]


@pytest.mark.parametrize("seal", ["namespaces", "landlock"])
@pytest.mark.parametrize("entry", LEAKS, ids=lambda entry: entry.name)
def test_hidden_labels_do_not_leave(
    entry: Hostile, seal: str, data: HostedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPC_SECRET", "the word")
    hosted = host(entry.code, data, tmp_path, phase=True, seal=seal, **entry.settings)
    assert seal in hosted.record.seal.lower()
    check(hosted, entry, data)


@pytest.mark.parametrize("grouped", [True, False], ids=["with control groups", "without"])
@pytest.mark.parametrize("name", ["kills everybody it can", "leaves processes behind", "hangs"])
def test_landlock_ends_what_a_namespace_would(
    name: str, grouped: bool, data: HostedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a namespace of processes: what an entry has started ends with it all the same."""
    assert landlock.version() >= 6
    if not grouped:
        monkeypatch.setattr("dpc_lightning.starter_kit.seal.cgroup._parents", dict)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    entry = next(each for each in HOSTILE if each.name == name)
    hosted = host(entry.code, data, tmp_path, phase=True, seal="landlock", **entry.settings)
    check(hosted, entry, data)
    assert not [line for line in processes() if str(tmp_path) in line]


@pytest.mark.parametrize(
    ("name", "how", "said"), [("uses up the memory", "raised", "MemoryError"), ("forks without end", "out of time", "")]
)
def test_limits_hold_without_control_groups(
    name: str, how: str, said: str, data: HostedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpc_lightning.starter_kit.seal.cgroup._parents", dict)
    entry = next(each for each in HOSTILE if each.name == name)
    hosted = host(entry.code, data, tmp_path, phase=True, **entry.settings)
    check(hosted, replace(entry, how=how, said=said), data)


def test_another_system_is_refused_by_name(data: HostedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(EntryError, match=r"UNSEALED.*Linux only, for darwin"):
        host("pass", data, tmp_path, phase=True, allow_unsealed=True)


def test_a_look_up_of_public_images_finds_nothing(data: HostedData, tmp_path: Path) -> None:
    """The entry brings the hash of every image of the pool; of disguised images none is found."""
    known = {
        hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest() for image in data.splits.pool_store.array
    }
    code = """
    import hashlib, json
    import numpy as np
    known = set(json.load(open("hashes.json")))
    hits = sum(hashlib.sha256(np.asarray(item["image"]).tobytes()).hexdigest() in known for item in pool)
    print("hits", hits, "of", len(known))
    """
    files = {"hashes.json": json.dumps(sorted(known)).encode()}
    for disguise, hits in ((False, len(data.splits.pool)), (True, 0)):
        hosted = host(code, data, tmp_path / str(disguise), phase=True, files=files, disguise=disguise)
        assert f"hits {hits} of {len(known)}" in hosted.printed
        assert hosted.record.disguised is disguise


def test_permissions_outside_are_not_changed_under_landlock(data: HostedData, tmp_path: Path) -> None:
    """Landlock does not know them; the filter of system calls says that they were changed, and changes nothing."""
    code = """
    import os, shutil
    for path in ("RUN", "ROOT/unlabelled/labels.csv", "/usr"):
        os.chmod(path, 0o4777)
        print("said to have changed")
    shutil.copy("run.py", "copy.py")  # a library that copies permissions is not disturbed
    print(os.path.getsize("copy.py") > 0)
    """
    (tmp_path / "run").mkdir()
    places = (tmp_path / "run", data.root / "unlabelled" / "labels.csv", Path("/usr"))
    before = [place.stat().st_mode for place in places]
    hosted = host(code, data, tmp_path, phase=True, seal="landlock")
    assert hosted.printed.split("\n")[:4] == ["said to have changed"] * 3 + ["True"]
    assert [place.stat().st_mode for place in places] == before


@pytest.mark.parametrize("inside", ["data", "run"])
def test_an_entry_is_not_handed_what_is_the_hosts(inside: str, data: HostedData, tmp_path: Path) -> None:
    entry = (data.root if inside == "data" else tmp_path) / "run.py"
    entry.write_text("class ZEWDPCBaseRun: pass\n")
    (tmp_path / "runs").mkdir()
    try:
        with pytest.raises(EntryError, match="lies in the entry's own folder"):
            run_entry(entry, data, tmp_path / "runs", EntrySettings(), labels=1, seconds=1)
    finally:
        entry.unlink()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"ledger.sqlite": b""}, "a host's own data or run"),
        ({"a\x1b[2J.txt": b""}, "printable"),
        ({f"{number}.txt": b"" for number in range(1000)}, "at most 1000 files"),
    ],
    ids=["a ledger", "an odd name", "too many"],
)
def test_what_an_entry_may_not_bring(files: dict[str, bytes], said: str, data: HostedData, tmp_path: Path) -> None:
    with pytest.raises(EntryError, match=said):
        host("pass", data, tmp_path, phase=True, files=files)


def test_folders_without_end_are_refused(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 25)
    deep.mkdir(parents=True)
    (tmp_path / "run.py").write_text("class ZEWDPCBaseRun: pass\n")
    with pytest.raises(EntryError, match="at most 20 folders"):
        list_code(tmp_path / "run.py", 1)


def test_a_strict_umask_and_a_group_that_cannot_be_joined(
    data: HostedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpc_lightning.starter_kit.seal.cgroup.ControlGroup.add", _fails_to_add)
    before = os.umask(0o077)
    try:
        hosted = host("pool.purchase_label(2)", data, tmp_path, phase=True)
    finally:
        os.umask(before)
    assert (hosted.record.how, hosted.bought) == ("finished", [2])
    hungry = next(each for each in HOSTILE if each.name == "uses up the memory")
    hosted = host(hungry.code, data, tmp_path / "hungry", phase=True, **hungry.settings)
    assert "MemoryError" in hosted.record.text  # the address space is bounded where the group is not


def _fails_to_add(group: ControlGroup, process: int) -> None:
    group.bounds_memory = group.bounds_processes = False


def test_weights_are_refused_before_anything_runs(data: HostedData, tmp_path: Path) -> None:
    with pytest.raises(EntryError, match=r"more than the 1 MB.*weights\.pt.*not allowed"):
        host("pass", data, tmp_path, phase=True, files={"weights.pt": bytes(1_100_000)})
    assert not (tmp_path / "run" / "ledger.sqlite").exists()


def test_a_link_out_of_the_entry_is_refused(data: HostedData, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "peek").symlink_to(data.root / "unlabelled" / "labels.csv")
    (tmp_path / "mine" / "run.py").write_text("class ZEWDPCBaseRun: pass\n")
    with pytest.raises(EntryError, match="peek is a link"):
        list_code(tmp_path / "mine" / "run.py", 1)


def processes() -> list[str]:
    """Command lines of all processes of this machine, but for this one's."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found
