"""Scenes: labels follow from what is on the sheet."""

from dataclasses import replace

import pytest

from dpc_lightning.data.synthetic.draw import draw_scene
from dpc_lightning.data.synthetic.scene import DENT_EDGE, SCRATCH_EDGE, Dent, Particle, Scene, Scratch, Stain
from dpc_lightning.data.synthetic.settings import PRESETS

BARE = replace(draw_scene(PRESETS["default"], 0, "training", 0)[0], scratches=(), dents=(), particles=(), stains=())


def scratch(length: float) -> Scratch:
    return Scratch(points=((0.1, 0.1),) * 7, length=length, width=0.01, contrast=0.5, sign=1.0)


def dent(radius: float) -> Dent:
    return Dent(centre=(0.5, 0.5), radius=radius, aspect=1.0, angle=0.0, contrast=0.5)


SPECK = Particle(centre=(0.5, 0.5), corners=((0.0, 0.01),) * 7, shade=0.1, contrast=0.5)
PATCH = Stain(centre=(0.5, 0.5), radius=0.2, aspect=1.0, edge=((0.0,) * 6,) * 6, tint=(1.0, 0.0, 0.0), contrast=0.5)


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (BARE, [0, 0, 0, 0, 0, 0]),
        (replace(BARE, scratches=(scratch(0.299),)), [1, 0, 0, 0, 0, 0]),
        (replace(BARE, scratches=(scratch(SCRATCH_EDGE),)), [0, 1, 0, 0, 0, 0]),
        (replace(BARE, scratches=(scratch(0.2), scratch(0.5))), [1, 1, 0, 0, 0, 0]),
        (replace(BARE, dents=(dent(0.104),)), [0, 0, 1, 0, 0, 0]),
        (replace(BARE, dents=(dent(DENT_EDGE),)), [0, 0, 0, 1, 0, 0]),
        (replace(BARE, particles=(SPECK, SPECK)), [0, 0, 0, 0, 1, 0]),
        (replace(BARE, stains=(PATCH,)), [0, 0, 0, 0, 0, 1]),
    ],
)
def test_labels_follow_from_the_scene(scene: Scene, expected: list[int]) -> None:
    assert scene.labels().tolist() == expected
