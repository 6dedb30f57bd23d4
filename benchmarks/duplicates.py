"""Near copies: how many of each kind are found, and what it costs, beside two searches by hash in the same run.

Copies are made of images drawn from FER+ valid, on which nothing was tuned (drawn faces where the data are not there),
one kind of change at a time, and searched for among all of them and the originals. Baselines: the 64-bit hash that
emolab used before (within 4 bits), and the difference hash of ImageHash (dHash, within 10 bits, the usual limit),
encoded again. `EMOLAB_PAIRS=FILE.png` writes up to 300 of the pairs found among the originals, to be looked at: whether
two faces are one photo is for a person to say.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from benchmarks import duplicates_hash
from benchmarks.harness import Result, main, measured, summary
from emolab.datasets.near_copies import pairs as copies
from emolab.datasets.near_copies.thumbnails import of_media
from emolab.demonstration.drawn_faces import draw_faces
from emolab.modalities.image.look import look
from emolab.modalities.image.quality import perceptual_hash

DATA = Path(os.environ.get("EMOLAB_TEST_DATA", Path(__file__).parents[2] / "shared")) / "data"
CUBIC = Image.Resampling.BICUBIC
#: Images that the cost is measured on.
MANY = 32_000


def encoded(image: Image.Image, quality: int) -> Image.Image:
    """``image`` as JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("L")


def cropped(image: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    """``image`` without ``share`` of each side, from anywhere, in the old size."""
    size = round(image.width * (1 - share))
    x, y = rng.integers(0, image.width - size + 1, 2).tolist()
    return image.crop((x, y, x + size, y + size)).resize(image.size, CUBIC)


def gamma(image: Image.Image, power: float) -> Image.Image:
    """``image`` with another gamma."""
    return image.point([round(255 * (level / 255) ** power) for level in range(256)])


def turned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """``image`` turned by 3 degrees to either side, black where there was nothing."""
    return image.rotate(float(rng.choice((-3, 3))), CUBIC)


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "JPEG 90": lambda image, _: encoded(image, 90),
    "JPEG 50": lambda image, _: encoded(image, 50),
    "twice the size": lambda image, _: image.resize((image.width * 2, image.height * 2), CUBIC),
    "224 px, JPEG 80": lambda image, _: encoded(image.resize((224, 224), CUBIC), 80),
    "gamma 0.7": lambda image, _: gamma(image, 0.7),
    "brightness +25 %": lambda image, _: ImageEnhance.Brightness(image).enhance(1.25),
    "brightness -25 %": lambda image, _: ImageEnhance.Brightness(image).enhance(0.75),
    "crop 5 %": lambda image, rng: cropped(image, 0.05, rng),
    "crop 10 %": lambda image, rng: cropped(image, 0.10, rng),
    "turned 3 degrees": turned,
    "mirrored": lambda image, _: ImageOps.mirror(image),
    "mirrored, JPEG 50": lambda image, _: encoded(ImageOps.mirror(image), 50),
}


def run(quick: bool) -> list[Result]:
    """Return recall by change, the pairs among the originals, and CPU seconds."""
    images, name = originals("valid", 600 if quick else None)
    seeds = 2 if quick else 3
    each = 100 if quick else 500
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.permutation(len(images))[:each])
        for change, make in CHANGES.items():
            made = [make(images[i], rng) for i in chosen.tolist()]
            for search, number in searched([*images, *made]).items():
                same = number[chosen] == number[len(images) :]
                found.setdefault((change, search), []).append(float(same.mean()))
    results = []
    for (change, search), shares in found.items():
        middle, spread = summary(shares)
        results.append(
            Result(f"found: {change}, {search}", middle, "share", n=each, seeds=seeds, spread=spread, note=name)
        )
    results += pairs(images, name)
    return results + cost(quick)


def searched(images: Sequence[Image.Image]) -> dict[str, NDArray[np.int64]]:
    """The group of each image by every search."""
    hashes = np.array([perceptual_hash(image) for image in images], dtype=np.uint64)
    differences = np.array([difference_hash(image) for image in images], dtype=np.uint64)
    near = np.bitwise_count(differences[:, None] ^ differences[None, :]) <= 10
    groups = copies.Groups(len(images))
    for first, second in np.argwhere(np.triu(near, 1)).tolist():
        groups.join(first, second)
    return {
        "emolab": copies.find(np.stack([look(image) for image in images]))[0],
        "64-bit hash": duplicates_hash.groups(hashes),
        "dHash": groups.number,
    }


def difference_hash(image: Image.Image) -> int:
    """Whether each of 8 x 8 pixels is darker than its right neighbour (Krawetz 2013), as a number."""
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS))
    return int(np.packbits(small[:, 1:] > small[:, :-1]).view(">u8")[0])


def pairs(images: Sequence[Image.Image], name: str) -> list[Result]:
    """Groups and surplus images among the originals by every search; a picture of emolab's pairs where asked for."""
    results = []
    for search, number in searched(images).items():
        sizes = np.unique(number, return_counts=True)[1]
        note = f"{name}; {int((sizes > 1).sum())} groups, largest {int(sizes.max())}"
        results.append(
            Result(f"surplus originals, {search}", float((sizes - 1).sum()), "images", len(images), note=note)
        )
    if wanted := os.environ.get("EMOLAB_PAIRS"):
        made = copies.find(np.stack([look(image) for image in images]))[1]
        drawn = np.random.default_rng(0).permutation(len(made))[:300]
        sheet(images, made[np.sort(drawn)]).save(wanted)
    return results


def sheet(images: Sequence[Image.Image], made: NDArray[np.int64]) -> Image.Image:
    """Pairs (m, 2) side by side, twelve in a row."""
    side = 72
    page = Image.new("L", (12 * (2 * side + 6), -(-len(made) // 12) * (side + 6)), 255)
    for i, pair in enumerate(made.tolist()):
        for j, row in enumerate(pair):
            place = (i % 12 * (2 * side + 6) + j * side, i // 12 * (side + 6))
            page.paste(images[row].resize((side, side)), place)
    return page


def cost(quick: bool) -> list[Result]:
    """CPU seconds for many images: reading the files, and comparing their looks; the old hash for comparison."""
    n = 4_000 if quick else MANY
    media, name = files(n)
    with measured() as reading:
        looks = [of_media(data) for data in media]
    stack = np.stack([each for each in looks if each is not None])
    with measured() as comparing:
        copies.find(stack)
    with measured() as hashing:
        hashes = [perceptual_hash(Image.open(io.BytesIO(data)).convert("L")) for data in media]
        duplicates_hash.groups(np.array(hashes, dtype=np.uint64))
    total = reading.cpu_s + comparing.cpu_s
    return [
        Result("decoding", reading.cpu_s, "CPU s", len(stack), note=name),
        Result("comparing", comparing.cpu_s, "CPU s", len(stack), note=name),
        Result("both, against decoding and 64-bit hash", total / hashing.cpu_s, "x", len(stack), note=name),
    ]


def files(n: int) -> tuple[list[bytes], str]:
    """``n`` different files: FER+ train, then valid, then FER+ turned upside down; else drawn faces."""
    found: dict[bytes, None] = {}
    for part in ("train", "valid"):
        if (DATA / f"ferplus_{part}.zip").is_file():
            with zipfile.ZipFile(DATA / f"ferplus_{part}.zip") as archive:
                found.update((archive.read(each), None) for each in archive.namelist() if each.endswith(".png"))
    if not found:
        return [each.png for each in draw_faces(n, np.random.default_rng(0))], "drawn faces"
    media = list(found)
    for data in media[: max(0, n - len(media))]:
        out = io.BytesIO()
        Image.open(io.BytesIO(data)).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(out, "PNG")
        media.append(out.getvalue())
    return media[:n], "FER+ train and valid, 48 px"


def originals(part: str, n: int | None) -> tuple[list[Image.Image], str]:
    """Different images of a part of FER+, else drawn faces; ``n`` of them."""
    path = DATA / f"ferplus_{part}.zip"
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            data = list(dict.fromkeys(archive.read(each) for each in archive.namelist() if each.endswith(".png")))
        chosen, name = data[:n], f"FER+ {part}"
    else:
        chosen, name = [each.png for each in draw_faces(n or 2000, np.random.default_rng(0))], "drawn faces"
    return [Image.open(io.BytesIO(each)).convert("L") for each in chosen], name


if __name__ == "__main__":
    main(run)
