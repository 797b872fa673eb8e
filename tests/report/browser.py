"""A page looked at in a real browser without a window, and what must hold of every page."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PLACES = ("chromium", "chromium-browser", "google-chrome", "chrome")

CONTRAST = """() => {
  const parse = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return found.length > 3 ? found : [...found, 1];
  };
  const over = (front, back) => front.slice(0, 3).map((value, i) => value * front[3] + back[i] * (1 - front[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colour = element ? parse(getComputedStyle(element).backgroundColor) : [255, 255, 255, 1];
    return !element || colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
  };
  const poor = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest("script, style, title, desc")) continue;
    const style = getComputedStyle(element);
    const back = behind(element.closest("svg") ? element.closest("svg").parentElement : element);
    const text = over(parse(element.closest("svg") ? style.fill : style.color), back);
    const [high, low] = [light(text), light(back)].sort((a, b) => b - a);
    seen += 1;
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.tagName} ${element.textContent.trim().slice(0, 40)}`);
  }
  return [seen, poor];
}"""


@dataclass
class Seen:
    """What a page did while it was open.

    Attributes:
        page: the open page.
        said: what it wrote to the console, and errors that nothing caught.
        asked: addresses that it asked for, without those that hold their own content.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def cells(self, table: str) -> list[list[str]]:
        """The texts of a table's body, also of one that is folded away."""
        script = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        found: list[list[str]] = self.page.eval_on_selector_all(f"#table-{table} tbody tr", script)
        return found

    def poor_contrast(self) -> list[str]:
        """Texts that stand out from what is behind them by less than 4.5 to 1."""
        seen, poor = self.page.evaluate(CONTRAST)
        assert seen > 50
        found: list[str] = poor
        return found


def chromium() -> str:
    """Where the browser is; a test without one fails."""
    named = os.environ.get("DPC_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, PLACES)), None)
    if found is None or not Path(found).exists():
        pytest.fail(
            f"The report is tested in a real browser, and there is none{f' at {named}' if named else ''}: "
            "`apt-get install chromium`, or name one by DPC_CHROMIUM."
        )
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(
    started: Browser, file: Path, width: int = 1280, scheme: Literal["light", "dark"] = "light", **more: Any
) -> Iterator[Seen]:
    """Open a page and watch it."""
    context = started.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **more)
    try:
        seen = Seen(context.new_page())
        seen.page.on("console", lambda message: seen.said.append(message.text))
        seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
        seen.page.on("request", lambda request: seen.asked.append(request.url))
        seen.page.goto(file.as_uri())
        yield seen
    finally:
        context.close()


def check_stands_alone(seen: Seen, file: Path) -> None:
    """Nothing was said, nothing was asked for but the file itself, every reference inside leads somewhere."""
    assert seen.said == []
    assert [address for address in seen.asked if not address.startswith("data:")] == [file.as_uri()]
    html = file.read_text(encoding="utf-8")
    without = re.sub(r'xmlns(:xlink)?="http://www\.w3\.org/[\w/]+"', "", html)
    assert not re.search(r'(src|href|action|srcset)="(?!#|data:)|url\((?!#|"?data:)|@import', without)
    lost = seen.page.evaluate(
        """() => {
          const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
          const wanted = [...document.querySelectorAll('[aria-labelledby], a[href^="#"], use, [clip-path]')].flatMap(
            (e) => [...(e.getAttribute('aria-labelledby') || '').split(' '),
              ...[e.getAttribute('href'), e.getAttribute('xlink:href'), e.getAttribute('clip-path')].map((link) =>
                (link || '').replace(/^url\\(#|\\)$|^#/g, ''))]).filter(Boolean);
          return [wanted.filter((id) => !ids.includes(id)), ids.filter((id, place) => ids.indexOf(id) !== place)];
        }"""
    )
    assert lost == [[], []]


def check_narrow(seen: Seen) -> None:
    """The page is no wider than its window, and its tables scroll in boxes of their own."""
    wide, window = seen.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window == 360
    for element in seen.page.query_selector_all("details"):
        element.evaluate("e => { e.open = true }")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360
