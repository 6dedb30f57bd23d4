"""The tables of the catalog (SQLAlchemy Core). Migrations bring a database here; see ``migrations/``.

Samples, annotators and votes have whole-number keys inside the catalog and readable ids outside of it. Votes are only
ever added; a tombstone says that one no longer counts. Labels, predictions and views can be computed again from votes.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
)

from emolab.catalog.storage.actions import action_changes, actions
from emolab.catalog.storage.count_tables import label_counts, sample_counts, vote_counts
from emolab.catalog.storage.metadata import Key, metadata
from emolab.catalog.storage.privacy_tables import consents
from emolab.catalog.storage.remote_tables import (
    app_answers,
    projects,
    remote_answers,
    remote_guesses,
    remote_tasks,
    remote_users,
)

__all__ = [
    "action_changes",
    "actions",
    "annotators",
    "app_answers",
    "consents",
    "events",
    "label_counts",
    "label_sets",
    "labels",
    "metadata",
    "model_events",
    "models",
    "present",
    "projects",
    "remote_answers",
    "remote_guesses",
    "remote_tasks",
    "remote_users",
    "rounds",
    "sample_counts",
    "samples",
    "settings",
    "snapshots",
    "sources",
    "suggestions",
    "tombstones",
    "vote_counts",
    "votes",
]

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("supported", JSON, nullable=True),  # class names it can show; null: all
    Column("licence", Text),
    Column("perspective", String(16), nullable=False, default="perceived"),
    Column("note", Text),
)

samples = Table(
    "samples",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("media", Text, nullable=False),
    Column("modality", String(16), nullable=False),
    Column("source", String(128), nullable=False, index=True),
    Column("group", String(255), index=True),
    Column("consent", Text),
    Column("licence", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("duration", Float),
    Column("added_at", String(32), nullable=False),
    Column("split", String(8)),
    Column("parent", String(64), index=True),
    Column("box", JSON),
    Column("landmarks", JSON),
    Column("quality", JSON),
    Column("name", Text),
    Column("phash", BigInteger),  # 64 bits, stored as a signed number
    Column("representative", String(64), index=True),
    Column(
        "n_votes", Integer, nullable=False, default=0, server_default="0"
    ),  # people behind its active answers, meta labels too
    Column("removed_at", String(32)),  # taken out then: only the ledger of votes still knows it
)

#: True for samples that have not been taken out: what everything but the ledger is to see.
present = samples.c.removed_at.is_(None)

annotators = Table(
    "annotators",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),  # a pseudonym or a dataset's name
    Column("kind", String(16), nullable=False),  # person | dataset | inspector
    Column("created_at", String(32), nullable=False),
    Column("nickname", String(64)),  # for this catalog only: never sent to a server
)

votes = Table(
    "votes",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("sample", Key, ForeignKey("samples.pk"), nullable=False, index=True),
    Column("annotator", Key, ForeignKey("annotators.pk"), nullable=False),
    Column("label", String(64)),  # null: a skip
    Column("count", Integer, nullable=False, default=1),
    Column("lead_time", Float),
    Column("round", Integer),
    Column("origin", String(128), nullable=False, index=True),
    Column("content", String(16), nullable=False),  # hash of what was said, to see edits
    Column("perspective", String(16), nullable=False),
    Column("confidence", Float),
    Column("second", String(64)),
    Column("cast_at", String(32)),
    Column("seen_at", String(32), nullable=False),
    Column("rejected", Text),
    Column("shown", String(64)),  # class of the guess that was on the form; "": none; "?": some; null: not known
    Column("extra", JSON(none_as_null=True)),  # answers to the team's own questions, by name
    Column("also", JSON(none_as_null=True)),  # further classes of the same answer; null: none
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("vote", Key, ForeignKey("votes.pk"), primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
)

label_sets = Table(
    "label_sets",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("version", String(64), nullable=False, unique=True),
    Column("method", String(64), nullable=False),
    Column("classes", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("n", Integer, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("current", Boolean, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("label_set", Key, ForeignKey("label_sets.pk"), primary_key=True, autoincrement=False),
    Column("sample", Key, ForeignKey("samples.pk"), primary_key=True, autoincrement=False),
    Column("hard", SmallInteger, nullable=False),
    Column("votes", Integer, nullable=False),
    Column("agreement", Float, nullable=False),
    Column("probs", LargeBinary, nullable=False),  # float32, little endian, one per class
    Index(None, "label_set", "agreement", "sample"),  # of a million the least agreed upon, in a fortieth of the time
)

rounds = Table(
    "rounds",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("strategy", String(64), nullable=False),
    Column("model", String(64)),
    Column("n", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("created_at", String(32), nullable=False),
)

suggestions = Table(
    "suggestions",
    metadata,
    Column("round", Integer, ForeignKey("rounds.number"), primary_key=True, autoincrement=False),
    Column("sample", Key, ForeignKey("samples.pk"), primary_key=True, autoincrement=False, index=True),
    Column("rank", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("strategy", String(64), nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("path", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("label_version", String(64), nullable=False),
    Column("created_at", String(32), nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("path", Text, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("config", JSON, nullable=False),
    Column("snapshot", String(64), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("parent", String(64)),
    Column("created_at", String(32), nullable=False),
)

model_events = Table(  # only ever added to: which model has which name is replayed from them
    "model_events",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("model", String(64), ForeignKey("models.id"), nullable=False, index=True),
    Column("alias", String(64)),
    Column("reason", Text, nullable=False),
    Column("detail", JSON, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("kind", String(64), nullable=False, index=True),
    Column("detail", JSON, nullable=False),
)
