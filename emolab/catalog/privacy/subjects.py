"""Subjects by name: whether there is one, and which one may be meant.

A subject is the group of its samples. Groups that are folders are named by their whole path, which people shorten.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import PurePath
from typing import TYPE_CHECKING

from sqlalchemy import select

from emolab.catalog.storage import schema
from emolab.errors import DataError

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Guesses that are told.
_MOST = 3


def guess(conn: Connection, name: str, *, besides: Collection[str] = ()) -> str:
    """Which groups ``name`` may mean, as a sentence with a space before it; "" where it is one, or none is like it.

    Groups in ``besides`` are not told.
    """
    table = schema.samples.c
    groups = {
        str(group) for group in conn.execute(select(table.group).where(table.group.is_not(None)).distinct()).scalars()
    }
    if name in groups:
        return ""
    free = sorted(groups - set(besides))
    last = PurePath(name).name.casefold()
    found = [group for group in free if last and PurePath(group).name.casefold() == last]
    found = found or difflib.get_close_matches(name, free, n=_MOST, cutoff=0.6)
    if not found:
        return ""
    more = f" ({len(found) - _MOST:,} more are like it)" if len(found) > _MOST else ""
    named = " or ".join(f'"{group}"' for group in found[:_MOST])
    return f" Did you mean {named}?{more}"


def check(conn: Connection, name: str, *, besides: Collection[str] = ()) -> None:
    """Raise :class:`DataError` for a ``name`` of which nothing is known, or that seems to mean a group of another name.

    A subject that only the consent register knows is one, unless a group that is not in ``besides`` is like it.
    """
    table, entries = schema.samples.c, schema.consents.c
    if conn.execute(select(table.pk).where(table.group == name).limit(1)).first() is not None:
        return
    entered = conn.execute(select(entries.pk).where(entries.subject == name).limit(1)).first() is not None
    meant = guess(conn, name, besides=besides)
    if entered and meant:
        raise DataError(
            f'No sample has the group "{name}": only the consent register knows it.{meant}',
            hint="Name the group as it is there; emolab consent list tells how many samples each entry is about.",
        )
    if not entered:
        unknown = (
            f'Unknown subject "{name}".{meant}'
            if meant
            else (f'Nothing is known of a subject "{name}": no sample has this group, and the register no entry.')
        )
        raise DataError(unknown, hint="See the register with: emolab consent list")
