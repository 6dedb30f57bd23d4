"""Votes of a file compared with the ledger, and added where they are new.

The same vote twice is one. A vote that was withdrawn here stays withdrawn. What the file says otherwise than the ledger
is refused, or with ``replace`` supersedes it: the earlier vote stays in the ledger with a tombstone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emolab.catalog import events, samples, votes
from emolab.catalog.storage import vote_rows
from emolab.catalog.storage.chunks import chunks
from emolab.errors import DataError
from emolab.labeling.exchange.vote_columns import KINDS, FileVote
from emolab.taxonomy import META, resolve

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.records import Vote


@dataclass(frozen=True, slots=True)
class VoteIntake:
    """What became of the votes of a file, or would: ``new`` ones by kind of annotator, and how many were known.

    ``known`` count here or are kept as refused, ``withdrawn`` stay withdrawn, ``changed`` supersede what they
    contradict. ``renamed`` counts labels by "as written -> class".
    """

    new: dict[str, list[Vote]]
    known: int
    withdrawn: int
    changed: int
    renamed: Counter[str]


def compare(
    conn: Connection, found: Sequence[FileVote], classes: Sequence[str], *, superseding: bool, several: bool = False
) -> VoteIntake:
    """What taking ``found`` into the ledger would do; ``several``: whether an answer may hold several labels.

    Raises :class:`DataError`, with counts, for labels that are no classes, samples that are not in the catalog, one
    origin with two answers, and without ``superseding`` for answers that contradict the ledger.
    """
    renamed: Counter[str] = Counter()
    meant = _meant(found, classes, renamed)
    _check_samples(conn, meant)
    once = _once(meant)
    said = votes.contents(conn, [one.vote.origin for one in once])
    others = _others(conn, [one.vote for one in once])
    new: dict[str, list[Vote]] = {kind: [] for kind in KINDS}
    known = len(meant) - len(once)
    withdrawn, changed = 0, []
    for one in once:
        before = said.get(one.vote.origin, {})
        content = vote_rows.content(one.vote)
        same = others.get((one.vote.sample_id, one.vote.annotator, one.vote.perspective), {}) if not before else {}
        if content in before:
            known, withdrawn = known + before[content], withdrawn + (not before[content])
        elif _answer(one.vote) in same.values():
            known += 1
        else:
            if any(before.values()) or same:
                changed.append(one.place)
            new[one.kind].append(replace(one.vote, origin=next(iter(same), one.vote.origin)))
    together = sum(bool(vote.also) and vote.rejected is None for batch in new.values() for vote in batch)
    if together and not several:
        raise DataError(
            f"{together} votes hold several labels at once; this project takes one from each answer.",
            hint="To take several: --set labeling.several=true",
        )
    if changed and not superseding:
        raise DataError(
            f"{len(changed)} of {len(found)} votes contradict the ledger, the first is {changed[0]}; nothing was "
            "added.",
            hint="If the file is right, let it supersede them: --replace",
        )
    return VoteIntake(new, known, withdrawn, len(changed), renamed)


def take_in(tx: Connection, intake: VoteIntake, name: str) -> int:
    """Add the new votes of a file called ``name``; returns how many that were."""
    n = sum(votes.append(tx, batch, kind=kind) for kind, batch in intake.new.items() if batch)
    if n:
        events.record(tx, "votes imported", {"file": name, "votes": n, "superseded": intake.changed})
    return n


def _meant(found: Iterable[FileVote], classes: Sequence[str], renamed: Counter[str]) -> list[FileVote]:
    """``found`` with the project's own names of its classes. Refused votes keep the label they were refused with."""
    unknown: Counter[str] = Counter()
    made = []
    for one in found:
        vote = one.vote
        for name in ("label", "second", "shown"):
            written = getattr(vote, name)
            if not written or written == "?" or (name == "label" and vote.rejected is not None):
                continue
            meaning = resolve(written, classes)
            if meaning is None or (name == "second" and meaning in META):
                unknown[written] += name != "shown"  # a guess may be of a class that the project had once
            elif meaning != written:
                renamed[f"{written} -> {meaning}"] += 1
                vote = _with(vote, name, meaning)
        if vote.rejected is None:
            unknown.update(label for label in vote.also if label not in classes)
        made.append(replace(one, vote=vote))
    unknown += Counter()
    if unknown:
        listed = ", ".join(f'"{name}" {n:,}' for name, n in unknown.most_common(5))
        raise DataError(
            f"{sum(unknown.values()):,} votes of {len(unknown)} labels are no class of this project: {listed}"
            f"{', ...' if len(unknown) > 5 else ''}; nothing was added.",
            hint=f"Classes: {', '.join((*classes, *META))}.",
        )
    return made


def _with(vote: Vote, name: str, meaning: str) -> Vote:
    match name:
        case "label":
            return replace(vote, label=meaning)
        case "second":
            return replace(vote, second=meaning)
    return replace(vote, shown=meaning)


def _check_samples(conn: Connection, found: Sequence[FileVote]) -> None:
    wanted = list(dict.fromkeys(one.vote.sample_id for one in found))
    there = samples.keys(conn, wanted)
    missing = [sample for sample in wanted if sample not in there]
    if missing:
        about = sum(one.vote.sample_id not in there for one in found)
        raise DataError(
            f"{about:,} of {len(found):,} votes are about {len(missing):,} samples that are not in this workspace, the "
            f"first is {missing[0][:16]}; nothing was added.",
            hint="Bring the files in first: emolab collect FOLDER",
        )


def _once(found: Sequence[FileVote]) -> list[FileVote]:
    """``found`` with each origin once. Raises :class:`DataError` for one that says two things."""
    first: dict[str, FileVote] = {}
    for one in found:
        earlier = first.setdefault(one.vote.origin, one)
        if vote_rows.content(earlier.vote) != vote_rows.content(one.vote):
            raise DataError(f"{earlier.place} and {one.place.lower()} are two answers of one person about one sample.")
    return list(first.values())


def _others(
    conn: Connection, found: Sequence[Vote]
) -> dict[tuple[str, str, str], dict[str, tuple[frozenset[str], int]]]:
    """What counts of the same people about the same samples, by origin: their answers may have come another way."""
    answers: dict[tuple[str, str, str], dict[str, tuple[frozenset[str], int]]] = {}
    for part in chunks(sorted({vote.sample_id for vote in found if vote.origin.startswith("import:")}), 500):
        for vote in votes.iterate(conn, sample_ids=part):
            key = (vote.sample_id, vote.annotator, vote.perspective)
            answers.setdefault(key, {})[vote.origin] = _answer(vote)
    return answers


def _answer(vote: Vote) -> tuple[frozenset[str], int]:
    return frozenset(vote.labels), vote.count
