"""The reference of a model's watch: what it is compared with, kept on disk from the first look on.

``reference.json`` says what it is and is written last; the columns lie beside it as arrays. Another reference, or
windows of another length, begin a new watch: the looks so far move to a file of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emolab.catalog.storage.engine import now as moment
from emolab.errors import ConfigError, DataError, EmolabError
from emolab.files import write_text
from emolab.loop.operate.monitor import look_record, reference_samples
from emolab.loop.operate.monitor.seen_windows import MOST, FinishedWindow, day, observed
from emolab.monitoring.estimation import hits
from emolab.monitoring.reference import FEWEST, Observations
from emolab.records import HOLDOUT, SPLITS
from emolab.stats import multilabel
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emolab.loop.operate.monitor.watched_model import WatchedModel
    from emolab.progress import Progress
    from emolab.records import LabelSet
    from emolab.workspace import Workspace

#: What a reference may be besides a period FROM..TO.
JUDGED, FIRST = "judged", "first"
#: Splits that no training reads.
JUDGING = (*SPLITS[1:], HOLDOUT)
FILE = reference_samples.REFERENCE
_COLUMNS = ("probs", "embeddings", "quality", "agreement", "seconds", "truth")


@dataclass(frozen=True, kw_only=True, eq=False)
class WatchReference:
    """``seen`` is what windows are compared with; it was given as ``asked``, and ``words`` says what it is.

    ``judged`` with ``truth`` are the samples that accuracy is estimated from; ``None`` where too few are labelled,
    which ``unjudged`` says. ``truth`` is as in :func:`emolab.monitoring.estimation.hits`. Windows that begin before
    ``begins`` are not looked at. ``ids`` and ``judged_ids`` are the samples whose rows ``seen`` and ``judged`` have;
    none where ``seen`` was served.
    """

    asked: str
    every: str
    words: str
    begins: datetime | None
    seen: Observations
    judged: Observations | None
    truth: NDArray[np.int64]
    unjudged: str
    ids: tuple[str, ...] = ()
    judged_ids: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """Of the judged samples; ``None`` without any."""
        if self.judged is None:
            return None
        return float(hits(self.judged, self.truth).mean())


def kept(workspace: Workspace, model: str) -> WatchReference | None:
    """The reference of the running watch of ``model`` (its whole id); ``None`` before the first.

    It is without the samples whose consent has ended, and ``None`` where too few others are left. Raises
    :class:`DataError` for damaged files.
    """
    home = look_record.home(workspace, model)
    found = _kept(home) if (home / FILE).exists() else None
    return found and _without(found, _barred(workspace))


def drop_barred(workspace: Workspace, model: str) -> int:
    """Take the rows of samples whose consent has ended out of the files of a reference; how many rows went.

    Where too few are left, the reference goes, as when samples are forgotten.
    """
    barred = _barred(workspace)
    return reference_samples.drop(look_record.home(workspace, model), barred) if barred else 0


def _barred(workspace: Workspace) -> Collection[str]:
    """The samples that may not judge a model today."""
    from emolab.catalog.privacy import consents

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return consents.allowed(conn, "train", required=workspace.config.privacy.consent_required).barred


def _without(found: WatchReference, barred: Collection[str]) -> WatchReference | None:
    """``found`` without the rows of the samples ``barred``; ``None`` where too few are left."""
    if not any(one in barred for one in (*found.ids, *found.judged_ids)):
        return found
    seen, ids, judged, truth, judged_ids = found.seen, found.ids, found.judged, found.truth, found.judged_ids
    if ids:
        stay = _others(ids, barred)
        seen, ids = seen.rows(stay), tuple(ids[row] for row in stay.tolist())
        if len(ids) < FEWEST:
            return None
    if judged is not None:
        stay = _others(judged_ids, barred)
        judged, truth, judged_ids = judged.rows(stay), truth[stay], tuple(judged_ids[row] for row in stay.tolist())
    made = replace(found, seen=seen, ids=ids, judged=judged, truth=truth, judged_ids=judged_ids)
    if judged is None or len(judged_ids) >= FEWEST:
        return made
    return replace(made, judged=None, truth=np.empty(0, np.int64), judged_ids=(), unjudged=reference_samples.TOO_FEW)


def _others(ids: Sequence[str], barred: Collection[str]) -> NDArray[np.int64]:
    return np.flatnonzero([one not in barred for one in ids])


def _kept(home: Path) -> WatchReference:
    try:
        told = json.loads((home / FILE).read_text(encoding="utf-8"))
        seen, _ = _read(home, "seen", told)
        judged, truth = _read(home, "judged", told) if told["judged"] else (None, np.empty(0, np.int64))
        begins = told["begins"] and datetime.fromisoformat(told["begins"])
        ids = reference_samples.read(home) or {"seen": [], "judged": []}
        return WatchReference(
            asked=told["reference"], every=told["every"], words=told["words"], begins=begins,
            seen=seen, judged=judged, truth=truth, unjudged=told["unjudged"],
            ids=tuple(ids["seen"]), judged_ids=tuple(ids["judged"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise DataError(
            f"The reference in {home} is damaged: {error}.",
            hint=f"Begin a new watch: rm {home / FILE}, then emolab monitor",
        ) from error


def begin(
    workspace: Workspace,
    watched: WatchedModel,
    *,
    asked: str,
    every: str,
    finished: Sequence[FinishedWindow],
    progress: Progress,
) -> WatchReference:
    """Begin a watch with the reference ``asked`` for and keep it; the looks of an earlier watch move away.

    Raises :class:`DataError` where it has fewer than 100 samples, :class:`ConfigError` for what is no reference.
    """
    home = look_record.home(workspace, watched.id)
    by_samples = asked in (JUDGED, *JUDGING)
    try:
        judged = _judged(workspace, watched, JUDGING, progress)
    except EmolabError as error:
        if by_samples:
            raise
        judged = _Judged(None, np.empty(0, np.int64), np.empty(0, bool), error.message, ())
    ids: tuple[str, ...] = ()
    if by_samples:
        seen, ids = _of_samples(workspace, watched, asked, judged, progress)
        words, begins = _NAMES[asked], None
        until = finished[0].begin.isoformat() if finished else moment()
        period = ("", until)
    else:
        start, end = _period(asked, finished)
        seen, _ = observed(watched.log, start, end)
        words, begins = f"what it saw from {start.date()} to {(end - timedelta(days=1)).date()}", end
        period = (start.isoformat(), end.isoformat())
    if len(seen) < FEWEST:
        raise DataError(
            f"The reference ({words}) has {many(len(seen), 'sample')}; it needs {FEWEST} or more.",
            hint="Take what was served: emolab monitor --reference first, or --reference 2026-01-05..2026-01-18"
            if by_samples
            else "Take a longer time, such as --reference 2026-01-05..2026-01-18, or wait until more was asked.",
        )
    made = WatchReference(
        asked=asked, every=every, words=words, begins=begins, seen=_with_people(workspace, seen, *period),
        judged=None, truth=np.empty(0, np.int64), unjudged=judged.why, ids=ids,
    )  # fmt: skip
    made = _with_judged(made, judged)
    _set_aside(home)
    _keep(home, made)
    return made


def with_new_labels(
    workspace: Workspace, watched: WatchedModel, reference: WatchReference, *, progress: Progress
) -> WatchReference:
    """The same reference, with judged samples where enough are labelled by now that were not at its beginning."""
    from emolab.labeling.labels.current_labels import labels_if_any

    labels = labels_if_any(workspace) if reference.judged is None else None
    if labels is None or len(labels.samples) < FEWEST or not (watched.folder / "model.json").is_file():
        return reference
    made = _with_judged(reference, _judged(workspace, watched, JUDGING, progress))
    if made.judged is not None:
        _keep(look_record.home(workspace, watched.id), made)
    return made


class _Judged(NamedTuple):
    """What the model says of the samples ``ids``, one row each, and their ``truth``, which counts where they are
    ``labelled`` (n,). ``why`` there is none, or why accuracy cannot be estimated from them.
    """

    seen: Observations | None
    truth: NDArray[np.int64]
    labelled: NDArray[np.bool_]
    why: str
    ids: tuple[str, ...]


def _with_judged(made: WatchReference, judged: _Judged) -> WatchReference:
    """``made`` with the labelled ones of ``judged``, where they are enough."""
    labelled = np.flatnonzero(judged.labelled)
    if judged.seen is None or len(labelled) < FEWEST:
        return replace(made, unjudged=judged.why)
    ids = tuple(judged.ids[row] for row in labelled.tolist())
    return replace(made, judged=judged.seen.rows(labelled), truth=judged.truth[labelled], unjudged="", judged_ids=ids)


_NAMES = {
    JUDGED: "the samples that judge models here",
    "valid": "the validation samples",
    "test": "the test samples",
    HOLDOUT: "the holdout",
}


def _period(asked: str, finished: Sequence[FinishedWindow]) -> tuple[datetime, datetime]:
    """The time that ``asked`` means, its end not included."""
    if asked == FIRST:
        full = next((window for window in finished if window.n), None)
        if full is None:
            raise DataError("No window has ended yet that could be the reference.", hint="Wait until one has.")
        return full.begin, full.end
    start, dots, end = asked.partition("..")
    try:
        if not dots:
            raise ValueError
        found = day(start), day(end) + timedelta(days=1)
    except ValueError:
        raise ConfigError(
            f'"{asked}" is no reference.',
            hint=f"Known: {JUDGED}, {', '.join(JUDGING)}, {FIRST}, or days such as 2026-01-05..2026-01-18.",
        ) from None
    if found[1] <= found[0]:
        raise ConfigError(f"The reference {asked} ends before it begins.", hint="Write the earlier day first.")
    return found


def check_asked(asked: str) -> None:
    """Raise :class:`ConfigError` where ``asked`` is no reference."""
    if asked not in (JUDGED, *JUDGING, FIRST):
        _period(asked, ())


def _judged(workspace: Workspace, watched: WatchedModel, splits: Sequence[str], progress: Progress) -> _Judged:
    """What the model says of the samples of ``splits`` that it has not learned from and that may judge.

    Whatever it answers of a class that it does not know is wrong.
    """
    from emolab.catalog import samples
    from emolab.catalog.privacy import consents
    from emolab.labeling.labels.current_labels import labels_if_any
    from emolab.loop.model.registry.gate_models import learned_from
    from emolab.loop.operate.monitor.sample_columns import sample_columns

    with workspace.catalog() as catalog, catalog.connect() as conn:
        may = consents.allowed(conn, "train", required=workspace.config.privacy.consent_required)
        found = [one for split in splits for one in samples.iterate(conn, split=split) if one.id not in may.barred]
    if len(found) > MOST:
        rows = np.sort(np.random.default_rng(0).choice(len(found), MOST, replace=False))
        found = [found[i] for i in rows.tolist()]
    if found and watched.record is not None:
        known, _ = learned_from(workspace, watched.record, found, progress)
        found = [one for one, was in zip(found, known.tolist(), strict=True) if not was]
    if not found:
        return _Judged(None, np.empty(0, np.int64), np.empty(0, bool), "no sample of a split judges models here", ())
    seen, rows = sample_columns(workspace, watched.served(workspace, progress), found, progress=progress)
    ids = tuple(found[row].id for row in rows.tolist())
    labels = labels_if_any(workspace, progress=progress)
    named = {} if labels is None else names_of(labels, several=bool(watched.thresholds))
    labelled = np.array([one in named for one in ids], dtype=bool)
    truth = _truth(watched, [named.get(one, ()) for one in ids])
    few = f"{many(int(labelled.sum()), 'labelled sample')} of valid, test and holdout are too few ({FEWEST})"
    return _Judged(seen, truth, labelled, few, ids)


def names_of(labels: LabelSet, *, several: bool) -> dict[str, tuple[str, ...]]:
    """The classes of each labelled sample, by its id: the one it has, or all that apply where it may have several."""
    if not several:
        return {one: (labels.classes[i],) for one, i in zip(labels.samples, labels.hard.tolist(), strict=True)}
    applying = multilabel.applying(labels.probs)
    return {
        one: tuple(name for name, yes in zip(labels.classes, row, strict=True) if yes)
        for one, row in zip(labels.samples, applying.tolist(), strict=True)
    }


def _truth(watched: WatchedModel, named: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    """The classes ``named`` (n) by their numbers in the model (n,), or which of the model's apply (n, k) of several.

    -1 is none; a class that the model does not know is a number beyond its own, or none that applies.
    """
    if watched.thresholds:
        applies = [[name in names for name in watched.classes] for names in named]
        return np.array(applies, dtype=np.int64).reshape(len(named), len(watched.classes))
    place = {name: i for i, name in enumerate(watched.classes)}
    return np.array([place.get(names[0], len(place)) if names else -1 for names in named], dtype=np.int64)


def _of_samples(
    workspace: Workspace, watched: WatchedModel, asked: str, judged: _Judged, progress: Progress
) -> tuple[Observations, tuple[str, ...]]:
    """The columns of the reference ``asked`` for, which are samples, and their ids."""
    if asked != JUDGED:
        judged = _judged(workspace, watched, (asked,), progress)
    if judged.seen is None:
        raise DataError(
            f"There are no samples in the reference ({_NAMES[asked]}) that the model has not learned from.",
            hint="Take what was served: emolab monitor --reference first",
        )
    return judged.seen, judged.ids


def _with_people(workspace: Workspace, seen: Observations, begin: str, end: str) -> Observations:
    """``seen`` with the annotators' columns of that time."""
    from emolab.loop.operate.monitor.annotator_columns import annotator_columns

    agreement, seconds = annotator_columns(workspace, begin, end)
    return replace(seen, agreement=agreement, seconds=seconds)


def _set_aside(home: Path) -> None:
    """End the watch so far: first its reference goes, so that none is left with half of another's files."""
    (home / FILE).unlink(missing_ok=True)
    looks = home / look_record.FILE
    if looks.exists():
        number = 1 + sum(1 for _ in home.glob("looks-*.jsonl"))
        looks.rename(home / f"looks-{number:04d}.jsonl")


def _keep(home: Path, made: WatchReference) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part, seen in (("seen", made.seen), ("judged", made.judged)):
        if seen is not None:
            quality = [seen.quality[name] for name in sorted(seen.quality)]
            columns = {
                "probs": seen.probs, "embeddings": seen.embeddings, "agreement": seen.agreement,
                "seconds": seen.seconds, "truth": made.truth if part == "judged" else np.empty(0, np.int64),
                "quality": np.stack(quality, axis=1) if quality else np.empty((len(seen), 0)),
            }  # fmt: skip
            for name, column in columns.items():
                np.save(home / f"{part}.{name}.npy", column)
    told = {
        "version": 1, "reference": made.asked, "every": made.every, "words": made.words, "at": moment(),
        "begins": made.begins and made.begins.isoformat(), "classes": list(made.seen.classes),
        "quality": sorted(made.seen.quality), "n": len(made.seen), "judged": made.judged is not None,
        "unjudged": made.unjudged, "thresholds": list(made.seen.thresholds),
    }  # fmt: skip
    reference_samples.write(home, {"seen": made.ids, "judged": made.judged_ids})
    write_text(home / FILE, json.dumps(told))


def _read(home: Path, part: str, told: dict[str, Any]) -> tuple[Observations, NDArray[np.int64]]:
    columns = {name: np.load(home / f"{part}.{name}.npy", allow_pickle=False) for name in _COLUMNS}
    seen = Observations(
        classes=tuple(told["classes"]),
        probs=columns["probs"],
        embeddings=columns["embeddings"],
        quality={name: columns["quality"][:, i] for i, name in enumerate(told["quality"])},
        agreement=columns["agreement"],
        seconds=columns["seconds"],
        thresholds=tuple(told.get("thresholds", ())),
    )
    return seen, columns["truth"]
