"""The tables of the remote side: what was sent to a labelling server, and what is known of its answers."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from emolab.catalog.storage.metadata import Key, metadata

projects = Table(
    "projects",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("server", String(64), nullable=False),  # stable identity of the server, not its address
    Column("project", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("cursor", String(40)),  # the server's clock up to which changes were pulled
    Column("window", JSON),  # what the last pull saw after that moment, to tell at a glance that nothing is new
    Column("pulls", Integer, nullable=False, default=0, server_default="0"),
    Column("gone", Boolean, nullable=False, default=False, server_default="0"),  # no longer on the server
    Column("created_at", String(32), nullable=False),
    UniqueConstraint("server", "project"),
)

remote_tasks = Table(
    "remote_tasks",
    metadata,
    Column("project", Key, ForeignKey("projects.pk"), primary_key=True, autoincrement=False),
    Column("sample", Key, ForeignKey("samples.pk"), primary_key=True, autoincrement=False, index=True),
    Column("task", Integer),  # null until the server's answer is known
    Column("state", String(16), nullable=False),  # pending | sending | open | reopening | deleted
    Column("round", Integer),
    Column("overlap", Integer, nullable=False),
    Column("rank", Integer),
    Column("sent_at", String(32)),
    Index("ix_remote_tasks_project_task", "project", "task"),
)

remote_guesses = Table(
    "remote_guesses",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("project", Key, ForeignKey("projects.pk"), nullable=False),
    Column("sample", Key, ForeignKey("samples.pk"), nullable=False),
    Column("label", String(64)),  # the model's class; null: from then on there is no guess for this task
    Column("shown", Boolean, nullable=False),  # false: the form stayed empty
    Column("share", Float, nullable=False),  # of the samples that were to stay blind when this was sent
    Column("at", String(32), nullable=False),  # before it was sent
    Index("ix_remote_guesses_project_sample", "project", "sample"),
)

remote_answers = Table(
    "remote_answers",
    metadata,
    Column("project", Key, ForeignKey("projects.pk"), primary_key=True, autoincrement=False),
    Column("annotation", Integer, primary_key=True, autoincrement=False),
    Column("task", Integer, nullable=False),
    Column("sample", Key, ForeignKey("samples.pk"), nullable=False),
    Column("annotator", Key, ForeignKey("annotators.pk"), nullable=False),  # outlives the user's account
    Column("guess", String(64)),  # of the form it was given on, as the answer tells it; null: it does not
    Column("shown", Boolean),  # false: the form stayed empty
    Column("share", Float),  # of the samples that were to stay blind when the guess was sent
    Index("ix_remote_answers_project_task", "project", "task"),
    Index("ix_remote_answers_project_sample", "project", "sample"),
)

remote_users = Table(
    "remote_users",
    metadata,
    Column("server", String(64), primary_key=True),
    Column("user", Integer, primary_key=True, autoincrement=False),
    Column("annotator", Key, ForeignKey("annotators.pk"), nullable=False),
    Column("first_seen", String(32), nullable=False),
)

app_answers = Table(
    "app_answers",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),  # made by the page, so that nothing is counted twice
    Column("person", String(64), nullable=False),  # by the name in the app's file of people
    Column("project", Key, ForeignKey("projects.pk"), nullable=False),
    Column("sample", Key, ForeignKey("samples.pk"), nullable=False),
    Column("label", String(64)),  # a class or meta label; null: skipped, or an earlier answer taken back
    Column("second", String(64)),
    Column("stars", Integer),
    Column("seconds", Float),
    Column("guess", String(64)),  # of the form it was given on; null: there was none
    Column("shown", Boolean),
    Column("share", Float),
    Column("at", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # pending | sending | sent | refused
    Column("annotation", Integer),  # on the server, once known
    Column("problem", Text),  # why the server refused it
    Column("undoes", String(36)),  # the id of the answer that this one takes back
    Column("undone", Boolean, nullable=False, default=False, server_default="0"),  # taken back
    Column("also", JSON(none_as_null=True)),  # further classes of the same answer; null: none
    Index("ix_app_answers_project_sample", "project", "sample"),
    Index("ix_app_answers_person", "person"),
    Index("ix_app_answers_state", "state"),
)
