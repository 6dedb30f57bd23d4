"""What bytes are that no decoder takes for an image: an unusual or damaged picture, a video, a document, a web page."""

from __future__ import annotations

import json
import re

from emolab.modalities.image.reading import headers
from emolab.modalities.image.reading.unreadable import Unreadable
from emolab.modalities.signatures import OTHERS

#: Bytes looked at to tell text from anything else.
_HEAD = 2048
#: Characters of a text that are shown.
_SHOWN = 60
_CONVERT = "convert it to JPEG or PNG first"
_VIDEO = "an {} video; name it {} and it is read as one"

#: Pictures that Pillow does not read, or not as they are: where, how they start, what they are.
_PICTURES = (
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance HDR picture"),
    (0, b"#?RGBE", "a Radiance HDR picture"),
    (0, b"FUJIFILMCCD-RAW", "a raw photo of a Fujifilm camera"),
    (0, b"IIRO", "a raw photo of an Olympus camera"),
    (0, b"IIU\0", "a raw photo of a Panasonic camera"),
    (0, b"FOVb", "a raw photo of a Sigma camera"),
    (0, b"gimp xcf", "a drawing of GIMP"),
    (0, b"AT&TFORM", "a DjVu document"),
    (0, b"BPG\xfb", "a BPG picture"),
    (0, b"\x8aMNG", "an MNG animation"),
    (128, b"DICM", "a DICOM image"),
    (0, b"SIMPLE  =", "a FITS image"),
)
#: Pictures that Pillow reads when they are whole.
_DAMAGED = (
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WebP"),
    (0, b"8BPS", "Photoshop picture"),
    (0, b"\0\0\x01\0", "Windows icon"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"icns", "Apple icon"),
    (0, b"DDS ", "DDS texture"),
    (0, b"qoif", "QOI"),
)
_VIDEOS = (
    (0, b"\x1aE\xdf\xa3", _VIDEO.format("MKV or WebM", ".mkv")),
    (8, b"AVI ", _VIDEO.format("AVI", ".avi")),
    (0, b"FLV", _VIDEO.format("FLV", ".flv")),
    (0, b"\0\0\x01\xba", _VIDEO.format("MPEG", ".mpg")),
    (0, b"\0\0\x01\xb3", _VIDEO.format("MPEG", ".mpg")),
    (0, b"0&\xb2u\x8ef\xcf\x11", _VIDEO.format("WMV", ".wmv")),
)
_SOUNDS = (
    (8, b"WAVE", "a WAV sound"),
    (0, b"ID3", "an MP3 sound"),
    (0, b"fLaC", "a FLAC sound"),
    (0, b"OggS", "an Ogg sound or video"),
)
#: Types of the container that starts with "ftyp", for what is neither HEIC nor MP4.
_FTYP = {
    b"avif": "an AVIF picture that is damaged, or that this Pillow cannot read",
    b"avis": "an AVIF picture that is damaged, or that this Pillow cannot read",
    b"crx ": "a raw photo of a Canon camera",
    b"M4A ": "an M4A sound",
    b"qt  ": _VIDEO.format("QuickTime", ".mov"),
}
_PAGE = "a web page, not a picture: {}; was it a failed download?"
#: Texts that are saved in place of a picture, and what they are; a group, where it matched, is shown.
_TEXTS = (
    (r"^version https://git-lfs", "a git-lfs pointer, not the picture itself; fetch it with: git lfs pull"),
    (r"^\S*/annex/objects/", "a git-annex pointer, not the picture itself; fetch it with: git annex get"),
    (r"<svg\b", f"an SVG drawing; {_CONVERT}"),
    (r"<(?:!doctype html|html|head|body)\b.*?<title[^>]*>([^<]+)", _PAGE),
    (r"^<!doctype html|<(?:html|head|body)\b", _PAGE),
    (r"^<", "an answer in XML, not a picture: {}"),
    (r"^(?:data:image/|/9j/|iVBORw0KGgo|R0lGOD|UklGR)", "a picture written as base64 text; decode it first"),
    (r"^\[InternetShortcut\]", "a Windows shortcut to a web address, not the picture"),
    (r"^https?://\S+$", "a web address, not the picture: {}"),
)


def refusal(data: bytes) -> Unreadable:
    """The error about ``data``, of which no decoder knows what it is.

    Its kind is "damaged" or "truncated" for a picture that could be read if it were whole, "unsupported" for a
    picture of another kind, and "not an image" for anything else.
    """
    found = headers.refusal(data)
    if found is not None:
        return found
    if data[4:8] == b"ftyp":
        what = _FTYP.get(data[8:12], _VIDEO.format("MP4", ".mp4"))
        kind = "damaged" if "AVIF" in what else "unsupported" if "raw" in what else "not an image"
        return Unreadable(kind, f"{what}; {_CONVERT}" if kind == "unsupported" else what)
    for table, kind, sentence in (
        (_PICTURES, "unsupported", "{}, which Pillow does not read here; " + _CONVERT),
        (_DAMAGED, "damaged", "the file is a {} that cannot be read: its header is damaged or cut off"),
        (_VIDEOS, "not an image", "{}"),
        (_SOUNDS, "not an image", "{}"),
        (OTHERS, "not an image", "{}"),
    ):
        for at, start, what in table:
            if data.startswith(start, at):
                return Unreadable(kind, sentence.format(what))
    if len(data) > 188 and data[0] == data[188] == 0x47:
        return Unreadable("not an image", _VIDEO.format("MPEG-TS", ".mts"))
    if not any(data[:_HEAD]):
        return Unreadable("damaged", "it begins with nothing but zero bytes; it was probably never written to its end")
    text = _text(data)
    return Unreadable("not an image", f"no image format starts with {data[:8]!r}" if text is None else _about(text))


def _text(data: bytes) -> str | None:
    """The beginning of ``data`` as text, ``None`` where it is none."""
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        head = data[:_HEAD].decode("utf-16") if utf16 else data[:_HEAD].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if utf16 or error.start < min(len(data), _HEAD) - 4:  # the last character may be cut in two
            return None
        head = data[: error.start].decode("utf-8-sig")
    return None if re.search(r"[\x00-\x08\x0e-\x1f\x7f]", head) else head.strip()


def _about(text: str) -> str:
    """What a text is, saved as an image."""
    if not text:
        return "nothing but blank lines"
    for pattern, what in _TEXTS:
        if found := re.search(pattern, text[:_HEAD], flags=re.I | re.S):
            return what.format(_excerpt(next(filter(None, found.groups()), text)))
    if text[0] in "{[" and (_is_json(text) or re.match(r'[{\[]\s*["{\[]', text)):
        return f"an answer in JSON, not a picture: {_excerpt(text)}"
    return f"a text, not a picture: {_excerpt(text)}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _excerpt(text: str) -> str:
    """The beginning of ``text`` on one line, in quotation marks and without control characters."""
    plain = "".join(c for c in " ".join(text.split()) if c.isprintable())
    return f'"{plain}"' if len(plain) <= _SHOWN else f'"{plain[: _SHOWN - 3]}..."'
