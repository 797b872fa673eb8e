"""A part of the campaign on damaged request files."""

from collections import Counter
from pathlib import Path

from tests.purchase.request_fuzz import fuzz_case


def test_damaged_request_files_are_read_as_they_were_meant_or_refused(tmp_path: Path) -> None:
    outcomes = Counter(fuzz_case(seed, tmp_path) for seed in range(300))
    assert min(outcomes["read"], outcomes["refused"]) > 30, outcomes
