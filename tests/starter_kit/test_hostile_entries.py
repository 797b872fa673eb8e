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
from dpc_lightning.starter_kit.hosted_data import HostedData
from dpc_lightning.starter_kit.material import list_code
from dpc_lightning.starter_kit.seal import landlock
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


@pytest.mark.parametrize("name", ["kills everybody it can", "forks without end", "leaves processes behind", "hangs"])
def test_landlock_ends_what_a_namespace_would(
    name: str, data: HostedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a namespace of processes: what an entry has started ends with it all the same."""
    assert landlock.version() >= 6
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
