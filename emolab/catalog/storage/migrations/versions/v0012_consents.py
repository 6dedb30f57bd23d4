"""The catalog keeps what people agreed to, for how long and for what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the table."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "consents",
        sa.Column("pk", key, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("sample", sa.String(length=64), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("given_at", sa.String(length=10), nullable=False),
        sa.Column("expires_at", sa.String(length=10), nullable=True),
        sa.Column("withdrawn_at", sa.String(length=32), nullable=True),
        sa.Column("superseded", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("added_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_consents")),
    )
    op.create_index(op.f("ix_consents_subject"), "consents", ["subject"], unique=False)
    op.create_index(op.f("ix_consents_sample"), "consents", ["sample"], unique=False)
