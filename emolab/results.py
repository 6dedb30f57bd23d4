"""What a step did: plain data for programs, a table for notebooks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Rows of a nested value that a notebook's table shows.
SHOWN = 12


class Result:
    """What the result of a step can do; a frozen dataclass inherits it.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Counted(Result):
    ...     samples: int
    >>> Counted(3).to_dict()
    {'samples': 3}
    """

    def to_dict(self) -> dict[str, Any]:
        """Everything there is to tell, ready for JSON: what ``--json`` prints."""
        return _fields(self)

    def _repr_html_(self) -> str:
        """A table of :meth:`to_dict`, which notebooks show by themselves."""
        from html import escape

        rows = "".join(
            f'<tr><th style="text-align:left">{escape(key.replace("_", " "))}</th>'
            f'<td style="text-align:left">{_cell(value)}</td></tr>'
            for key, value in self.to_dict().items()
        )
        return f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"


def plain_data(value: Any) -> Any:
    """``value`` as text, numbers, lists and mappings: paths, arrays, sets and dataclasses become such."""
    if isinstance(value, Result):
        value = value.to_dict()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = _fields(value)
    elif isinstance(value, Path):
        value = str(value)
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain_data(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        found = [plain_data(one) for one in value]
        return sorted(found) if isinstance(value, set | frozenset) else found
    return value


def _fields(made: Any) -> dict[str, Any]:
    return {field.name: plain_data(getattr(made, field.name)) for field in dataclasses.fields(made)}


def _cell(value: Any) -> str:
    from html import escape

    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {escape(str(one))}" for key, one in list(value.items())[:SHOWN])
    if isinstance(value, list) and len(value) > SHOWN:
        return escape(", ".join(map(str, value[:SHOWN]))) + f", and {len(value) - SHOWN:,} more"
    if isinstance(value, list):
        return escape(", ".join(map(str, value)))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else escape(str(value))
