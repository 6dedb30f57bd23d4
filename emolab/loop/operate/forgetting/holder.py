"""What a holder is: a place that may hold something of a forgotten sample, and how that goes."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.loop.operate.forgetting.traces import Traces
    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: Bytes that are read at once, and the longest trace that may lie across two such pieces.
PIECE, OVERLAP = 8 << 20, 4096


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where and what: the ``traces`` to erase in ``workspace``.

    ``snapshots`` (ids) of models held something of it when this began, and ``models`` (ids) learned from it.
    """

    workspace: Workspace
    traces: Traces
    progress: Progress
    snapshots: Sequence[str] = ()
    models: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """How much a holder has: ``n`` things, in words what they are."""

    n: int
    what: str


@dataclass(frozen=True, slots=True)
class Erased:
    """How many things went, in words what, what a person should know (``notes``), what stays elsewhere (``unreached``).

    ``unreached`` says for each what it is, and ``to_do`` exactly what to type there: with ids, so in no certificate.
    """

    n: int
    what: str
    notes: Sequence[str] = ()
    unreached: Sequence[str] = ()
    to_do: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A place called ``name``, ``about`` it in words, and the ``places`` below ``.emolab`` that are its own.

    ``find`` counts what it has of the traces. ``erase`` takes that out, and may be called again after a kill at any
    instant. ``verify`` lists what is still there: files, or other places in words.
    """

    name: str
    about: str
    places: Sequence[str]
    find: Callable[[Scene], Held]
    erase: Callable[[Scene], Erased]
    verify: Callable[[Scene], list[str]] = field(default=lambda _scene: [])


def files_of(workspace: Workspace, places: Sequence[str]) -> Iterator[Path]:
    """The files below ``.emolab`` whose path fits one of ``places``, in order; links are not followed.

    A place is a pattern such as ``cache/*``, whose stars stand for slashes too.
    """
    for file in every_file(workspace):
        name = file.relative_to(workspace.state).as_posix()
        if any(fnmatchcase(name, place) for place in places):
            yield file


def every_file(workspace: Workspace) -> Iterator[Path]:
    """All files below ``.emolab``, in order."""
    for place, inner, names in os.walk(workspace.state):
        inner.sort()
        for name in sorted(names):
            file = Path(place) / name
            if file.is_file() and not file.is_symlink():
                yield file


def holds(file: Path, traces: Traces, *, name: str = "") -> bool:
    """Whether ``file`` holds a trace, or its ``name`` does; compressed ones are looked into."""
    if name and traces.inside(os.fsencode(name)):
        return True
    try:
        with file.open("rb") if file.suffix != ".gz" else gzip.open(file, "rb") as stream:
            tail = b""
            while piece := stream.read(PIECE):
                if traces.inside(tail + piece):
                    return True
                tail = piece[-OVERLAP:]
    except FileNotFoundError:  # journals of databases come and go
        return False
    return False


def naming(scene: Scene, places: Sequence[str]) -> list[Path]:
    """The files of ``places`` that hold a trace."""
    root = scene.workspace.root
    return [
        file
        for file in files_of(scene.workspace, places)
        if holds(file, scene.traces, name=file.relative_to(root).as_posix())
    ]


def told(scene: Scene, files: Sequence[Path]) -> list[str]:
    """The paths of ``files`` below the workspace's folder."""
    return [file.relative_to(scene.workspace.root).as_posix() for file in files]


def by_files(places: Sequence[str]) -> tuple[Callable[[Scene], Held], Callable[[Scene], list[str]]]:
    """``find`` and ``verify`` of a holder that is told by the files that name a trace."""
    from emolab.words import many

    def find(scene: Scene) -> Held:
        found = naming(scene, places)
        return Held(len(found), many(len(found), "file"))

    return find, lambda scene: told(scene, naming(scene, places))
