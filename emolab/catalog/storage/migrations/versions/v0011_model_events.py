"""What becomes of models is a list of events; the aliases that were kept before become the first of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_BEFORE = "kept before models had a history of events"


def upgrade() -> None:
    """Add the table, fill it from the models and aliases there are, by their times, and drop the old one."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    events = op.create_table(
        "model_events",
        sa.Column("pk", key, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("alias", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.id"], name=op.f("fk_model_events_model_models")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_model_events")),
    )
    op.create_index(op.f("ix_model_events_model"), "model_events", ["model"], unique=False)
    rows = _carried(op.get_bind())
    if rows:
        op.bulk_insert(events, rows)
    op.drop_table("model_aliases")


def _carried(conn: sa.Connection) -> list[dict[str, object]]:
    """The rows of the new table: first what was made, then who was named, each in the order it was written down."""
    models = conn.execute(sa.text("SELECT id, created_at FROM models ORDER BY created_at, id")).all()
    named = conn.execute(sa.text("SELECT alias, model, at FROM model_aliases ORDER BY pk")).all()
    first: dict[str, str] = {}
    for _, model, at in named:
        first.setdefault(model, at)
    told = {"actor": "", "detail": {}, "reason": _BEFORE}
    made = [(min(at, first.get(model, at)), "registered", model, None) for model, at in models]
    given = [(at, "promoted", model, alias) for alias, model, at in named]
    rows, latest = [], ""
    for at, kind, model, alias in sorted([*made, *given], key=lambda row: row[0]):  # stable: made before named
        latest = max(latest, at)
        rows.append({**told, "at": latest, "kind": kind, "model": model, "alias": alias})
    return rows
