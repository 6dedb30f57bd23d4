"""What bytes are that should be a sound: which decoder reads them, or what else they are."""

from __future__ import annotations

import re

from emolab.modalities.problems import Refused
from emolab.modalities.signatures import OTHERS

#: Bytes looked at.
HEAD = 4096
#: Characters of a text that are shown.
_SHOWN = 60

#: What libsndfile reads: where, how it starts, what it is.
_SOUND_FILES = (
    (8, b"WAVE", "WAV"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (8, b"AIFF", "AIFF"),
    (8, b"AIFC", "AIFF"),
    (0, b".snd", "AU"),
    (0, b"caff", "CAF"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (0, b"NIST_1A", "NIST Sphere"),
)
#: What FFmpeg reads: sounds, and videos with their sound.
_CONTAINERS = (
    (4, b"ftyp", "MP4"),
    (4, b"moov", "QuickTime"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (8, b"AVI ", "AVI"),
    (0, b"FLV\x01", "FLV"),
    (0, b"\0\0\x01\xba", "MPEG"),
    (0, b"\0\0\x01\xb3", "MPEG"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "WMA or WMV"),
    (0, b"#!AMR", "AMR"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
)
_PICTURES = (
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
)
#: Texts that are saved in place of a sound, and what they are; a group, where it matched, is shown.
_TEXTS = (
    (r"^version https://git-lfs", "a git-lfs pointer, not the sound itself; fetch it with: git lfs pull"),
    (r"^\S*/annex/objects/", "a git-annex pointer, not the sound itself; fetch it with: git annex get"),
    (
        r"<(?:!doctype html|html|head|body)\b.*?<title[^>]*>([^<]+)",
        "a web page, not a sound: {}; was it a failed download?",
    ),
    (r"^<", "a web page or an answer in XML, not a sound: {}"),
    (r"^(?:data:audio/|UklGR|SUQz|//uQ|T2dnU|ZkxhQ)", "a sound written as base64 text; decode it first"),
    (r"^\[InternetShortcut\]", "a Windows shortcut to a web address, not the sound"),
    (r"^https?://\S+$", "a web address, not the sound: {}"),
    (r"^[{\[]", "an answer in JSON, not a sound: {}"),
)
#: Pictures in the container of MP4.
_STILL = (b"heic", b"heix", b"mif1", b"avif", b"avis")


def container(head: bytes) -> tuple[str, str]:
    """(decoder, format) of a file that begins with ``head``: the decoder is "soundfile" or "av".

    Raises :class:`Refused` for what is no sound, with what it is instead.
    """
    if not head:
        raise Refused("empty", "the file has no bytes")
    for at, start, name in _SOUND_FILES:
        if head.startswith(start, at):
            return "soundfile", name
    if head[4:8] == b"ftyp" and head[8:12] in _STILL:
        raise Refused("not a sound", "a HEIC or AVIF picture")
    for at, start, name in _CONTAINERS:
        if head.startswith(start, at):
            return "av", name
    if (kind := _mpeg(head)) is not None:
        return kind
    raise refusal(head)


def _mpeg(head: bytes) -> tuple[str, str] | None:
    """MP3, or the raw AAC stream that begins nearly the same, or an MPEG transport stream."""
    if head.startswith(b"ID3"):
        return "soundfile", "MP3"
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x18 != 0x08:
        layer = head[1] & 0x06
        if layer == 0 and head[1] & 0xF0 == 0xF0:
            return "av", "AAC"
        if layer and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C:
            return "soundfile", "MP3"
    if len(head) > 188 and head[0] == head[188] == 0x47:
        return "av", "MPEG-TS"
    return None


def refusal(head: bytes) -> Refused:
    """The error about a file that begins with ``head``, of which no decoder knows what it is."""
    for table in (_PICTURES, OTHERS):
        for at, start, what in table:
            if head.startswith(start, at):
                return Refused("not a sound", what)
    if head.startswith((b"RIFF", b"FORM", b"RF64")):
        return Refused("truncated", "the file ends within its header")
    if not any(head):
        return Refused("damaged", "it begins with nothing but zero bytes; it was probably never written to its end")
    text = text_in(head)
    message = f"no sound format starts with {head[:8]!r}" if text is None else _about(text)
    return Refused("not a sound", message)


def text_in(head: bytes) -> str | None:
    """``head`` as text in UTF-8, ``None`` where it is none."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # the last character may be cut in two
            return None
        text = head[: error.start].decode("utf-8-sig")
    return None if re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text) else text.strip()


def _about(text: str) -> str:
    """What a text is, saved as a sound."""
    if not text:
        return "nothing but blank lines"
    for pattern, what in _TEXTS:
        if found := re.search(pattern, text, flags=re.I | re.S):
            return what.format(_excerpt(next(filter(None, found.groups()), text)))
    return f"a text, not a sound: {_excerpt(text)}"


def _excerpt(text: str) -> str:
    plain = "".join(c for c in " ".join(text.split()) if c.isprintable())
    return f'"{plain}"' if len(plain) <= _SHOWN else f'"{plain[: _SHOWN - 3]}..."'
