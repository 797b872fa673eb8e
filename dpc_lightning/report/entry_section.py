"""What came of an entry of the competition, where the folder is that of one."""

import json
from pathlib import Path
from typing import Any

from dpc_lightning.errors import DataError
from dpc_lightning.report.page import Block, Facts, Section, Text
from dpc_lightning.report.table import Column, Table

__all__ = ["entry_sections"]

RECORD = Path("entry") / "entry.json"


def entry_sections(folder: Path) -> tuple[Section, ...]:
    """Tell of the entry; nothing where there is none.

    Args:
        folder: of the benchmark.

    Raises:
        DataError: if what the entry left is damaged.
    """
    file = folder / RECORD
    if not file.exists():
        return ()
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return (Section("entry", "The entry", _blocks(record)),)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"Expected what came of an entry in {file}, but it cannot be read: {error!r}."
        raise DataError(msg) from error


def _blocks(record: dict[str, Any]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if not record["seal"]:
        blocks.append(Text("UNSEALED: the entry could read the hidden labels. Its score proves nothing.", "warning"))
    allowed = record["seconds_allowed"]
    blocks.append(
        Facts(
            (
                ("Labels bought", str(record["bought"]), f"of {record['labels']}"),
                ("Seconds", f"{record['seconds']:.1f}", "no limit" if allowed is None else f"of {allowed:g}"),
                ("End", record["how"], ""),
                ("Sealed", "yes" if record["seal"] else "no", f"by {record['seal'] or 'nothing'}"),
            )
        )
    )
    if record["text"]:
        blocks.append(Text(record["text"], "plain" if record["how"] == "finished" else "warning"))
    if record["returned"] >= 0:
        blocks.append(Text(f"The last phase returned {record['returned']} indices; what counts is what was bought."))
    if record["disguised"]:
        blocks.append(Text("One in eight values of the pool's images was off by one, by a secret seed."))
    blocks.append(Text(f"The ledger's head is {record['head']}."))
    rows = tuple((each["name"], each["size"], each["sha256"]) for each in record["code"])
    columns = (Column("file"), Column("bytes", number=True), Column("sha256"))
    blocks.append(Table("entry-files", "Files that the entry brought", columns, rows))
    return tuple(blocks)
