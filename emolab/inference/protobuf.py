"""Fields of a message of Protocol Buffers ("Encoding"), read and written: enough for an ONNX file without its package.

A message is a row of fields. Parts of one message that follow each other are merged, so a field is added at its end.
"""

from __future__ import annotations

from collections.abc import Iterator


def read_fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of every field of ``message`` that has a length; numbers are passed over.

    Raises :class:`ValueError` or :class:`IndexError` for what is no message.
    """
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        match key & 7:
            case 0:
                _, at = _read_varint(message, at)
            case 1:
                at += 8
            case 2:
                length, at = _read_varint(message, at)
                if at + length > len(message):
                    raise ValueError(at)
                yield key >> 3, message[at : at + length]
                at += length
            case 5:
                at += 4
            case _:
                raise ValueError(key)


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number of 7 bits a byte that begins at ``at``, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError(at)


def bytes_field(number: int, content: bytes) -> bytes:
    """The field ``number`` that holds ``content``: its key, the length, the bytes.

    >>> bytes_field(1, b"map").hex(" ")
    '0a 03 6d 61 70'
    """
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint_field(number: int, value: int) -> bytes:
    """The field ``number`` that holds the number ``value``, 0 or more.

    >>> varint_field(1, 300).hex(" ")
    '08 ac 02'
    """
    return varint(number << 3) + varint(value)


def varint(value: int) -> bytes:
    """``value``, 0 or more, in groups of 7 bits, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
