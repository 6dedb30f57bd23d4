"""The catalog keeps what the last commands changed, so that they can be taken back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the tables."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "actions",
        sa.Column("pk", key, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("about", sa.String(length=128), nullable=False),
        sa.Column("undone_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_actions")),
    )
    op.create_table(
        "action_changes",
        sa.Column("pk", key, nullable=False),
        sa.Column("action", key, nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("first", key, nullable=False),
        sa.Column("last", key, nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_action_changes")),
        sa.ForeignKeyConstraint(["action"], ["actions.pk"], name=op.f("fk_action_changes_action_actions")),
    )
    op.create_index(op.f("ix_action_changes_action"), "action_changes", ["action"], unique=False)
