"""Files of a ``multipart/form-data`` body, taken from memory: Starlette's own parser writes large ones to the disk."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from emolab.serving.app.errors import RequestRefused

#: Bytes of the headers of all parts.
_MOST_HEADERS = 64 << 10


@dataclass
class _Part:
    name: bytes = b""
    filename: bytes | None = None
    data: bytearray = field(default_factory=bytearray)


class _Parts:
    """Collects what the parser calls out."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.found: list[_Part] = []
        self.ended = False
        self._header, self._value, self._size = b"", b"", 0

    def begin(self) -> None:
        """A part begins."""
        if len(self.found) == self.most:
            raise too_many(self.most)
        self.found.append(_Part())

    def header_field(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's name."""
        self._count(end - start)
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's value."""
        self._count(end - start)
        self._value += data[start:end]

    def header_end(self) -> None:
        """A header is complete."""
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            part = self.found[-1]
            part.name, part.filename = options.get(b"name", b""), options.get(b"filename")
        self._header, self._value = b"", b""

    def part_data(self, data: bytes, start: int, end: int) -> None:
        """A piece of a part's content."""
        self.found[-1].data += data[start:end]

    def end(self) -> None:
        """The last boundary was read."""
        self.ended = True

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > _MOST_HEADERS:
            raise RequestRefused(400, "malformed", "The headers of the parts are too long.")


def files_of(body: bytes, content_type: str, *, most: int) -> list[tuple[str, bytes]]:
    """(name, content) of each file in ``body``, at most ``most``.

    Raises :class:`RequestRefused` for what is no whole multipart body, and for a field that is no file.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise RequestRefused(400, "malformed", "multipart/form-data without a boundary.")
    parts = _Parts(most)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_part_data": parts.part_data,
                "on_header_field": parts.header_field,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_end": parts.end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestRefused(400, "malformed", f"The multipart body is damaged: {error}.") from None
    if not parts.ended:
        raise RequestRefused(400, "malformed", "The multipart body ends before its last boundary.")
    return [_as_file(part) for part in parts.found]


def too_many(most: int) -> RequestRefused:
    """What a request with too many pictures is told."""
    return RequestRefused(
        422, "too_many_images", f"More than {most} pictures in one request.", f"Send at most {most} at a time."
    )


def _as_file(part: _Part) -> tuple[str, bytes]:
    name = part.name.decode("utf-8", "replace")
    if part.filename is None:
        raise RequestRefused(
            422,
            "unknown_field",
            f'The form field "{name[:64]}" is no file.',
            'Send pictures as files: -F "images=@a.jpg"',
        )
    return part.filename.decode("utf-8", "replace") or name, bytes(part.data)
