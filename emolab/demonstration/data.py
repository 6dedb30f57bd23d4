"""What the demo works on: samples that emolab makes, or those of a data set with votes; a pool, and a judge apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emolab.datasets.merge.label_map import plan
from emolab.datasets.readers.reader import as_reader
from emolab.demonstration.kinds.demo_kind import DemoKind, MadeSample, open_kind
from emolab.errors import DataError
from emolab.modalities.modality import open_modality
from emolab.plugins import READERS
from emolab.progress import SILENT, Progress
from emolab.taxonomy import META, PRESETS, canonical, check_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The largest share of the votes must exceed this for a face to judge a model: its answer is then beyond dispute.
CLEAR = 0.5


@dataclass(frozen=True, kw_only=True)
class DemoData:
    """A pool of files on disk and a judge that nobody trains on.

    ``crowd`` maps the file name of each sample to how people answer (class or meta label: share, sums to 1).
    ``drawn``: no real person is among them. ``judge`` holds (name, bytes) of the samples that judge, ``truth`` (m,)
    their classes as indices into ``classes``.
    """

    kind: DemoKind
    title: str
    classes: tuple[str, ...]
    folder: Path
    crowd: Mapping[str, Mapping[str, float]]
    judge: Sequence[tuple[str, bytes]]
    truth: NDArray[np.int64]
    drawn: bool
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where samples come from: ``READER:PATH``, or ``None`` for made ones. ``labels`` are the data set's own names."""

    kind: DemoKind
    spec: str | None
    title: str
    classes: tuple[str, ...]
    labels: Mapping[str, int]


def source(spec: str | None, modality: str = "image") -> Source:
    """Samples that emolab makes without ``spec``, else those of ``READER:PATH``, whose labels are looked at."""
    kind = open_kind(modality)
    if spec is None:
        return Source(kind=kind, spec=None, title=kind.title, classes=kind.classes, labels={})
    name, colon, where = spec.partition(":")
    if not colon:
        raise DataError(f'"{spec}" is not READER:PATH.', hint="Example: emolab demo --data ferplus:fer/data")
    found = as_reader(READERS.load(name)).survey(Path(where).expanduser(), {}).labels
    classes = PRESETS["ferplus8"] if name == "ferplus" else _classes(found)
    return Source(kind=kind, spec=spec, title=name, classes=classes, labels=found)


def prepare(
    chosen: Source, folder: Path, *, pool: int, judge: int, seed: int, jobs: int = 1, progress: Progress = SILENT
) -> DemoData:
    """Samples of ``chosen``; see :func:`drawn` and :func:`read`."""
    if chosen.spec is None:
        return drawn(folder, chosen.kind, pool=pool, judge=judge, seed=seed, jobs=jobs, progress=progress)
    return read(chosen, folder, pool=pool, judge=judge, seed=seed, progress=progress)


def drawn(
    folder: Path,
    kind: DemoKind,
    *,
    pool: int,
    judge: int,
    seed: int,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> DemoData:
    """``pool`` samples that emolab makes in ``folder`` and about ``judge`` others, of other people, to judge by.

    ``jobs`` processes make them.
    """
    taken: list[MadeSample] = []
    with progress.task(f"{kind.making} {kind.nouns}", pool + judge, unit=kind.nouns) as bar:
        for part, n in enumerate((pool, judge)):
            for each in kind.make(n, np.random.default_rng([seed, part]), jobs=jobs):
                taken.append(each)
                bar.advance()
    return _made(source(None, kind.modality), folder, pool=taken[:pool], judge=taken[pool:])


def read(chosen: Source, folder: Path, *, pool: int, judge: int, seed: int, progress: Progress = SILENT) -> DemoData:
    """``pool`` random samples of a data set in ``folder`` and ``judge`` others to judge by.

    Copies of one picture always fall on the same side. Raises :class:`DataError` when there are too few.
    """
    name, _, where = (chosen.spec or "").partition(":")
    reader, path = as_reader(READERS.load(name)), Path(where).expanduser()
    labels = plan(chosen.labels, chosen.classes, {})
    rng = np.random.default_rng(seed)
    sides: dict[bool, dict[str, tuple[float, MadeSample]]] = {True: {}, False: {}}
    with progress.task(f"Reading {name}", None, unit=chosen.kind.nouns) as bar:
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
                sides[side][content] = (ticket, _sample(chosen.kind, data, content[:16], record.group, answers))
            if len(sides[side]) > 4 * (judge if side else pool):
                _thin(sides[side], 2 * (judge if side else pool))
    for side, n, what in ((False, pool, "the pool"), (True, judge, "the judge")):
        _thin(sides[side], n)
        if len(sides[side]) < n:
            raise DataError(
                f"{chosen.spec} has only {len(sides[side])} {chosen.kind.nouns} for {what}; {n} were asked for."
            )
    taken = {side: [each for _, each in found.values()] for side, found in sides.items()}
    return _made(chosen, folder, pool=taken[False], judge=taken[True], licence=reader.licence)


def _sample(kind: DemoKind, data: bytes, name: str, group: str | None, answers: Mapping[str, float]) -> MadeSample:
    """A sample of a data set, in a file whose name ends as its bytes say."""
    found = open_modality(kind.modality).file_type(data)
    suffix = f".{found[0]}" if found else ""
    return MadeSample(data=data, name=f"{name}{suffix}", person=group or name, answers=answers)


def _thin(found: dict[str, tuple[float, MadeSample]], n: int) -> None:
    """Keep the ``n`` samples with the lowest tickets: a random choice whatever the order of the file."""
    for content in sorted(found, key=lambda key: found[key][0])[n:]:
        del found[content]


def _classes(labels: Mapping[str, int]) -> tuple[str, ...]:
    return check_classes(dict.fromkeys(canonical(name) for name in labels if canonical(name) not in META))


def _made(
    chosen: Source,
    folder: Path,
    *,
    pool: list[MadeSample],
    judge: list[MadeSample],
    licence: str | None = None,
) -> DemoData:
    for each in pool:
        place = folder / (each.person or "nobody")
        place.mkdir(parents=True, exist_ok=True)
        (place / each.name).write_bytes(each.data)
    clear = list(_clear(judge, chosen.classes))
    return DemoData(
        kind=chosen.kind,
        title=chosen.title,
        classes=chosen.classes,
        folder=folder,
        crowd={each.name: each.answers for each in pool},
        judge=[(each.name, each.data) for each, _ in clear],
        truth=np.array([chosen.classes.index(label) for _, label in clear], dtype=np.int64),
        drawn=chosen.spec is None,
        licence=licence,
    )


def _clear(found: list[MadeSample], classes: tuple[str, ...]) -> Iterator[tuple[MadeSample, str]]:
    for each in found:
        label = max(each.answers, key=lambda name: each.answers[name])
        if label in classes and each.answers[label] > CLEAR:
            yield each, label
