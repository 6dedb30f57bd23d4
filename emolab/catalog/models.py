"""Trained models and their aliases: ``champion`` and the like point to one model at a time.

What became of them is a list of events (:mod:`emolab.catalog.registry`), from which the aliases of any day follow.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, insert, select

from emolab.catalog.registry import model_events
from emolab.catalog.storage import schema
from emolab.errors import DataError, UnknownName
from emolab.records import Model

_models = schema.models


def add(tx: Connection, model: Model) -> bool:
    """Record ``model``; returns False when it is there already. One that was retired is back in use."""
    if tx.execute(select(_models.c.id).where(_models.c.id == model.id)).scalar() is not None:
        if model.id in model_events.state(tx).retired:
            model_events.record(tx, "registered", model.id, reason="made again")
        return False
    tx.execute(
        insert(_models).values(
            id=model.id,
            path=model.path,
            classes=list(model.classes),
            config=dict(model.config),
            snapshot=model.snapshot,
            metrics=dict(model.metrics),
            parent=model.parent,
            created_at=model.created_at,
        )
    )
    model_events.record(tx, "registered", model.id)
    return True


def made_at(conn: Connection) -> dict[str, str]:
    """When each model was made, by its id, oldest first: nothing of what a model carries is read."""
    query = select(_models.c.id, _models.c.created_at).order_by(_models.c.created_at, _models.c.id)
    return {model: moment for model, moment in conn.execute(query)}


def list_all(conn: Connection) -> list[Model]:
    """Every model, oldest first."""
    return _read(conn, select(_models).order_by(_models.c.created_at, _models.c.id))


def _read(conn: Connection, query: Select[Any]) -> list[Model]:
    held: dict[str, list[str]] = {}
    for alias, model in aliases(conn).items():
        held.setdefault(model, []).append(alias)
    return [
        Model(
            id=row.id,
            path=row.path,
            classes=tuple(row.classes),
            config=row.config,
            snapshot=row.snapshot,
            metrics=row.metrics,
            parent=row.parent,
            created_at=row.created_at,
            aliases=tuple(sorted(held.get(row.id, ()))),
        )
        for row in conn.execute(query)
    ]


def find(conn: Connection, name: str) -> Model | None:
    """The model with this alias, id or start of an id; ``None`` when there is none.

    Raises :class:`DataError` when several ids start with ``name``.
    """
    wanted = aliases(conn).get(name, name)
    matches = [model for model in made_at(conn) if model.startswith(wanted)]
    if len(matches) > 1:
        raise DataError(f'{len(matches)} models have ids that start with "{name}".', hint="Give more of the id.")
    return next(iter(_read(conn, select(_models).where(_models.c.id.in_(matches)))), None)


def get(conn: Connection, name: str) -> Model:
    """The model with this alias, id or start of an id. Raises :class:`UnknownName` with the nearest known name."""
    model = find(conn, name)
    if model is None:
        known = [*aliases(conn), *(model[:10] for model in made_at(conn))]
        raise UnknownName("model", name, known, hint="Train one with: emolab train" if not known else None)
    return model


def set_alias(tx: Connection, alias: str, model_id: str, *, reason: str = "") -> None:
    """Let ``alias`` point to a model from now on."""
    model_events.record(tx, "promoted", model_id, alias=alias, reason=reason)


def aliases(conn: Connection) -> dict[str, str]:
    """Every alias and the id of the model it points to now."""
    return model_events.state(conn).aliases
