"""The worker process, driven through its standard input and output."""

import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from dpc_lightning.data.synthetic import worker
from dpc_lightning.data.synthetic.settings import SheetSettings


def drive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    order = {
        "folder": str(folder),
        "settings": asdict(SheetSettings(px=16, prevalence=(0.1,) * 6)),
        "stretches": [{"split": "test", "start": 3, "stop": 5}],
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(order)))
    monkeypatch.setattr("cv2.setNumThreads", lambda _: None)
    return worker.main()


def test_answers_a_line_for_each_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test" / "images").mkdir(parents=True)
    assert drive(tmp_path, monkeypatch) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["stretch"] == {"split": "test", "start": 3, "stop": 5}
    assert [group for _, group in answer["rows"]] == ["test-000003", "test-000004"]
    names = sorted(path.name for path in (tmp_path / "test" / "images").iterdir())
    assert names == ["sheet_000003.png", "sheet_000004.png"]


def test_says_why_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drive(tmp_path / "absent", monkeypatch) == 1
    assert "sheet_000003.png" in capsys.readouterr().err
