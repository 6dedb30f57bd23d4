"""Image files made byte by byte: metadata in every place where programs put it, and HEIC without an encoder of HEIC."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction

from PIL import Image, ImageCms

EXIF = b"Exif\0\0"
XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def wide_profile() -> bytes:
    """A colour profile that is not sRGB: its red and blue are exchanged."""
    found = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = found.index(b"rXYZ"), found.index(b"bXYZ")
    found[red : red + 4], found[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(found).replace(b"s\0R\0G\0B", b"w\0i\0d\0e").replace(b"sRGB", b"wide")


def scene(width: int = 60, height: int = 40) -> Image.Image:
    """Red top left, green top right, blue below: tells every orientation apart."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    return image


def corners(image: Image.Image) -> str:
    """The colours of the four corners: RGBB for an upright :func:`scene`."""
    names = {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B"}
    w, h = image.size
    seen = [image.convert("RGB").getpixel(at) for at in ((3, 3), (w - 4, 3), (3, h - 4), (w - 4, h - 4))]
    return "".join(names.get(tuple(round(v / 255) for v in colour), "?") for colour in seen)


def exif_block(orientation: int, *, kind: int = 3, order: str = "<", before: bytes = b"") -> bytes:
    """A TIFF header with one directory that holds the orientation as SHORT (3) or LONG (4)."""
    letter = {3: "H", 4: "I"}[kind]
    value = struct.pack(order + letter, orientation).ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return before + head + struct.pack(order + "HHHI", 1, 0x112, kind, 1) + value + bytes(4)


def xmp(orientation: int, *, element: bool = False) -> bytes:
    """An XMP packet with the orientation as an attribute or as an element."""
    inside = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if element else ""
    attribute = "" if element else f' tiff:Orientation="{orientation}"'
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{attribute}>{inside}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def jpeg_with(image: Image.Image, *segments: bytes) -> bytes:
    """A JPEG whose APP1 segments are ``segments``."""
    data = encoded(image, "JPEG", quality=95, subsampling=0)
    parts = (b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in segments)
    return data[:2] + b"".join(parts) + data[2:]


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_with(image: Image.Image, *chunks: bytes, late: bool = False) -> bytes:
    """A PNG with more chunks, behind its header or (``late``) behind its pixels."""
    data = encoded(image)
    at = len(data) - 12 if late else 33
    return data[:at] + b"".join(chunks) + data[at:]


def raw_profile(exif: bytes, name: bytes = b"tEXt") -> bytes:
    """What ImageMagick writes: the EXIF data as hexadecimal text."""
    text = f"\nexif\n{len(exif):8d}\n{exif.hex()}\n".encode()
    keyword = b"Raw profile type exif\0"
    bodies = {
        b"tEXt": keyword + text,
        b"zTXt": keyword + b"\0" + zlib.compress(text),
        b"iTXt": keyword + b"\0\0\0\0" + text,
    }
    return chunk(name, bodies[name])


#: Every way in which a file may say that it must be turned, given what it shows and the orientation.
ORIENTED: dict[str, Callable[[Image.Image, int], bytes]] = {
    "JPEG, EXIF": lambda im, n: jpeg_with(im, EXIF + exif_block(n)),
    "JPEG, EXIF of a big-endian camera": lambda im, n: jpeg_with(im, EXIF + exif_block(n, order=">")),
    "JPEG, header twice": lambda im, n: jpeg_with(im, EXIF + EXIF + exif_block(n)),
    "JPEG, LONG": lambda im, n: jpeg_with(im, EXIF + exif_block(n, kind=4)),
    "JPEG, LONG, big-endian": lambda im, n: jpeg_with(im, EXIF + exif_block(n, kind=4, order=">")),
    "JPEG, a second segment says upright": lambda im, n: jpeg_with(im, EXIF + exif_block(n), EXIF + exif_block(1)),
    "JPEG, XMP": lambda im, n: jpeg_with(im, XMP_JPEG + xmp(n)),
    "JPEG, XMP as an element": lambda im, n: jpeg_with(im, XMP_JPEG + xmp(n, element=True)),
    "JPEG, XMP before EXIF without a word": lambda im, n: jpeg_with(im, XMP_JPEG + xmp(n), EXIF + bytes(0)),
    "PNG, eXIf": lambda im, n: png_with(im, chunk(b"eXIf", exif_block(n))),
    "PNG, eXIf behind the pixels": lambda im, n: png_with(im, chunk(b"eXIf", exif_block(n)), late=True),
    "PNG, eXIf with a JPEG's prefix": lambda im, n: png_with(im, chunk(b"eXIf", EXIF + exif_block(n))),
    "PNG, eXIf with LONG": lambda im, n: png_with(im, chunk(b"eXIf", exif_block(n, kind=4))),
    "PNG, raw profile, tEXt": lambda im, n: png_with(im, raw_profile(EXIF + exif_block(n))),
    "PNG, raw profile, zTXt": lambda im, n: png_with(im, raw_profile(EXIF + exif_block(n), b"zTXt")),
    "PNG, raw profile, iTXt": lambda im, n: png_with(im, raw_profile(EXIF + exif_block(n), b"iTXt")),
    "PNG, raw profile behind the pixels": lambda im, n: png_with(im, raw_profile(exif_block(n), b"zTXt"), late=True),
    "PNG, XMP": lambda im, n: png_with(im, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(n))),
    "PNG, packed XMP": lambda im, n: png_with(
        im, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(n)))
    ),
    "WebP, EXIF": lambda im, n: encoded(im, "WEBP", lossless=True, exif=exif_block(n)),
    "WebP, EXIF with prefix": lambda im, n: encoded(im, "WEBP", lossless=True, exif=EXIF + exif_block(n)),
    "WebP, XMP": lambda im, n: encoded(im, "WEBP", lossless=True, xmp=xmp(n)),
    "TIFF": lambda im, n: encoded(im, "TIFF", tiffinfo={0x112: n}),
    "TIFF, XMP": lambda im, n: encoded(im, "TIFF", tiffinfo={700: xmp(n)}),
}


# --- HEIC ------------------------------------------------------------------------------------------------------------


def heic(image: Image.Image, *, turns: int = 0, exif: bytes = b"", brand: bytes = b"heic") -> bytes:
    """``image`` as HEIC: one HEVC picture in the boxes of ISO 23008-12; shown turned left ``turns`` times."""
    sets, picture = _hevc(image)
    arrays = b"".join(bytes([0x80 | kind]) + struct.pack(">HH", 1, len(unit)) + unit for kind, unit in sets)
    profile = sets[0][1][6:18]  # general profile, tier and level, as in the VPS
    hvcc = bytes([1]) + profile + struct.pack(">HBBBBHBB", 0xF000, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0x0F, len(sets)) + arrays
    properties = _box(b"hvcC", hvcc) + _full(b"ispe", struct.pack(">II", *image.size)) + _box(b"irot", bytes([turns]))
    ipma = _full(b"ipma", struct.pack(">IHB", 1, 1, 3) + bytes([0x81, 2, 0x83]))
    items = [(1, b"hvc1", struct.pack(">I", len(picture)) + picture)]
    if exif:
        items.append((2, b"Exif", struct.pack(">I", 6) + EXIF + exif))
    infe = b"".join(_full(b"infe", struct.pack(">HH", i, 0) + kind + b"\0", 2) for i, kind, _ in items)
    refers = _full(b"iref", _box(b"cdsc", struct.pack(">HHH", 2, 1, 1))) if exif else b""

    def meta(start: int) -> bytes:
        places, at = b"", start
        for i, _, body in items:
            places += struct.pack(">HHHII", i, 0, 1, at, len(body))
            at += len(body)
        iloc = _full(b"iloc", bytes([0x44, 0]) + struct.pack(">H", len(items)) + places)
        handler = _full(b"hdlr", bytes(4) + b"pict" + bytes(13))
        listed = _full(b"iinf", struct.pack(">H", len(items)) + infe)
        shown = _box(b"iprp", _box(b"ipco", properties) + ipma)
        return _full(b"meta", handler + _full(b"pitm", struct.pack(">H", 1)) + iloc + listed + refers + shown)

    head = _box(b"ftyp", brand + bytes(4) + b"mif1heic")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + _box(b"mdat", b"".join(body for _, _, body in items))


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


def _full(name: bytes, body: bytes, version: int = 0) -> bytes:
    return _box(name, struct.pack(">I", version << 24) + body)


def _hevc(image: Image.Image) -> tuple[list[tuple[int, bytes]], bytes]:
    """The parameter sets (kind, unit) and the one picture of ``image`` in HEVC, through FFmpeg."""
    import av

    context = av.CodecContext.create("libx265", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = image.size
    context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 1)
    context.options = {"x265-params": "keyint=1:log-level=none:range=full:crf=4"}
    packets = [*context.encode(av.VideoFrame.from_image(image)), *context.encode(None)]
    stream = b"".join(bytes(packet) for packet in packets).replace(b"\0\0\0\1", b"\0\0\1")
    units = [(unit[0] >> 1 & 63, unit) for unit in stream.split(b"\0\0\1") if unit]
    return [one for one in units if one[0] in (32, 33, 34)], next(unit for kind, unit in units if kind < 32)
