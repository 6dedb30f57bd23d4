"""The catalog keeps the answers that people give in the app, until and after they are on the labelling server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the table."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "app_answers",
        sa.Column("pk", key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("project", key, nullable=False),
        sa.Column("sample", key, nullable=False),
        sa.Column("label", sa.String(length=64), nullable=True),
        sa.Column("second", sa.String(length=64), nullable=True),
        sa.Column("stars", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("guess", sa.String(length=64), nullable=True),
        sa.Column("shown", sa.Boolean(), nullable=True),
        sa.Column("share", sa.Float(), nullable=True),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("annotation", sa.Integer(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("undoes", sa.String(length=36), nullable=True),
        sa.Column("undone", sa.Boolean(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.pk"], name=op.f("fk_app_answers_project_projects")),
        sa.ForeignKeyConstraint(["sample"], ["samples.pk"], name=op.f("fk_app_answers_sample_samples")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_app_answers")),
        sa.UniqueConstraint("id", name=op.f("uq_app_answers_id")),
    )
    op.create_index("ix_app_answers_project_sample", "app_answers", ["project", "sample"], unique=False)
    op.create_index("ix_app_answers_person", "app_answers", ["person"], unique=False)
    op.create_index("ix_app_answers_state", "app_answers", ["state"], unique=False)
