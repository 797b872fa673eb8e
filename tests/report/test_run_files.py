"""Files of a run that are not what a run writes: named, with the row or the key."""

import json
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.errors import DataError
from dpc_lightning.report.run_files import RunFiles
from tests.report.run_folder import summary, write_run


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in summary().items() if name != key}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("summary.json", '{"test": ', "cannot be read"),
        ("summary.json", "[]", "Expected a JSON object"),
        ("summary.json", json.dumps(without("phases")), "got nothing for `phases`"),
        ("summary.json", json.dumps(summary() | {"classes": "six"}), "got str 'six' for `classes`"),
        ("summary.json", json.dumps(summary() | {"phases": [{"name": "x"}]}), "of another form"),
        ("purchases.csv", "order,index\n1,2\n", "to begin with the columns order, round, index, image, score"),
        ("purchases.csv", "order,round,index,image,score,a\n1,1,x,1.png,,0\n", "row 2"),
        ("purchases.csv", "order,round,index,image,score,a\n1,1,3,1.png,,0\n1,1\n", "row 3"),
        ("purchases.csv", "", "is empty"),
        ("metrics.csv", "step\n1\n", "to begin with the columns phase, step"),
        ("metrics.csv", "phase,step,val/map\npretrain,1,high\n", "row 2"),
        ("config.yaml", "data: [", "cannot be read"),
        ("config.yaml", "- a\n", "got list"),
        ("ledger.sqlite", "no database", "ledger.sqlite"),
    ],
)
def test_a_damaged_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, content: str, said: str
) -> None:
    folder = write_run(tmp_path / "run")
    (folder / file).write_text(content)
    assert main(["report", str(folder)]) == 2
    shown = capsys.readouterr().err
    assert str(folder / file) in shown
    assert said in shown
    assert not (folder / "report.html").exists()


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "purchases.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"purchases\.csv"):
        RunFiles.read(folder)


def test_what_is_gone_is_no_error(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    for name in ("purchases.csv", "metrics.csv", "config.yaml"):
        (folder / name).unlink()
    files = RunFiles.read(folder)
    assert (files.purchases, files.metrics, files.config, files.images, files.ledger_rows) == ((), (), {}, None, None)


def test_purchases_are_read_with_their_labels(tmp_path: Path) -> None:
    first = RunFiles.read(write_run(tmp_path / "run")).purchases[2]
    assert (first.order, first.round, first.index, first.image) == (3, 1, 497, "3.png")
    assert first.score == pytest.approx(1 / 3)
    assert first.labels == ("scratch_small", "<script>document.title='taken'</script>")
