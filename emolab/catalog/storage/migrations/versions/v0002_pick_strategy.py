"""Each suggestion says which strategy picked it: a round may mix several, among them a random slice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column, and fill it with the strategy of the whole round."""
    with op.batch_alter_table("suggestions") as table:
        table.add_column(sa.Column("strategy", sa.String(length=64), nullable=True))
    op.execute(
        "UPDATE suggestions SET strategy = (SELECT rounds.strategy FROM rounds WHERE rounds.number = suggestions.round)"
    )
    with op.batch_alter_table("suggestions") as table:
        table.alter_column("strategy", existing_type=sa.String(length=64), nullable=False)
