"""An answer may hold several labels: the first stays where it was, the others stand beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns; answers of before hold one label."""
    for table in ("votes", "app_answers"):
        op.add_column(table, sa.Column("also", sa.JSON(none_as_null=True), nullable=True))
