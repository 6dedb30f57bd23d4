"""What a step did: plain data for programs, tables for notebooks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from emolab.words import short

#: Rows of a table, and entries of a value, that a notebook shows.
SHOWN = 12


class Share(float):
    """A number from 0 to 1 that tables show as a percentage with a bar."""


#: Ids of samples, models and versions, which tables show by their start.
ID = re.compile("[0-9a-f]{64}")
#: How tables show a value of each kind; the first that fits counts.
FORMS: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    bool: lambda value: "yes" if value else "no",
    Share: lambda value: f"{100 * value:.0f} %",
    int: lambda value: f"{value:,}",
    float: lambda value: f"{value:.4g}",
    str: lambda value: short(value) if ID.fullmatch(value) else value,
}


@dataclass(frozen=True)
class Table:
    """``rows`` below the titles ``columns``; without columns, the first cell of a row says what the others are.

    The first :data:`SHOWN` rows are shown, and the number of the others. Text is shown as it is, never run.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def html(self) -> str:
        """As notebooks show it; every text is escaped."""
        shown = self.rows[:SHOWN] if self.columns else self.rows
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(f"<tr>{''.join(self._cell(i, value) for i, value in enumerate(row))}</tr>" for row in shown)
        return (
            f'<table><caption style="text-align:left;white-space:nowrap"><b>{escape(self.title)}</b></caption>'
            f"{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>{self._more(shown)}"
        )

    def text(self) -> str:
        """As lines of text."""
        shown = self.rows[:SHOWN] if self.columns else self.rows
        lines = [list(self.columns)] * bool(self.columns) + [[in_words(value) for value in row] for row in shown]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))] if lines else []
        table = ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([self.title, *table, *filter(None, [self._more(shown)])])

    def _more(self, shown: Sequence[object]) -> str:
        count = len(self.rows) - len(shown)
        return f"and {count:,} more; to_dict() has all of them" if count else ""

    def _cell(self, column: int, value: Any) -> str:
        if column == 0 and not self.columns:
            return f'<th style="text-align:left">{escape(in_words(value))}</th>'
        if isinstance(value, Share):
            bar = f'<progress value="{float(value):.3f}" max="1" style="width:5em"></progress>'
            return f'<td style="text-align:right;white-space:nowrap">{in_words(value)} {bar}</td>'
        right = isinstance(value, int | float) and not isinstance(value, bool)
        return f'<td style="text-align:{"right" if right else "left"}">{escape(in_words(value))}</td>'


class Result:
    """What the result of a step can do; a frozen dataclass inherits it.

    >>> @dataclasses.dataclass(frozen=True)
    ... class CountedSamples(Result):
    ...     samples: int
    >>> CountedSamples(3).to_dict()
    {'samples': 3}
    >>> print(CountedSamples(3).tables()[0].text())
    Counted samples
      samples  3
    """

    def __init_subclass__(cls) -> None:
        # IPython takes the first `__repr__` or `_repr_pretty_` on the way up, and a dataclass has its own `__repr__`
        if "_repr_pretty_" not in vars(cls):
            cls._repr_pretty_ = Result._repr_pretty_  # type: ignore[method-assign]

    def to_dict(self) -> dict[str, Any]:
        """Everything there is to tell, ready for JSON: what ``--json`` prints."""
        return _fields(self)

    def tables(self) -> list[Table]:
        """What a notebook shows: what there is of single values, and each list of records as a table of its own."""
        return tables_of(type(self), self.to_dict())

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self.tables())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython calls it so
        printer.text("\n".join(table.text() for table in self.tables()))


def tables_of(kind: type, told: Mapping[str, Any]) -> list[Table]:
    """The tables that show ``told``, the plain data of a result of ``kind``."""
    single, several = [], []
    for key, value in told.items():
        name = key.replace("_", " ")
        records = _records(value)
        if records is None:
            if in_words(value):
                single.append((name, value))
        else:
            columns = list(dict.fromkeys(column for record in records for column in record))
            rows = [[record.get(column) for column in columns] for record in records]
            several.append(Table(name, [column.replace("_", " ") for column in columns], rows))
    title = re.sub(r"(?<=[a-z])([A-Z])", lambda found: " " + found[1].lower(), kind.__name__)
    return [Table(title, (), single), *several]


def _records(value: Any) -> list[Mapping[str, Any]] | None:
    """The rows of a list of mappings, or of a mapping to mappings by name; ``None`` for any other value."""
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        return value
    if isinstance(value, Mapping) and value and all(isinstance(one, Mapping) for one in value.values()):
        return [{"": key, **one} for key, one in value.items()]
    return None


def in_words(value: Any) -> str:
    """``value`` as a cell of a table shows it.

    >>> in_words(Share(0.256)), in_words(12345), in_words({"fear": 3, "anger": 0.5}), in_words(None)
    ('26 %', '12,345', 'fear 3, anger 0.5', '')
    """
    if isinstance(value, Mapping):
        return _listed(f"{key} {in_words(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        nested = any(isinstance(one, list | tuple | Mapping) for one in value)
        return f"{len(value):,} rows" if nested else _listed(map(in_words, value))
    form = next((form for kind, form in FORMS.items() if isinstance(value, kind)), str)
    return form(value)


def _listed(parts: Iterable[str]) -> str:
    found = list(parts)
    more = f", and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


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
