"""Thumbnails of samples, made when they are first asked for and kept for a while."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emolab.workspace import Workspace

FOLDER = "thumbnails"
#: How many are kept: about 600 MB of faces at 128 pixels. They lie in 256 folders.
MOST = 200_000
_FOLDERS = 256
#: How a file of each kind is called, and how a whole one ends; a loss of power may cut one off.
_ENDS = {"image/jpeg": (".jpg", b"\xff\xd9"), "image/svg+xml": (".svg", b"</svg>")}


class Thumbnails:
    """The thumbnails of one workspace below ``.emolab/cache``; at most about ``most`` are kept.

    Whoever asks for one of a sample must know that there is such a sample: its picture goes by its id alone.
    """

    def __init__(self, workspace: Workspace, *, most: int = MOST) -> None:
        from emolab.modalities.modality import open_modality

        self._locate = workspace.locate
        self._folder = workspace.cache / FOLDER
        self._modality = open_modality(workspace.config.project.modality)
        self._suffix, self._end = _ENDS[self.media_type]
        self._pixels = workspace.config.collect.max_pixels
        self._each = max(1, most // _FOLDERS)

    @property
    def media_type(self) -> str:
        """What they are: image/jpeg, or image/svg+xml of what is no picture."""
        return self._modality.thumbnail_type

    def get(self, sample_id: str, media: str) -> bytes:
        """The small picture of a sample whose file is ``media``, made where it is not kept.

        Raises :class:`DataError` where its file is missing or no picture.
        """
        from emolab.errors import DataError
        from emolab.files import TooLarge, read_file
        from emolab.modalities.problems import Refused

        kept = self._file(sample_id, self._suffix)
        found = kept.read_bytes() if kept.is_file() else b""
        if found.endswith(self._end):
            return found
        try:
            data = read_file(self._locate(media))
            made = self._modality.thumbnail(data, max_pixels=self._pixels)
        except (OSError, TooLarge, Refused) as error:
            raise DataError(
                f"The picture of sample {sample_id[:12]} cannot be shown: {_words(error)}.",
                hint="Collect or merge the originals again, which repairs their files: emolab collect PATH",
            ) from error
        kept.parent.mkdir(parents=True, exist_ok=True)
        self._make_room(kept.parent)
        _keep(kept, made)
        return made

    def forget(self, ids: Iterable[str]) -> None:
        """Keep none of these samples any more."""
        for sample_id in ids:
            for suffix, _ in _ENDS.values():  # those of sentences were JPEGs once
                self._file(sample_id, suffix).unlink(missing_ok=True)

    def _file(self, sample_id: str, suffix: str) -> Path:
        return self._folder / sample_id[:2] / f"{sample_id}{suffix}"

    def _make_room(self, folder: Path) -> None:
        """Forget the oldest half of ``folder`` when it is full."""
        found = list(_files(folder))
        if len(found) < self._each:
            return
        found.sort(key=lambda each: each.stat().st_mtime_ns)
        for each in found[: max(1, len(found) // 2)]:
            Path(each.path).unlink(missing_ok=True)


def _keep(file: Path, data: bytes) -> None:
    """Write the file whole, whoever else writes it; unlike what lasts, it is not flushed to the disk."""
    temporary = file.with_name(f".{secrets.token_hex(8)}.part")
    temporary.write_bytes(data)
    temporary.replace(file)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as there:
        yield from there


def _words(error: Exception) -> str:
    from emolab.modalities.problems import Refused, reason

    if isinstance(error, Refused):
        return error.message
    return reason(error) if isinstance(error, OSError) else str(error)
