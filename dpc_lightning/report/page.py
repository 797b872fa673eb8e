"""What a page of the report consists of, and how it becomes one file without a request to anywhere."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from dpc_lightning.report.table import Table

__all__ = ["Block", "Drawing", "Facts", "Gallery", "Heading", "Image", "Page", "Section", "Text", "render", "tables_of"]


@dataclass(frozen=True)
class Text:
    """A sentence or more.

    Attributes:
        text: plain text.
        kind: `plain`; `empty` says why there is nothing to see; `warning` must not be overlooked; the others are
            verdicts.
    """

    text: str
    kind: Literal["plain", "empty", "warning", "better", "worse", "not shown", "too few seeds"] = "plain"


@dataclass(frozen=True)
class Heading:
    """A heading within a section.

    Attributes:
        text: plain text.
    """

    text: str


@dataclass(frozen=True)
class Facts:
    """A few numbers in large letters.

    Attributes:
        items: name, value and a remark (or an empty text), as shown.
    """

    items: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Drawing:
    """A picture by a library, and the table of what it shows.

    Attributes:
        name: unique in the page.
        title: what it is.
        description: what is to be seen in it, for those who do not see it.
        svg: made by `svg_of`.
        table: its numbers.
    """

    name: str
    title: str
    description: str
    svg: str
    table: Table | None = None


@dataclass(frozen=True)
class Image:
    """A small picture of an image.

    Attributes:
        source: a `data:` address, or None if the image is not there.
        alt: what it is, in words.
        lines: what stands below it.
    """

    source: str | None
    alt: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """Images under a heading.

    Attributes:
        title: the heading.
        images: in their order.
    """

    title: str
    images: tuple[Image, ...]


Block = Text | Heading | Facts | Drawing | Gallery | Table


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes:
        name: its anchor.
        title: its heading.
        blocks: from top to bottom. A section without data says why.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        title: its heading and the name of its window.
        lead: a sentence below the heading.
        sections: from top to bottom.
        made: what made the page and of what, for its foot.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    made: str


def tables_of(page: Page) -> Iterator[tuple[Section, Table]]:
    """List the tables of a page from top to bottom, those beside drawings too.

    Args:
        page: a report.
    """
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                yield section, block
            elif isinstance(block, Drawing) and block.table is not None:
                yield section, block.table


def render(page: Page) -> str:
    """Give the page as HTML that stands alone: it refers to nothing, and its own policy forbids every request.

    Args:
        page: the report. Whatever its texts hold is shown as it is and never becomes markup.

    Example:
        >>> html = render(Page("<b>", "All of it.", (), "made by hand"))
        >>> "<h1>&lt;b&gt;</h1>" in html, "src=" in html
        (True, False)
    """
    script, style = _part("script.js"), _part("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = _environment().get_template("page.html")
    return template.render(page=page, script=script, style=style, script_digest=digest)


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("dpc_lightning.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["kind"] = lambda block: type(block).__name__
    found.filters["breakable"] = lambda text: re.sub(r"([_/])", "\\1\u200b", text)
    return found


def _part(name: str) -> str:
    return files("dpc_lightning.report").joinpath("templates", name).read_text(encoding="utf-8")
