"""Augmentation by one policy: emolab's warp beside albumentations and imgaug, per CPU second.

The policy: mirror every other image, turn it by up to 15 degrees, shift by 8 %, zoom by 0.86 to 1.16, shear by 0.1,
change contrast and brightness, blur one in ten, and erase a patch of every other one. Where they differ: emolab and
imgaug stretch width and height apart, albumentations scales both alike; the logarithm of the zoom is uniform here, the
zoom itself there; imgaug erases patches of one size; and each blurs by a kernel of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, interleave, main, ratio, summary
from emolab.config import TrainingConfig
from emolab.training import augment
from emolab.training.augment import warp
from emolab.training.augment.compat import import_augmenters
from emolab.training.fitting.allocator import keep_freed_memory
from emolab.training.runs.recipes import plan

FACE, FACES = 112, 128
Bytes = NDArray[np.uint8]


def run(quick: bool) -> list[Result]:
    """CPU time of all on the same images."""
    return augment_vs_others(quick)


def augment_vs_others(quick: bool) -> list[Result]:
    """``augment_vs_albumentations`` and ``augment_vs_imgaug``, ratios of CPU times, where the libraries are there."""
    repeats = 7 if quick else 31
    keep_freed_memory()
    rng = np.random.default_rng(0)
    grids = rng.integers(0, 256, (FACES, 14, 14, 3), dtype=np.uint8)
    faces = np.stack([cv2.resize(grid, (FACE, FACE), interpolation=cv2.INTER_CUBIC) for grid in grids])
    change = augment.load(plan(TrainingConfig(augmentation="warp", size=FACE), n_train=FACES, color="rgb"))
    contestants: dict[str, Callable[[], object]] = {"emolab": lambda: change(faces, rng)}
    for name, build in (("albumentations", albumentations_policy), ("imgaug", imgaug_policy)):
        made = build()
        if made is None:
            print(
                f'augment_vs_{name} is left out: {name} is not installed. Run: pip install "emolab[dev]"',
                file=sys.stderr,
            )
        else:
            contestants[name] = partial(made, faces)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        taken = interleave(contestants, repeats)
    finally:
        cv2.setNumThreads(threads)
    data = f"{FACE} px, RGB, one thread"
    rows = []
    for name in list(contestants)[1:]:
        value, spread = ratio(taken, name, "emolab")
        rows.append(
            Result(f"augment_vs_{name}", value, "times less CPU", FACES, repeats, spread, f"{data}, same policy")
        )
    for name, seconds in taken.items():
        value, spread = summary([1e6 * one / FACES for one in seconds])
        rows.append(Result(f"augmentation, {name}", value, "CPU us per image", FACES, repeats, spread, data))
    return rows


def albumentations_policy() -> Callable[[Bytes], object] | None:
    """The policy by albumentations (2.0, the last MIT release), image by image as it is meant to be used."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks the network for newer versions
    try:
        import albumentations
    except ModuleNotFoundError:
        return None
    zoom, degrees = float(np.exp(warp.ZOOM)), float(np.rad2deg(np.arctan(warp.SHEAR)))
    compose: Any = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(
                rotate=(-warp.ROTATE, warp.ROTATE),
                translate_percent=(-warp.SHIFT, warp.SHIFT),
                scale=(1 / zoom, zoom),
                shear=(-degrees, degrees),
                border_mode=cv2.BORDER_REFLECT_101,
                p=1.0,
            ),
            albumentations.RandomBrightnessContrast(
                brightness_limit=warp.LIGHT / 255, contrast_limit=warp.CONTRAST, p=1.0
            ),
            albumentations.GaussianBlur(blur_limit=(3, 3), p=warp.BLURRED),
            albumentations.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=warp.PATCH,
                hole_width_range=warp.PATCH,
                fill="random_uniform",
                p=warp.ERASED,
            ),
        ],
        seed=0,
    )
    return lambda images: np.stack([compose(image=image)["image"] for image in images])


def imgaug_policy() -> Callable[[Bytes], object]:
    """The policy by imgaug, a whole batch at a time, which suits it best."""
    iaa = import_augmenters()
    zoom, degrees = float(np.exp(warp.ZOOM)), float(np.rad2deg(np.arctan(warp.SHEAR)))
    contrast = float(np.exp(warp.CONTRAST))
    sequence: Any = iaa.Sequential(
        [
            iaa.Fliplr(0.5),
            iaa.Affine(
                rotate=(-warp.ROTATE, warp.ROTATE),
                translate_percent=dict.fromkeys("xy", (-warp.SHIFT, warp.SHIFT)),
                scale=dict.fromkeys("xy", (1 / zoom, zoom)),
                shear=(-degrees, degrees),
                mode="reflect",
                backend="cv2",
            ),
            iaa.LinearContrast((1 / contrast, contrast)),
            iaa.Add((-int(warp.LIGHT), int(warp.LIGHT))),
            iaa.Sometimes(warp.BLURRED, iaa.GaussianBlur(sigma=0.8)),
            iaa.Sometimes(
                warp.ERASED,
                iaa.Cutout(
                    nb_iterations=1, size=sum(warp.PATCH) / 2, squared=False, fill_mode="constant", cval=(0, 255)
                ),
            ),
        ],
        seed=0,
    )
    return lambda images: sequence(images=images)


if __name__ == "__main__":
    main(run)
