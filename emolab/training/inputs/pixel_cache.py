"""Decoded pixels on disk: memory-mapped, appended to, keyed by content, safe to delete or to be cut off."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emolab.modalities.preparing import Preprocessing, require_alone
from emolab.modalities.speaker_levels import applied
from emolab.progress import SILENT, Progress
from emolab.training.inputs import media_check
from emolab.training.inputs import row_store as rows
from emolab.training.inputs.training_set import TrainingSet


@dataclass(frozen=True)
class Pixels:
    """A stack of images: ``array`` (m, height, width, channels) uint8, of which ``rows`` (n,) are meant, in order.

    A negative row r is row -1 - r of ``other``, a second array of samples of that shape. ``speakers`` (n,) says by
    which of ``tables`` (speakers, height, 256) each is normalised (:mod:`emolab.modalities.speaker_levels`), if any.
    """

    array: NDArray[np.uint8]
    rows: NDArray[np.int64]
    other: NDArray[np.uint8] | None = None
    tables: NDArray[np.uint8] | None = None
    speakers: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy (b, size, size, channels) of the images at ``indices`` into ``rows``."""
        found = self._stored(self.rows[indices])
        if self.tables is None or self.speakers is None:
            return found
        return applied(found, self.tables[self.speakers[indices]])

    def _stored(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        if self.other is None:
            return np.ascontiguousarray(self.array[chosen])
        out = np.empty((len(chosen), *self.array.shape[1:]), dtype=np.uint8)
        second = chosen < 0
        out[~second] = self.array[chosen[~second]]
        out[second] = self.other[-1 - chosen[second]]
        return out

    def only(self, indices: NDArray[np.int64]) -> Pixels:
        """The images at ``indices``, in that order, without a copy."""
        speakers = None if self.speakers is None else self.speakers[indices]
        return replace(self, rows=self.rows[indices], speakers=speakers)

    def names(self, ids: Sequence[str]) -> list[str]:
        """What each picture is kept under (64 hex digits), which is of sample ``ids`` (n): with its table in it."""
        if self.tables is None or self.speakers is None:
            return list(ids)
        of = [hashlib.sha256(each.tobytes()).hexdigest() for each in self.tables]
        pairs = zip(ids, self.speakers.tolist(), strict=True)
        return [hashlib.sha256(f"{sample} {of[speaker]}".encode()).hexdigest() for sample, speaker in pairs]

    @classmethod
    def of(cls, array: NDArray[np.uint8]) -> Pixels:
        """All of ``array``."""
        return cls(array, np.arange(len(array), dtype=np.int64))


def fill(
    folder: Path,
    ids: Sequence[str],
    media: Callable[[str], bytes | Path],
    wanted: Preprocessing,
    *,
    progress: Progress = SILENT,
) -> Pixels:
    """The pixels of the samples ``ids`` (64 hex digits each), decoding only those not decoded before.

    A file must be what its sample's id says; bytes are taken as they are. The store may be deleted or cut off at any
    instant (see :mod:`emolab.training.inputs.row_store`); those of other sizes, colours and ways of decoding go when
    there are more than four. Raises :class:`DamagedMedia`, which names all samples that cannot be used, when the others
    are decoded.
    """
    array, places, wrong = _fill(folder, ids, media, wanted, progress)
    if wrong:
        raise media_check.damaged(wrong, media, len(ids))
    return Pixels(array, places)


def fill_to_train(
    folder: Path,
    data: TrainingSet,
    media: Callable[[str], bytes | Path],
    wanted: Preprocessing,
    *,
    progress: Progress = SILENT,
) -> Pixels:
    """The pixels of ``data`` for a run that trains by steps, in the order of ``data.ids``.

    Images to learn from may be decoded at a fraction of their size. Those that judge are decoded in full, as for
    predictions, so that what is measured on them is what predictions will be worth. Raises :class:`DamagedMedia` as
    :func:`fill` does.
    """
    judges = np.zeros(len(data.ids), dtype=bool)
    judges[data.valid] = True
    chosen = [[key for key, judge in zip(data.ids, judges, strict=True) if judge == wants] for wants in (False, True)]
    learned, learned_at, wrong = _fill(folder, chosen[0], media, wanted.scaled, progress)
    judged, judged_at, also = _fill(folder, chosen[1], media, wanted, progress)
    if wrong or also:
        raise media_check.damaged(wrong | also, media, len(data.ids))
    order = np.empty(len(judges), dtype=np.int64)
    order[~judges] = learned_at
    order[judges] = -1 - judged_at
    return Pixels(learned, order, judged)


def find_damaged(
    folder: Path,
    ids: Sequence[str],
    media: Callable[[str], bytes | Path],
    wanted: Preprocessing,
    *,
    progress: Progress = SILENT,
) -> dict[str, str]:
    """What is wrong with which of ``ids``; the others are decoded and kept, so that :func:`fill` need not do it again.

    Of samples that were decoded before only the presence of the file is looked at.
    """
    wrong = _fill(folder, ids, media, wanted, progress)[2]
    for key in ids:
        item = media(key)
        if key not in wrong and isinstance(item, Path) and not item.is_file():
            wrong[key] = "is a folder" if item.is_dir() else "is missing"
    return {key: wrong[key] for key in ids if key in wrong}


def _fill(
    folder: Path, ids: Sequence[str], media: Callable[[str], bytes | Path], wanted: Preprocessing, progress: Progress
) -> tuple[NDArray[np.uint8], NDArray[np.int64], dict[str, str]]:
    """The store, where ``ids`` stand in it, and what is wrong with those that do not."""
    require_alone(wanted, "This")
    file = folder / f"pixels-{wanted.size}-{wanted.color}-v{wanted.version}" / "pixels.u8"
    shape = wanted.shape
    missing = len(set(ids) - rows.known(file))
    wrong: dict[str, str] = {}
    with (
        ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        progress.task("Decoding", missing, unit="samples") if missing else nullcontext() as task,
    ):

        def decoded(part: list[str]) -> tuple[NDArray[np.uint8], list[str]]:
            good: list[str] = []
            made = np.empty((len(part), *shape), dtype=np.uint8)
            found = pool.map(lambda key: media_check.pixels(key, media(key), wanted), part)
            for key, image in zip(part, found, strict=True):
                if isinstance(image, str):
                    wrong[key] = image
                else:
                    made[len(good)] = image
                    good.append(key)
            if task:
                task.advance(len(part))
            return made[: len(good)], good

        array, places = rows.fill(file, ids, decoded, dtype=np.uint8, shape=shape)
    rows.forget_others(file.parent)
    return array, places, wrong
