"""Which files ``emolab predict`` looks at: by the walk, and the rule of what is passed over, that collect has."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.modalities.intake import FileNames
    from emolab.modalities.problems import Problem
    from emolab.serving.given import Media


@dataclass(frozen=True, slots=True)
class File:
    """An image to classify: ``media`` is its path, pixels, or reads it out of a zip and raises :class:`Refused`."""

    name: str
    media: Media


def matching(path: Path) -> list[Path]:
    """``path``, or the files it stands for when it is a pattern (``*``, ``?``, ``[ab]``, ``**``) and no file itself.

    Raises :class:`DataError` where nothing matches.
    """
    import glob

    from emolab.errors import DataError

    if not glob.has_magic(str(path)) or os.path.lexists(path):
        return [path]
    found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (a path of any form, not one below a folder)
    if not found:
        raise DataError(f"No file matches {path}.", hint="PATH... are images, folders, zips, or patterns of them.")
    return [Path(one) for one in found]


def files_of(
    paths: Sequence[Path], modality: str, *, max_bytes: int, ignored: Counter[str], notes: list[Problem]
) -> list[File | Problem]:
    """Files as given, and the samples of ``modality`` in folders and zips, in order; a problem for what is unreadable.

    ``max_bytes`` is the largest member of a zip that is read. ``ignored`` counts what is passed over, ``notes`` gets
    what is worth a word and fails nothing. Raises :class:`DataError` for a path that is not there.
    """
    from emolab.datasets.collect.walk import walk
    from emolab.datasets.file_names import suffix_of
    from emolab.errors import DataError
    from emolab.modalities.intake import files_of as names_of
    from emolab.modalities.problems import Problem

    names = names_of(modality)
    for path in paths:
        if not os.path.lexists(path):
            raise DataError(f"There is no {path}.", hint="PATH... are files, folders or zips.")
    given = {str(path) for path in paths}
    files: list[File | Problem] = []
    for found in walk([str(path) for path in paths], files=names, ignored=ignored):
        if isinstance(found, Problem):
            (notes if found.taken else files).append(found)
        elif found.kind == "zip":
            files += _members(found.path, names, max_bytes=max_bytes, ignored=ignored, notes=notes)
        elif found.kind == "media" or found.path in given:
            files.append(File(found.path, Path(found.path)))
        else:
            ignored[suffix_of(found.path)] += 1
    return files


def _members(
    path: str, names: FileNames, *, max_bytes: int, ignored: Counter[str], notes: list[Problem]
) -> list[File | Problem]:
    from emolab.datasets.collect import archive
    from emolab.modalities.problems import Problem

    files: list[File | Problem] = []
    for member in archive.media_files(path, max_bytes=max_bytes, ignored=ignored, files=names):
        if isinstance(member, Problem):
            (notes if member.taken else files).append(member)
        else:
            name, _, read = member
            files.append(File(name, read))
    return files
