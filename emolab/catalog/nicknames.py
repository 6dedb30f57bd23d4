"""Names that people are given in this catalog only, beside their pseudonyms: never sent to a server."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from emolab.catalog.storage import schema
from emolab.errors import DataError, UnknownName

_annotators = schema.annotators
LONGEST = 40


def by_pseudonym(conn: Connection) -> dict[str, str]:
    """The nicknames that were given, by the annotators' pseudonyms."""
    query = select(_annotators.c.name, _annotators.c.nickname).where(_annotators.c.nickname.is_not(None))
    return {pseudonym: nickname for pseudonym, nickname in conn.execute(query.order_by(_annotators.c.pk))}


def give(tx: Connection, annotator: str, nickname: str | None) -> tuple[str, str | None]:
    """Call an annotator ``nickname`` from now on (``None``: by the pseudonym only); return pseudonym and earlier name.

    ``annotator`` is a pseudonym, or the nickname the person has now. Raises :class:`UnknownName` for an annotator that
    the catalog does not know and :class:`DataError` for a name that is empty, too long, unreadable or taken.
    """
    query = select(_annotators.c.name, _annotators.c.nickname).where(_annotators.c.kind != "dataset")
    present: dict[str, str | None] = {pseudonym: now for pseudonym, now in tx.execute(query)}
    called = {now.casefold(): pseudonym for pseudonym, now in present.items() if now}
    pseudonym = annotator if annotator in present else called.get(annotator.strip().casefold())
    if pseudonym is None:
        raise UnknownName("annotator", annotator, [*present, *(now for now in present.values() if now)])
    if nickname is not None:
        nickname = _checked(nickname)
        taken = called.get(nickname.casefold(), nickname if nickname in present else pseudonym)
        if taken != pseudonym:
            raise DataError(f'"{nickname}" is the name of {taken} already.', hint="Give each person another name.")
    tx.execute(update(_annotators).where(_annotators.c.name == pseudonym).values(nickname=nickname))
    return pseudonym, present[pseudonym]


def _checked(nickname: str) -> str:
    """``nickname`` with single spaces. Raises :class:`DataError` for one that could not be read in a table."""
    name = " ".join(part for part in nickname.split(" ") if part)
    if not name:
        raise DataError("The name is empty.", hint="To take a name away: emolab label name PSEUDONYM --remove")
    if len(name) > LONGEST:
        raise DataError(f"A name of {len(name)} characters is too long for a table; expected at most {LONGEST}.")
    if not name.isprintable() or not name[0].isalnum():
        raise DataError(f"{name!a} cannot be a name: expected a letter or digit first, and nothing unprintable.")
    return name
