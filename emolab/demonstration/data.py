"""What the demo works on: drawn faces, or faces of a data set with votes; a pool for the team and a judge apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.merge.label_map import plan
from emolab.datasets.readers.reader import as_reader
from emolab.demonstration.drawn_faces import draw_faces
from emolab.errors import DataError
from emolab.plugins import READERS
from emolab.progress import SILENT, Progress
from emolab.taxonomy import META, PRESETS, canonical, check_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The largest share of the votes must exceed this for a face to judge a model: its answer is then beyond dispute.
CLEAR = 0.5


@dataclass(frozen=True, kw_only=True)
class DemoData:
    """A pool of photos on disk and a judge that nobody trains on.

    ``crowd`` maps the file name of each photo to how people answer (class or meta label: share, sums to 1).
    ``drawn``: no real person is among them. ``judge`` holds (name, bytes) of the faces that judge, ``truth`` (m,) their
    classes as indices into ``classes``.
    """

    title: str
    classes: tuple[str, ...]
    photos: Path
    crowd: Mapping[str, Mapping[str, float]]
    judge: Sequence[tuple[str, bytes]]
    truth: NDArray[np.int64]
    drawn: bool
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class _Face:
    name: str
    group: str
    data: bytes
    answers: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where faces come from: ``READER:PATH``, or ``None`` for drawn ones. ``labels`` are the data set's own names."""

    spec: str | None
    title: str
    classes: tuple[str, ...]
    labels: Mapping[str, int]


def source(spec: str | None) -> Source:
    """Drawn faces without ``spec``, else those of ``READER:PATH``, whose labels are looked at."""
    if spec is None:
        return Source(spec=None, title="drawn faces", classes=PRESETS["ferplus8"], labels={})
    name, colon, where = spec.partition(":")
    if not colon:
        raise DataError(f'"{spec}" is not READER:PATH.', hint="Example: emolab demo --data ferplus:fer/data")
    found = as_reader(READERS.load(name)).survey(Path(where).expanduser(), {}).labels
    classes = PRESETS["ferplus8"] if name == "ferplus" else _classes(found)
    return Source(spec=spec, title=name, classes=classes, labels=found)


def faces(
    chosen: Source, folder: Path, *, pool: int, judge: int, seed: int, jobs: int = 1, progress: Progress = SILENT
) -> DemoData:
    """Faces of ``chosen``; see :func:`drawn` and :func:`read`."""
    if chosen.spec is None:
        return drawn(folder, pool=pool, judge=judge, seed=seed, jobs=jobs, progress=progress)
    return read(chosen, folder, pool=pool, judge=judge, seed=seed, progress=progress)


def drawn(folder: Path, *, pool: int, judge: int, seed: int, jobs: int = 1, progress: Progress = SILENT) -> DemoData:
    """``pool`` drawn faces in ``folder`` and about ``judge`` others, of other people, to judge by.

    ``jobs`` processes draw them.
    """
    with progress.task("Drawing faces", pool + judge, unit="faces") as bar:
        stream = (
            _Face(face.name, face.person or "nobody", face.png, face.answers)
            for rng, n in ((np.random.default_rng([seed, 0]), pool), (np.random.default_rng([seed, 1]), judge))
            for face in draw_faces(n, rng, jobs=jobs)
        )
        taken: list[_Face] = []
        for face in stream:
            taken.append(face)
            bar.advance()
    return _made(source(None), folder, pool=taken[:pool], judge=taken[pool:])


def read(chosen: Source, folder: Path, *, pool: int, judge: int, seed: int, progress: Progress = SILENT) -> DemoData:
    """``pool`` random faces of a data set in ``folder`` and ``judge`` others to judge by.

    Copies of one picture always fall on the same side. Raises :class:`DataError` when there are too few.
    """
    name, _, where = (chosen.spec or "").partition(":")
    reader, path = as_reader(READERS.load(name)), Path(where).expanduser()
    labels = plan(chosen.labels, chosen.classes, {})
    rng = np.random.default_rng(seed)
    sides: dict[bool, dict[str, tuple[float, _Face]]] = {True: {}, False: {}}
    with progress.task(f"Reading {name}", None, unit="faces") as bar:
        for record in reader(path, {}):
            bar.advance()
            data = record.media if isinstance(record.media, bytes) else record.media.read_bytes()
            content = hashlib.sha256(data).hexdigest()
            side = int(content[:8], 16) % 4 == 0
            ticket = float(rng.random())
            total = sum(record.votes.values())
            answers: dict[str, float] = {}
            for (_, target), count in labels.translate(record.votes, record.key).items():
                answers[target] = answers.get(target, 0.0) + count / total
            if answers and content not in sides[side]:
                face = _Face(f"{content[:16]}.png", record.group or content[:16], data, answers)
                sides[side][content] = (ticket, face)
            if len(sides[side]) > 4 * (judge if side else pool):
                _thin(sides[side], 2 * (judge if side else pool))
    for side, n, what in ((False, pool, "the pool"), (True, judge, "the judge")):
        _thin(sides[side], n)
        if len(sides[side]) < n:
            raise DataError(f"{chosen.spec} has only {len(sides[side])} faces for {what}; {n} were asked for.")
    taken = {side: [face for _, face in faces.values()] for side, faces in sides.items()}
    return _made(chosen, folder, pool=taken[False], judge=taken[True], licence=reader.licence)


def _thin(faces: dict[str, tuple[float, _Face]], n: int) -> None:
    """Keep the ``n`` faces with the lowest tickets: a random choice whatever the order of the file."""
    for content in sorted(faces, key=lambda key: faces[key][0])[n:]:
        del faces[content]


def _classes(labels: Mapping[str, int]) -> tuple[str, ...]:
    return check_classes(dict.fromkeys(canonical(name) for name in labels if canonical(name) not in META))


def _made(
    chosen: Source,
    folder: Path,
    *,
    pool: list[_Face],
    judge: list[_Face],
    licence: str | None = None,
) -> DemoData:
    for face in pool:
        place = folder / face.group
        place.mkdir(parents=True, exist_ok=True)
        (place / face.name).write_bytes(face.data)
    clear = list(_clear(judge, chosen.classes))
    return DemoData(
        title=chosen.title,
        classes=chosen.classes,
        photos=folder,
        crowd={face.name: face.answers for face in pool},
        judge=[(face.name, face.data) for face, _ in clear],
        truth=np.array([chosen.classes.index(label) for _, label in clear], dtype=np.int64),
        drawn=chosen.spec is None,
        licence=licence,
    )


def _clear(faces: list[_Face], classes: tuple[str, ...]) -> Iterator[tuple[_Face, str]]:
    for face in faces:
        label = max(face.answers, key=lambda name: face.answers[name])
        if label in classes and face.answers[label] > CLEAR:
            yield face, label
