"""Why a JPEG, PNG or TIFF is not read: its own header tells, as far as it is whole."""

from __future__ import annotations

import struct
import zlib

from emolab.modalities.image.reading.unreadable import Unreadable

_CONVERT = "convert it to an 8-bit JPEG or PNG first"
#: JPEG frames by their marker, as far as they are no ordinary JPEG.
_FRAMES = {
    0xC3: "a lossless JPEG", 0xC5: "a hierarchical JPEG", 0xC6: "a hierarchical JPEG", 0xC7: "a lossless JPEG",
    0xC9: "a JPEG with arithmetic coding", 0xCA: "a JPEG with arithmetic coding", 0xCB: "a lossless JPEG",
    0xCD: "a hierarchical JPEG", 0xCE: "a hierarchical JPEG", 0xCF: "a lossless JPEG", 0xF7: "a JPEG-LS",
}  # fmt: skip
_PLAIN = (0xC0, 0xC1, 0xC2)
_ALONE = (0x01, *range(0xD0, 0xD9))
#: Bits and colour types that a PNG may have together.
_PNG_MODES = {
    *((bits, 0) for bits in (1, 2, 4, 8, 16)),
    *((bits, colour) for bits in (8, 16) for colour in (2, 4, 6)),
    *((bits, 3) for bits in (1, 2, 4, 8)),
}
#: TIFF tags and what their values mean.
_BITS, _COMPRESSION, _CHANNELS, _SAMPLES = 258, 259, 277, 339
_KINDS = {
    1: "whole numbers",
    2: "whole numbers with a sign",
    3: "fractions",
    5: "complex numbers",
    6: "complex numbers",
}
_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}


def refusal(data: bytes) -> Unreadable | None:
    """The error about a JPEG, PNG or TIFF that was not recognised, ``None`` for anything else."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG"):
        return _png(data)
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return _tiff(data)
    return None


def _damaged(what: str, why: str) -> Unreadable:
    return Unreadable("damaged", f"the file is a {what} that cannot be read: {why}")


def _cut(what: str) -> Unreadable:
    return Unreadable("truncated", f"the file is a {what} that ends within its header")


def _jpeg(data: bytes) -> Unreadable:
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF:
            return _damaged("JPEG", f"no marker where one belongs, at byte {at:,}")
        code = data[at + 1]
        if code == 0xFF or code in _ALONE:
            at += 1 if code == 0xFF else 2
            continue
        if code in _FRAMES or code in _PLAIN:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            if code in _FRAMES or bits != 8:
                what = f"{_FRAMES.get(code, 'a JPEG')} of {bits} bits per channel"
                return Unreadable("unsupported", f"{what}, which Pillow does not read here; {_CONVERT}")
            return _damaged("JPEG", f"its header says {width:,} x {height:,} pixels of {channels} channels")
        if code in (0xD9, 0xDA):
            return _damaged("JPEG", "its header says nothing about its size")
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return _cut("JPEG")


def _png(data: bytes) -> Unreadable:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _damaged("PNG", "its line ends were changed, as by a transfer that took it for text")
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if fault := _fault(data, at, end, name):
            return _damaged("PNG", fault)
        if end > len(data):
            return _cut("PNG")
        if name in (b"IDAT", b"IEND"):
            return _damaged("PNG", "its parts make no sense together")
        at = end
    return _cut("PNG")


def _fault(data: bytes, at: int, end: int, name: bytes) -> str | None:
    """What is wrong with the part ``name`` of a PNG from ``at`` to ``end``, as far as it is there."""
    if not name.isalpha():
        return f"no part begins where one belongs, at byte {at:,}"
    if (at == 8) != (name == b"IHDR"):
        return "it does not begin with one header (IHDR)"
    if end <= len(data) and zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
        return f"its {'header' if at == 8 else f'part {name.decode()}'} is damaged (wrong checksum)"
    if name == b"IHDR" and len(data) >= 26:
        width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
        if end - at != 25 or not (width and height) or (bits, colour) not in _PNG_MODES:
            return f"its header says {width:,} x {height:,} pixels, {bits} bits, colour type {colour}"
    return None


def _tiff(data: bytes) -> Unreadable:
    try:
        tags = _tags(data)
    except struct.error:
        return _cut("TIFF") if len(data) < 1024 else _damaged("TIFF", "its table of contents lies beyond the end")
    if not tags:
        return _damaged("TIFF", "its table of contents is empty")
    bits, channels = tags.get(_BITS, 1), tags.get(_CHANNELS, 1)
    kind = _KINDS.get(tags.get(_SAMPLES, 1), "unknown numbers")
    what = f"a TIFF of {channels} channel{'s' if channels != 1 else ''} of {bits}-bit {kind}"
    packed = "" if tags.get(_COMPRESSION, 1) == 1 else f", compression {tags[_COMPRESSION]}"
    return Unreadable("unsupported", f"{what}{packed}, which Pillow does not read here; {_CONVERT}")


def _tags(data: bytes) -> dict[int, int]:
    """The first value of each numeric tag in the first directory. Raises ``struct.error`` beyond the end."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    offset, count, entry, value = ("Q", "Q", "HHQ", 12) if big else ("I", "H", "HHI", 8)
    (start,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + count, data, start)
    tags = {}
    size, room = (20, 8) if big else (12, 4)
    for i in range(min(entries, 4096)):
        at = start + (8 if big else 2) + size * i
        tag, kind, n = struct.unpack_from(order + entry, data, at)
        letter = _FORMATS.get(kind)
        if letter is None:
            continue
        place = at + value
        if struct.calcsize(letter) * n > room:
            (place,) = struct.unpack_from(order + offset, data, place)
        tags[tag] = int(struct.unpack_from(order + letter, data, place)[0])
    return tags
