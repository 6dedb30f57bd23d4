"""JPEG and PNG bytes without metadata, pixels untouched: nothing is decoded and nothing encoded again.

A photo carries where it was taken, with which camera, by whom, and often a smaller copy of itself. Here the file is
read segment by segment, and only what a decoder needs is kept. The pixels stay bit for bit the same. Two copies that
differ in metadata only give the same result. The work is a fraction of decoding.

JPEG keeps the tables, frames and scans, an Adobe marker (it says how colours were transformed) and a JFIF marker in
its shortest form; PNG keeps IHDR, PLTE, tRNS, IDAT and IEND. What follows the end marker is dropped. Formats: ITU-T
T.81 (1992) annex B, and the PNG specification, third edition (W3C 2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.modalities.image.reading.turns import orientation_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"

#: The largest colour profile unpacked from a PNG, in bytes; real ones have at most a few hundred kilobytes.
PROFILE_LIMIT = 4 << 20

#: Chunks of text in a PNG, and the keywords of those that may say how it is turned.
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTED = (b"Raw profile type ", b"XML:com.adobe.xmp")
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"

#: What follows width and height in the header of a PNG with plain rows (depth, colour, three methods): its mode.
_PLAIN = {b"\x08\x00\x00\x00\x00": "L", b"\x08\x02\x00\x00\x00": "RGB"}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class Stripped:
    """``data`` shows the same pixels as the input and says nothing else.

    ``orientation`` is what its metadata say (1: upright, 2..8: to be turned), ``profile`` an ICC colour profile, both
    taken out of ``data``; ``rewrite`` names why the pixels must be written again before the file is of use, if they
    must.
    ``packed`` is the deflated stream of a PNG whose pixels are nothing but 8-bit grey (mode L) or RGB in plain rows.
    """

    data: bytes
    format: str
    size: tuple[int, int]
    orientation: int = 1
    profile: bytes | None = None
    rewrite: str | None = None
    packed: bytes | None = None
    mode: str = ""


def strip(data: bytes) -> Stripped | None:
    """``data`` without metadata when it is a well-formed JPEG or PNG, else ``None``: only a decoder can tell then."""
    try:
        if data.startswith(JPEG_MAGIC):
            return _jpeg(data)
        if data.startswith(PNG_MAGIC):
            return _png(data)
    except (struct.error, IndexError, zlib.error):
        return None
    return None


def _jpeg(data: bytes) -> Stripped | None:
    kept = [b"\xff\xd8"]
    frame: tuple[int, int, int, int] | None = None  # bits, height, width, components
    told = False
    profile: list[bytes] = []
    for code, start, end in _segments(data):
        body = data[start + 4 : end]
        if code in _FRAMES:
            frame = struct.unpack_from(">BHHB", body)
        if code == 0xE0 and body.startswith(b"JFIF\0"):
            kept.append(_JFIF)
        elif code == 0xE1:
            told = True
        elif code == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile.append(body[14:])
        elif code == 0xEE or not (0xE0 <= code <= 0xEF or code == 0xFE):
            kept.append(data[start:end])
    if frame is None or frame[1] == 0:  # height 0: told after the first scan, too rare to follow here
        return None
    rewrite = "cmyk" if frame[3] == 4 else "depth" if frame[0] != 8 else None
    orientation = orientation_of(data) if told else 1
    return Stripped(b"".join(kept), "JPEG", (frame[2], frame[1]), orientation, b"".join(profile) or None, rewrite)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker code, start, end) of every segment up to the end marker; a scan's data belong to its segment.

    Raises ``IndexError`` or ``struct.error`` when the data end before the end marker or a marker is missing.
    """
    at = 2
    markers: NDArray[np.intp] | None = None
    while True:
        while data[at + 1] == 0xFF:  # fill bytes are allowed before any marker
            at += 1
        code = data[at + 1]
        if data[at] != 0xFF:
            raise IndexError(at)
        if code == 0xD9:
            yield code, at, at + 2
            return
        end = at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])
        if code == 0xDA:
            markers = _markers(data) if markers is None else markers
            end = int(markers[np.searchsorted(markers, end)])
        yield code, at, end
        at = end


def _markers(data: bytes) -> NDArray[np.intp]:
    """Where 0xFF is followed by anything but stuffing, a fill byte or a restart: in a scan, where it ends."""
    octets = np.frombuffer(data, dtype=np.uint8)
    at = np.flatnonzero(octets[:-1] == 0xFF)
    code = octets[at + 1]
    ends: NDArray[np.intp] = at[(code != 0) & (code != 0xFF) & ((code < 0xD0) | (code > 0xD7))]
    return ends


def _png(data: bytes) -> Stripped | None:
    kept = [PNG_MAGIC]
    size, told, profile, rewrite, mode = (0, 0), False, None, None, ""
    stream: list[bytes] = []
    at = len(PNG_MAGIC)
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            return None
        body = data[at + 8 : end - 4]
        if name == b"IHDR":
            whole = zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
            size, rewrite, mode = _png_header(body, whole=whole)
        elif name == b"IDAT":
            stream.append(body)
        elif name == b"PLTE":
            mode = ""
        elif name == b"tRNS":
            rewrite = rewrite or "alpha"
        elif name == b"eXIf" or (name in _TEXT and body.startswith(_ORIENTED)):
            told = True
        elif name == b"iCCP":
            profile = _png_profile(body)
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(data[at:end])
        if name == b"IEND":
            break
        at = end
    if size == (0, 0):
        return None
    plain = b"".join(stream) if mode else None
    orientation = orientation_of(data) if told else 1
    return Stripped(b"".join(kept), "PNG", size, orientation, profile, rewrite, plain, mode)


def _png_header(body: bytes, *, whole: bool) -> tuple[tuple[int, int], str | None, str]:
    """(width, height) of an IHDR chunk, why its picture must be written again, and the mode of its plain pixels.

    ``whole``: the chunk's checksum is right; else a decoder has to see the picture.
    """
    width, height, depth, colour = struct.unpack_from(">IIBB", body)
    rewrite = "depth" if depth == 16 else "alpha" if colour in (4, 6) else None
    return (width, height), rewrite, _PLAIN.get(body[8:], "") if whole else ""


def _png_profile(body: bytes) -> bytes | None:
    """The colour profile of an iCCP chunk; ``None`` where it holds none."""
    packed = body[body.index(b"\0") + 2 :] if b"\0" in body else b""
    return zlib.decompressobj().decompress(packed, PROFILE_LIMIT) or None
