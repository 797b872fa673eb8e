"""What came of an entry, on the page."""

import json
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.errors import DataError
from dpc_lightning.report.entry_section import entry_sections
from dpc_lightning.report.page import Facts, Text
from dpc_lightning.report.table import Table

RECORD: dict[str, Any] = {
    "seal": "namespaces",
    "bought": 7,
    "labels": 10,
    "seconds": 1.26,
    "seconds_allowed": 60.0,
    "how": "raised",
    "text": "In `purchase_phase`: <b>ValueError</b>",
    "returned": 9,
    "disguised": True,
    "head": "ab" * 32,
    "code": [{"name": "run.py", "size": 12, "sha256": "cd" * 32}],
}


def told(tmp_path: Path, **changes: object) -> list[Any]:
    """The blocks of a record."""
    (tmp_path / "entry").mkdir(exist_ok=True)
    (tmp_path / "entry" / "entry.json").write_text(json.dumps(RECORD | changes))
    (section,) = entry_sections(tmp_path)
    return list(section.blocks)


def test_without_an_entry_there_is_nothing(tmp_path: Path) -> None:
    assert entry_sections(tmp_path) == ()


def test_it_says_how_the_entry_ended_and_what_it_brought(tmp_path: Path) -> None:
    blocks = told(tmp_path)
    facts = next(block for block in blocks if isinstance(block, Facts))
    assert facts.items == (
        ("Labels bought", "7", "of 10"),
        ("Seconds", "1.3", "of 60"),
        ("End", "raised", ""),
        ("Sealed", "yes", "by namespaces"),
    )
    texts = [(block.kind, block.text) for block in blocks if isinstance(block, Text)]
    assert ("warning", RECORD["text"]) in texts
    assert any("9 indices" in text for _, text in texts)
    assert any("off by one" in text for _, text in texts)
    table = next(block for block in blocks if isinstance(block, Table))
    assert table.rows == (("run.py", 12, "cd" * 32),)


def test_what_was_not_sealed_is_a_warning_before_all_else(tmp_path: Path) -> None:
    first = told(tmp_path, seal="", how="finished", text="", returned=-1, disguised=False, seconds_allowed=None)[0]
    assert isinstance(first, Text)
    assert first.kind == "warning"
    assert first.text.startswith("UNSEALED")


@pytest.mark.parametrize("content", ["{", "[]", '{"seal": ""}'])
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / "entry.json").write_text(content)
    with pytest.raises(DataError, match=r"entry\.json, but it cannot be read"):
        entry_sections(tmp_path)
