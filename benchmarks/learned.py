"""What face48's record of learned images recognises, and what it takes for learned by mistake.

Recall: faces of FER+ train that it learned from, encoded and resized again. Mistakes: faces of FER+ valid, which were
kept apart (their exact copies were taken out of training, near copies were not), drawn faces, and random fingerprints,
for which the stated rates hold. Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import Result, main
from emolab.datasets.voted_dataset import read
from emolab.demonstration.drawn_faces import draw_faces
from emolab.taxonomy import PRESETS
from emolab.training.learned import fingerprints, learned_images
from emolab.training.networks import bundled

#: Learned faces, drawn faces and random fingerprints, and those of the quick run.
FACES, DRAWN, RANDOM = 5_000, 5_000, 1_000_000
QUICK = (300, 300, 100_000)


def encoded(image: Image.Image, form: str = "PNG", **options: int) -> bytes:
    """``image`` as a file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def resized(side: int, how: Image.Resampling, form: str = "PNG") -> Callable[[Image.Image], bytes]:
    """A way to make a face ``side`` pixels wide."""
    return lambda image: encoded(image.resize((side, side), how), form)


WAYS: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG": encoded,
    "PNG in colour": lambda image: encoded(image.convert("RGB")),
    "JPEG, quality 90": lambda image: encoded(image, "JPEG", quality=90),
    "JPEG, quality 75": lambda image: encoded(image, "JPEG", quality=75),
    "32 pixels, bilinear": resized(32, Image.Resampling.BILINEAR),
    "40 pixels, Lanczos": resized(40, Image.Resampling.LANCZOS),
    "96 pixels, bicubic": resized(96, Image.Resampling.BICUBIC),
    "112 pixels, nearest": resized(112, Image.Resampling.NEAREST),
    "224 pixels, bilinear, JPEG": resized(224, Image.Resampling.BILINEAR, "JPEG"),
}


def run(quick: bool) -> list[Result]:
    """Shares of learned faces that are recognised and of others that are taken for them, in per cent."""
    faces, drawn, random = QUICK if quick else (FACES, DRAWN, RANDOM)
    record = learned_images.read(bundled.ROOT / "face48" / learned_images.FILE, of="face48")
    folder = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).parents[2] / "shared") / "data"
    train, valid = (
        [item for item in read(f"ferplus:{folder / f'ferplus_{part}.zip'}", PRESETS["ferplus8"]).media]
        for part in ("train", "valid")
    )
    rng = np.random.default_rng(0)
    order = rng.permutation(len(train))[: 2 * faces]
    tried = [train[row] for row in order.tolist()]
    known = record.has(fingerprints.of_media(tried))  # copies of judged faces were taken out of training
    images = [opened(item) for item, hit in zip(tried, known, strict=True) if hit][:faces]
    rows = [
        share(f"recognised: {name}", record.has(fingerprints.of_media([way(image) for image in images])))
        for name, way in WAYS.items()
    ]
    apart = valid[:faces] if quick else valid
    rows.append(
        share("taken for learned: FER+ valid", record.has(fingerprints.of_media(apart)), "near copies included")
    )
    made = [face.png for face in draw_faces(drawn, rng)]
    rows.append(share("taken for learned: drawn faces", record.has(fingerprints.of_media(made))))
    rows.append(share("taken for learned: random fingerprints", record.has(random_prints(random, rng))))
    return rows


def opened(item: bytes | Path) -> Image.Image:
    """The picture of a file in gray."""
    return Image.open(io.BytesIO(item if isinstance(item, bytes) else item.read_bytes())).convert("L")


def random_prints(n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fingerprints (n, 31) of no images, all of use."""
    found = rng.integers(0, 256, (n, fingerprints.BYTES), dtype=np.uint8)
    found[:, 24:30] %= 64
    found[:, 30] = 1
    return found


def share(name: str, hits: NDArray[np.bool_], note: str = "") -> Result:
    """One row."""
    return Result(name, 100 * float(hits.mean()), "%", n=len(hits), note=f"{int(hits.sum()):,} {note}".strip())


if __name__ == "__main__":
    main(run)
