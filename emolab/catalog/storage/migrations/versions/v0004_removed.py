"""A sample can be taken out: it stays on record with its votes, and nothing sees it any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; nothing has been taken out so far."""
    op.add_column("samples", sa.Column("removed_at", sa.String(length=32), nullable=True))
