"""What changed from one state of the data to another, in words and in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.provenance.data_rows import PARTS, Row

if TYPE_CHECKING:
    from emolab.provenance.snapshots import Content, Difference

#: Entries of one list in a sentence; the others are counted.
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class DataChange:
    """``sentences`` that say what changed, and how many rows of each part were ``added``, ``removed``, ``changed``."""

    sentences: list[str]
    counts: dict[str, dict[str, int]]


def changes(old: Mapping[str, Sequence[Row]], new: Mapping[str, Sequence[Row]]) -> DataChange:
    """What changed from the rows ``old`` to ``new``; without any sentence the two are the same."""
    sentences: list[str] = []
    counts = {}
    for part, key in PARTS.items():
        before = {tuple(row[name] for name in key): row for row in old[part]}
        after = {tuple(row[name] for name in key): row for row in new[part]}
        added = [after[one] for one in after if one not in before]
        removed = [before[one] for one in before if one not in after]
        changed = [(before[one], after[one]) for one in after if one in before and before[one] != after[one]]
        counts[part] = {"added": len(added), "removed": len(removed), "changed": len(changed)}
        sentences += _SAID[part](added, removed, changed)
    return DataChange(sentences, counts)


def model_changes(old: Content, new: Content, found: Difference) -> list[str]:
    """What changed between the data of two models; ``found`` is how they differ."""
    said = []
    if found.classes_changed:
        said.append(f"Classes: {', '.join(old.classes)} -> {', '.join(new.classes)}")
    if found.added or found.removed:
        said.append(f"Samples: {len(found.added):,} added, {len(found.removed):,} removed")
    if found.moved:
        before, after = (dict(zip(one.ids, one.splits, strict=True)) for one in (old, new))
        said.append("Splits: " + _counted(f"{before[one]} -> {after[one]}" for one in found.moved))
    if found.relabelled:
        said.append(f"Labels: {len(found.relabelled):,} changed, {len(found.flipped):,} of them to another class")
    if found.leaked:
        said.append(
            f"{len(found.leaked):,} samples moved from validation or test into train: figures of the two models on "
            "them cannot be compared"
        )
    return said


Pairs = Sequence[tuple[Row, Row]]


def _samples(added: Sequence[Row], removed: Sequence[Row], changed: Pairs) -> list[str]:
    said = []
    if added:
        said.append(f"Samples: {len(added):,} added ({_counted(row['source'] for row in added)})")
    if removed:
        said.append(f"Samples: {len(removed):,} removed ({_counted(row['source'] for row in removed)})")
    if changed:
        fields = _counted(name for old, new in changed for name in new if old.get(name) != new[name])
        said.append(f"Samples: {len(changed):,} have other fields ({fields})")
    return said


def _splits(added: Sequence[Row], removed: Sequence[Row], changed: Pairs) -> list[str]:  # noqa: ARG001 - samples say it
    moved = [(old["split"], new["split"]) for old, new in changed if old["split"] != new["split"]]
    words = [f"{old or 'none'} -> {new or 'none'}" for old, new in moved]
    said = [f"Splits: {_counted(words)}"] if moved else []
    leaked = sum(old in ("valid", "test") and new == "train" for old, new in moved)
    if leaked:
        said.append(f"{leaked:,} samples moved from validation or test into train: figures on them cannot be compared")
    copies = sum(old["representative"] != new["representative"] for old, new in changed)
    return [*said, f"Near copies: {copies:,} samples are in other groups"] if copies else said


def _votes(added: Sequence[Row], removed: Sequence[Row], changed: Pairs) -> list[str]:
    said = []
    if added:
        said.append(f"Votes: {len(added):,} came ({_counted(row['annotator'] for row in added)})")
    if removed:
        said.append(f"Votes: {len(removed):,} were withdrawn ({_counted(row['annotator'] for row in removed)})")
    if changed:
        flips = [f"{_word(old)} -> {_word(new)}" for old, new in changed if _word(old) != _word(new)]
        said.append(f"Votes: {len(changed):,} were edited" + (f" ({_counted(flips)})" if flips else ""))
    return said


def _word(row: Row) -> str:
    return "+".join([row["label"], *row["also"]]) if row["label"] else "skip"


def _labels(added: Sequence[Row], removed: Sequence[Row], changed: Pairs) -> list[str]:
    said = [f"Labels: {len(added):,} new, {len(removed):,} gone"] if added or removed else []
    if changed:
        flips = sum(old["hard"] != new["hard"] for old, new in changed)
        said.append(f"Labels: {len(changed):,} changed, {flips:,} of them to another class")
    return said


def _sources(added: Sequence[Row], removed: Sequence[Row], changed: Pairs) -> list[str]:
    groups = (("new", [row["name"] for row in added]), ("gone", [row["name"] for row in removed]))
    said = [f"Sources: {word}: {', '.join(names[:_SHOWN])}" for word, names in groups if names]
    for old, new in changed:
        said += [
            f"Source {new['name']}: {name} {old.get(name)!r} -> {new[name]!r}"
            for name in new
            if old.get(name) != new[name]
        ]
    return said


def _about(added: Sequence[Row], removed: Sequence[Row], changed: Pairs) -> list[str]:  # noqa: ARG001 - always there
    said = []
    for old, new in changed:
        before, after = _flat(old["value"]), _flat(new["value"])
        names = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
        if new["name"] == "labels":
            names = [name for name in names if name not in ("version", "created_at")]
        listed = [f"{name} {before.get(name)!r} -> {after.get(name)!r}" for name in names[:_SHOWN]]
        more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        if listed:
            said.append(f"{_ABOUT[new['name']]}: {', '.join(listed)}{more}")
    return said


_ABOUT = {"code": "Code", "labels": "How labels are made", "settings": "Settings"}
_SAID = {
    "samples": _samples, "splits": _splits, "votes": _votes, "labels": _labels, "sources": _sources, "about": _about,
}  # fmt: skip


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: value}
    return {
        path: one
        for key, inner in value.items()
        for path, one in _flat(inner, f"{name}.{key}" if name else key).items()
    }


def _counted(words: Any) -> str:
    found = Counter(words).most_common()
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(f"{word} {n:,}" for word, n in found[:_SHOWN]) + more
