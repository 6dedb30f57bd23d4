"""Labels are found by how far people agreed, so that a wall can begin with those they agree on least."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the index; of a million labels it takes a second."""
    op.create_index(op.f("ix_labels_label_set_agreement_sample"), "labels", ["label_set", "agreement", "sample"])
