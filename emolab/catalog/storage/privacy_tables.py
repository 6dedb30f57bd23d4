"""The tables of what people agreed to, and of what has been forgotten."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table, Text

from emolab.catalog.storage.metadata import Key, metadata

#: Entries are added or ended. The newest one of a subject or of a sample holds; the others are ``superseded``.
consents = Table(
    "consents",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("subject", String(255)),  # the group of its samples; null: the entry is about one sample
    Column("sample", String(64)),  # the id of one sample; null: the entry is about a subject
    Column("text", Text),  # what was agreed to; null: the hash alone is kept here
    Column("text_hash", String(64), nullable=False),  # sha256 of the text in UTF-8
    Column("scope", String(64), nullable=False),  # purposes, parted by spaces
    Column("given_at", String(10), nullable=False),  # a date, UTC
    Column("expires_at", String(10)),  # the last day on which it holds; null: without end
    Column("withdrawn_at", String(32)),
    Column("superseded", Boolean, nullable=False, default=False, server_default="0"),
    Column("added_at", String(32), nullable=False),
    Index(None, "subject"),
    Index(None, "sample"),
)
