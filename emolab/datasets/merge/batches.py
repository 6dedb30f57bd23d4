"""From the records of a dataset to votes and splits, in the transaction that adds their samples."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from emolab.catalog import samples, tallies, votes
from emolab.datasets.merge.conflicts import Ledger, winner
from emolab.datasets.merge.label_map import DROP
from emolab.datasets.merge.report import MappingRow
from emolab.datasets.splits.assign import held_out
from emolab.records import Record, Vote
from emolab.taxonomy import META

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.samples import AddResult
    from emolab.datasets.collect.ingest import Outcome
    from emolab.datasets.merge.label_map import LabelMap
    from emolab.datasets.merge.report import MergeReport
    from emolab.datasets.readers.reader import Reader


class MergeBatches:
    """Votes and splits of one merge, batch by batch, and what was counted on the way.

    ``earlier`` are the origins of votes of earlier merges of this name, see :func:`earlier_votes`.
    """

    def __init__(
        self,
        report: MergeReport,
        source: Reader,
        labels: LabelMap,
        split: str,
        earlier: Mapping[str, Sequence[str]],
    ) -> None:
        self._report = report
        self._source = source
        self._labels = labels
        self._split = split
        self._earlier = earlier
        self._ledger = Ledger()
        self._known: list[str] = []
        self._votes: Counter[tuple[str, str | None]] = Counter()
        self._led: Counter[tuple[str, str | None]] = Counter()
        self._notes: Counter[str] = Counter()

    def batch(self, tx: Connection, outcomes: Sequence[Outcome], result: AddResult) -> None:
        """Votes and splits of one batch, in the transaction that adds its samples."""
        added = set(result.added)
        known = [i for outcome in outcomes for i in outcome.ids if i not in added and i not in self._ledger.entries]
        current = samples.splits(tx, known)
        new: list[Vote] = []
        stale: list[str] = []
        moves: dict[str, str | None] = {}
        for outcome in outcomes:
            record = cast(Record, outcome.item.carry)
            for sample_id in outcome.ids:
                given = self._cast(sample_id, record)
                wanted = wanted_split(record, self._source, self._split)
                before = current.get(sample_id)
                stored, kept = self._count(sample_id, record, wanted, before, is_new=sample_id in added)
                if kept != stored:
                    moves[sample_id] = kept
                new.extend(given)
                if self._earlier:
                    origins = {vote.origin for vote in given}
                    stale.extend(o for o in self._earlier.get(self._key(sample_id, record), ()) if o not in origins)
        if self._report.dry_run:
            return
        self._report.new_votes += votes.append(tx, new, kind="dataset")
        self._report.withdrawn += votes.withdraw(tx, stale, "the label map changed") if stale else 0
        samples.set_splits(tx, moves)

    def finish(self, classes: Sequence[str]) -> None:
        """Write what was counted into the report; labels in the order of ``classes``, then meta, then dropped ones."""
        order = {name: place for place, name in enumerate((*classes, *META))}
        report = self._report
        report.duplicates = sum(entry.copies - 1 for entry in self._ledger.entries.values())
        report.images = list(self._ledger.entries)
        report.copies = self._ledger.summary()
        report.notes = dict(self._notes.most_common())
        report.labels = [
            MappingRow(source, label, count, self._led[source, label])
            for (source, label), count in sorted(
                self._votes.items(), key=lambda item: (order.get(item[0][1] or "", len(order)), -item[1])
            )
        ]
        for row in report.labels:
            if row.label in META:
                report.meta[row.label] = report.meta.get(row.label, 0) + row.votes

    def compare(self, conn: Connection) -> dict[str, int]:
        """How often the dataset's label is that of everybody else, on ``images`` that others voted on with a winner."""
        told = tallies.answers(conn, self._known, outside=f"reader:{self._report.name}:")
        pairs = [(self._ledger.entries[i].majority, winner(other)) for i, other in told.items()]
        clear = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
        return {"images": len(clear), "agree": sum(ours == theirs for ours, theirs in clear)}

    def weigh(self, conn: Connection, classes: Sequence[str]) -> None:
        """Write into the report what is left to train on, by class; after a dry run what would be."""
        entries = self._ledger.entries
        if self._report.dry_run:
            placed = {sample_id: held_out(entry.splits) for sample_id, entry in entries.items()}
        else:
            placed = samples.splits(conn, list(entries))
        left = {name: {"train": 0, "held_out": 0} for name in classes if name in self._report.supported}
        for sample_id, entry in entries.items():
            if entry.majority in left:
                left[entry.majority]["train" if placed[sample_id] in ("train", None) else "held_out"] += 1
        self._report.left = left
        ours = sum(split == "train" for split in samples.splits(conn, list(entries)).values())
        self._report.train_elsewhere = samples.count_by(conn, "split").get("train", 0) - ours

    def majorities(self) -> dict[str, str | None]:
        """The label of every image seen, as far as its first copy has one: what splits are balanced by."""
        return {sample_id: entry.majority for sample_id, entry in self._ledger.entries.items()}

    def _cast(self, sample_id: str, record: Record) -> list[Vote]:
        """The votes of one copy of an image."""
        name = self._report.name
        prefix = f"reader:{name}:{self._key(sample_id, record)}"
        annotator = f"reader:{name}" + (f":{record.annotator}" if record.annotator else "")
        return [
            Vote(
                sample_id=sample_id,
                annotator=annotator[:128],
                label=label,
                origin=f"{prefix}:{_short(source if source == label else f'{source}>{label}')}",
                count=count,
                perspective=self._source.perspective,
            )
            for (source, label), count in self._labels.translate(record.votes, record.key).items()
        ]

    def _count(
        self, sample_id: str, record: Record, wanted: str | None, before: str | None, *, is_new: bool
    ) -> tuple[str | None, str | None]:
        """Count one copy; returns the split the sample has and the one it is to have."""
        entry = self._ledger.entries.get(sample_id)
        stored = held_out(entry.splits) if entry else wanted if is_new else before
        mapped = self._labels.translate(record.votes, record.key)
        by_label: Counter[str] = Counter()
        for (_, label), count in mapped.items():
            by_label[label] += count
        first = self._ledger.see(sample_id, by_label, wanted, before=before)
        if first and is_new:
            self._report.added += 1
        elif first:
            self._report.known += 1
            self._known.append(sample_id)
        if record.note:
            self._notes[record.note] += 1
        self._votes.update(mapped)
        self._votes.update(
            {(source, None): count for source, count in record.votes.items() if self._labels.rules[source] == DROP}
        )
        leading = winner(record.votes)
        if leading is not None:
            led: list[tuple[str, str | None]] = [key for key in mapped if key[0] == leading]
            self._led.update(led or [(leading, None)])
        return stored, held_out(self._ledger.entries[sample_id].splits)

    @staticmethod
    def _key(sample_id: str, record: Record) -> str:
        """What names one opinion within the dataset: image, place, and who said it."""
        text = "\0".join((sample_id, record.key, record.annotator or ""))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


def wanted_split(record: Record, source: Reader, split: str) -> str | None:
    """The split a record is to have: its own or its dataset's with ``auto``, else ``split``."""
    return (record.split or source.split) if split == "auto" else split


def earlier_votes(origins: Mapping[str, str]) -> dict[str, list[str]]:
    """Origins of votes of earlier merges by their key."""
    found: dict[str, list[str]] = {}
    for origin in origins:
        found.setdefault(origin.split(":")[2], []).append(origin)
    return found


def _short(text: str) -> str:
    return text if len(text) <= 40 else hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
