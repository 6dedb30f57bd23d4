"""The catalog keeps counts of samples, votes and labels, so that status need not read them all.

The triggers that keep them and the first count come at the end of every upgrade: ``counters.install``.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "sample_counts",
        sa.Column("part", key, sa.Identity(), nullable=False),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("split", sa.String(length=8), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("part", "source", "split", "answered", "removed", name=op.f("pk_sample_counts")),
    )
    op.create_table(
        "vote_counts",
        sa.Column("part", key, sa.Identity(), nullable=False),
        sa.Column("fate", sa.String(length=16), nullable=False),
        sa.Column("refused", sa.String(length=8), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("part", "fate", "refused", "label", name=op.f("pk_vote_counts")),
    )
    op.create_table(
        "label_counts",
        sa.Column("part", key, sa.Identity(), nullable=False),
        sa.Column("label_set", key, autoincrement=False, nullable=False),
        sa.Column("hard", sa.SmallInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("part", "label_set", "hard", name=op.f("pk_label_counts")),
    )
