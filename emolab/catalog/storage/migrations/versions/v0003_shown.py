"""A vote says which guess its annotator saw and what else the team asked; an annotator may have a nickname here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; nothing is known of what earlier annotators saw."""
    op.add_column("votes", sa.Column("shown", sa.String(length=64), nullable=True))
    op.add_column("votes", sa.Column("extra", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("annotators", sa.Column("nickname", sa.String(length=64), nullable=True))
