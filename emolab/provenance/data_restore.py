"""A state of the data brought back, in the caller's transaction.

The ledger of votes is never rewritten: votes that were not there then get a tombstone, and those that were there and
are not now come as new rows. Consent is left as it is now, and so are the holdout and what lies in a project of Label
Studio. Settings are the user's own file: what differs is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from emolab.catalog import events, labels, ledger_mark, removal, samples, votes
from emolab.catalog.storage import schema, vote_rows
from emolab.catalog.storage.chunks import chunks
from emolab.errors import DataError
from emolab.provenance.data_rows import Row, label_set_of, sample_of, vote_of
from emolab.records import HOLDOUT, Sample, Vote

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.provenance.manifest import DataSnapshot
    from emolab.workspace import Workspace

REASON = "snapshot restored"


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What bringing a state back would do.

    ``back`` are samples that come back, ``changed`` those whose fields differ, ``gone`` what is taken out; ``buried``
    origins get a tombstone and ``votes`` come as new rows, with the kinds of their annotators. ``splits`` and
    ``representatives`` are those that move. ``kept_holdout`` samples stay in the holdout.
    """

    back: list[Sample]
    changed: list[Sample]
    gone: removal.Removal
    buried: list[str]
    votes: list[tuple[Vote, str]]
    splits: dict[str, str | None]
    representatives: dict[str, str | None]
    kept_holdout: list[str]
    labels_change: bool

    @property
    def nothing(self) -> bool:
        """Whether the data are in this state already."""
        lists = (self.back, self.changed, self.gone.samples, self.buried, self.votes, self.splits, self.representatives)
        return not any(lists) and not self.labels_change


def plan(workspace: Workspace, conn: Connection, rows: Mapping[str, Sequence[Row]]) -> RestorePlan:
    """What bringing back ``rows`` would do. Raises :class:`DataError` for samples whose files are missing."""
    places = {row["id"]: row for row in rows["splits"]}
    wanted = {row["id"]: sample_of(row, places[row["id"]]) for row in rows["samples"]}
    _check_files(workspace, wanted)
    present = {sample.id: sample for sample in samples.iterate(conn)}
    gone = removal.plan(conn, ids=[one for one in present if one not in wanted])
    changed = []
    for one, sample in wanted.items():
        now = present.get(one)
        if now is not None:
            then = replace(sample, consent=now.consent, split=now.split, representative=now.representative)
            changed += [then] if then != now else []
    held = [one for one, now in present.items() if now.split == HOLDOUT]
    kept = [one for one in held if one in wanted and wanted[one].split != HOLDOUT]
    there = {one: sample for one, sample in present.items() if one in wanted}
    fixed = {*kept}
    buried, again = _votes(conn, rows["votes"], {*gone.samples}, {*gone.sent})
    about = {row["name"]: row["value"] for row in rows["about"]}
    return RestorePlan(
        back=_with_consent_of_now(conn, [sample for one, sample in wanted.items() if one not in present]),
        changed=changed,
        gone=gone,
        buried=buried,
        votes=again,
        splits={
            one: wanted[one].split for one, now in there.items() if now.split != wanted[one].split and one not in fixed
        },
        representatives={
            one: wanted[one].representative
            for one, now in there.items()
            if now.representative != wanted[one].representative
        },
        kept_holdout=kept,
        labels_change=_labels_change(conn, about["labels"], len(rows["labels"])),
    )


def carry_out(tx: Connection, snapshot: DataSnapshot, rows: Mapping[str, Sequence[Row]], found: RestorePlan) -> None:
    """Do what the plan ``found`` says."""
    removal.carry_out(tx, found.gone)
    samples.add(tx, found.back)
    _update(tx, found.changed)
    votes.withdraw(tx, found.buried, REASON)
    for kind in sorted({kind for _, kind in found.votes}):
        votes.append(tx, [vote for vote, its in found.votes if its == kind], kind=kind)
    holdout = {one: split for one, split in found.splits.items() if split == HOLDOUT}
    samples.set_splits(tx, {one: split for one, split in found.splits.items() if split != HOLDOUT})
    samples.set_splits(tx, holdout, holdout=True)
    samples.set_representatives(tx, found.representatives)
    for row in rows["sources"]:
        samples.set_source(tx, row["name"], **{name: value for name, value in row.items() if name != "name"})
    about = {row["name"]: row["value"] for row in rows["about"]}
    made = label_set_of([*rows["labels"]], about)
    if made is not None and found.labels_change:
        labels.write(tx, made, ledger_mark.mark(tx))
    events.record(tx, "snapshot restored", {"snapshot": snapshot.id, "samples": len(rows["samples"])})


def _check_files(workspace: Workspace, wanted: Mapping[str, Sample]) -> None:
    missing = [sample for sample in wanted.values() if not workspace.locate(sample.media).exists()]
    if missing:
        named = ", ".join(sample.media for sample in missing[:3])
        raise DataError(
            f"The files of {len(missing):,} of {len(wanted):,} samples are missing, so nothing was restored: {named}"
            f"{', ...' if len(missing) > 3 else ''}.",
            hint="Bring the files back from a backup: emolab restore",
        )


def _votes(
    conn: Connection, then: Sequence[Row], gone: set[str], sent: set[str]
) -> tuple[list[str], list[tuple[Vote, str]]]:
    """The origins to bury, and the votes to add; those about samples that go, or that cannot, are left alone."""
    wanted = {row["origin"]: vote_of(row) for row in then}
    buried: list[str] = []
    same: set[str] = set()
    for vote in votes.iterate(conn, include_rejected=True):
        before = wanted.get(vote.origin)
        if before is not None and vote_rows.content(before[0]) == vote_rows.content(vote):
            same.add(vote.origin)
        elif vote.sample_id not in gone and vote.sample_id not in sent:
            buried.append(vote.origin)
    return buried, [pair for origin, pair in wanted.items() if origin not in same]


def _labels_change(conn: Connection, then: Mapping[str, Any] | None, n: int) -> bool:
    """Whether other labels are current than then; where there were none, those of now stay."""
    now = labels.summary(conn)
    return then is not None and (now is None or (now["version"], now["n"]) != (then["version"], n))


def _with_consent_of_now(conn: Connection, back: Sequence[Sample]) -> list[Sample]:
    """``back`` with the consent that the catalog still has of those taken out: what was withdrawn stays withdrawn."""
    table, known = schema.samples, {}
    for part in chunks([sample.id for sample in back], 500):
        known.update(
            {
                row.id: row.consent
                for row in conn.execute(select(table.c.id, table.c.consent).where(table.c.id.in_(part)))
            }
        )
    return [replace(sample, consent=known[sample.id]) if sample.id in known else sample for sample in back]


def _update(tx: Connection, changed: Sequence[Sample]) -> None:
    """Write the fields of samples that are there, but not which split they are in."""
    table = schema.samples
    names = [c.name for c in table.c if c.name in Sample.__dataclass_fields__]
    for part in chunks(list(changed), 500):
        known = samples.keys(tx, [sample.id for sample in part])
        for sample in part:
            values = {name: value for name, value in asdict(sample).items() if name in names}
            values["quality"] = dict(sample.quality)
            if sample.phash is not None and sample.phash >= 1 << 63:
                values["phash"] = sample.phash - (1 << 64)
            for name in ("id", "split", "representative", "consent"):
                values.pop(name)
            tx.execute(update(table).where(table.c.pk == known[sample.id]).values(values))
