"""The system of record: samples, votes, labels, rounds, models, and what was sent where."""

from emolab.catalog.storage.engine import Catalog

__all__ = ["Catalog"]
