"""HEIC, the photos of iPhones: read through pi-heif, which is an extra and only reads.

Its wheel holds libheif and libde265, both LGPL-3.0, and no encoder. pi-heif applies the turns of the container itself
and then says in the EXIF data that the image is upright.
"""

from __future__ import annotations

from functools import cache

#: File names that announce what pi-heif reads.
SUFFIXES = (".heic", ".heif", ".hif")
_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
#: Brands that say only "an image of this container"; the list of compatible brands says more.
_GENERAL = frozenset((b"mif1", b"mif2", b"msf1", b"miaf"))
_AVIF = frozenset((b"avif", b"avis"))


def is_heif(data: bytes) -> bool:
    """Whether ``data`` is an HEIF file that pi-heif must read (AVIF, which looks alike, is Pillow's)."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    return bool(brands & _BRANDS) or (data[8:12] in _GENERAL and not brands & _AVIF)


@cache
def register() -> str | None:
    """Let Pillow open HEIF files from now on; what to do where pi-heif cannot be used, else ``None``."""
    install = 'install what reads it with: pip install "emolab[heic]", or convert it to JPEG first'
    try:
        import pi_heif
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "pi_heif"
        return f"a HEIC photo; {install}" if missing else f"a HEIC photo, and pi-heif fails here ({error}); {install}"
    pi_heif.register_heif_opener(thumbnails=False)
    return None
