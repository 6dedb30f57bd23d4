"""Exports read in one long transaction; they do not need the write lock, so answers go on meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from emolab_studio.base import current

#: Making a snapshot, and the export of the page. Any other request may write in its transactions.
_EXPORT = re.compile(r"POST /api/projects/\d+/exports/?|GET /api/projects/\d+/export/?")


class ReadingOnly:
    """Middleware that marks requests whose transactions only read."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Carry out one request."""
        current.reading = _EXPORT.fullmatch(f"{request.method} {request.path_info}") is not None
        try:
            return self.get_response(request)
        finally:
            current.reading = False
