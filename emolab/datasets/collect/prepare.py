"""Inputs become samples: decode, cut faces, store, measure. What a worker thread does, for a few items at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING

from emolab.datasets.collect.items import IngestOptions, Item, Outcome
from emolab.datasets.collect.media_store import MediaStore
from emolab.files import TooLarge, read_file
from emolab.modalities.image import detector_weights, faces, media, quality, reading
from emolab.modalities.image.reading import heif
from emolab.modalities.problems import Problem, Refused, reason, shown
from emolab.records import Sample

if TYPE_CHECKING:
    from PIL import Image

    from emolab.modalities.image.faces import Face


@dataclass(frozen=True, slots=True)
class Work:
    """The outcomes of some items in their order, and the error of the store that ended it early, if one did.

    ``seconds`` is the processor time it took.
    """

    outcomes: list[Outcome]
    seconds: float = 0.0
    error: OSError | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A stored picture on its way to a sample: what is left to do is to measure ``gray``."""

    digest: str
    media: str
    size: tuple[int, int]
    gray: Image.Image
    faces: int | None
    face: Face | None
    parent: str | None


class Preparer:
    """Turns items into samples and media files; one for all threads, each with a detector of its own."""

    def __init__(self, options: IngestOptions, store: MediaStore | None) -> None:
        self._options = options
        self._store = store
        self._thread = local()

    def __call__(self, items: Sequence[Item]) -> Work:
        """What became of ``items``; a bad input is a problem in its outcome, a full disk the end of the work.

        All pictures are measured together at the end: of each no more is held until then than a small grey version.
        """
        began = time.thread_time()
        opened: list[tuple[Item, list[_Kept], list[Problem]]] = []
        error: OSError | None = None
        try:
            for item in items:
                notes: list[Problem] = []
                opened.append((item, list(self._store_one(item, notes)), notes))
        except OSError as raised:
            error = raised
        kept = [each for _, pictures, _ in opened for each in pictures]
        verdicts = iter(quality.judge([each.gray for each in kept], [each.size for each in kept]))
        outcomes = []
        for item, pictures, notes in opened:
            judged = [next(verdicts) for _ in pictures]
            samples = tuple(_sample(item, each, verdict) for each, verdict in zip(pictures, judged, strict=True))
            looks = tuple(verdict.look for verdict in judged)
            done = item if isinstance(item.data, Path) else replace(item, data=b"")  # batches of outcomes stay small
            outcomes.append(Outcome(done, tuple(sample.id for sample in samples), samples, tuple(notes), looks))
        return Work(outcomes, time.thread_time() - began, error)

    def _store_one(self, item: Item, notes: list[Problem]) -> Iterator[_Kept]:
        try:
            picture = self._open(item)
        except Refused as refused:
            notes.append(refused.at(item.name))
            return
        notes.extend(_notes(item, picture))
        yield from self._pictures(item, picture, notes)

    def _open(self, item: Item) -> media.Picture:
        data = item.data
        if isinstance(data, Path):
            data = self._bytes(data)
        elif callable(data):
            data = data()
        elif not isinstance(data, bytes):
            return media.from_pixels(data, format="JPEG")
        reduce_to = media.REDUCED if self._options.faces == "off" else None
        return media.read(data, max_pixels=self._options.max_pixels, reduce_to=reduce_to)

    def _bytes(self, path: Path) -> bytes:
        try:
            return read_file(path, limit=self._options.max_bytes)
        except OSError as error:
            raise Refused("unreadable", reason(error)) from error
        except TooLarge as error:
            raise Refused("too large", f"{error} (collect.max_bytes)") from error

    def _pictures(self, item: Item, picture: media.Picture, notes: list[Problem]) -> Iterator[_Kept]:
        mode = self._options.faces
        if not faces.searched(picture.size, mode=mode, tight=self._options.tight):
            yield self._whole(item, picture, notes)
            return
        there = self._detector().find(picture.image)
        wanted, small = faces.chosen(there, mode=mode, min_face=self._options.min_face)
        if small:
            notes.append(Problem(item.name, "small face", small, taken=True))
        if not wanted:
            yield self._whole(item, picture, notes, faces=0)
        for face in wanted if item.only is None else wanted[item.only - 1 : item.only]:
            box = face.crop(picture.size, margin=self._options.margin)
            cut = media.cut(picture.image, box, format=picture.format)
            yield self._keep(cut, face=face, parent=picture.origin)

    def _whole(self, item: Item, picture: media.Picture, notes: list[Problem], *, faces: int | None = None) -> _Kept:
        """``picture`` as it is, with a note where it can tell little."""
        kept = self._keep(picture, faces=faces)
        if found := reading.doubts(picture.size, quality.extrema(kept.gray)):
            notes.append(Problem(item.name, "little to see", "; ".join(found), taken=True))
        return kept

    def _keep(
        self, picture: media.Picture, *, faces: int | None = None, face: Face | None = None, parent: str | None = None
    ) -> _Kept:
        gray = quality.gray_thumbnail(picture.image)
        return _Kept(picture.digest, self._put(picture), picture.size, gray, faces, face, parent)

    def _put(self, picture: media.Picture) -> str:
        return "" if self._store is None else self._store.put(picture.data, picture.digest, picture.suffix)

    def _detector(self) -> faces.Detector:
        if not hasattr(self._thread, "detector"):
            file = detector_weights.detector(self._options.detector)
            wanted = self._options
            self._thread.detector = faces.Detector(
                file, min_score=wanted.min_score, size=wanted.detect_size, again=wanted.detect_again
            )
        detector: faces.Detector = self._thread.detector
        return detector


def _sample(item: Item, kept: _Kept, verdict: quality.ImageQuality) -> Sample:
    measured = verdict.quality
    if kept.faces is not None:
        measured["faces"] = float(kept.faces)
    if kept.face is not None:
        measured["face"] = round(kept.face.score, 4)
    return Sample(
        id=kept.digest,
        media=kept.media,
        source=item.source,
        group=item.group,
        consent=item.consent,
        licence=item.licence,
        split=item.split,
        width=kept.size[0],
        height=kept.size[1],
        parent=kept.parent,
        box=kept.face.box if kept.face else None,
        landmarks=kept.face.landmarks if kept.face else None,
        quality=measured,
        name=item.name,
        phash=verdict.phash,
    )


def _notes(item: Item, picture: media.Picture) -> Iterator[Problem]:
    for note in picture.notes:
        yield Problem(item.name, note.kind, note.message, taken=True)
    if isinstance(item.data, Path) and not (path := str(item.data)).isascii() and shown(path) != path:
        yield Problem(item.name, "name", "the file name is not UTF-8; kept as shown here", taken=True)
    announced = _FORMATS.get(os.path.splitext(item.name)[1].lower())  # noqa: PTH122 - called once per image
    if announced and picture.source not in (announced, ""):
        message = f"the name says {announced}, the content is {picture.source}; taken as {picture.source}"
        yield Problem(item.name, "wrong extension", message, taken=True)


_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WEBP",
    **dict.fromkeys(heif.SUFFIXES, "HEIF"),
}
