import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dpc_lightning.data.decoding import fit_square, read_image
from dpc_lightning.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]


def _saved(folder: Path, image: Image.Image, name: str = "a.png", **options: object) -> np.ndarray:
    image.save(folder / name, **options)  # type: ignore[arg-type]
    return read_image(folder / name)


def test_rgb_is_read_as_it_is(tmp_path: Path) -> None:
    pixels = _saved(tmp_path, Image.fromarray(RGB))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, RGB)


def test_grey_is_spread(tmp_path: Path) -> None:
    expected = np.repeat(GREY[:, :, None], 3, axis=2)
    assert np.array_equal(_saved(tmp_path, Image.fromarray(GREY)), expected)
    with_alpha = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(GREY // 2)))
    assert np.array_equal(_saved(tmp_path, with_alpha), expected)
    black_white = Image.fromarray(GREY > 127)
    assert np.array_equal(_saved(tmp_path, black_white), expected // 128 * 255)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_scaled(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 257, 128, 129, 32_768, 65_535]], dtype=np.uint16)
    pixels = _saved(tmp_path, Image.fromarray(deep), f"a{suffix}")
    assert pixels[0, :, 0].tolist() == [0, 1, 0, 1, 128, 255]
    assert (pixels == pixels[:, :, :1]).all()


def test_the_colour_under_alpha_is_kept(tmp_path: Path) -> None:
    alpha = np.dstack([RGB, np.zeros_like(GREY)])
    assert np.array_equal(_saved(tmp_path, Image.fromarray(alpha)), RGB)


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(8)
    expected = np.array(palette.convert("RGB"))
    assert np.array_equal(_saved(tmp_path, palette), expected)
    assert np.array_equal(_saved(tmp_path, palette, transparency=0), expected)
    assert np.array_equal(_saved(tmp_path, palette, transparency=bytes(range(8))), expected)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    cyan = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    pixels = _saved(tmp_path, cyan, "a.jpg")
    assert np.abs(pixels.astype(int) - [0, 255, 255]).max() < 8


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    pixels = _saved(tmp_path, Image.fromarray(RGB), "a.png", exif=exif)
    assert np.array_equal(pixels, np.rot90(RGB, -1))


def test_a_jpeg_may_be_read_smaller(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=95)
    small = read_image(tmp_path / "a.jpg", at_least=64)
    assert small.shape == (64, 64, 3)
    full = fit_square(read_image(tmp_path / "a.jpg"), 32).astype(int)
    assert np.abs(fit_square(small, 32) - full).max() < 6


@pytest.mark.parametrize(
    "kind", ["empty", "text", "truncated png", "truncated jpg", "absent", "folder", "float", "deep"]
)
def test_what_is_no_image_is_named(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    if kind == "empty":
        file.touch()
    elif kind == "text":
        file.write_text("image,label\n")
    elif kind.startswith("truncated"):
        stream = io.BytesIO()
        Image.fromarray(noise).save(stream, "PNG" if kind.endswith("png") else "JPEG")
        file.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    elif kind == "folder":
        file.mkdir()
    elif kind == "float":
        file = tmp_path / "a.tif"
        Image.fromarray(noise[:, :, 0].astype(np.float32)).save(file)
    elif kind == "deep":
        file = tmp_path / "a.tif"
        Image.fromarray(noise[:, :, 0].astype(np.int32) * 70_000).save(file)
    with pytest.raises(DataError, match=r"cannot be read: .+\. Replace the file or remove its row") as error:
        read_image(file)
    assert str(file) in str(error.value)


@given(
    content=st.binary(max_size=200),
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff"]),
)
def test_random_bytes_are_refused_and_nothing_else_is_raised(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "random.png"
    file.write_bytes(start + content)
    with pytest.raises(DataError):
        read_image(file)


def test_shrinking_averages(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    assert (fit_square(stripes, 16) == 100).all()
    assert fit_square(stripes, 64) is stripes


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(0, 255))
def test_any_shape_becomes_a_square_and_a_plain_image_stays_plain(
    height: int, width: int, size: int, value: int
) -> None:
    square = fit_square(np.full((height, width, 3), value, dtype=np.uint8), size)
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    assert (square == value).all()
