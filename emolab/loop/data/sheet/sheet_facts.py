"""What the catalog knows of a data set, as plain data in which nobody is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from emolab.records import GUESSED, HOLDOUT, SPLITS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.records import LabelSet, Sample
    from emolab.workspace import Workspace

#: What a sample without a split is counted under.
NO_SPLIT = "none"


def facts(workspace: Workspace) -> dict[str, Any]:
    """Everything a datasheet is filled from. Changes nothing but, where votes changed, the stored labels."""
    from emolab.catalog import samples, tallies
    from emolab.catalog.privacy.tombstones import Tombstones
    from emolab.labeling.labels.current_labels import labels_if_any
    from emolab.loop.label.label_status import label_status
    from emolab.loop.operate.privacy.consent import consents

    labels = labels_if_any(workspace)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = list(samples.iterate(conn))
        voters = tallies.voters(conn, [sample.id for sample in found])
        told = {
            "sources": _sources(
                conn, found, {name for kind in voters.values() for name in kind}, workspace.config.project.classes
            ),
            "removed": _removed(conn),
            "votes": {**tallies.count(conn), "dates": tallies.dates(conn)},
        }
    register, today = consents(workspace).entries, consents(workspace).today
    status = label_status(workspace).to_dict()
    return {
        **told,
        "project": workspace.config.project.name,
        "modality": workspace.config.project.modality,
        "samples": _composition(found),
        "splits": _splits(found, labels),
        "annotators": {kind: len(names) for kind, names in sorted(voters.items())},
        "votes_per_sample": status["votes_per_sample"],
        "agreement": status["agreement"],
        "labels": _labels(labels),
        "consent_register": dict(Counter(entry.state(today) for entry in register)),
        "consent_required": workspace.config.privacy.consent_required,
        "forgotten": len(Tombstones(workspace)),
        "labelling": _labelling(workspace),
    }


def _composition(found: Sequence[Sample]) -> dict[str, Any]:
    """How many samples, of how many groups, how large, and since when."""
    groups = Counter(sample.group for sample in found if sample.group)
    copies = Counter(one.representative for one in found if one.representative not in (None, one.id))
    moments = sorted(sample.added_at for sample in found if sample.added_at)
    sides = sorted(min(sample.width, sample.height) for sample in found if sample.width and sample.height)
    seconds = [sample.duration for sample in found if sample.duration]
    return {
        "n": len(found),
        "groups": len(groups),
        "guessed_groups": sum(name.startswith(GUESSED) for name in groups),
        "ungrouped": sum(not sample.group for sample in found),
        "largest_group": max(groups.values(), default=0),
        "cut_from_larger": sum(sample.parent is not None for sample in found),
        "masked": sum(bool(sample.quality.get("masked")) for sample in found),
        "near_copies": sum(copies.values()),
        "groups_of_copies": len(copies),
        "divided_groups": _divided(found, lambda sample: sample.group),
        "divided_copies": _divided(found, lambda sample: sample.representative or sample.id),
        "added": (moments[0], moments[-1]) if moments else None,
        "shorter_side": (sides[0], sides[len(sides) // 2], sides[-1]) if sides else None,
        "hours": sum(seconds) / 3600 if seconds else None,
    }


def _divided(found: Sequence[Sample], tie: Callable[[Sample], str | None]) -> int:
    """How many of what ``tie`` names are in two splits or more."""
    splits: dict[str, set[str]] = {}
    for sample in found:
        name = tie(sample)
        if name is not None and sample.split is not None:
            splits.setdefault(name, set()).add(sample.split)
    return sum(len(several) > 1 for several in splits.values())


def _splits(found: Sequence[Sample], labels: LabelSet | None) -> dict[str, Any]:
    """Samples by split, and labelled ones by class and split."""
    of = {sample.id: sample.split or NO_SPLIT for sample in found}
    names = [*SPLITS, HOLDOUT, NO_SPLIT]
    counted = Counter(of.values())
    by_class: dict[str, dict[str, int]] = {}
    if labels is not None:
        for sample, hard in zip(labels.samples, labels.hard.tolist(), strict=True):
            if sample in of:
                row = by_class.setdefault(labels.classes[hard], dict.fromkeys(names, 0))
                row[of[sample]] += 1
        by_class = {name: by_class.get(name, dict.fromkeys(names, 0)) for name in labels.classes}
    return {"samples": {name: counted[name] for name in names}, "by_class": by_class}


def _labels(labels: LabelSet | None) -> dict[str, Any] | None:
    if labels is None:
        return None
    return {
        "n": len(labels.samples),
        "method": labels.method,
        "min_votes": labels.settings.get("min_votes"),
        "version": labels.version,
        "made_at": labels.created_at,
        "agreement": float(labels.agreement.mean()) if len(labels.agreement) else None,
    }


def _labelling(workspace: Workspace) -> dict[str, Any]:
    """How people are asked, by the settings of now."""
    config = workspace.config.labeling
    return {
        "language": config.language,
        "overlap": config.votes or str(config.overlap),
        "own_instructions": bool(config.instructions),
        "guesses_shown": config.show_predictions,
        "several": config.several,
        "second_guess": config.second_guess,
        "confidence": config.confidence,
        "masking": workspace.config.collect.masking,
        "disguise_voice": config.disguise_voice,
    }


def _sources(
    conn: Connection, found: Sequence[Sample], voters: set[str], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Where samples come from, most of them first: how many, licence, consent, and the classes that they show."""
    from sqlalchemy import select

    from emolab.catalog.storage import schema
    from emolab.provenance.told_texts import clean, texts_of
    from emolab.votes.perspectives import INTENDED

    columns = schema.sources.c
    known = {
        row.name: row
        for row in conn.execute(select(columns.name, columns.licence, columns.supported, columns.perspective))
    }
    hidden = {*voters, *(sample.group for sample in found if sample.group)}
    rows = []
    for name, n in Counter(sample.source for sample in found).most_common():
        here = [sample for sample in found if sample.source == name]
        row = known.get(name)
        moments = sorted(sample.added_at for sample in here if sample.added_at)
        rows.append(
            {
                "name": clean(name, hidden - {name}),
                "n": n,
                "groups": len({sample.group for sample in here if sample.group}),
                "licence": texts_of([(one, one.licence or (row.licence if row else None)) for one in here], hidden),
                "consent": texts_of([(one, one.consent) for one in here], hidden),
                "added": (moments[0], moments[-1]) if moments else None,
                "shows": _fewer(None if row is None else row.supported, classes),
                "intended": row is not None and row.perspective == INTENDED,
            }
        )
    return rows


def _fewer(supported: Sequence[str] | None, classes: Sequence[str]) -> list[str] | None:
    """The classes of the project that a source can show, where those are not all."""
    shown = None if supported is None else [name for name in classes if name in supported]
    return None if shown is None or len(shown) == len(classes) else shown


def _removed(conn: Connection) -> int:
    from sqlalchemy import func, select

    from emolab.catalog.storage import schema

    query = select(func.count()).select_from(schema.samples).where(schema.samples.c.removed_at.is_not(None))
    return int(conn.execute(query).scalar_one())
