"""People who answer by files: what is written when, what is waited for, and what is never written over."""

import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jsonargparse import ArgumentParser

from dpc_lightning.atomic import write_atomically
from dpc_lightning.errors import ConfigError, LabelsPendingError, OracleError
from dpc_lightning.purchase import files_oracle
from dpc_lightning.purchase.files_oracle import FilesOracle
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.plan import PurchasePlan
from tests.purchase.oracles import CLASSES, names, truth

IMAGES = tuple(f"{index:02}.png" for index in range(20))


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """The folder of requests, beside that of the images."""
    (tmp_path / "images").mkdir()
    for name in IMAGES:
        (tmp_path / "images" / name).write_bytes(f"pixels of {name}".encode())
    return tmp_path / "run" / "requests"


def attached(requests: Path) -> FilesOracle:
    oracle = FilesOracle()
    oracle.attach(folder=requests, images=IMAGES, image_folder=requests.parents[1] / "images", classes=CLASSES)
    return oracle


def fill(file: Path) -> None:
    """Answer as a person does who knows the truth."""
    header, *rows = file.read_text().splitlines()
    filled = [f"{row.rstrip(',')},{','.join(map(str, truth([int(row.split(',')[1])])[0]))}" for row in rows]
    file.write_text("\n".join([header, *filled]) + "\n")


def open_ledger(requests: Path, budget: int = 9) -> Ledger:
    requests.parent.mkdir(parents=True, exist_ok=True)
    return Ledger.open(
        requests.parent / "ledger.sqlite",
        oracle=attached(requests),
        budget=budget,
        pool_size=len(IMAGES),
        classes=CLASSES,
        pool_fingerprint=names,
        sleep=lambda _: pytest.fail("waiting for people is no failure"),
    )


def test_labels_are_asked_for_waited_for_and_read(requests: Path) -> None:
    for start in range(3):  # at the third start the file is still as it was written
        with (
            open_ledger(requests) as ledger,
            pytest.raises(LabelsPendingError, match=r"^waiting for labels: 3 images") as caught,
        ):
            ledger.buy([7, 2, 5], round=1)
        assert str(requests / "round_1.csv") in str(caught.value)
        assert "start the same command again" in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value), "other ranks are told"
        content = (requests / "round_1.csv").read_text()
        assert content == "row,index,image,dent,dirt,scratch\n1,7,07.png,,,\n2,2,02.png,,,\n3,5,05.png,,,\n"
        if start == 0:
            before = (requests / "round_1.csv").stat()
            (requests / "round_1" / "07.png").write_bytes(b"looked at")
        assert (requests / "round_1.csv").stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(file.name for file in (requests / "round_1").iterdir()) == ["02.png", "05.png", "07.png"]
    assert (requests / "round_1" / "02.png").read_bytes() == b"pixels of 02.png"
    assert (requests / "round_1" / "07.png").read_bytes() == b"looked at", "what is asked for is not written again"
    fill(requests / "round_1.csv")
    with open_ledger(requests) as ledger:
        assert ledger.buy([7, 2, 5], round=1).tolist() == truth([7, 2, 5]).tolist()
        assert (ledger.rows, len(ledger.unanswered)) == (3, 0)
        assert ledger._connection.execute("PRAGMA synchronous").fetchone()[0] == 2, "such labels are paid for"
        (requests / "round_1.csv").unlink()
        assert ledger.buy([5], round=1).tolist() == truth([5]).tolist(), "what is on record is not read again"


def test_a_wrong_file_records_nothing_and_is_read_again(requests: Path) -> None:
    with open_ledger(requests) as ledger, pytest.raises(LabelsPendingError):
        ledger.buy([7, 2], round=1)
    file = requests / "round_1.csv"
    fill(file)
    right = file.read_text()
    for wrong in (right.replace("02.png,0", "02.png,"), right.replace("1,7", "1,2"), right.replace("dent", "dnt")):
        file.write_text(wrong)
        with open_ledger(requests) as ledger:
            head = ledger.head
            with pytest.raises(OracleError, match=re.escape(str(file))):
                ledger.buy([7, 2], round=1)
            assert (ledger.head, ledger.unanswered.tolist(), len(ledger.purchases())) == (head, [7, 2], 0)
        assert file.read_text() == wrong
    file.write_text(right)
    with open_ledger(requests) as ledger:
        ledger.settle()
        assert ledger.purchases(2).labels.tolist() == truth([7, 2]).tolist()


def test_a_round_that_buys_in_parts_has_a_file_for_each(requests: Path) -> None:
    for part, (indices, name) in enumerate((([7, 2], "round_1"), ([3], "round_1_part_2"), ([4], "round_1_part_3"))):
        with open_ledger(requests) as ledger:
            with pytest.raises(LabelsPendingError, match=f"{name}.csv"):
                ledger.buy(indices, round=1)
            assert len(list(requests.glob("*.csv"))) == part + 1
            fill(requests / f"{name}.csv")
            assert ledger.buy(indices, round=1).tolist() == truth(indices).tolist()
    with open_ledger(requests) as ledger, pytest.raises(LabelsPendingError, match=r"round_2\.csv"):
        ledger.buy([9], round=2)


def test_a_damaged_file_is_not_taken_for_that_of_another_part(requests: Path) -> None:
    oracle = attached(requests)
    with pytest.raises(LabelsPendingError):
        oracle.label_round(np.array([7]), 1)
    file = requests / "round_1.csv"
    for content in ("", "row,index,image,dent,dirt,scratch\n", "row,index,image,dent,dirt,scratch\n1,6,07.png,1,1,1\n"):
        file.write_text(content)
        with pytest.raises(OracleError, match=re.escape(str(file))):
            oracle.label_round(np.array([7]), 1)
    assert [path.name for path in requests.glob("*.csv")] == ["round_1.csv"]
    file.unlink()  # the way out that the message names
    with pytest.raises(LabelsPendingError):
        oracle.label_round(np.array([7]), 1)
    fill(file)
    assert oracle.label_round(np.array([7]), 1).tolist() == [[1, 1, 1]]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from dpc_lightning.purchase import files_oracle
from tests.purchase.test_files_oracle import attached
write, calls = files_oracle.write_atomically, int(sys.argv[2])
def deadly(file, parts):
    global calls
    calls -= 1
    if calls < 0:
        file.with_name(f".{file.name}.1-00.part").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    write(file, parts)
files_oracle.write_atomically = deadly
attached(Path(sys.argv[1])).label_round(np.array([7, 2]), 1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("written", [1, 2])
def test_a_start_killed_while_it_writes_leaves_no_table_and_the_next_one_writes_all(
    requests: Path, written: int
) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED, str(requests), str(written)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert not (requests / "round_1.csv").exists()
    with pytest.raises(LabelsPendingError):
        attached(requests).label_round(np.array([7, 2]), 1)
    left = sorted(str(path.relative_to(requests)) for path in requests.rglob("*"))
    assert left == ["round_1", "round_1.csv", "round_1/02.png", "round_1/07.png"]


def test_an_image_that_is_gone_and_a_full_disk_are_errors_with_a_way_out(
    requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = requests.parents[1] / "images" / "07.png"
    content = missing.read_bytes()
    missing.unlink()
    with open_ledger(requests) as ledger, pytest.raises(OracleError, match=rf"round_1\.csv.*{missing}.*stays charged"):
        ledger.buy([2, 7], round=1)
    assert not (requests / "round_1.csv").exists()
    missing.write_bytes(content)
    calls = list[Path]()

    def full(file: Path, parts: "list[bytes]") -> None:
        calls.append(file)
        if file.suffix == ".csv":
            raise OSError(28, os.strerror(28))
        write_atomically(file, parts)

    with monkeypatch.context() as patch:
        patch.setattr(files_oracle, "write_atomically", full)
        with open_ledger(requests) as ledger, pytest.raises(OracleError, match="No space left on device.*Make room"):
            ledger.settle()
    assert calls[-1] == requests / "round_1.csv"
    with open_ledger(requests) as ledger:
        assert ledger.rows == 2
        with pytest.raises(LabelsPendingError):
            ledger.settle()


def test_nothing_wanted_writes_nothing(requests: Path) -> None:
    assert attached(requests).label_round(np.zeros(0, np.int64), 1).shape == (0, 3)
    assert not requests.exists()


def test_what_it_does_not_know_is_named(requests: Path) -> None:
    with pytest.raises(OracleError, match="call `attach` first"):
        FilesOracle().label(np.array([0]))
    with pytest.raises(OracleError, match=r"images 0 to 19, but was asked for \[20\]"):
        attached(requests).label(np.array([1, 20]))
    with pytest.raises(LabelsPendingError, match=r"round_0\.csv"):
        attached(requests).label(np.array([1]))
    with pytest.raises(ConfigError, match=r"FilesOracle cannot ask for the classes \['row'\]"):
        FilesOracle().attach(folder=requests, images=IMAGES, image_folder=requests, classes=("row", "dent"))


def test_comes_from_yaml_by_its_short_name() -> None:
    parser = ArgumentParser()
    parser.add_class_arguments(PurchasePlan, "purchase")
    plan = parser.instantiate_classes(parser.parse_args(["--purchase.oracle", "FilesOracle"])).purchase
    assert isinstance(plan.oracle, FilesOracle)
    assert not plan.oracle.simulated
