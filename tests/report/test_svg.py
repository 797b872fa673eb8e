"""Drawings as parts of a page."""

import re
from xml.etree import ElementTree as ET

import pytest

from dpc_lightning.report.svg import HATCHES, INK, LINES, MARKERS, SERIES, drawing, svg_of

NASTY = '</text><script>alert(1)</script> id="x" #101010 $a$'


def drawn(name: str = "a-name") -> str:
    with drawing() as figure:
        axes = figure.add_subplot()
        axes.plot([1, 2], color=SERIES[0], marker="o", label=NASTY)
        axes.barh([1], [2], color=SERIES[1], hatch="//", edgecolor=INK)
        axes.set_title(NASTY)
        figure.legend()
        return svg_of(figure, name, "A <title>", "What & why")


def test_the_drawing_is_named_described_and_small() -> None:
    svg = drawn()
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "a-name-name a-name-about"
    assert [part.text for part in root[:2]] == ["A <title>", "What & why"]
    assert len(svg) < 30_000
    assert not re.search(r"<metadata|<style|<!--|<\?xml|<!DOCTYPE", svg)


def test_colours_and_fonts_are_those_of_the_page() -> None:
    tags = "".join(re.findall("<[^>]+>", drawn()))
    assert "var(--series-1)" in tags
    assert "var(--ink)" in tags
    assert not re.findall(r"#[0-9a-f]{6}\b", tags)
    assert set(re.findall(r"font: ([^;\"]+)", tags)) <= {f"{size}px var(--sans)" for size in (9, "9.5", 10)} | {
        "bold 9.5px var(--sans)",
        "700 9.5px var(--sans)",
    }


def test_a_name_stays_text_whatever_it_holds() -> None:
    root = ET.fromstring(drawn())
    texts = [part.text for part in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count(NASTY) == 2  # title and legend
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def test_ids_of_two_drawings_differ_and_lead_somewhere() -> None:
    first, second = drawn("one"), drawn("two")
    ids = [set(re.findall(r'\bid="([^"]+)"', re.sub(">[^<]*<", "><", svg))) for svg in (first, second)]
    assert not ids[0] & ids[1]
    tags = "".join(re.findall("<[^>]+>", first))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', tags)) <= ids[0]


def test_the_same_drawing_is_the_same_text() -> None:
    assert drawn() == drawn()


def test_every_series_has_cues_beside_its_colour() -> None:
    assert len(set(SERIES)) == len(set(MARKERS)) == len(set(LINES)) == len(set(HATCHES)) == 8


@pytest.mark.parametrize("name", ["_hidden", "漢字"])
def test_names_that_matplotlib_finds_odd_are_drawn_without_a_word(name: str) -> None:
    from dpc_lightning.report.charts import Line, draw_lines, legend_below

    with drawing() as figure:
        draw_lines(figure.add_subplot(), [Line(name, (1.0, 2.0), (0.5, 0.6))])
        legend_below(figure)
        assert name in svg_of(figure, "x", "x", "x")
