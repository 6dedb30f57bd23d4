"""Whether a forgotten picture is known when it comes again in another size or quality, and what else is taken for one.

The tombstones of forgotten faces of FER+ train are asked about copies of these faces, by the look that `collect` makes
of each picture. Beside it stands the hash of the catalog, compared exactly, by which alone pictures were known before.
Others: faces of FER+ train that were not forgotten; copies among them are counted as mistakes too. Needs the test data
pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness import Result, main
from benchmarks.learned import WAYS, encoded, opened, share
from emolab.catalog.privacy.tombstones import Tombstones
from emolab.datasets.voted_dataset import read
from emolab.modalities.image.look import known_by, look
from emolab.modalities.image.quality import gray_thumbnail, perceptual_hash
from emolab.taxonomy import PRESETS
from emolab.workspace import Workspace

#: Faces that are forgotten, those that come again, others; and in the quick run.
FORGOTTEN, AGAIN, OTHERS = 1_000, 1_000, 10_000
QUICK = (200, 200, 500)
COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    **WAYS,
    "24 pixels, bilinear": lambda face: encoded(face.resize((24, 24), Image.Resampling.BILINEAR)),
    "15 % brighter": lambda face: encoded(face.point(lambda level: min(255, level * 1.15))),
    "one pixel cut off all around": lambda face: encoded(face.crop((1, 1, face.width - 1, face.height - 1))),
}


def run(quick: bool) -> list[Result]:
    """Shares of copies that are known, and of others taken for the forgotten, in per cent."""
    forgotten, again, others = QUICK if quick else (FORGOTTEN, AGAIN, OTHERS)
    file = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).parents[2] / "shared") / "data/ferplus_train.zip"
    if not file.is_file():
        sys.exit(f"The test data pack is not at {file.parents[1]}; set EMOLAB_TEST_DATA.")
    media = read(f"ferplus:{file}", PRESETS["ferplus8"]).media
    order = np.random.default_rng(0).permutation(len(media))[: forgotten + others].tolist()
    faces = [opened(media[row]) for row in order]
    with tempfile.TemporaryDirectory() as folder:
        stones = Tombstones(Workspace.init(Path(folder) / "faces", classes=("happiness", "sadness")))
        stones.add(
            (), map(coarse, faces[:forgotten]), [number for face in faces[:forgotten] for number in seen(face)[:1]]
        )
        rows = []
        for name, way in COPIES.items():
            came = [Image.open(io.BytesIO(way(face))).convert("L") for face in faces[:again]]
            exact = np.array([stones.alike(coarse(face)) for face in came])
            rows.append(share(f"known: {name}", np.array([stones.alike(None, seen(face)) for face in came])))
            rows.append(share(f"known before: {name}", exact))
        rest = np.array([stones.alike(coarse(face), seen(face)) for face in faces[forgotten:]])
        rows.append(share(f"others taken for one of {forgotten:,} forgotten", rest, "copies included"))
    return rows


def seen(face: Image.Image) -> list[int]:
    """The numbers by which a picture is known, its own first."""
    return known_by(look(gray_thumbnail(face)))


def coarse(face: Image.Image) -> int:
    """The hash of the catalog."""
    return perceptual_hash(gray_thumbnail(face))


if __name__ == "__main__":
    main(run)
