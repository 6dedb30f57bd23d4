"""The first schema: samples, votes, labels, rounds, models, and the remote side."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "annotators",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_annotators")),
        sa.UniqueConstraint("name", name=op.f("uq_annotators_name")),
    )
    op.create_table(
        "events",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_kind"), "events", ["kind"], unique=False)
    op.create_table(
        "label_sets",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=64), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_label_sets")),
        sa.UniqueConstraint("version", name=op.f("uq_label_sets_version")),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("parent", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )
    op.create_table(
        "projects",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("server", sa.String(length=64), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("cursor", sa.String(length=40), nullable=True),
        sa.Column("window", sa.JSON(), nullable=True),
        sa.Column("pulls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("gone", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_projects")),
        sa.UniqueConstraint("server", "project", name=op.f("uq_projects_server_project")),
    )
    op.create_table(
        "rounds",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("strategy", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rounds")),
    )
    op.create_table(
        "samples",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("media", sa.Text(), nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("group", sa.String(length=255), nullable=True),
        sa.Column("consent", sa.Text(), nullable=True),
        sa.Column("licence", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("duration", sa.Float(), nullable=True),
        sa.Column("added_at", sa.String(length=32), nullable=False),
        sa.Column("split", sa.String(length=8), nullable=True),
        sa.Column("parent", sa.String(length=64), nullable=True),
        sa.Column("box", sa.JSON(), nullable=True),
        sa.Column("landmarks", sa.JSON(), nullable=True),
        sa.Column("quality", sa.JSON(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("phash", sa.BigInteger(), nullable=True),
        sa.Column("representative", sa.String(length=64), nullable=True),
        sa.Column("n_votes", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_samples")),
        sa.UniqueConstraint("id", name=op.f("uq_samples_id")),
    )
    op.create_index(op.f("ix_samples_group"), "samples", ["group"], unique=False)
    op.create_index(op.f("ix_samples_parent"), "samples", ["parent"], unique=False)
    op.create_index(op.f("ix_samples_representative"), "samples", ["representative"], unique=False)
    op.create_index(op.f("ix_samples_source"), "samples", ["source"], unique=False)
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("label_version", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
    )
    op.create_table(
        "sources",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("supported", sa.JSON(), nullable=True),
        sa.Column("licence", sa.Text(), nullable=True),
        sa.Column("perspective", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    op.create_table(
        "labels",
        sa.Column(
            "label_set", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("sample", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("hard", sa.SmallInteger(), nullable=False),
        sa.Column("votes", sa.Integer(), nullable=False),
        sa.Column("agreement", sa.Float(), nullable=False),
        sa.Column("probs", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["label_set"], ["label_sets.pk"], name=op.f("fk_labels_label_set_label_sets")),
        sa.ForeignKeyConstraint(["sample"], ["samples.pk"], name=op.f("fk_labels_sample_samples")),
        sa.PrimaryKeyConstraint("label_set", "sample", name=op.f("pk_labels")),
    )
    op.create_table(
        "model_aliases",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alias", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.id"], name=op.f("fk_model_aliases_model_models")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_model_aliases")),
    )
    op.create_index(op.f("ix_model_aliases_alias"), "model_aliases", ["alias"], unique=False)
    op.create_table(
        "remote_answers",
        sa.Column("project", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("annotation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("task", sa.Integer(), nullable=False),
        sa.Column("sample", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("annotator", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["annotator"], ["annotators.pk"], name=op.f("fk_remote_answers_annotator_annotators")),
        sa.ForeignKeyConstraint(["project"], ["projects.pk"], name=op.f("fk_remote_answers_project_projects")),
        sa.ForeignKeyConstraint(["sample"], ["samples.pk"], name=op.f("fk_remote_answers_sample_samples")),
        sa.PrimaryKeyConstraint("project", "annotation", name=op.f("pk_remote_answers")),
    )
    op.create_index("ix_remote_answers_project_sample", "remote_answers", ["project", "sample"], unique=False)
    op.create_index("ix_remote_answers_project_task", "remote_answers", ["project", "task"], unique=False)
    op.create_table(
        "remote_tasks",
        sa.Column("project", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("sample", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("task", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("round", sa.Integer(), nullable=True),
        sa.Column("overlap", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("sent_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.pk"], name=op.f("fk_remote_tasks_project_projects")),
        sa.ForeignKeyConstraint(["sample"], ["samples.pk"], name=op.f("fk_remote_tasks_sample_samples")),
        sa.PrimaryKeyConstraint("project", "sample", name=op.f("pk_remote_tasks")),
    )
    op.create_index("ix_remote_tasks_project_task", "remote_tasks", ["project", "task"], unique=False)
    op.create_index(op.f("ix_remote_tasks_sample"), "remote_tasks", ["sample"], unique=False)
    op.create_table(
        "remote_users",
        sa.Column("server", sa.String(length=64), nullable=False),
        sa.Column("user", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("annotator", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first_seen", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["annotator"], ["annotators.pk"], name=op.f("fk_remote_users_annotator_annotators")),
        sa.PrimaryKeyConstraint("server", "user", name=op.f("pk_remote_users")),
    )
    op.create_table(
        "suggestions",
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sample", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["round"], ["rounds.number"], name=op.f("fk_suggestions_round_rounds")),
        sa.ForeignKeyConstraint(["sample"], ["samples.pk"], name=op.f("fk_suggestions_sample_samples")),
        sa.PrimaryKeyConstraint("round", "sample", name=op.f("pk_suggestions")),
    )
    op.create_index(op.f("ix_suggestions_sample"), "suggestions", ["sample"], unique=False)
    op.create_table(
        "votes",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sample", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("annotator", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("lead_time", sa.Float(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=True),
        sa.Column("origin", sa.String(length=128), nullable=False),
        sa.Column("content", sa.String(length=16), nullable=False),
        sa.Column("perspective", sa.String(length=16), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("second", sa.String(length=64), nullable=True),
        sa.Column("cast_at", sa.String(length=32), nullable=True),
        sa.Column("seen_at", sa.String(length=32), nullable=False),
        sa.Column("rejected", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["annotator"], ["annotators.pk"], name=op.f("fk_votes_annotator_annotators")),
        sa.ForeignKeyConstraint(["sample"], ["samples.pk"], name=op.f("fk_votes_sample_samples")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_votes")),
    )
    op.create_index(op.f("ix_votes_origin"), "votes", ["origin"], unique=False)
    op.create_index(op.f("ix_votes_sample"), "votes", ["sample"], unique=False)
    op.create_table(
        "tombstones",
        sa.Column("vote", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["vote"], ["votes.pk"], name=op.f("fk_tombstones_vote_votes")),
        sa.PrimaryKeyConstraint("vote", name=op.f("pk_tombstones")),
    )
