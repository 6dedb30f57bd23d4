"""The catalog keeps which guess was sent with a task, also where the form stayed empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table; nothing is known of guesses that were sent earlier."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "remote_guesses",
        sa.Column("pk", key, nullable=False),
        sa.Column("project", key, nullable=False),
        sa.Column("sample", key, nullable=False),
        sa.Column("label", sa.String(length=64), nullable=True),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.pk"], name=op.f("fk_remote_guesses_project_projects")),
        sa.ForeignKeyConstraint(["sample"], ["samples.pk"], name=op.f("fk_remote_guesses_sample_samples")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_remote_guesses")),
    )
    op.create_index("ix_remote_guesses_project_sample", "remote_guesses", ["project", "sample"], unique=False)
