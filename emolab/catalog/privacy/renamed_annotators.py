"""Annotators without a person behind them: another pseudonym that nothing links to the one before."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select, update

from emolab.catalog.storage import schema, vote_rows

_annotators, _votes = schema.annotators, schema.votes
#: What the pseudonyms of forgotten annotators begin with.
PREFIX = "forgotten-"


def rename(tx: Connection, renamed: Mapping[str, str]) -> int:
    """Call annotators by other names, without nicknames; how many were renamed.

    The hash of what a vote said names its annotator, so it is made again: else the next pull would see edits.
    """
    n = 0
    for old, new in renamed.items():
        pk = tx.execute(select(_annotators.c.pk).where(_annotators.c.name == old)).scalar()
        if pk is None:
            continue
        tx.execute(update(_annotators).where(_annotators.c.pk == pk).values(name=new, nickname=None))
        query = (
            select(_votes.c.pk, schema.samples.c.id, _annotators.c.name, *vote_rows.COLUMNS)
            .join(schema.samples, schema.samples.c.pk == _votes.c.sample)
            .join(_annotators, _annotators.c.pk == _votes.c.annotator)
            .where(_votes.c.annotator == pk)
        )
        for key, *row in tx.execute(query).all():
            said = vote_rows.content(vote_rows.vote(tuple(row)))
            tx.execute(update(_votes).where(_votes.c.pk == key).values(content=said))
        n += 1
    return n


def known(conn: Connection) -> dict[str, str | None]:
    """The nickname of each annotator who is a person, by pseudonym; ``None``: no nickname."""
    query = select(_annotators.c.name, _annotators.c.nickname).where(_annotators.c.kind != "dataset")
    return {name: nickname for name, nickname in conn.execute(query.order_by(_annotators.c.pk))}


def votes_of(conn: Connection, name: str) -> int:
    """How many votes of this annotator the ledger has, withdrawn ones too."""
    query = select(func.count()).select_from(_votes).join(_annotators, _annotators.c.pk == _votes.c.annotator)
    return int(conn.execute(query.where(_annotators.c.name == name)).scalar_one())


def persons(conn: Connection) -> set[str]:
    """The names under which people have answered in the app."""
    return {str(name) for name in conn.execute(select(schema.app_answers.c.person).distinct()).scalars()}


def users_of(conn: Connection, name: str) -> list[tuple[str, int]]:
    """The accounts of an annotator on labelling servers: server and number."""
    table = schema.remote_users.c
    query = select(table.server, table.user).join(_annotators, _annotators.c.pk == table.annotator)
    return [(str(server), int(user)) for server, user in conn.execute(query.where(_annotators.c.name == name))]
