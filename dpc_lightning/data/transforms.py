"""Augmentation by albumentations, with randomness that depends on (seed, epoch, source, index) alone.

The same image in the same epoch is changed in the same way by whichever worker or rank loads it, in whatever order, and
after any resume. No state has to be saved for that.
"""

import hashlib
import os
import random
from typing import TYPE_CHECKING, Literal, Self

import cv2
import numpy as np

from dpc_lightning.data.decoding import Pixels
from dpc_lightning.errors import ConfigError

if TYPE_CHECKING:
    import albumentations

__all__ = ["Augmentation", "Blur", "Kind", "blur_at", "build_augmentation", "gaussian_blur"]

Kind = Literal["none", "flips", "full"]
"""`none`; `flips`: the symmetries of a square; `full`: these, shuffled colour channels, contrast and brightness."""

Blur = Literal["none", "train", "test", "both"]
"""Where images are blurred by a Gaussian: nowhere, in training, in evaluation and scoring, or in both alike."""

BLUR_SIGMA = 1 / 64
"""Standard deviation of the blur as a share of the image's side: one pixel at 64 pixels."""


def blur_at(blur: Blur, stage: Literal["train", "test"]) -> bool:
    """Say whether images are blurred at a stage.

    Args:
        blur: the setting.
        stage: `train` for training steps, `test` for validation, test, scoring of the pool and prediction.

    Returns:
        Whether to blur.

    Raises:
        ConfigError: if the setting is none of the four words.

    Example:
        >>> [blur_at(blur, "test") for blur in ("none", "train", "test", "both")]
        [False, False, True, True]
    """
    if blur not in {"none", "train", "test", "both"}:
        msg = f"Expected `blur` to be none, train, test or both, but got {blur!r}."
        raise ConfigError(msg)
    return blur in {stage, "both"}


def gaussian_blur(pixels: Pixels) -> Pixels:
    """Blur by a Gaussian whose width is `BLUR_SIGMA` of the shorter side; nothing is drawn.

    Args:
        pixels: `(H, W, 3)` uint8.

    Returns:
        `(H, W, 3)` uint8.
    """
    sigma = BLUR_SIGMA * min(pixels.shape[:2])
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), dtype=np.uint8)


class Augmentation:
    """Change an image in a way that depends on its key alone.

    Args:
        kind: which changes.
        blur: whether to blur at the end, always and by the same width, so that training and evaluation can agree.
        seed: of the run, 0 or more.

    Raises:
        ConfigError: if `kind` is none of the three words.

    Example:
        >>> augment = Augmentation("flips", blur=False, seed=1)
        >>> image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
        >>> first = augment(image, epoch=0, source="training", index=7)
        >>> bool((first == augment(image, epoch=0, source="training", index=7)).all())
        True
    """

    def __init__(self, kind: Kind, blur: bool, seed: int) -> None:  # noqa: FBT001  its place is fixed by pickling
        if kind not in {"none", "flips", "full"}:
            msg = f"Expected the augmentation to be none, flips or full, but got {kind!r}."
            raise ConfigError(msg)
        self.kind: Kind = kind
        self.blur = blur
        self.seed = seed
        self._steps = None if kind == "none" else _compose(kind)
        # Both generators are made once: setting the key of a Philox costs a tenth of making a new one.
        self._bits = np.random.Philox(key=0)
        self._fresh = self._bits.state
        self._python = random.Random(0)  # noqa: S311  albumentations draws from one; nothing here is a secret
        if self._steps is not None:
            self._steps.set_random_state(np.random.Generator(self._bits), self._python)

    def __reduce__(self) -> tuple[type[Self], tuple[Kind, bool, int]]:
        return type(self), (self.kind, self.blur, self.seed)

    def __call__(self, pixels: Pixels, *, epoch: int, source: str, index: int) -> Pixels:
        """Augment one image.

        Args:
            pixels: `(H, W, 3)` uint8, H equal to W; not changed.
            epoch: of the phase, from 0.
            source: split that the index belongs to.
            index: row of that split's manifest.

        Returns:
            `(H, W, 3)` uint8.
        """
        if self._steps is not None:
            self._reseed(epoch, source, index)
            pixels = np.asarray(self._steps(image=pixels)["image"], dtype=np.uint8)
        return gaussian_blur(pixels) if self.blur else pixels

    def _reseed(self, epoch: int, source: str, index: int) -> None:
        message = f"{self.seed}/{epoch}/{source}/{index}".encode()
        digest = hashlib.blake2b(message, digest_size=24).digest()
        self._fresh["state"]["key"][:] = np.frombuffer(digest, dtype=np.uint64, count=2)
        self._bits.state = self._fresh
        self._python.seed(int.from_bytes(digest[16:], "little"))


def _compose(kind: Kind) -> "albumentations.Compose":
    # Without this the import asks a server for a newer version.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations  # noqa: PLC0415  takes a second, and only augmented training needs it

    steps: list[albumentations.BasicTransform] = [albumentations.D4(p=1)]
    if kind == "full":
        steps.append(albumentations.ChannelShuffle(p=1))
        steps.append(albumentations.RandomBrightnessContrast(brightness_limit=0.05, contrast_limit=0.25, p=1))
    return albumentations.Compose(steps)


def build_augmentation(kind: Kind, blur: Blur, seed: int) -> Augmentation:
    """Build the augmentation of a training phase.

    Args:
        kind: which changes.
        blur: where images are blurred.
        seed: of the run, 0 or more.

    Returns:
        The augmentation, which blurs if `blur` names training.

    Raises:
        ConfigError: if a word is unknown.
    """
    return Augmentation(kind, blur_at(blur, "train"), seed)
