"""The picture of a purchase: what is in it, what it bears, and that it is complete or absent."""

import csv
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from PIL import Image

from dpc_lightning.errors import RunDirError
from dpc_lightning.report.purchase_picture import draw_purchases
from dpc_lightning.run_dir import RunDir

SIX = ("scratch_small", "scratch_large", "dent_small", "dent_large", "stray_particle", "discoloration")


def a_run(folder: Path, rounds: Sequence[int], classes: Sequence[str] = SIX) -> RunDir:
    """Write what the picture is made from: every class on every second image, images of one colour."""
    images = folder / "data" / "unlabelled" / "images"
    images.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": {"root": str(folder / "data")}}))
    with (folder / "purchases.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["order", "round", "index", "image", "score", *classes])
        order = 0
        for number, count in enumerate(rounds, start=1):
            for _ in range(count):
                order += 1
                Image.new("RGB", (20, 10), (250, 0, 0)).save(images / f"{order}.png")
                writer.writerow([order, number, order, f"{order}.png", "", *[order % 2 for _ in classes]])
    return RunDir(folder)


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(path) as image:
        image.load()
        return np.asarray(image.convert("RGB"))


def drawn(monkeypatch: pytest.MonkeyPatch, run_dir: RunDir) -> Figure:
    """Draw, and give the figure before it becomes pixels."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: object, **kwargs: object) -> None:
        figures.append(figure)
        save(figure, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", keep)
    assert draw_purchases(run_dir) == run_dir.picture
    return figures[0]


@pytest.mark.parametrize(("rounds", "shown"), [([1], 1), ([20] * 8, 96), ([3, 1, 12], 16)], ids=str)
def test_every_round_shows_its_most_preferred_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: list[int], shown: int
) -> None:
    figure = drawn(monkeypatch, a_run(tmp_path, rounds))
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert len(texts) == len(figure.axes) == shown
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert [title.split(",")[0] for title in titles] == [f"round {n}: {k} bought" for n, k in enumerate(rounds, 1)]
    red = (np.abs(pixels(tmp_path / "purchases.png").astype(int) - (250, 0, 0)).sum(axis=2) < 30).sum()
    assert red > shown * 4000  # each image has its place: 135 x 67 pixels


def test_index_and_labels_stand_below_and_nothing_leaves_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"a very long class name of a defect ${number}" for number in range(12)]
    figure = drawn(monkeypatch, a_run(tmp_path, [12, 12], names))
    first, second = (axes.texts[0].get_text().split("\n") for axes in figure.axes[:2])
    assert second == ["#2", "clean"]
    assert first[0] == "#1"
    assert first[-1] == "and 8 more"
    assert len(set(first)) == 6  # names that differ at their end are told apart
    boxes = [text.get_window_extent() for axes in figure.axes for text in (*axes.texts, axes._left_title)]  # type: ignore[attr-defined]
    whole = figure.bbox
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1 for box in boxes if box.width)
    below = sorted((axes.texts[0].get_window_extent() for axes in figure.axes[:12]), key=lambda box: box.x0)
    assert all(left.x1 <= right.x0 for left, right in pairwise(below))


def test_an_image_that_is_gone_or_broken_leaves_an_empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = a_run(tmp_path, [3])
    images = tmp_path / "data" / "unlabelled" / "images"
    (images / "1.png").unlink()
    (images / "2.png").write_bytes(b"no image")
    figure = drawn(monkeypatch, run_dir)
    said = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert ["not there\nany more" in texts for texts in said] == [True, True, False]
    shutil.rmtree(tmp_path / "data")
    assert draw_purchases(run_dir) is not None


def test_nothing_bought_is_no_picture(tmp_path: Path) -> None:
    assert draw_purchases(a_run(tmp_path, [])) is None
    assert draw_purchases(RunDir(tmp_path / "nowhere")) is None


def test_a_picture_that_cannot_be_written_is_an_error_and_leaves_no_part_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = a_run(tmp_path, [2])

    def full(figure: Figure, path: Path, **kwargs: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(RunDirError, match=r"purchases\.png: No space left on device\. Make room"):
        draw_purchases(run_dir)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "data", "purchases.csv"]
