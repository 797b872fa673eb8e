"""Files that hypothesis makes up: each is read, or refused by an error that names it."""

import logging
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.cli import GROUPS
from dpc_lightning.data.manifest import read_labelled
from dpc_lightning.errors import DataError, DpcError, LedgerError, OracleError
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.oracle import HiddenLabels
from tests.fuzzing import yaml_fuzz
from tests.fuzzing.verdict import require
from tests.purchase.request_files import filled_cells, request_in

NAMES = ("a.png", "b.png", "c.png")
cells = st.one_of(
    st.sampled_from(["0", "1", "", " 1", "1.0", "image", "group", "dent", "row", "index", *NAMES]),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=6),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
)
tables = st.lists(st.lists(cells, max_size=6), max_size=8).map(lambda rows: "\n".join(map(",".join, rows)).encode())
anything = st.one_of(st.binary(max_size=200), tables, st.text(max_size=80).map(lambda text: text.encode("utf-16")))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A split of three images, for all examples."""
    with TemporaryDirectory() as place:
        (Path(place) / "images").mkdir()
        for name in NAMES:
            (Path(place) / "images" / name).touch()
        yield Path(place)


@settings(max_examples=80)
@given(content=anything)
def test_labels(folder: Path, content: bytes) -> None:
    (folder / "labels.csv").write_bytes(content)
    try:
        found = read_labelled(folder)
        assert found.labels.shape == (len(NAMES), len(found.classes))
        assert set(np.unique(found.labels)) <= {0, 1}
    except DataError as error:
        require(str(folder) in str(error), "the message names no file")
    assert (folder / "labels.csv").read_bytes() == content


@settings(max_examples=150)
@given(content=anything, place=st.tuples(st.integers(0, 6), st.integers(0, 5)), cell=cells)
def test_requests(folder: Path, content: bytes, place: tuple[int, int], cell: str) -> None:
    request = request_in(folder)
    rows = filled_cells(request)
    truth = [row[3:] for row in rows[1:]]
    rows[place[0]][place[1]] = '"' + cell.replace('"', '""') + '"'
    filled = "\n".join(
        ",".join(cells if number == place[0] else map(quoted, cells)) for number, cells in enumerate(rows)
    )
    for written in (content, filled.encode(errors="replace")):
        request.file.write_bytes(written)
        try:
            labels = request.read()
        except OracleError as error:
            require(str(request.file) in str(error), "the message names no file")
        else:
            if labels is not None:  # no other row's labels than its own, but for the one cell that was changed
                wrong = np.argwhere(labels.astype(str) != np.array(truth))
                assert all((row + 1, column + 3) == place for row, column in wrong.tolist())
        assert request.file.read_bytes() == written


def quoted(cell: str) -> str:
    return f'"{cell}"'


@settings(max_examples=100)
@given(content=st.binary(max_size=300), header=st.booleans())
def test_ledgers(folder: Path, content: bytes, header: bool) -> None:
    file = folder / "ledger.sqlite"
    content = (b"SQLite format 3\0" if header else b"") + content
    file.write_bytes(content)
    try:
        with Ledger.read(file) as ledger:
            ledger.verify()
    except LedgerError as error:
        require(str(file) in str(error), "the message names no file")
    assert file.read_bytes() == content


@settings(max_examples=60)
@given(
    kind=st.text(max_size=9), payload=st.one_of(st.text(max_size=20), st.integers(), st.none(), st.binary(max_size=9))
)
def test_ledgers_with_a_row_that_another_program_has_added(folder: Path, kind: str, payload: Any) -> None:
    file = folder / "added.sqlite"
    file.unlink(missing_ok=True)
    Ledger.open(file, oracle=HiddenLabels(), budget=2, pool_size=3, classes=["a"], pool_fingerprint=str).close()
    connection = sqlite3.connect(file)
    row = (2, kind, payload, 0.0, "0" * 64)
    try:
        connection.execute("INSERT INTO events VALUES (?,?,?,?,?)", row)
        connection.commit()
    except (sqlite3.Error, UnicodeEncodeError, OverflowError):
        return  # the file's own guards refuse it
    finally:
        connection.close()
    with pytest.raises(LedgerError, match="added.sqlite"), Ledger.read(file) as ledger:
        ledger.verify()


KEYS = ("class_path", "init_args", "labels", "rounds", "lr", "epochs")
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
trees = st.recursive(
    scalars,
    lambda node: st.one_of(
        st.lists(node, max_size=3),
        st.dictionaries(
            st.sampled_from(["class_path", "init_args", "labels", "rounds", "lr", "epochs"]), node, max_size=3
        ),
    ),
    max_leaves=6,
)
configurations = st.dictionaries(st.sampled_from([*GROUPS, "threads", "run_dir", "seed_everything"]), trees, max_size=3)


@settings(max_examples=60)
@given(configuration=configurations)
def test_yaml(folder: Path, configuration: dict[str, Any]) -> None:
    file, said = folder / "run.yaml", StringIO()
    file.write_text(yaml.safe_dump({"data": {"root": "nowhere"}, **configuration}), encoding="utf-8")
    logging.disable(logging.WARNING)
    try:
        with redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yaml_fuzz.build(["fit", f"--config={file}", "--trainer.accelerator=cpu", "--trainer.devices=1"])
    except DpcError as error:
        require(bool(str(error).strip()), "there is no message")
    except SystemExit as stop:
        require(stop.code == 2 and "error: " in said.getvalue(), "the parser gave no message")
    finally:
        logging.disable(logging.NOTSET)
