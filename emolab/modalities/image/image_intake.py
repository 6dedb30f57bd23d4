"""From image files to samples: decode, cut faces, measure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any

from emolab.errors import UnknownName
from emolab.files import TooLarge, read_file
from emolab.modalities.image import detector_weights, faces, media, quality, reading
from emolab.modalities.image.image_names import IMAGE_FILES
from emolab.modalities.image.reading import heif
from emolab.modalities.intake import FACES, Excerpt, IngestOptions, Measured, Piece
from emolab.modalities.problems import Problem, Refused, reason

if TYPE_CHECKING:
    from PIL import Image

    from emolab.modalities.image.faces import Face

_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WEBP",
    **dict.fromkeys(heif.SUFFIXES, "HEIF"),
}


class ImageIntake:
    """Images and the faces in them; every thread has a detector of its own."""

    files = IMAGE_FILES

    def __init__(self, options: IngestOptions) -> None:
        if options.faces not in FACES:
            raise UnknownName("face mode", options.faces, FACES)
        if options.faces != "off":
            detector_weights.detector(options.detector)  # says now when there is no such file
        self._options = options
        self._thread = local()

    def pieces(self, media: bytes | Path | Image.Image | Excerpt, name: str, notes: list[Problem]) -> Iterator[Piece]:
        """The picture, or the faces in it."""
        if isinstance(media, Excerpt):
            raise Refused("not an image", "a part of a recording")
        picture = self._open(media)
        notes.extend(_notes(name, picture))
        yield from self._pictures(name, picture, notes)

    def measured(self, pieces: Sequence[Piece]) -> list[Measured]:
        """Quality, hash and look of all ``pieces``, which together cost a third of one by one."""
        sizes = [(piece.fields["width"], piece.fields["height"]) for piece in pieces]
        found = []
        for piece, verdict in zip(pieces, quality.judge([piece.rest[0] for piece in pieces], sizes), strict=True):
            _, seen, face = piece.rest
            if seen is not None:
                verdict.quality["faces"] = float(seen)
            if face is not None:
                verdict.quality["face"] = round(face.score, 4)
            found.append(Measured(verdict.quality, verdict.look, verdict.phash))
        return found

    def _open(self, data: bytes | Path | Image.Image) -> media.Picture:
        if isinstance(data, Path):
            data = self._bytes(data)
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

    def _pictures(self, name: str, picture: media.Picture, notes: list[Problem]) -> Iterator[Piece]:
        mode = self._options.faces
        if not faces.searched(picture.size, mode=mode, tight=self._options.tight):
            yield _whole(name, picture, notes)
            return
        there = self._detector().find(picture.image)
        wanted, small = faces.chosen(there, mode=mode, min_face=self._options.min_face)
        if small:
            notes.append(Problem(name, "small face", small, taken=True))
        if not wanted:
            yield _whole(name, picture, notes, seen=0)
        for face in wanted:
            box = face.crop(picture.size, margin=self._options.margin)
            cut = media.cut(picture.image, box, format=picture.format)
            about = {"parent": picture.origin, "box": face.box, "landmarks": face.landmarks}
            yield _piece(cut, face=face, about=about)

    def _detector(self) -> faces.Detector:
        if not hasattr(self._thread, "detector"):
            file = detector_weights.detector(self._options.detector)
            wanted = self._options
            self._thread.detector = faces.Detector(
                file, min_score=wanted.min_score, size=wanted.detect_size, again=wanted.detect_again
            )
        detector: faces.Detector = self._thread.detector
        return detector


def _whole(name: str, picture: media.Picture, notes: list[Problem], *, seen: int | None = None) -> Piece:
    """``picture`` as it is, with a note where it can tell little."""
    piece = _piece(picture, seen=seen)
    if found := reading.doubts(picture.size, quality.extrema(piece.rest[0])):
        notes.append(Problem(name, "little to see", "; ".join(found), taken=True))
    return piece


def _piece(
    picture: media.Picture, *, seen: int | None = None, face: Face | None = None, about: dict[str, Any] | None = None
) -> Piece:
    """``picture`` with what is left to be measured: a small grey version, how many faces were seen, and the face."""
    return Piece(
        digest=picture.digest,
        suffix=picture.suffix,
        data=lambda: picture.data,
        fields={"width": picture.size[0], "height": picture.size[1], **(about or {})},
        rest=(quality.gray_thumbnail(picture.image), seen, face),
        part=face is not None,
    )


def _notes(name: str, picture: media.Picture) -> Iterator[Problem]:
    for note in picture.notes:
        yield Problem(name, note.kind, note.message, taken=True)
    announced = _FORMATS.get(os.path.splitext(name)[1].lower())  # noqa: PTH122 - called once per image
    if announced and picture.source not in (announced, ""):
        message = f"the name says {announced}, the content is {picture.source}; taken as {picture.source}"
        yield Problem(name, "wrong extension", message, taken=True)
