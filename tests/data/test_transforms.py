import pickle
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.data.transforms import Augmentation, Kind, blur_at, build_augmentation, gaussian_blur
from dpc_lightning.errors import ConfigError

IMAGE = np.random.default_rng(0).integers(40, 200, (8, 8, 3), dtype=np.uint8)


def _symmetries(image: np.ndarray) -> list[bytes]:
    turned = [np.rot90(image, turn) for turn in range(4)]
    return [np.ascontiguousarray(one).tobytes() for turn in turned for one in (turn, turn[:, ::-1])]


@settings(deadline=None)  # the first call imports albumentations
@given(st.sampled_from(["flips", "full"]), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), max_size=8))
def test_what_is_drawn_depends_on_the_key_alone(kind: Kind, before: list[tuple[int, int]]) -> None:
    used, fresh = Augmentation(kind, blur=False, seed=4), Augmentation(kind, blur=False, seed=4)
    for epoch, index in before:
        used(IMAGE, epoch=epoch, source="training", index=index)
    sent = pickle.loads(pickle.dumps(used))
    expected = fresh(IMAGE, epoch=2, source="training", index=7)
    for augment in (used, sent, fresh):
        assert np.array_equal(augment(IMAGE, epoch=2, source="training", index=7), expected)


def test_each_part_of_the_key_matters() -> None:
    def draw(seed: int = 0, epoch: int = 0, source: str = "training", index: int = 0) -> bytes:
        return Augmentation("full", blur=False, seed=seed)(IMAGE, epoch=epoch, source=source, index=index).tobytes()

    drawn = {draw(), draw(seed=1), draw(epoch=1), draw(source="unlabelled"), draw(index=1)}
    assert len(drawn) == 5


def test_flips_are_the_eight_symmetries_equally_often() -> None:
    augment = Augmentation("flips", blur=False, seed=0)
    drawn = [augment(IMAGE, epoch=0, source="training", index=index).tobytes() for index in range(1_600)]
    counts = [drawn.count(one) for one in _symmetries(IMAGE)]
    assert sum(counts) == 1_600
    assert np.abs(np.array(counts) - 200).max() < 5 * np.sqrt(1_600 / 8 * 7 / 8)


def test_full_also_shuffles_channels_and_changes_contrast_within_limits() -> None:
    plain = np.zeros((2, 2, 3), dtype=np.uint8) + np.array([60, 100, 160], dtype=np.uint8)
    augment = Augmentation("full", blur=False, seed=0)
    pixels = np.array(
        [augment(plain, epoch=0, source="training", index=index)[0, 0] for index in range(600)], dtype=float
    )
    orders = {tuple(np.argsort(pixel).tolist()) for pixel in pixels}
    assert orders == set(permutations(range(3)))
    slope = (np.sort(pixels, axis=1)[:, 2] - np.sort(pixels, axis=1)[:, 0]) / 100
    assert 0.73 < slope.min() < 0.8
    assert 1.2 < slope.max() < 1.27
    offset = np.sort(pixels, axis=1)[:, 0] - 60 * slope
    assert np.abs(offset).max() < 0.05 * 255 + 2


@pytest.mark.parametrize("kind", ["none", "flips", "full"])
def test_shape_type_and_input_stay(kind: Kind) -> None:
    image = IMAGE.copy()
    image.flags.writeable = False
    out = Augmentation(kind, blur=True, seed=0)(image, epoch=0, source="training", index=0)
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    assert np.array_equal(image, IMAGE)
    assert np.array_equal(Augmentation("none", blur=False, seed=0)(image, epoch=0, source="test", index=0), IMAGE)


def test_blur_is_one_fixed_gaussian_for_training_and_test() -> None:
    dot = np.zeros((64, 64, 3), dtype=np.uint8)
    dot[32, 32] = 255
    blurred = gaussian_blur(dot)
    assert abs(int(blurred[32, 32, 0]) - 255 / (2 * np.pi)) < 3  # sigma of one pixel at 64
    assert np.array_equal(Augmentation("none", blur=True, seed=0)(dot, epoch=1, source="training", index=1), blurred)
    assert (gaussian_blur(np.full((1, 1, 3), 9, dtype=np.uint8)) == 9).all()


def test_the_switch_is_asked_the_same_way_for_both_stages() -> None:
    answers = {blur: (blur_at(blur, "train"), blur_at(blur, "test")) for blur in ("none", "train", "test", "both")}
    assert answers == {"none": (False, False), "train": (True, False), "test": (False, True), "both": (True, True)}
    assert [build_augmentation("none", blur, 0).blur for blur in ("test", "both")] == [False, True]


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ConfigError, match="none, flips or full"):
        Augmentation("all", blur=False, seed=0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="none, train, test or both"):
        blur_at("yes", "test")  # type: ignore[arg-type]
