"""What ``emolab predict`` classifies: files as they are, or the faces that are found in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.loop.model.predict_files import File

if TYPE_CHECKING:
    from emolab.config import CollectConfig
    from emolab.modalities.image.faces import Detector, Face
    from emolab.modalities.image.media import Picture
    from emolab.modalities.problems import Problem
    from emolab.progress import Progress

#: What a picture without a face gets instead of an answer.
NO_FACE = "no face found; with --faces off the whole picture is classified"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One image to classify: a file, or a face in it; without ``media`` it is answered by ``error`` already.

    ``place`` numbers the files. ``face`` numbers the faces of a file from 1, the largest first. ``box`` (x, y, width,
    height) and the five ``landmarks`` (x, y) are in pixels of the upright picture, ``score`` is the detector's in 0..1.
    ``note`` says what was left out of the file, or had to be assumed about it.
    """

    name: str
    place: int
    media: bytes | Path | Callable[[], bytes] | None = None
    error: str | None = None
    note: str | None = None
    face: int | None = None
    box: tuple[int, int, int, int] | None = None
    landmarks: tuple[tuple[float, float], ...] = ()
    score: float | None = None


def asked(files: Sequence[File | Problem], config: CollectConfig, progress: Progress) -> Iterator[Asked]:
    """The images to classify in ``files``, in their order, by ``config.faces``.

    ``off``: every file as it is. ``all``, ``largest``: the faces in it. ``auto``: as ``all``, but a file whose shorter
    side has at most ``config.tight`` pixels is a face crop already and stays as it is. What cannot be read is answered
    by its problem.
    """
    if config.faces == "off":
        yield from (_as_it_is(file, place) for place, file in enumerate(files))
        return
    finder: Detector | None = None
    with progress.task("Finding faces", len(files), unit="images") as bar:
        for place, file in enumerate(files):
            if not isinstance(file, File) or not _searched(file, config):
                yield _as_it_is(file, place)
            else:
                finder = finder or _detector(config)
                yield from _in_picture(file, place, finder, config)
            bar.advance()


def _as_it_is(file: File | Problem, place: int) -> Asked:
    if not isinstance(file, File):
        return Asked(name=file.path, place=place, error=f"{file.kind}: {file.message}")
    media = file.media
    return Asked(name=file.name, place=place, media=media if isinstance(media, Path) else _or_its_reason(media))


def _or_its_reason(read: Callable[[], bytes]) -> Callable[[], bytes]:
    """``read``, whose :class:`Refused` becomes the :class:`DataError` that a model answers with."""

    def reading() -> bytes:
        from emolab.errors import DataError
        from emolab.modalities.problems import Refused

        try:
            return read()
        except Refused as refused:
            raise DataError(f"{refused.kind}: {refused.message}") from refused

    return reading


def _detector(config: CollectConfig) -> Detector:
    from emolab.modalities.image.detector_weights import detector
    from emolab.modalities.image.faces import Detector

    file = detector(config.detector)
    return Detector(file, min_score=config.min_score, size=config.detect_size, again=config.detect_again)


def _searched(file: File, config: CollectConfig) -> bool:
    """Whether faces are looked for in a file; one that is no image is opened to say why."""
    import io

    from PIL import Image

    from emolab.datasets.file_names import suffix_of
    from emolab.modalities.image.faces import searched
    from emolab.modalities.image.reading import heif
    from emolab.modalities.problems import Refused

    if suffix_of(file.name) in heif.SUFFIXES:
        heif.register()
    try:
        with Image.open(file.media if isinstance(file.media, Path) else io.BytesIO(file.media())) as image:
            return searched(image.size, mode=config.faces, tight=config.tight)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Refused):
        return True


def _in_picture(file: File, place: int, finder: Detector, config: CollectConfig) -> Iterator[Asked]:
    from emolab.files import TooLarge, read_file
    from emolab.modalities.image import media
    from emolab.modalities.image.faces import chosen
    from emolab.modalities.problems import Refused

    try:
        kept = file.media
        data = read_file(kept, limit=config.max_bytes) if isinstance(kept, Path) else kept()
        picture = media.read(data, max_pixels=config.max_pixels, reduce_to=None)
    except (Refused, TooLarge, OSError) as error:
        reason = f"{error.kind}: {error.message}" if isinstance(error, Refused) else str(error)
        reason = str(error.strerror) if isinstance(error, OSError) else reason
        yield Asked(name=file.name, place=place, error=reason)
        return
    found, small = chosen(finder.find(picture.image), mode=config.faces, min_face=config.min_face)
    notes = [note.message for note in picture.notes]
    note = "; ".join([*notes, small] if small else notes) or None
    if not found:
        yield Asked(name=file.name, place=place, error=NO_FACE, note=note)
    for number, face in enumerate(found, start=1):
        yield Asked(
            name=file.name,
            place=place,
            media=_cut(picture, face, config.margin),
            note=note if number == 1 else None,
            face=number,
            box=within(face.box, picture.size),
            landmarks=face.landmarks,
            score=face.score,
        )


def _cut(picture: Picture, face: Face, margin: float) -> bytes:
    from emolab.modalities.image import media

    return media.cut(picture.image, face.crop(picture.size, margin=margin), format=picture.format).data


def within(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """``box`` (x, y, width, height) in whole pixels, cut off at the borders of a picture of ``size``.

    >>> within((-3.2, 4.6, 20.0, 30.0), (100, 30))
    (0, 5, 17, 25)
    """
    spans = [
        (max(0, round(start)), min(limit, round(start + length)))
        for start, length, limit in zip(box[:2], box[2:], size, strict=True)
    ]
    (left, right), (top, bottom) = spans
    return left, top, right - left, bottom - top
