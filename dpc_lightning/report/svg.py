"""Matplotlib's drawings as parts of a page: small, named, described, in the colours of the page's theme."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["GRID", "HATCHES", "INK", "LINES", "MARKERS", "MUTED", "PAPER", "SERIES", "drawing", "svg_of"]

INK, MUTED, GRID, PAPER = "#101010", "#101011", "#101012", "#101013"
"""Colours that stand for those of the page: of text, of lesser text, of lines behind, and of the paper."""

SERIES = tuple(f"#2020{number:02x}" for number in range(1, 9))
"""Colours that stand for the page's series, told apart by people who are colour-blind too, with the cues below."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (6, 1.5, 1.5, 1.5)),
    (0, (9, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2, 2.5)),
    (0, (8, 1.5, 2, 1.5)),
)
HATCHES = ("", "///", "---", "\\\\\\", "xxx", "|||", "+++", "//")
"""Second cues of a series: its marker, its line, the pattern of its bars."""

_THEME = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)", PAPER: "var(--paper)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)
}

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.8,
    "path.simplify": True,
    "path.simplify_threshold": 0.5,
}


@contextmanager
def drawing(width: float = 6.2, height: float = 3.4) -> Iterator[Figure]:
    """Draw in the report's style.

    Args:
        width: width of the drawing in inches.
        height: its height in inches.

    Yields:
        An empty figure; give it to `svg_of` before the block ends.
    """
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def svg_of(figure: Figure, name: str, title: str, description: str) -> str:
    """Give a drawing as an `<svg>` element that stands in a page.

    Args:
        figure: drawn with `INK`, `SERIES` and the like as colours.
        name: unique in the page; every id in the drawing begins with it.
        title: read out as the drawing's name.
        description: read out for those who do not see it.

    Example:
        >>> with drawing() as figure:
        ...     _ = figure.add_subplot().plot([1, 2], color=SERIES[0])
        ...     svg = svg_of(figure, "line", "A line", "It rises.")
        >>> svg[:10], "var(--series-1)" in svg, "<script" in svg
        ('<svg role=', True, False)
    """
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.* missing")  # the page's fonts are others
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return _as_part_of_a_page(text.getvalue(), name, title, description)


def _as_part_of_a_page(document: str, name: str, title: str, description: str) -> str:
    """Strip what makes a drawing a document; give its ids, colours and fonts to the page."""
    for foreign in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<!--.*?-->"):
        document = re.sub(foreign, "", document, flags=re.DOTALL)

    def themed(tag: re.Match[str]) -> str:  # only inside of tags: a text may look like anything
        text = re.sub(r'\bid="', f'id="{name}-', tag[0])
        text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
        text = re.sub(r"(font: (?:[\w-]+ )*?[\d.]+px) [^;\"]+", r"\1 var(--sans)", text)
        return re.sub("#[0-9a-f]{6}", lambda found: _THEME.get(found[0], found[0]), text)

    opening, body = document[document.index("<svg") :].split(">", 1)
    view = re.search(r'viewBox="0 0 ([\d.]+) [\d.]+"', opening)
    assert view is not None, "matplotlib writes no viewBox any more"
    said = f'role="img" aria-labelledby="{name}-name {name}-about" style="width:{float(view[1]) * 4 / 3:.0f}px"'
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    named = f'<title id="{name}-name">{escape(title)}</title><desc id="{name}-about">{escape(description)}</desc>'
    body = re.sub(r"\n\s*", "\n", re.sub("<[^>]+>", themed, body))
    return f"<svg {said} {view[0]} {spaces}>{named}{body}"
