"""Brings a FiftyOne dataset to a stream of documents: new ones in, changed ones rewritten, gone ones out.

Takes FiftyOne's objects and never imports it. The *direct* path writes documents straight into the
dataset's collection, some forty times cheaper than ``add_samples``; it is used only after :func:`agrees`
has seen that a document written that way is the one FiftyOne itself would write, and reads back the same.
Otherwise the *public* path goes through FiftyOne's own samples.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from emolab.datasets.inspect.documents import Content, Document, changes, joined, stamped_label

_OWN = ("_id", "created_at", "last_modified_at", "_rand")  # FiftyOne chooses these


class WrittenSample(NamedTuple):
    """What the dataset holds of one sample: its id there, what emolab wrote last, and the label it shows now."""

    key: Any
    stamp: str
    label: str | None

    @property
    def edited(self) -> bool:
        """Whether a person changed the label."""
        return self.label is not None and self.label != stamped_label(self.stamp)


class Path(Protocol):
    """One way of reading and writing a dataset."""

    name: str

    def known(self) -> dict[str, WrittenSample]:
        """Every sample that emolab wrote, by uid."""

    def insert(self, documents: Sequence[Document], tags: Mapping[str, Sequence[str]]) -> None:
        """Add documents, with tags by uid."""

    def update(self, contents: Sequence[tuple[Any, Content]], fields: Sequence[str]) -> None:
        """Rewrite ``fields`` of the samples with these keys: a missing value is emptied, ``None`` is left alone."""


@dataclass(slots=True)
class SyncTally:
    """What a run did, in samples; ``kept`` are edits of people that have not been pulled yet."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    kept: list[str] = field(default_factory=list)


def synchronise(
    dataset: Any,
    path: Path,
    batches: Iterable[Sequence[Document]],
    *,
    fields: Sequence[str],
    tags: Mapping[str, Sequence[str]],
    pulled: Collection[tuple[str, str]],
) -> Iterator[SyncTally]:
    """Write the batches and yield the running tally after each, and once more after removing what is gone.

    ``fields`` are all that emolab may write; ``tags`` by uid are given to samples that are new to the
    dataset; ``pulled`` are (uid, label) edits that are votes already: any other edited label is left as the
    person made it.
    """
    known = path.known()
    tally = SyncTally()
    for batch in batches:
        fresh: list[Document] = []
        stale: list[tuple[Any, Content]] = []
        for document in batch:
            old = known.pop(document.uid, None)
            if old is None:
                fresh.append(document)
            elif old.edited and (document.uid, old.label) not in pulled:
                tally.kept.append(document.uid)
                stamp = f"{document.digest}:{stamped_label(old.stamp) or ''}"
                if stamp != old.stamp:
                    stale.append((old.key, {**document.content(), "label": None, "stamp": stamp}))
            elif document.stamp != old.stamp or document.label != old.label:
                stale.append((old.key, document.content()))
        if fresh:
            path.insert(fresh, tags)
        if stale:
            path.update(stale, fields)
        tally.added += len(fresh)
        tally.changed += len(stale)
        tally.unchanged += len(batch) - len(fresh) - len(stale)
        yield tally
    if known:
        dataset.delete_samples([str(old.key) for old in known.values()])
        tally.removed = len(known)
    yield tally


class Direct:
    """Writes documents into the collection behind a dataset."""

    name = "direct"

    def __init__(self, dataset: Any) -> None:
        self._collection = dataset._sample_collection
        self._constant = {"_dataset_id": dataset._doc.id}

    def known(self) -> dict[str, WrittenSample]:
        """Every sample that emolab wrote, by uid."""
        wanted = {"uid": 1, "stamp": 1, "label": "$label.label"}
        found = self._collection.find({"uid": {"$ne": None}}, wanted)
        return {d["uid"]: WrittenSample(d["_id"], d.get("stamp") or "", d.get("label")) for d in found}

    def insert(self, documents: Sequence[Document], tags: Mapping[str, Sequence[str]]) -> None:
        """Add documents in one request."""
        from bson import ObjectId, encode
        from bson.raw_bson import RawBSONDocument

        now = datetime.now(UTC).replace(tzinfo=None)
        added = {**self._constant, "created_at": now, "last_modified_at": now}
        raw = [
            RawBSONDocument(
                joined(
                    document.body,
                    encode({"_id": ObjectId(), "tags": tags.get(document.uid, ()), "stamp": document.stamp, **added}),
                )
            )
            for document in documents
        ]
        self._collection.insert_many(raw, ordered=False)

    def update(self, contents: Sequence[tuple[Any, Content]], fields: Sequence[str]) -> None:
        """Rewrite what emolab owns of each sample in one request."""
        from pymongo import UpdateOne

        keys = [key for key, _ in contents]
        have = self._collection.find({"_id": {"$in": keys}}, {"label": "$label._cls", "prediction": "$prediction._cls"})
        old = {d["_id"]: d for d in have}
        now = datetime.now(UTC).replace(tzinfo=None)
        requests = []
        for key, content in contents:
            to_set, to_unset = changes(content, old[key], fields)
            request = {"$set": {**to_set, "last_modified_at": now}}
            if to_unset:
                request["$unset"] = to_unset
            requests.append(UpdateOne({"_id": key}, request))
        self._collection.bulk_write(requests, ordered=False)


class Public:
    """Writes through FiftyOne's own samples; ``fo`` is the package."""

    name = "public"

    def __init__(self, dataset: Any, fo: Any) -> None:
        self._dataset, self._fo = dataset, fo

    def known(self) -> dict[str, WrittenSample]:
        """Every sample that emolab wrote, by uid."""
        columns = self._dataset.exists("uid").values(["uid", "id", "stamp", "label.label"])
        return {uid: WrittenSample(key, stamp or "", label) for uid, key, stamp, label in zip(*columns, strict=True)}

    def insert(self, documents: Sequence[Document], tags: Mapping[str, Sequence[str]]) -> None:
        """Add samples."""
        contents = ({**document.content(), "tags": list(tags.get(document.uid, ()))} for document in documents)
        self._dataset.add_samples([sample(self._fo, content) for content in contents], progress=False)

    def update(self, contents: Sequence[tuple[Any, Content]], fields: Sequence[str]) -> None:
        """Load, change and save each sample."""
        wanted = {str(key): content for key, content in contents}
        for stored in self._dataset.select(list(wanted)).iter_samples(autosave=True, progress=False):
            content = wanted[stored.id]
            for name in fields:
                if name in content and content[name] is None:
                    continue
                value = field_value(self._fo, content.get(name))
                if value is not None and name in ("label", "prediction") and stored[name] is not None:
                    value.tags, value.id = stored[name].tags, stored[name].id
                stored[name] = value


def agrees(dataset: Any, document: Document, fo: Any) -> str | None:
    """``None`` when the direct path writes what FiftyOne itself would write, otherwise the first difference.

    Puts one document into ``dataset`` both ways, reads it back both ways, compares, and takes it out again.
    """
    expected = sample(fo, {**document.content(), "tags": []})
    one = {"uid": document.uid}
    try:
        collection = dataset._sample_collection
        collection.delete_many(one)
        dataset.add_sample(expected.copy())
        theirs = collection.find_one(one)
        collection.delete_many(one)
        Direct(dataset).insert([document], {})
        ours = collection.find_one(one)
        read = dataset[str(ours["_id"])]
        collection.delete_many(one)
    except Exception as error:  # whatever goes wrong inside FiftyOne's internals means: do not use them
        return f"{type(error).__name__}: {error}"
    for name in sorted({*theirs, *ours} - {*_OWN, "_dataset_id"}):
        if name not in ours or name not in theirs:
            return f'FiftyOne {"lacks" if name in ours else "also writes"} "{name}"'
        if not name.startswith("_") and _plain(fo, read[name]) != _plain(fo, expected[name]):
            return f'"{name}" reads back as {read[name]}'
    different = [name for name in _OWN if type(ours.get(name)) is not type(theirs.get(name))]
    return f'"{different[0]}" has another type' if different else None


def sample(fo: Any, content: Content) -> Any:
    """The FiftyOne sample for a document's content."""
    values = {name: field_value(fo, value) for name, value in content.items() if not name.startswith("_")}
    return fo.Sample(**values)


def field_value(fo: Any, value: Any) -> Any:
    """What FiftyOne's own API takes for a stored value: embedded documents become its classes, vectors arrays."""
    if isinstance(value, list):
        return [field_value(fo, part) for part in value]
    if not isinstance(value, dict):
        return value
    parts = {name: field_value(fo, part) for name, part in value.items() if not name.startswith("_")}
    if isinstance(parts.get("logits"), bytes):
        parts["logits"] = fo.core.utils.deserialize_numpy_array(parts["logits"])
    made = getattr(fo, value["_cls"])(**parts)
    if "_id" in value:
        made.id = str(value["_id"])
    return made


def _plain(fo: Any, value: Any) -> Any:
    """``value`` as data that can be compared."""
    if isinstance(value, list):
        return [_plain(fo, part) for part in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return {name: _plain(fo, part) for name, part in value.to_dict().items()}
    return value
