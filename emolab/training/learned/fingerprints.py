"""What an image is recognised by, however it is stored: a hash of its gray pixels, and one that survives re-encoding.

1. **Content**: a hash of width, height and gray pixels. The same picture as PNG, in a zip or as a row of numbers in a
   CSV file has the same one.
2. **Perceptual**: 64 bits, whether each of the 8 x 8 lowest frequencies of the picture at 32 x 32 pixels is above their
   median (pHash, Zauner 2010). It is reduced with a smooth filter. The hash of the catalog, which is quicker and takes
   a box, differs for many copies of another size: of 2,000 faces of FER+ enlarged to 96 pixels, 55 % were found by it
   in the way below (tried once), and all by this one. ``python -m benchmarks.learned`` prints what is recognised now.
3. A copy may swap bits near the median. So the three surest candidates on either side are remembered, and the hashes
   with one or two pairs of them swapped are looked for too: 19 in all (multi-probe, Lv et al. 2007).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.errors import DataError
from emolab.modalities.image.look import SIDE, UNSURE, look_hash
from emolab.modalities.modality import recognised
from emolab.progress import SILENT, Progress
from emolab.training.inputs import row_store
from emolab.training.learned import bloom_filter

#: A fingerprint is so many bytes: 16 of content, 8 of the perceptual hash, 3 + 3 unsure bits, 1 whether it is of use.
BYTES = 31
FOLDER = "fingerprints-3"

Media = bytes | Path | Callable[[], bytes]


def fill(
    folder: Path,
    ids: Sequence[str],
    media: Callable[[str], bytes | Path],
    *,
    progress: Progress = SILENT,
) -> NDArray[np.uint8]:
    """Fingerprints (n, 31) of the samples ``ids``, kept below ``folder``; only new ones are computed.

    Zeros where a file cannot be read, see :func:`unread`: pixels decoded earlier may be all that is left of it, and a
    record is no reason to lose a finished training.
    """
    file = folder / FOLDER / "fingerprints.u8"
    missing = len(set(ids) - row_store.known(file))
    with (
        ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        progress.task("Fingerprinting", missing, unit="images") if missing else nullcontext() as task,
    ):

        def made(part: list[str]) -> tuple[NDArray[np.uint8], list[str]]:
            found = np.stack(list(pool.map(lambda key: _attempt(media(key)), part)))
            if task:
                task.advance(len(part))
            readable = ~unread(found)
            return found[readable], [key for key, good in zip(part, readable.tolist(), strict=True) if good]

        array, places = row_store.fill(file, ids, made, dtype=np.uint8, shape=(BYTES,))
    prints = np.zeros((len(ids), BYTES), dtype=np.uint8)
    there = places >= 0
    prints[there] = array[places[there]]
    return prints


def of_media(media: Sequence[Media], *, progress: Progress = SILENT) -> NDArray[np.uint8]:
    """Fingerprints (n, 31) of images that are no samples; zeros where one cannot be read, see :func:`unread`."""
    found = np.zeros((len(media), BYTES), dtype=np.uint8)
    with (
        ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        progress.task("Fingerprinting", len(media), unit="images") as task,
    ):
        for row, one in enumerate(pool.map(_attempt, media)):
            found[row] = one
            task.advance()
    return found


def of_contents(contents: Sequence[bytes | None]) -> NDArray[np.uint8]:
    """Fingerprints (n, 31) of samples that are recognised by 16 bytes alone; zeros where there are none."""
    found = np.zeros((len(contents), BYTES), dtype=np.uint8)
    for row, each in enumerate(contents):
        if each is not None:
            found[row, :16] = np.frombuffer(each, dtype=np.uint8)
    return found


def unread(prints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of ``prints`` (n, 31) are of images that could not be read: (n,)."""
    return np.asarray(~prints.any(axis=1))


def _attempt(media: Media) -> NDArray[np.uint8]:
    try:
        return fingerprint(media() if callable(media) else media)
    except DataError:
        return np.zeros(BYTES, dtype=np.uint8)


def fingerprint(media: bytes | Path) -> NDArray[np.uint8]:
    """The fingerprint (31,) of an encoded image as a network sees it, or of what is heard of a sound.

    Raises :class:`emolab.modalities.preparing.Unprepared` for what is neither or shows nothing.
    """
    return of_image(Image.fromarray(recognised([media]).gray(media)))


def of_image(image: Image.Image) -> NDArray[np.uint8]:
    """The fingerprint (31,) of an upright picture."""
    gray = image if image.mode == "L" else image.convert("L")
    raw = gray.tobytes()
    content = hashlib.sha256(f"{gray.width} {gray.height} ".encode() + raw).digest()[:16]
    small = np.asarray(gray.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)
    seen = look_hash(small)
    found = np.zeros(BYTES, dtype=np.uint8)
    found[:16] = np.frombuffer(content, dtype=np.uint8)
    found[16:24] = np.packbits(seen.bits)
    if seen.usable:
        found[24:27], found[27:30], found[30] = seen.on, seen.off, 1
    return found


def content_keys(prints: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Two numbers (n, 2) for the content of each of ``prints`` (n, 31)."""
    return np.ascontiguousarray(prints[:, :16]).view("<u8").astype(np.uint64)


def usable(prints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of ``prints`` (n, 31) have a perceptual hash that says something: (n,); flat pictures have none."""
    return prints[:, 30] > 0


def perceptual_keys(prints: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Two numbers (n, 2) for the perceptual hash of each of ``prints`` (n, 31)."""
    return bloom_filter.mixed(_hashes(prints))


def probes(prints: NDArray[np.uint8]) -> list[NDArray[np.uint64]]:
    """What to look for: 19 arrays of keys (n, 2), the hash itself first, then with unsure bits swapped."""
    whole = _hashes(prints)
    on, off = (np.uint64(1) << (63 - prints[:, at : at + UNSURE].astype(np.uint64)) for at in (24, 27))
    found = [whole]
    for count in (1, 2):
        for left in combinations(range(UNSURE), count):
            for right in combinations(range(UNSURE), count):
                swapped = whole.copy()
                for i, j in zip(left, right, strict=True):
                    swapped ^= on[:, i] ^ off[:, j]
                found.append(swapped)
    return [bloom_filter.mixed(numbers) for numbers in found]


def _hashes(prints: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(prints[:, 16:24]).view(">u8").ravel().astype(np.uint64)
