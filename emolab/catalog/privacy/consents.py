"""The consent register: who agreed to what, from when until when; and which samples a purpose may use today.

An entry is about a subject (the group of its samples) or about one sample. The newest entry of each holds. A sample is
left out of a purpose when the entry of its subject or its own one has ended or does not cover the purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, case, exists, func, insert, literal, or_, select, update

from emolab.catalog.storage import schema
from emolab.catalog.storage.engine import now
from emolab.words import many

if TYPE_CHECKING:
    from sqlalchemy import Connection

_table, _samples = schema.consents, schema.samples
#: What a consent may cover: learning; people's answers; being seen in the app and in FiftyOne; leaving the workspace.
PURPOSES = ("train", "label", "show", "export")
_WORDS = {"train": "training", "label": "labelling", "show": "what is shown", "export": "the export"}
WITHDRAWN = "consent withdrawn"
EXPIRED = "consent expired"
UNCOVERED = "consent does not cover it"
MISSING = "no consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One entry. Dates are ``YYYY-MM-DD``; ``expires_at`` is the last day on which it holds; ``text`` may be kept out.

    ``samples`` counts the samples it is about now.
    """

    pk: int
    subject: str | None
    sample: str | None
    text: str | None
    text_hash: str
    scope: tuple[str, ...]
    given_at: str
    expires_at: str | None
    withdrawn_at: str | None
    superseded: bool
    samples: int = 0

    def state(self, today: str) -> str:
        """What it is on the day ``today`` (``YYYY-MM-DD``): valid, expired, withdrawn or superseded."""
        if self.superseded:
            return "superseded"
        if self.withdrawn_at is not None:
            return "withdrawn"
        return "expired" if self.expires_at is not None and self.expires_at < today else "valid"


@dataclass(frozen=True)
class Allowed:
    """Which samples a ``purpose`` may use: all but those in ``barred``, by id with the reason in words.

    ``clause`` says the same in SQL about rows of ``samples``; ``None`` where nothing is barred.
    """

    purpose: str
    barred: Mapping[str, str]
    clause: ColumnElement[bool] | None

    def kept(self, ids: Sequence[str]) -> list[str]:
        """Those of ``ids`` that may be used, in their order."""
        return [each for each in ids if each not in self.barred]

    def told(self, among: Collection[str] | None = None) -> str:
        """How many samples are left out and why, in words; "" where none is."""
        found = self.left_out(among)
        if not found:
            return ""
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(found.items()))
        return f"{many(sum(found.values()), 'sample')} left out of {_WORDS[self.purpose]}: {reasons}."

    def left_out(self, among: Collection[str] | None = None) -> dict[str, int]:
        """How many samples are barred for each reason, of all or ``among`` these ids."""
        if among is None:
            return dict(Counter(self.barred.values()))
        return dict(Counter(self.barred[each] for each in among if each in self.barred))


def allowed(conn: Connection, purpose: str, *, required: bool, sample: str | None = None) -> Allowed:
    """Which samples ``purpose`` (one of :data:`PURPOSES`) may use today.

    Samples that no entry is about may be used; with ``required`` they need one, or the text they were collected with.
    With ``sample`` (an id) only that one is looked at, and ``barred`` tells of no other.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"{purpose} is no purpose of a consent; they are {', '.join(PURPOSES)}")
    if not required and conn.execute(select(_table.c.pk).limit(1)).first() is None:
        return Allowed(purpose, {}, None)
    reason = _reason(purpose, now()[:10], required=required)
    one = [] if sample is None else [_samples.c.id == sample]
    found = conn.execute(select(_samples.c.id, reason).where(schema.present, reason.is_not(None), *one))
    barred = {sample: str(why) for sample, why in found}
    return Allowed(purpose, barred, reason.is_(None) if barred else None)


def stamp(conn: Connection) -> tuple[str, int, int]:
    """What is another one when :func:`allowed` may say something else: the day, and the entries made and ended."""
    today = now()[:10]
    made, ended = conn.execute(select(func.max(_table.c.pk), func.count(_table.c.withdrawn_at))).one()
    late = conn.execute(select(func.count()).select_from(_table).where(_table.c.expires_at < today)).scalar_one()
    return today, int(made or 0), int(ended) + int(late)


def _reason(purpose: str, today: str, *, required: bool) -> ColumnElement[str]:
    """SQL for why a row of ``samples`` may not be used; null where it may."""
    c = _table.c
    about = or_(c.sample == _samples.c.id, c.subject == _samples.c.group)

    def some(*which: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(about, ~c.superseded, *which).correlate(_samples)

    scope = literal(" ").concat(c.scope).concat(" ")
    untold = and_(~some(), func.coalesce(_samples.c.consent, "") == "")
    return case(
        (some(c.withdrawn_at.is_not(None)), WITHDRAWN),
        (some(c.expires_at < today), EXPIRED),
        (some(~scope.contains(f" {purpose} ")), UNCOVERED),
        *([(untold, MISSING)] if required else []),
        else_=None,
    )


def add(
    tx: Connection,
    *,
    subject: str | None = None,
    sample: str | None = None,
    text: str,
    scope: Sequence[str] = PURPOSES,
    given_at: str | None = None,
    expires_at: str | None = None,
    keep_text: bool = True,
) -> Consent:
    """Add an entry about a ``subject`` or a ``sample``, which from now on holds instead of the earlier ones.

    Without ``keep_text`` only the hash of the text is kept, for a text that lies elsewhere.
    """
    if (subject is None) == (sample is None):
        raise ValueError("an entry is about a subject or about a sample")
    tx.execute(update(_table).where(_same(subject, sample), ~_table.c.superseded).values(superseded=True))
    row = {
        "subject": subject,
        "sample": sample,
        "text": text if keep_text else None,
        "text_hash": sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        "scope": " ".join(name for name in PURPOSES if name in scope),
        "given_at": given_at or now()[:10],
        "expires_at": expires_at,
        "withdrawn_at": None,
        "superseded": False,
        "added_at": now(),
    }
    pk = tx.execute(insert(_table).values(**row).returning(_table.c.pk)).scalar_one()
    return next(entry for entry in entries(tx, subject=subject, sample=sample) if entry.pk == pk)


def end(tx: Connection, *, subject: str | None = None, sample: str | None = None, on: str | None = None) -> Consent:
    """End the consent of a ``subject`` or ``sample``: withdrawn now, or with its last day ``on``.

    Where there is no entry one is made that is withdrawn from the start: somebody said no.
    """
    held = and_(_same(subject, sample), ~_table.c.superseded)
    if tx.execute(select(_table.c.pk).where(held)).first() is None:
        add(tx, subject=subject, sample=sample, text="")
    values = {"withdrawn_at": now()} if on is None else {"expires_at": on}
    tx.execute(update(_table).where(held).values(**values))
    return entries(tx, subject=subject, sample=sample)[-1]


def entries(
    conn: Connection, *, subject: str | None = None, sample: str | None = None, superseded: bool = False
) -> list[Consent]:
    """The entries that hold, in the order they were added; of one subject or sample where given.

    ``superseded``: the earlier ones as well.
    """
    about = or_(_table.c.sample == _samples.c.id, _table.c.subject == _samples.c.group)
    about_now = (
        select(func.count()).select_from(_samples).where(about, schema.present).correlate(_table).scalar_subquery()
    )
    query = select(_table, about_now.label("samples")).order_by(_table.c.pk)
    if not superseded:
        query = query.where(~_table.c.superseded)
    if subject is not None or sample is not None:
        query = query.where(_same(subject, sample))
    return [
        Consent(
            pk=row.pk,
            subject=row.subject,
            sample=row.sample,
            text=row.text,
            text_hash=row.text_hash,
            scope=tuple(row.scope.split()),
            given_at=row.given_at,
            expires_at=row.expires_at,
            withdrawn_at=row.withdrawn_at,
            superseded=row.superseded,
            samples=row.samples,
        )
        for row in conn.execute(query)
    ]


def _same(subject: str | None, sample: str | None) -> ColumnElement[bool]:
    return _table.c.subject == subject if subject is not None else _table.c.sample == sample
