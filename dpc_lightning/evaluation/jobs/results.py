"""The results of a benchmark: an SQLite file of outcomes by the digest of what determines them."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Self

from dpc_lightning.atomic import write_text
from dpc_lightning.errors import ResultsError
from dpc_lightning.evaluation.jobs.job import Place
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.result import ALL, PROTOCOL, Result

__all__ = ["RESULTS", "ResultsFile", "read_cases", "read_results"]

RESULTS = "results.sqlite"
"""Name of the file in the folder of a benchmark."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outcomes (
    key TEXT PRIMARY KEY, protocol INTEGER NOT NULL, status TEXT NOT NULL, content TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS cases (number INTEGER PRIMARY KEY, key TEXT NOT NULL, content TEXT NOT NULL) STRICT;
"""

_TAKE = """
INSERT INTO outcomes VALUES (?, ?, ?, ?) ON CONFLICT (key)
DO UPDATE SET protocol = excluded.protocol, status = excluded.status, content = excluded.content
WHERE outcomes.status = 'failed'
"""


class ResultsFile:
    """The file in which outcomes are kept: one row a job, written whole or not at all.

    Args:
        path: the file; made if it is missing.
        protocol: version of the protocol that rows must have.
        read_only: whether to leave the file as it is; it must be there then.

    Raises:
        ResultsError: if it cannot be read or written, or if its rows are of another version of the protocol.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, ResultsFile(Path(folder) / "results.sqlite") as results:
        ...     results.put("a1", Outcome.failed("no room"))
        ...     results.outcomes()["a1"].error
        'no room'
    """

    def __init__(self, path: Path, *, protocol: int = PROTOCOL, read_only: bool = False) -> None:
        self.path = path
        with self._guarded():
            if read_only:
                self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=60, uri=True)
                (kept,) = self._connection.execute("SELECT value FROM meta WHERE name = 'protocol'").fetchone()
                found = json.loads(kept)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = sqlite3.connect(path, timeout=60, isolation_level=None)
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.executescript(_SCHEMA)
                found = self.note("protocol", protocol)
        if found != protocol:
            self.close()
            msg = (
                f"{path} holds results of protocol {found}, but this version measures by protocol {protocol}: scores "
                "of the two are not comparable. Give another `--run_dir`."
            )
            raise ResultsError(msg)
        self.protocol = protocol

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def note(self, name: str, value: object) -> object:
        """Keep a fact once: give the value that was kept first.

        Args:
            name: of the fact.
            value: plain data.
        """
        with self._guarded():
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, json.dumps(value)))
            (kept,) = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
            return json.loads(kept)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep the outcome of a job in place of an earlier one."""
        row = (key, self.protocol, outcome.status, outcome.to_json())
        with self._guarded():
            self._connection.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?)", row)

    def outcomes(self) -> dict[str, Outcome]:
        """Read all outcomes by key."""
        with self._guarded():
            rows = self._connection.execute("SELECT key, content FROM outcomes").fetchall()
        return {key: Outcome.from_json(content) for key, content in rows}

    def set_cases(self, cases: Mapping[Place, str]) -> None:
        """Say which cases the benchmark asks for now, and the keys of their outcomes."""
        rows = [(number, key, json.dumps(asdict(case))) for number, (case, key) in enumerate(cases.items())]
        with self._guarded(), self._connection:
            self._connection.execute("BEGIN")
            self._connection.execute("DELETE FROM cases")
            self._connection.executemany("INSERT INTO cases VALUES (?, ?, ?)", rows)

    def cases(self) -> dict[Place, str]:
        """Read the cases in order, with the keys of their outcomes."""
        with self._guarded():
            rows = self._connection.execute("SELECT key, content FROM cases ORDER BY number").fetchall()
            return {Place(**json.loads(content)): key for key, content in rows}

    def results(self) -> list[Result]:
        """Give the outcomes that are there in the order of the cases, failed ones too."""
        outcomes, found = self.outcomes(), []
        for case, key in self.cases().items():
            outcome = outcomes.get(key)
            if outcome is not None:
                place = asdict(case)
                if case.arm == ALL and outcome.bought:
                    place["labels"] = outcome.bought
                given = {each.name: getattr(outcome, each.name) for each in fields(outcome)}
                found.append(Result(key=key, protocol=self.protocol, **place, **given))
        return found

    def export_rows(self, file: Path) -> None:
        """Write all outcomes as lines of JSON, sorted by key, for another machine or for safekeeping.

        Args:
            file: where to; replaced at once.
        """
        lines = [
            json.dumps({"key": key, "protocol": self.protocol, "outcome": json.loads(outcome.to_json())})
            for key, outcome in sorted(self.outcomes().items())
        ]
        write_text(file, "".join(line + "\n" for line in lines))

    def take_rows(self, file: Path) -> int:
        """Take over outcomes that `export_rows` wrote; those that are there already stay, except failed ones.

        Args:
            file: lines of JSON.

        Returns:
            How many were new. Failed ones are left out: they are tried anew here.

        Raises:
            ResultsError: if a line is no outcome, or of another version of the protocol; nothing is taken over then.
        """
        rows = list(_read_rows(file, self.protocol))
        with self._guarded(), self._connection:
            self._connection.execute("BEGIN")
            before = self._connection.total_changes
            self._connection.executemany(_TAKE, rows)
            return self._connection.total_changes - before

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, TypeError) as error:
            msg = (
                f"Cannot use the results in {self.path}: {error}. What was written before is kept; what was being "
                "written is measured again or read from its job's folder. Make room, or if the file is damaged, move "
                "it away: finished jobs are taken from `jobs/` again."
            )
            raise ResultsError(msg) from error


def read_results(run_dir: Path) -> list[Result]:
    """Read the results of a benchmark in the order of its cases.

    Args:
        run_dir: folder of the benchmark.

    Returns:
        Done and failed ones; `read_cases` says which are asked for.

    Raises:
        ResultsError: if there are none, or they cannot be read.
    """
    with _opened(run_dir) as results:
        return results.results()


def read_cases(run_dir: Path) -> dict[Place, str]:
    """Read what a benchmark asks for, measured or not, with the keys of the outcomes.

    Args:
        run_dir: folder of the benchmark.

    Raises:
        ResultsError: if there is no benchmark, or it cannot be read.
    """
    with _opened(run_dir) as results:
        return results.cases()


def _opened(run_dir: Path) -> ResultsFile:
    path = run_dir / RESULTS
    if not path.is_file():
        msg = f"There is no {path}: expected the folder of a benchmark (`benchmark --run_dir`)."
        raise ResultsError(msg)
    try:
        return ResultsFile(path, read_only=True)
    except ResultsError:  # a benchmark that was killed while it wrote left what only a writer can put in order
        return ResultsFile(path)


def _read_rows(file: Path, protocol: int) -> Iterator[tuple[str, int, str, str]]:
    try:
        lines: Iterable[str] = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        msg = f"Expected rows of results in {file}, but it cannot be read: {error}"
        raise ResultsError(msg) from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            key, version, outcome = str(row["key"]), row["protocol"], Outcome.from_json(json.dumps(row["outcome"]))
        except (ValueError, TypeError, KeyError, ResultsError) as error:
            msg = f"{file}, line {number}: expected a row of results (key, protocol, outcome), but: {error!r}"
            raise ResultsError(msg) from error
        if version != protocol:
            msg = f"{file}, line {number}: expected protocol {protocol}, but got {version}: such rows never mix."
            raise ResultsError(msg)
        if outcome.status == "done":
            yield key, protocol, outcome.status, outcome.to_json()
