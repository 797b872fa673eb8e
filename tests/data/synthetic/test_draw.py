"""Drawing: what an image depends on, how often classes occur, clusters, dials."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.data.synthetic.draw import cluster_of, draw_scene
from dpc_lightning.data.synthetic.scene import DENT_EDGE, SCRATCH_EDGE, Scene
from dpc_lightning.data.synthetic.settings import CLASSES, CLUSTER_SIZE, PRESETS, Knobs, Split

DEFAULT = PRESETS["default"]

# measured on 20,000 scenes of the trial recipe (notes of the project, default preset)
EXPECTED = {
    "scratch_small": 0.359,
    "scratch_large": 0.086,
    "dent_small": 0.316,
    "dent_large": 0.061,
    "stray_particle": 0.120,
    "discoloration": 0.103,
}


def scenes(knobs: Knobs, count: int, split: Split = "training", seed: int = 0) -> list[Scene]:
    return [draw_scene(knobs, seed, split, index)[0] for index in range(count)]


def test_prevalence_is_that_of_the_recipe() -> None:
    count = 2000
    labels = np.array([scene.labels() for scene in scenes(DEFAULT, count)])
    clean = float((labels.sum(axis=1) == 0).mean())
    for expected, share in [*zip(EXPECTED.values(), labels.mean(axis=0), strict=True), (0.33, clean)]:
        # 4 standard deviations of the sample, and the rounding and sampling error of the expected figure
        assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / count) ** 0.5 + 0.008)


def test_prevalence_follows_exactly_from_the_rates() -> None:
    rates, count = DEFAULT.prevalence, 2000
    labels = np.array([scene.labels() for scene in scenes(DEFAULT, count, seed=5)])
    for rate, share in zip(rates, labels.mean(axis=0), strict=True):
        expected = (1 - DEFAULT.clean) * (1 - np.exp(-rate)) / (1 - np.exp(-sum(rates)))
        assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / count) ** 0.5)


def test_only_the_classes_with_a_rate_occur() -> None:
    only_dents = replace(DEFAULT, prevalence=(0.0, 0.0, 0.0, 0.7, 0.0, 0.0), clean=0.0)
    assert all(scene.labels().tolist() == [0, 0, 0, 1, 0, 0] for scene in scenes(only_dents, 50))
    tiny = replace(DEFAULT, prevalence=(0.0, 0.0, 0.0, 0.0, 0.0, 1e-12), clean=0.0)
    assert all(scene.labels().tolist() == [0, 0, 0, 0, 0, 1] for scene in scenes(tiny, 20))


@pytest.mark.parametrize("ambiguity", [0.0, 0.5, 1.0])
def test_ambiguity_is_the_gap_between_small_and_large(ambiguity: float) -> None:
    knobs = replace(DEFAULT, ambiguity=ambiguity, prevalence=(2.0, 2.0, 2.0, 2.0, 0.0, 0.0), clean=0.0)
    drawn = scenes(knobs, 200)
    lengths = np.array([scratch.length for scene in drawn for scratch in scene.scratches])
    radii = np.array([dent.radius for scene in drawn for dent in scene.dents])
    for sizes, edge, low, high in ((lengths, SCRATCH_EDGE, 0.26, 0.34), (radii, DENT_EDGE, 0.09, 0.125)):
        small, large = sizes[sizes < edge].max(), sizes[sizes >= edge].min()
        assert small <= low + (edge - low) * ambiguity
        assert large >= high + (edge - high) * ambiguity - 1e-12
        assert large - small == pytest.approx((high - low) * (1 - ambiguity), abs=0.1 * (high - low))


def test_difficulty_lowers_the_floor_of_the_contrast() -> None:
    floors = []
    for difficulty in (0.0, 0.5, 1.0):
        drawn = scenes(replace(DEFAULT, difficulty=difficulty), 400)
        floors.append(min(dent.contrast for scene in drawn for dent in scene.dents))
    assert floors[0] >= 0.30
    assert 0.15 <= floors[1] < 0.25
    assert floors[2] < 0.1


def test_shift_changes_the_test_alone() -> None:
    still, moved = replace(DEFAULT, shift=0.0), replace(DEFAULT, shift=1.0)
    for split in ("training", "validation"):
        assert scenes(still, 20, split) == scenes(moved, 20, split)
    dark = np.mean([scene.brightness for scene in scenes(moved, 400, "test")])
    bright = np.mean([scene.brightness for scene in scenes(still, 400, "test")])
    assert bright - dark > 0.05


def test_splits_seeds_and_numbers_differ() -> None:
    drawn = [
        draw_scene(DEFAULT, seed, split, index)[0].light
        for seed in (0, 1)
        for split in ("training", "test")
        for index in (0, 1)
    ]
    assert len(set(drawn)) == len(drawn)


def test_damages_lie_on_the_sheet_and_paint_does_not_burn_out() -> None:
    for split in ("training", "unlabelled", "test"):
        for scene in scenes(PRESETS["shifted"], 300, split):
            points = [point for scratch in scene.scratches for point in scratch.points]
            points += [dent.centre for dent in scene.dents] + [speck.centre for speck in scene.particles]
            points += [stain.centre for stain in scene.stains]
            assert all(0 <= u <= 1 and 0 <= v <= 1 for u, v in points)
            assert max(scene.paint) * scene.brightness * (1 + 1.6 * 0.7072 * scene.gradient) < 0.92


@given(redundancy=st.floats(0, 1), size=st.integers(1, 600))
def test_clusters_fill_up_and_take_their_share(redundancy: float, size: int) -> None:
    clusters = [cluster for index in range(size) if (cluster := cluster_of(index, redundancy)) is not None]
    assert abs(len(clusters) - redundancy * size) < 1
    counts = np.bincount(clusters) if clusters else np.zeros(1, dtype=np.int64)
    assert (counts[:-1] == CLUSTER_SIZE).all()
    assert counts[-1] <= CLUSTER_SIZE


def test_near_duplicates_share_group_and_labels_but_not_the_picture() -> None:
    members = [index for index in range(100) if cluster_of(index, 0.5) == 1]
    drawn = [draw_scene(DEFAULT, 0, "unlabelled", index) for index in members]
    assert len(members) == CLUSTER_SIZE
    assert {group for _, group in drawn} == {"unlabelled-cluster-00001"}
    assert len({scene.labels().tobytes() for scene, _ in drawn}) == 1
    assert len({scene.brightness for scene, _ in drawn}) == CLUSTER_SIZE
    assert len({scene.paint for scene, _ in drawn}) == 1


def test_all_classes_have_a_name() -> None:
    assert tuple(EXPECTED) == CLASSES
