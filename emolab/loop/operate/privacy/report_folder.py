"""The folder of a report on what is held about a person, and what such a report tells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emolab.results import Result

#: Names of the report's files in its folder.
PAGE, DATA, MEDIA = "index.html", "report.json", "media"


@dataclass(frozen=True, kw_only=True)
class PrivacyReport(Result):
    """What is held about ``subject``: its sample ``ids``, ``rows`` by table of the catalog, ``files`` that name a
    sample, the ``models`` that learned from one, ``predictions`` by model, samples whose file is ``missing``, and in
    words what is ``unread``."""

    subject: str
    folder: Path
    ids: Sequence[str]
    rows: Mapping[str, int]
    files: Sequence[str]
    models: Sequence[str]
    predictions: Mapping[str, int]
    missing: Sequence[str]
    unread: Mapping[str, str]


def new_folder(to: str | Path) -> Path:
    """The folder of a report. Raises :class:`DataError` where it is there already."""
    from emolab.errors import DataError

    folder = Path(to)
    if folder.exists():
        raise DataError(f"{folder} is there already.", hint="Name a new folder: --to FOLDER")
    return folder


def cell(value: Any) -> str:
    """A value as a cell of a table."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
