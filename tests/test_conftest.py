"""In continuous integration nothing skips but what needs a GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = """
import pytest

@pytest.mark.skipif(True, reason="no second rank here")
def test_two_ranks(): pass

@pytest.mark.gpu
@pytest.mark.skipif(True, reason="needs a CUDA device")
def test_device(): pass
"""


@pytest.mark.parametrize(("environ", "outcome"), [({"CI": "true"}, "1 skipped, 1 error"), ({}, "2 skipped")])
def test_a_skip_is_a_failure_in_ci(tmp_path: Path, environ: dict[str, str], outcome: str) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    (tmp_path / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu: needs a GPU\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    path = {"PATH": "/usr/bin:/bin"}
    ended = subprocess.run(command, cwd=tmp_path, env=path | environ, capture_output=True, text=True, check=False)
    assert outcome in ended.stdout
    assert ("no second rank here" in ended.stdout) == bool(environ)
