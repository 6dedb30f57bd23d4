"""How far what people perceive is what was intended, where a workspace has votes of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from emolab.votes.perspectives import PerspectiveAgreement


def of_both(conn: Connection, classes: Sequence[str]) -> PerspectiveAgreement | None:
    """The agreement of the two on samples with votes of both; ``None`` where there are none."""
    from emolab.catalog import tallies
    from emolab.votes.perspectives import INTENDED, PERCEIVED, agreement

    if INTENDED not in tallies.perspectives(conn):
        return None
    return agreement(tallies.table(conn, classes, only=PERCEIVED), tallies.table(conn, classes, only=INTENDED))


def told(found: PerspectiveAgreement | None) -> dict[str, Any] | None:
    """The same ready for JSON: ``None`` for what cannot be counted."""
    from emolab.results import plain_data

    if found is None:
        return None
    plain = plain_data(found)
    return {**_numbers(plain), "classes": [_numbers(row) for row in plain["classes"]]}


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
