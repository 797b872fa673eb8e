"""The table of `data check`."""

import io
from pathlib import Path

from rich.console import Console

from dpc_lightning.data.root_report import RootReport, SplitReport, print_report


def printed(report: RootReport) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=120))
    return stream.getvalue()


def test_one_table_with_counts_prevalence_and_all_lines() -> None:
    training = SplitReport(
        "training", listed=["a", "b"], files=["a", "c"], classes=("dent[s]",), labels={"a": (1,), "b": (0,)}
    )
    pool = SplitReport("unlabelled", listed=["x"], files=["x"], sizes={(8, 8), (16, 9)})
    text = printed(RootReport(Path("some/root"), [training, pool], ["first [bad]", "second"], ["careful"]))
    assert text.count("┏") == 1
    assert "dent[s]" in text
    for measure, cells in (("images listed", "2 │ 1"), ("listed, but absent", "1 │ 0"), ("dent[s]", "50.0% │ -")):
        row = next(line for line in text.splitlines() if measure in line)
        assert " ".join(row.split()).endswith(f"{cells} │"), row
    assert "8 x 8 to 16 x 9" in text
    assert "error: first [bad]" in text
    assert text.rstrip().endswith("2 errors, 1 warnings")
    assert "hidden labels" not in text


def test_says_that_hidden_labels_were_read() -> None:
    pool = SplitReport("unlabelled", listed=["x"], files=["x"], classes=("dent",), labels={"x": (1,)})
    assert "hidden labels of unlabelled/ were read" in printed(RootReport(Path("root"), [pool]))
