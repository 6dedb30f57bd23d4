"""The catalog keeps with each answer which guess its form had, as the answer itself tells it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; of earlier answers only what was sent with their tasks is known."""
    op.add_column("remote_answers", sa.Column("guess", sa.String(length=64), nullable=True))
    op.add_column("remote_answers", sa.Column("shown", sa.Boolean(), nullable=True))
    op.add_column("remote_answers", sa.Column("share", sa.Float(), nullable=True))
