"""Whether a sound file holds all the bytes that its header announces; decoders read what is there and say nothing.

WAV (also RIFX and RF64), Wave64, AIFF, AU and CAF say how long their sound is. Ogg says it page by page: each has a
number and a checksum, and a decoder leaves out those that are damaged. FLAC, MP3 and what FFmpeg reads are told by
their decoders.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from emolab.modalities.problems import Refused

if TYPE_CHECKING:
    from typing import BinaryIO

#: A file that was written to a pipe announces about as much as its header can say.
_UNKNOWN = 0x7FFF0000
#: Bytes a sample, by the number of the encoding in an AU file.
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
#: The bits of each byte the other way round: Ogg's checksum reads them so.
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Data(NamedTuple):
    """Where the sound ``begins``, how many bytes it is said to have, and how many make a second (0: not known)."""

    begins: int
    length: int
    per_second: float


def announced_seconds(stream: BinaryIO, name: str) -> float | None:
    """The seconds that a cut-off file announces, ``None`` for one that is whole as far as its container can tell.

    Raises :class:`Refused` where nothing of the sound is there, and for an Ogg file with a damaged page.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    try:
        if name == "Ogg":
            _check_pages(stream, size)
            return None
        find = {"WAV": _wav, "RF64": _wav, "AIFF": _aiff, "AU": _au, "CAF": _caf, "Wave64": _wave64}.get(name)
        found = find(stream) if find else None
        if found is None or not found.per_second or found.begins + found.length <= size:
            return None
        return found.length / found.per_second
    except struct.error as error:
        raise Refused("truncated", "the file ends before its sound begins") from error
    finally:
        stream.seek(0)


def says_length(stream: BinaryIO) -> bool:
    """Whether an MP3 file has a header that counts its frames; without one its length is guessed from its size."""
    head = stream.read(10)
    begins = 0
    if head.startswith(b"ID3"):
        begins = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[9:5:-1]))
    stream.seek(begins)
    first = stream.read(2048)
    stream.seek(0)
    return any(tag in first for tag in (b"Xing", b"Info", b"VBRI"))


def _wav(stream: BinaryIO) -> _Data | None:
    order = ">" if (form := stream.read(12)).startswith(b"RIFX") else "<"
    at, per_second, large = 12, 0, None
    while True:
        kind, length = _chunk(stream, at, f"{order}4sI")
        if kind == b"ds64" and form.startswith(b"RF64"):
            large = struct.unpack("<8xQ", stream.read(16))[0]
        if kind == b"fmt ":
            per_second = struct.unpack(f"{order}8xI", stream.read(12))[0]
        if kind == b"data":
            if large is not None and length == 0xFFFFFFFF:
                return _Data(at + 8, large, per_second)
            return _Data(at + 8, length, per_second) if length < _UNKNOWN else None
        at += 8 + length + length % 2


def _wave64(stream: BinaryIO) -> _Data:
    at, per_second = 40, 0
    while True:
        kind, length = _chunk(stream, at, "<4s12xQ")
        if kind == b"fmt ":
            per_second = struct.unpack("<8xI", stream.read(12))[0]
        if kind == b"data":
            return _Data(at + 24, length - 24, per_second)
        at += max(24, (length + 7) // 8 * 8)


def _aiff(stream: BinaryIO) -> _Data:
    at, per_second = 12, 0.0
    while True:
        kind, length = _chunk(stream, at, ">4sI")
        if kind == b"COMM":
            channels, frames, bits, power, rest = struct.unpack(">hIhHQ", stream.read(18))
            rate = rest * 2.0 ** ((power & 0x7FFF) - 16383 - 63)
            per_second = channels * ((bits + 7) // 8) * rate if frames else 0.0
        if kind == b"SSND":
            return _Data(at + 8, length, per_second)
        at += 8 + length + length % 2


def _au(stream: BinaryIO) -> _Data | None:
    order = ">" if stream.read(4) == b".snd" else "<"
    begins, length, encoding, rate, channels = struct.unpack(f"{order}5I", stream.read(20))
    if length == 0xFFFFFFFF:
        return None
    return _Data(begins, length, rate * channels * _AU_BYTES.get(encoding, 0))


def _caf(stream: BinaryIO) -> _Data | None:
    at, per_second = 8, 0.0
    while True:
        kind, length = _chunk(stream, at, ">4sq")
        if kind == b"desc":
            rate, size, frames = struct.unpack(">d8xII", stream.read(24))
            per_second = rate * size / frames if frames else 0.0
        if kind == b"data":
            return _Data(at + 12, length, per_second) if length >= 0 else None
        at += 12 + max(0, length)


def _chunk(stream: BinaryIO, at: int, form: str) -> tuple[bytes, int]:
    """The kind and the length of the chunk ``at`` a place, after which ``stream`` stands."""
    stream.seek(at)
    kind, length = struct.unpack(form, stream.read(struct.calcsize(form)))
    return kind, length


def _check_pages(stream: BinaryIO, size: int) -> None:
    """Raise :class:`Refused` unless every page is whole, and none between two others is missing."""
    numbers: dict[bytes, int] = {}
    for at, page in _pages(stream, size):
        serial, number = page[14:18], int.from_bytes(page[18:22], "little")
        share = f"after {at / size:.0%} of the file"
        begins = bool(page[5] & 2)
        if not begins and number != numbers.get(serial, number):
            raise Refused("damaged", f"{share} a part is missing")
        if _checksum(page) != int.from_bytes(page[22:26], "little"):
            raise Refused("damaged", f"{share} it does not hold what was written")
        numbers[serial] = number + 1


def _pages(stream: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Where each page begins, and its bytes."""
    at, ended = 0, False
    while at < size:
        stream.seek(at)
        head = stream.read(27)
        if not head.startswith(b"OggS"):
            if ended:
                return  # what somebody wrote behind the last page, such as tags
            raise Refused("damaged", f"after {at / size:.0%} of the file it does not hold what was written")
        table = stream.read(head[26]) if len(head) == 27 else b""
        body = stream.read(sum(table))
        if len(head) < 27 or len(table) < head[26] or len(body) < sum(table):
            raise Refused("truncated", "the file ends within a page")
        yield at, head + table + body
        at, ended = at + 27 + len(table) + len(body), bool(head[5] & 4)


def _checksum(page: bytes) -> int:
    """The CRC-32 of a page as Ogg has it: the bits of :func:`zlib.crc32` turned round, without its two inversions.

    The four bytes in which it is written count as zeros.
    """
    turned = (page[:22] + bytes(4) + page[26:]).translate(_TURNED)
    return int(f"{zlib.crc32(turned, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)
