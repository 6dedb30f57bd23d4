"""What a server answered, read only through checks: nothing of an unknown shape gets any further than this.

A proxy, a login page, another program or another release may answer anything with status 200. An empty object read as
"no answers" would withdraw votes. So every field that is used is checked by name and kind. A wrong one ends the command
with one line, before anything is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emolab.errors import ServerError

_SHOWN = 60  # characters of an answer that an error quotes
_HIGHEST = 2**63 - 1  # of an id: no database has a higher one


@dataclass(frozen=True, slots=True)
class JsonResponse:
    """The JSON that came back for one request; ``request`` names it (``GET /api/tasks/``).

    After a write (any other method than GET) a shape that is not understood leaves its outcome unknown.
    """

    value: object
    request: str
    url: str

    def row(self) -> JsonObject:
        """The answer as one object."""
        if not isinstance(self.value, Mapping):
            raise self.wrong("an object", self.value)
        return JsonObject(self.value, self)

    def rows(self) -> list[JsonObject]:
        """The answer as a list of objects."""
        return _rows(self.value, "", self)

    def names(self) -> list[str]:
        """The answer as a list of texts, or the field names of one object; a text that is null is left out."""
        if not isinstance(self.value, list | Mapping) or not all(isinstance(item, str | None) for item in self.value):
            raise self.wrong("names", self.value)
        return [item for item in self.value if item is not None]

    def wrong(self, expected: str, value: object, where: str = "") -> ServerError:
        """The error for an answer in which ``value`` stands ``where`` something else was ``expected``."""
        place = f' in "{where}"' if where else ""
        seen = "something else" if "/token" in self.request else _shown(value)  # it might be one
        return ServerError(
            f"{self.url} answered {self.request} with {seen}{place}, expected {expected}.",
            hint="Is Label Studio itself behind this address, of a release from 1.16 on? Nothing was changed here.",
            status=200,
            outcome_unknown=not self.request.startswith("GET "),
        )


class JsonObject:
    """One object of an answer, whose fields are asked for by kind; each raises ``ServerError`` for another kind."""

    def __init__(self, fields: Mapping[str, object], answer: JsonResponse, where: str = "") -> None:
        self._fields = fields
        self._answer = answer
        self._where = where

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._fields.get(name) is not None

    def told(self, *names: str) -> None:
        """Raise unless all these fields are there, with whatever value, null too."""
        for name in names:
            if name not in self._fields:
                raise self.wrong(name, "a value")

    def number(self, name: str) -> int:
        """A whole number."""
        value = self._fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "a whole number")
        return value

    def key(self, name: str) -> int:
        """The id of a thing: a number from 1 on, also where the server writes it as a string."""
        found = self.maybe_key(name)
        if found is None:
            raise self.wrong(name, "an id")
        return found

    def maybe_key(self, name: str) -> int | None:
        """An id, as a number, a string or an object with an ``id``; ``None`` where there is none."""
        value = self._fields.get(name)
        if isinstance(value, Mapping):
            value = value.get("id")
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _HIGHEST:
            return value
        raise self.wrong(name, "an id")

    def amount(self, name: str) -> float | None:
        """A number; ``None`` for anything else: only a lead time is one, and an answer counts without it."""
        value = self._fields.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def text(self, name: str) -> str:
        """A text that is not empty."""
        value = self._fields.get(name)
        if not isinstance(value, str) or not value:
            raise self.wrong(name, "a text")
        return value

    def maybe_text(self, name: str) -> str:
        """A text; empty where there is none."""
        value = self._fields.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        raise self.wrong(name, "a text")

    def flag(self, name: str) -> bool:
        """True or false; false where there is none."""
        value = self._fields.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.wrong(name, "true or false")

    def row(self, name: str) -> JsonObject:
        """An object."""
        return JsonObject(self.mapping(name), self._answer, self._path(name))

    def rows(self, name: str) -> list[JsonObject]:
        """A list of objects."""
        return _rows(self._fields.get(name), self._path(name), self._answer)

    def keys_of(self, name: str) -> list[int]:
        """A list of ids."""
        value = self._fields.get(name)
        if not isinstance(value, list):
            raise self.wrong(name, "a list of ids")
        return [JsonObject({name: item}, self._answer, self._where).key(name) for item in value]

    def mapping(self, name: str) -> Mapping[str, object]:
        """An object whose fields are the caller's business."""
        value = self._fields.get(name)
        if not isinstance(value, Mapping):
            raise self.wrong(name, "an object")
        return value

    def maybe_row(self, name: str) -> JsonObject:
        """An object; an empty one where there is null, but the field must be there."""
        return JsonObject({}, self._answer) if name in self._fields and not self.has(name) else self.row(name)

    def items(self, name: str) -> tuple[object, ...]:
        """A list of anything that people and scripts may have stored; none where there is null."""
        value = self._fields.get(name)
        if value is not None and not isinstance(value, list):
            raise self.wrong(name, "a list")
        return tuple(value or ())

    def mappings(self, name: str) -> tuple[Mapping[str, object], ...]:
        """A list of such objects; none where there is none."""
        return () if not self.has(name) else tuple(row.fields() for row in self.rows(name))

    def fields(self) -> Mapping[str, object]:
        """All fields, as they came."""
        return self._fields

    def wrong(self, name: str, expected: str) -> ServerError:
        """The error for a field that is not what was expected."""
        if name not in self._fields:
            return self._answer.wrong(f'{expected} in "{self._path(name)}"', self._fields)
        return self._answer.wrong(expected, self._fields[name], self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name


def _rows(value: object, where: str, answer: JsonResponse) -> list[JsonObject]:
    if not isinstance(value, list):
        raise answer.wrong("a list of objects", value, where)
    for item in value:
        if not isinstance(item, Mapping):
            raise answer.wrong("a list of objects", item, f"{where}[]")
    return [JsonObject(item, answer, f"{where}[{i}]") for i, item in enumerate(value)]


def _shown(value: object) -> str:
    """A value as an error quotes it; of a longer one only its kind and size, for it may be about people."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        names = ", ".join(map(str, value))
        return f"an object with {_cut(names)}" if value else "an empty object"
    return f"the text {_cut(repr(value))}" if isinstance(value, str) else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
