from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.data.csv_table import check_classes, parse_labels, read_table
from dpc_lightning.errors import DataError


def _file(folder: Path, content: str | bytes) -> Path:
    file = folder / "labels.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark(tmp_path: Path, end: str, mark: bytes) -> None:
    table = read_table(_file(tmp_path, mark + end.join(["image, dent", "ä.png,1", "", "b.png, 0 ", ""]).encode()))
    assert table.header == ("image", "dent")
    assert table.classes == ("dent",)
    assert table.column("image") == ["ä.png", "b.png"]
    assert [line for line, _ in table.rows] == [2, 4]
    assert parse_labels(table).tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "column `image` in line 1"),
        ("image;dent\na.png;1\n", "Separate the columns by commas"),
        ("file,dent\na.png,1\n", r"columns are \['file', 'dent'\]"),
        ("image,dent,dent\na.png,1,1\n", r"\['dent'\] are repeated"),
        ("image,image,dent\na.png,a.png,1\n", r"\['image'\] are repeated"),
        ("image,dent,\na.png,1,\n", "column 3 has none"),
        ("image,dent\na.png,1\nb.png\n", "2 cells in line 3"),
        ("image,dent\na.png,1,1\n", "2 cells in line 2 .* got 3"),
        ('image,dent\n"a.png,1\n', "comma separated file"),
        (b"image,dent\n\xff\xfe.png,1\n", "in UTF-8"),
        (b"image,dent\na\x00.png", "2 cells in line 2"),
    ],
)
def test_wrong_files_are_refused_by_name(tmp_path: Path, content: str | bytes, match: str) -> None:
    file = _file(tmp_path, content)
    with pytest.raises(DataError, match=match) as error:
        read_table(file)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("cell", ["2", "-1", "", "0.5", "1.0", "yes", "nan", "१"])
def test_a_label_is_0_or_1(tmp_path: Path, cell: str) -> None:
    table = read_table(_file(tmp_path, f"image,dent,scratch\na.png,1,0\nb.png,0,{cell}\n"))
    with pytest.raises(DataError, match="line 3, column `scratch`") as error:
        parse_labels(table)
    assert repr(cell) in str(error.value)


def test_labels_are_small_integers(tmp_path: Path) -> None:
    labels = parse_labels(read_table(_file(tmp_path, "image,group,dent\na.png,g,1\n")))
    assert labels.dtype == np.uint8
    assert labels.shape == (1, 1)


def test_classes_of_another_split_are_compared(tmp_path: Path) -> None:
    table = read_table(_file(tmp_path, "image,dent,scratch\n"))
    check_classes(table, ("dent", "scratch"))
    with pytest.raises(DataError, match=r"\['scratch', 'dent'\].*order \['dent', 'scratch'\]"):
        check_classes(table, ("scratch", "dent"))
    with pytest.raises(DataError, match=r"missing are \['hole'\] and unknown are \['scratch'\]"):
        check_classes(table, ("dent", "hole"))


@pytest.mark.parametrize("classes", ["round,dent", "score,index", "dent,p_dent"])
def test_classes_that_are_called_like_columns_of_a_run_are_refused(tmp_path: Path, classes: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(f"image,{classes}\na.png,0,1\n")
    with pytest.raises(DataError, match=r"Rename these columns"):
        read_table(file)
