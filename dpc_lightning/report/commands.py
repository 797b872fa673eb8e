"""`python -m dpc_lightning report DIR`."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Write the report of a folder and say where it is.

    Args:
        argv: the words after `report`.

    Returns:
        0 if it was written.

    Raises:
        RunDirError: if the folder is neither of `fit` nor of `benchmark`, or if the report cannot be written.
        DataError: if a file in it is damaged.
    """
    parser = ArgumentParser(
        prog="python -m dpc_lightning report",
        description="Write one HTML file that shows what a run or a benchmark found, and its tables as CSV and "
        "Markdown. The page refers to nothing outside of itself.",
    )
    parser.add_argument("DIR", type=Path, help="Folder of a finished `fit`, or of a `benchmark`, finished or not.")
    parser.add_argument(
        "--out", type=Path, help="The page; DIR/report.html by default. Tables go to a folder beside it."
    )
    parser.add_argument(
        "--metric",
        default="f1_macro",
        help="Score that a benchmark is judged by: f1_macro (default), f1_macro_at_half, map or exact_match.",
    )
    parser.add_argument(
        "--against",
        metavar="ARM",
        help="Arm of a benchmark, for example that of the default, that all others are compared with besides random.",
    )
    chosen = parser.parse_args(list(argv))
    from dpc_lightning.report.writing import write_report  # noqa: PLC0415  `--help` needs no library of pictures

    page = write_report(chosen.DIR, out=chosen.out, metric=chosen.metric, against=chosen.against)
    print(f"The report is {page}")
    return 0
