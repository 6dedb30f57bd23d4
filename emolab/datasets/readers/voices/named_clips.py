"""What the datasets of voices share: clips that say by their names what they are, in a folder or a zip of any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from emolab.datasets.file_names import kind_of
from emolab.datasets.readers.reader import Survey
from emolab.datasets.readers.source import Damaged, SourceTree
from emolab.errors import DataError
from emolab.modalities.audio.sound_names import SOUND_FILES
from emolab.records import Record

#: Clips looked at to tell whether only pointers to them were fetched; a pointer of git-lfs has some 130 bytes.
_LOOKED_AT, _POINTER = 20, b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class NamedClip:
    """A file of the dataset: its ``name`` in the tree, its own ``key``, and what the key says."""

    name: str
    key: str
    label: str
    speaker: str


#: From a relative name to the clip, ``None`` for any other file.
Parse = Callable[[str], NamedClip | None]


def found(source: SourceTree, parse: Parse, dataset: str, example: str) -> list[NamedClip]:
    """Every clip of ``source``, in order, once: zips of some datasets hold them twice.

    Raises :class:`DataError` when there is none, or when all that were looked at are pointers of git-lfs.
    """
    clips: dict[str, NamedClip] = {}
    for name in source.names:
        clip = parse(name) if kind_of(name, SOUND_FILES) == "media" else None
        if clip is not None:
            clips.setdefault(clip.key, clip)
    if not clips:
        raise DataError(f"{source.path} holds no clips of {dataset}.", hint=f"Expected files such as {example}.")
    _not_only_pointers(source, list(islice(clips.values(), _LOOKED_AT)))
    return list(clips.values())


def _not_only_pointers(source: SourceTree, clips: Sequence[NamedClip]) -> None:
    for clip in clips:
        media = source.media(clip.name)
        if not _head(media).startswith(_POINTER):
            return
    raise DataError(
        f"The clips of {source.path} are pointers of git-lfs, not the sound itself.",
        hint="Fetch it in the clone with: git lfs pull",
    )


def _head(media: bytes | Path) -> bytes:
    if isinstance(media, bytes):
        return media[:64]
    try:
        with media.open("rb") as stream:
            return stream.read(64)
    except OSError:
        return b""


def stem(name: str) -> str:
    """The last part of a name without its suffix."""
    return PurePosixPath(name).stem


def records(source: SourceTree, clips: Sequence[NamedClip], bad: dict[str, str] | None = None) -> Iterator[Record]:
    """One record with one vote for each of ``clips``; those known to be ``bad`` (key, why) are a problem each."""
    for clip in clips:
        reason = (bad or {}).get(clip.key)
        yield Record(
            key=clip.key,
            media=Damaged(reason, "known bad clip") if reason else source.media(clip.name),
            votes={clip.label: 1},
            group=clip.speaker,
        )


def survey(source: SourceTree, clips: Sequence[NamedClip]) -> Survey:
    """How many clips each label has."""
    result = Survey(ignored=source.passed_over({clip.name for clip in clips}), problems=source.problems)
    for clip in clips:
        result.add({clip.label: 1}, group=clip.speaker)
    return result
