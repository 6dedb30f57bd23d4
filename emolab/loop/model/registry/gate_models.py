"""Two models judged on the holdout: which figures decide whether one may take the place of the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError
from emolab.progress import SILENT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.progress import Progress
    from emolab.records import Model, Sample
    from emolab.stats.gate import GateVerdict
    from emolab.workspace import Workspace

#: Parts in which two models answer in turns, so that a machine getting busy slows both.
TURNS = 6

#: Answers (m, k) to files of samples, and which of them (m,) could be read.
Answers = Callable[["Sequence[Sample]"], "tuple[NDArray[np.float32], NDArray[np.bool_]]"]


@dataclass(frozen=True, eq=False)
class Judges:
    """The labelled samples of the holdout: ``samples`` (n) and the name of each one's class."""

    samples: list[Sample]
    truth: list[str]


def has_judges(conn: Connection) -> bool:
    """Whether somebody has answered about a sample of the holdout."""
    from sqlalchemy import select

    from emolab.catalog.storage import schema
    from emolab.records import HOLDOUT

    table = schema.samples.c
    asked = select(table.pk).where(table.split == HOLDOUT, table.n_votes > 0, schema.present).limit(1)
    return conn.execute(asked).first() is not None


def gate(workspace: Workspace, new: Model, old: Model, *, progress: Progress = SILENT) -> GateVerdict:
    """Whether ``new`` may take the place of ``old``, by the settings of the section operations.

    Samples that either has learned from do not count. Raises :class:`DataError` where the holdout has no label, or the
    models have other classes.
    """
    import numpy as np

    from emolab.stats.gate import GateLimits, decide

    if set(new.classes) != set(old.classes):
        raise DataError("The two models have other classes, so the holdout cannot compare them.")
    judges = _judges(workspace, new.classes, progress)
    rows = judges.samples
    mine, theirs, read, latency = _in_turns(workspace, new, old, rows, progress)
    known, unknown = zip(*(learned_from(workspace, model, rows, progress) for model in (new, old)), strict=True)
    fair = read & ~known[0] & ~known[1]
    truth = np.array([new.classes.index(name) for name in judges.truth], dtype=np.int64)
    theirs = theirs[:, [old.classes.index(name) for name in new.classes]]
    able = _able(workspace, rows, new.classes)
    names = [sample.group or sample.representative or sample.parent or sample.id for sample in rows]
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    settings = workspace.config.operations
    verdict = decide(
        _within(mine, able)[fair],
        _within(theirs, able)[fair],
        truth[fair],
        new.classes,
        groups=np.array([number[name] for name in names], dtype=np.int64)[fair],
        sources=np.array([sample.source for sample in rows])[fair],
        latency=latency,
        limits=GateLimits(
            margin=settings.margin_macro_f1,
            ece_rise=settings.max_ece_rise,
            latency_rise=settings.max_latency_rise,
            recall_drop=settings.max_group_recall_drop,
        ),
        seed=int(min(new.id, old.id)[:8], 16),
    )
    left_out = {"learned": int((read & ~fair).sum()), "unreadable": int((~read).sum())}
    told = sorted({*unknown[0], *unknown[1]})
    document: dict[str, Any] = {**verdict.document, "against": old.id, "unknown": told, **left_out}
    more = (f"not all is known of what they learned from ({'; '.join(told)})",) if told else ()
    return replace(verdict, reasons=(*verdict.reasons, *more), document=document)


def _judges(workspace: Workspace, classes: Sequence[str], progress: Progress) -> Judges:
    """The samples of the holdout with a label that the models know."""
    from emolab.catalog import samples
    from emolab.labeling.labels.current_labels import current_labels
    from emolab.records import HOLDOUT

    labels = current_labels(workspace, progress=progress)
    hard = {sample: labels.classes[i] for sample, i in zip(labels.samples, labels.hard.tolist(), strict=True)}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = [one for one in samples.iterate(conn, split=HOLDOUT) if hard.get(one.id) in classes]
    if not found:
        raise DataError(
            "No sample of the holdout has a label that the models know.",
            hint="Add some and have them labelled: emolab holdout add -n 200, then emolab label push",
        )
    return Judges(found, [hard[one.id] for one in found])


def _in_turns(
    workspace: Workspace, new: Model, old: Model, rows: Sequence[Sample], progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], float]:
    """Answers of both (n, k), which samples both could read (n,), and the CPU time of ``new`` by that of ``old``."""
    import numpy as np

    both = [_answers(workspace, model, rows, progress) for model in (new, old)]
    for answer in both:
        answer(rows[:8])  # what an engine sets up at first is no part of an answer
    parts = np.array_split(np.arange(len(rows)), min(TURNS, len(rows)))
    probs: list[list[NDArray[np.float32]]] = [[], []]
    read, ratios = [], []
    with progress.task("Judging on the holdout", len(rows), unit="samples") as task:
        for turn, part in enumerate(parts):
            spent, seen = [0.0, 0.0], np.ones(len(part), dtype=bool)
            for which in (0, 1) if turn % 2 == 0 else (1, 0):
                began = time.process_time()
                found, readable = both[which]([rows[i] for i in part])
                spent[which] = time.process_time() - began
                probs[which].append(found)
                seen &= readable
            read.append(seen)
            ratios.append(spent[0] / max(spent[1], 1e-9))
            task.advance(len(part))
    return np.concatenate(probs[0]), np.concatenate(probs[1]), np.concatenate(read), float(np.median(ratios))


def _answers(workspace: Workspace, model: Model, judges: Sequence[Sample], progress: Progress) -> Answers:
    """What ``model`` says of some of ``judges``: one distribution a row, classes in its own order."""
    import numpy as np

    from emolab.errors import MissingExtra
    from emolab.modalities.own_models import own_model

    folder, k = workspace.root / model.path, len(model.classes)
    own = own_model(folder)
    if own is not None:

        def by_modality(rows: Sequence[Sample]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
            probs, errors = own.answers([workspace.root / sample.media for sample in rows])
            shares: NDArray[np.float32] = (probs / np.maximum(probs.sum(axis=1, keepdims=True), 1e-12)).astype(
                np.float32
            )
            return shares, np.array([i not in errors for i in range(len(rows))])

        return by_modality
    try:
        from emolab.training.inputs.speaker_tables import of_samples
        from emolab.training.predict import load, predict_media
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    predictor = load(folder)
    wanted, ids = predictor.checkpoint.preprocessing, [sample.id for sample in judges]
    tables = dict(zip(ids, of_samples(workspace, ids, wanted, progress=progress) or (), strict=False))

    def by_network(rows: Sequence[Sample]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        named = [(sample.id, workspace.root / sample.media) for sample in rows]
        of_speakers = [tables[sample.id] for sample in rows] if tables else None
        told = list(predict_media(predictor, named, tables=of_speakers))
        probs = np.stack([np.full(k, 1 / k, np.float32) if one.probs is None else one.probs for one in told])
        return probs.astype(np.float32), np.array([one.probs is not None for one in told])

    return by_network


def learned_from(
    workspace: Workspace, model: Model, rows: Sequence[Sample], progress: Progress
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which of ``rows`` (n,) the model, or what it started from, has learned from; and what is not known of that."""
    import numpy as np

    from emolab.errors import MissingExtra
    from emolab.loop.model.judging.learned_samples import learned_before
    from emolab.modalities.own_models import own_model
    from emolab.training.learned import ancestry, fingerprints

    folder, files = workspace.root / model.path, [workspace.root / sample.media for sample in rows]
    own = own_model(folder)
    if own is not None:
        told = learned_before(own, folder, files)
        if told is None:
            raise MissingExtra("safetensors", "train")
        return told.known, tuple(told.record.unknown)
    record = ancestry.of_folder(folder)
    if not record.layers:
        return np.zeros(len(rows), dtype=bool), tuple(record.unknown)
    return record.has(fingerprints.of_media(files, progress=progress)), tuple(record.unknown)


def _able(workspace: Workspace, rows: Sequence[Sample], classes: Sequence[str]) -> NDArray[np.bool_]:
    """(n, k): the classes that the source of each sample can show."""
    import numpy as np

    from emolab.catalog import samples

    with workspace.catalog() as catalog, catalog.connect() as conn:
        shown = samples.supported(conn)
    able = [[(names := shown.get(row.source)) is None or name in names for name in classes] for row in rows]
    return np.array(able, dtype=bool)


def _within(probs: NDArray[np.float32], able: NDArray[np.bool_]) -> NDArray[np.float32]:
    """``probs`` over the classes that can occur."""
    import numpy as np

    kept = np.where(able, probs, 0.0)
    totals = kept.sum(axis=1, keepdims=True)
    even = able / np.maximum(able.sum(axis=1, keepdims=True), 1)
    found: NDArray[np.float32] = np.where(totals > 0, kept / np.maximum(totals, 1e-30), even).astype(np.float32)
    return found
