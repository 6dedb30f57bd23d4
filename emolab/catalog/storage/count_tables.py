"""Counts of samples, votes and labels, kept by the database itself in the transaction that changes the rows.

On SQLite there is one row for each combination of what is counted apart. On PostgreSQL every statement adds rows of
differences, so that no writer waits for another one; the count is their sum. ``counters`` says how they are kept.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Identity, SmallInteger, String, Table

from emolab.catalog.storage.metadata import Key, metadata

sample_counts = Table(
    "sample_counts",
    metadata,
    Column("part", Key, Identity(), primary_key=True),  # 0 on SQLite; on PostgreSQL each its own
    Column("source", String(128), primary_key=True),
    Column("split", String(8), primary_key=True),  # "": none
    Column("answered", Boolean, primary_key=True),
    Column("removed", Boolean, primary_key=True),
    Column("n", BigInteger, nullable=False),
)

vote_counts = Table(
    "vote_counts",
    metadata,
    Column("part", Key, Identity(), primary_key=True),
    Column("fate", String(16), primary_key=True),  # active | edited | withdrawn
    Column("refused", String(8), primary_key=True),  # skipped | rejected; "": it counts
    Column("label", String(64), primary_key=True),  # "": none
    Column("n", BigInteger, nullable=False),
    Column("people", BigInteger, nullable=False),
)

label_counts = Table(
    "label_counts",
    metadata,
    Column("part", Key, Identity(), primary_key=True),
    Column("label_set", Key, primary_key=True, autoincrement=False),
    Column("hard", SmallInteger, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
)
