"""A page of the report as Markdown: the same sentences and tables, without the pictures."""

from collections.abc import Iterator

from dpc_lightning.report.page import Block, Drawing, Facts, Gallery, Heading, Page, Text
from dpc_lightning.report.table import Table, markdown_text

__all__ = ["as_markdown"]


def as_markdown(page: Page) -> str:
    """Give a report as Markdown.

    Args:
        page: the report.

    Example:
        >>> print(as_markdown(Page("A run", "All of it.", (), "Made by hand.")))
        # A run
        <BLANKLINE>
        All of it.
        <BLANKLINE>
        Made by hand.
        <BLANKLINE>
    """
    parts = [f"# {markdown_text(page.title)}", markdown_text(page.lead)]
    for section in page.sections:
        parts.append(f"## {markdown_text(section.title)}")
        for block in section.blocks:
            parts.extend(_parts(block))
    return "\n\n".join([*parts, markdown_text(page.made)]) + "\n"


def _parts(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        mark = {"plain": "", "empty": "", "warning": "**Mind:** "}.get(block.kind, f"**{block.kind}:** ")
        yield mark + markdown_text(block.text)
    elif isinstance(block, Heading):
        yield f"### {markdown_text(block.text)}"
    elif isinstance(block, Facts):
        yield "\n".join(
            f"- {markdown_text(name)}: **{markdown_text(value)}** {markdown_text(remark)}".rstrip()
            for name, value, remark in block.items
        )
    elif isinstance(block, Drawing):
        yield f"**{markdown_text(block.title)}.** {markdown_text(block.description)}"
        if block.table is not None:
            yield from _parts(block.table)
    elif isinstance(block, Gallery):
        yield f"{markdown_text(block.title)}:"
        yield "\n".join(f"- {markdown_text(', '.join(image.lines))}" for image in block.images)
    elif isinstance(block, Table):
        yield f"{markdown_text(block.title)} (`{block.name}.csv`)"
        yield block.markdown()
