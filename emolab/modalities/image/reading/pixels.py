"""The pixels that an open image shows: 8 bits, without transparency, in sRGB."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image, ImageCms

from emolab.modalities.image.reading.levels import eight_bits
from emolab.modalities.image.reading.unreadable import NOTHING, Unreadable

#: An image of which more than this share is transparent gets a note.
MOSTLY_TRANSPARENT = 0.9


class Note(NamedTuple):
    """What had to be assumed about an image: ``kind`` groups such notes in a report, ``message`` is a sentence."""

    kind: str
    message: str


@dataclass(frozen=True)
class Shown:
    """``image`` has mode L or RGB, 8 bits, sRGB; ``notes`` say what had to be assumed about it."""

    image: Image.Image
    notes: tuple[Note, ...] = ()


def shown(image: Image.Image, profile: bytes | None) -> Shown:
    """``image`` in 8 bits, on white, in sRGB; ``profile`` is the ICC profile that came with it.

    Raises :class:`Unreadable` of kind ``NOTHING`` for an image without pixels, without one finite number, or all of
    it transparent.
    """
    if 0 in image.size:
        raise Unreadable(NOTHING, f"it is {image.size[0]} x {image.size[1]} pixels")
    notes = []
    if image.mode.startswith(("I", "F")):
        image, guessed = eight_bits(image)
        notes += [Note("levels", message) for message in guessed]
    if image.has_transparency_data:
        image, clear = _on_white(image)
        if clear > MOSTLY_TRANSPARENT:
            notes.append(Note("transparency", f"{clear:.0%} of it is transparent, taken as white"))
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile and not is_srgb(profile):
        converted = _to_srgb(image, profile)
        if converted is None:
            notes.append(Note("colour profile", "its colour profile cannot be used; colours taken as sRGB"))
        image = converted or image
    return Shown(image.convert("RGB") if image.mode == "CMYK" else image, tuple(notes))


def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile describes sRGB or plain gray with its curve, so that pixels can stay as they are."""
    head = profile[:4096]
    return b"sRGB" in head or b"s\0R\0G\0B" in head or profile[16:20] == b"GRAY"


def _on_white(image: Image.Image) -> tuple[Image.Image, float]:
    """``image`` on white, L where it was gray, else RGB; and which share of its pixels is fully transparent."""
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    clear = alpha.histogram()[0] / (image.width * image.height)
    if clear == 1:
        raise Unreadable(NOTHING, "every pixel is transparent")
    flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return flat.convert("L") if image.mode in ("LA", "La") else flat, clear


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """``image`` in sRGB, or ``None`` when its profile cannot be used."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "L" if image.mode == "L" else "RGB"
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
