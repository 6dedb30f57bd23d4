"""A sentence as it is kept: one Unicode form, no control characters, single spaces, masked, under its hash."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emolab.errors import DataError
from emolab.files import TooLarge, read_file
from emolab.modalities.problems import Refused, reason
from emolab.modalities.text.masking import mask
from emolab.words import many

#: The longest sentence in characters; a label tells little of a longer text.
MOST_LETTERS = 2000
_MOST_BYTES = 1 << 16
#: Invisible characters that mean something: those that join or part letters, and that choose how an emoji looks.
_MEANT = frozenset("\u200c\u200d\ufe0e\ufe0f")
_KINDS_LEFT_OUT = frozenset(("Cc", "Cf", "Co", "Cn"))
_ODD = re.compile(r"[^\x20-\x7e]")
_LETTERS = re.compile(r"\w+")
_BYTE_ORDER = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
#: What files begin with that are no text, whatever they are called.
_OTHERS = {
    b"PK\x03\x04": "a zip or an Office file",
    b"\xd0\xcf\x11\xe0": "an Office file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"%PDF": "a PDF",
    b"{\\rtf": "a rich text file",
    b"RIFF": "a sound or video file",
    b"fLaC": "a sound file",
    b"OggS": "a sound file",
    b"ID3": "a sound file",
    b"\x1f\x8b": "a compressed file",
    b"SQLite": "a database",
}
_LFS = "version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class StoredSentence:
    """``data`` is the text in UTF-8, ``digest`` its sha256; ``masked`` counts what was taken out, by kind."""

    text: str
    data: bytes
    digest: str
    masked: Mapping[str, int] = field(default_factory=dict)


def store_form(text: str, *, masking: bool = True) -> StoredSentence:
    """``text`` as it is kept; without ``masking`` names, addresses and numbers stay.

    Raises :class:`Refused` for what is empty, longer than 2,000 characters, or no text.

    >>> store_form("  So happy\\tto see you,  Dr. Brown! ").text
    'So happy to see you, Dr. [NAME]!'
    """
    text = normalised(text)
    found: Mapping[str, int] = Counter()
    if masking:
        text, found = mask(text)
        if len(text) > MOST_LETTERS:  # a mask may be longer than what it masks; nothing would read the sentence again
            raise Refused("too long", f"{len(text):,} characters with its masks, at most {MOST_LETTERS:,}; split it")
    data = text.encode()
    return StoredSentence(text, data, hashlib.sha256(data).hexdigest(), dict(found))


def normalised(text: str) -> str:
    """``text`` in Unicode form NFC, without control characters, with single spaces; a line break is a space.

    Raises :class:`Refused` as :func:`store_form` does.
    """
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Refused("not text", "it holds zero bytes or half letters; expected text in UTF-8")
    if _ODD.search(text):
        text = unicodedata.normalize("NFC", " ".join(text.split()))
        kept = [sign for sign in text if sign in _MEANT or unicodedata.category(sign) not in _KINDS_LEFT_OUT]
        text = "".join(kept)
    text = " ".join(text.split())
    if not any(sign.isprintable() and not sign.isspace() for sign in text):
        raise Refused("empty", "no letter or sign in it")
    if len(text) > MOST_LETTERS:
        raise Refused("too long", f"{len(text):,} characters, at most {MOST_LETTERS:,}; split it into sentences")
    return text


def read_sentence(media: bytes | Path) -> str:
    """The sentence in ``media``, in one form. Raises :class:`Refused` for what is no text, or too much of it."""
    if isinstance(media, Path):
        try:
            media = read_file(media, limit=_MOST_BYTES)
        except OSError as error:
            raise Refused("unreadable", reason(error)) from error
        except TooLarge as error:
            raise Refused("too long", f"{error}; expected one sentence") from error
    elif reason_given := getattr(media, "reason", None):  # a reader could not read it
        raise Refused(getattr(media, "kind", "damaged"), str(reason_given))
    return normalised(decoded(media))


def read_sentences(media: Sequence[bytes | Path]) -> tuple[list[str], dict[int, str]]:
    """The sentences (n) in ``media`` (n), and why some cannot be read, by position; these are empty."""
    sentences: list[str] = []
    errors: dict[int, str] = {}
    for i, item in enumerate(media):
        try:
            sentences.append(read_sentence(item))
        except Refused as refused:
            errors[i] = f"{refused.kind}: {refused.message}"
            sentences.append("")
    return sentences, errors


def content(text: str) -> bytes:
    """16 bytes by which a sentence is recognised again, masked or not, whatever its capitals, spaces and punctuation.

    >>> content("So glad!") == content("so  GLAD")
    True
    """
    text = mask(text)[0]
    words = " ".join(_LETTERS.findall(text.casefold())) or text
    return hashlib.sha256(words.encode()).digest()[:16]


def all_sentences(media: Sequence[bytes | Path]) -> list[str]:
    """The sentences (n) in ``media`` (n). Raises :class:`DataError` where one cannot be read."""
    sentences, errors = read_sentences(media)
    if errors:
        raise DataError(f"{many(len(errors), 'sentence')} cannot be read; the first: {next(iter(errors.values()))}.")
    return sentences


def decoded(data: bytes) -> str:
    """The text of a file's bytes: UTF-8, or UTF-16 that says so in its first bytes.

    Raises :class:`Refused` for an empty file, for one that is no text, and for another encoding, naming the first
    byte that does not fit and its line.
    """
    if not data.strip():
        raise Refused("empty", "the file holds no text")
    for signature, what in _OTHERS.items():
        if data.startswith(signature):
            raise Refused("not text", f"it is {what}")
    encoding = _BYTE_ORDER.get(data[:2], "utf-8-sig")
    if encoding == "utf-8-sig" and b"\0" in data:
        raise Refused("not text", "it holds zero bytes; expected text in UTF-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if sum(byte < 32 and byte not in b"\t\n\f\r" for byte in data[:4096]) > len(data[:4096]) / 50:
            raise Refused("not text", "it holds bytes that no text has; expected text in UTF-8") from error
        line = data[: error.start].count(b"\n") + 1
        raise Refused(
            "wrong encoding",
            f"line {line:,} is not {encoding.removesuffix('-sig').upper()} (byte 0x{data[error.start]:02x}); "
            "save it as UTF-8, for example: iconv -f WINDOWS-1252 -t UTF-8 FILE",
        ) from error
    if text.startswith(_LFS):
        raise Refused("not text", 'it is a git-lfs pointer, not the file itself; run "git lfs pull" in the clone')
    return text
