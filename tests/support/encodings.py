"""One picture in every file that collect understands: turned, encoded and coloured in every way."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.support.forms import ORIENTED, chunk, encoded, exif_block, heic, wide_profile

#: The seven passes of an interlaced PNG: first column and row, then the steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
#: What a camera that was held so writes: the opposite of what undoes it.
_HELD = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
#: How a file may say that it is turned: one for each place where that stands.
_CARRIERS = ("JPEG, EXIF", "JPEG, XMP", "PNG, eXIf", "PNG, raw profile, zTXt", "PNG, XMP", "WebP, EXIF", "TIFF")

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Encoding:
    """A file. ``shows`` are the pixels (mode L or RGB) that it holds without loss, ``None`` where it loses some."""

    data: bytes
    suffix: str
    shows: Image.Image | None = None


def png_of(pixels: Pixels, colour: int, *chunks: bytes, bits: int = 8, interlaced: bool = False) -> bytes:
    """A PNG of ``pixels`` (h, w) or (h, w, c), values of ``bits`` bits, colour type ``colour``."""
    height, width = pixels.shape[:2]
    layers = _PASSES if interlaced else ((0, 0, 1, 1),)
    packed = b"".join(b"\0" + _packed(row, bits) for x, y, dx, dy in layers for row in pixels[y::dy, x::dx])
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    parts = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(packed)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _packed(row: Pixels, bits: int) -> bytes:
    if bits == 16:
        return row.astype(">u2").tobytes()
    if bits == 8:
        return row.astype(np.uint8).tobytes()
    places = ((row.astype(np.uint8)[:, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)
    return np.packbits(places.ravel()).tobytes()


def encodings(image: Image.Image) -> dict[str, Encoding]:
    """``image`` (RGB, of even sides, not square) in every file, by what is special about it."""
    found = dict(itertools.chain(_pngs(image), _gray_pngs(image), _tiffs(image), _others(image), _jpegs(image)))
    return found | dict(_coloured(image)) | dict(_turned(image))


def _pngs(image: Image.Image) -> Iterator[tuple[str, Encoding]]:
    pixels = np.asarray(image)
    wide = pixels.astype(np.uint16) * 257
    clear = _alpha(image)
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), clear).convert("RGB")
    few = image.quantize(64)
    half = bytes(range(0, 256, 4))
    alpha = Image.fromarray(np.frombuffer(half, np.uint8)[np.asarray(few)])
    palette = few.convert("RGB")
    palette.putalpha(alpha)
    key = tuple(int(v) for v in pixels[0, 0])
    keyed = np.where((pixels == key).all(axis=2)[..., None], 255, pixels).astype(np.uint8)
    for name, data, shows in (
        ("png", encoded(image), image),
        ("png, interlaced", png_of(pixels, 2, interlaced=True), image),
        ("png, 16 bits", png_of(wide, 2, bits=16), image),
        ("png, 16 bits, opaque", png_of(np.dstack([wide, np.full_like(wide[..., :1], 65535)]), 6, bits=16), image),
        ("png, palette", encoded(few), few.convert("RGB")),
        ("png, palette, partly clear", encoded(few, transparency=half), _on_white(palette)),
        ("png, partly clear", encoded(clear), on_white),
        ("png, opaque", encoded(image.convert("RGBA")), image),
        ("png, one colour clear", encoded(image, transparency=key), Image.fromarray(keyed)),
        ("png, animated", encoded(image, save_all=True, append_images=[Image.new("RGB", image.size)]), image),
        ("png, gamma", png_of(pixels, 2, chunk(b"gAMA", struct.pack(">I", 100_000))), image),
        ("png, says sRGB", png_of(pixels, 2, chunk(b"sRGB", b"\0")), image),
    ):
        yield name, Encoding(data, ".png", shows)


def _gray_pngs(image: Image.Image) -> Iterator[tuple[str, Encoding]]:
    gray = image.convert("L")
    levels = np.asarray(gray)
    wide = levels.astype(np.uint16)
    twelve = (wide * np.float32(16) * np.float32(255 / 4095)).round().astype(np.uint8)
    alpha = _alpha(image).getchannel("A")
    key = int(levels[0, 0])
    keyed = Image.fromarray(np.where(levels == key, 255, levels).astype(np.uint8))
    yield "png, gray", Encoding(encoded(gray), ".png", gray)
    yield "png, gray, interlaced", Encoding(png_of(levels, 0, interlaced=True), ".png", gray)
    yield "png, gray, 16 bits", Encoding(png_of(wide * 257, 0, bits=16), ".png", gray)
    yield "png, gray, 12 bits of 16", Encoding(png_of(wide * 16, 0, bits=16), ".png", Image.fromarray(twelve))
    yield "png, gray, one level clear", Encoding(encoded(gray, transparency=key), ".png", keyed)
    both = Image.merge("LA", (gray, alpha))
    yield "png, gray, partly clear", Encoding(encoded(both), ".png", _on_white(both).convert("L"))
    for bits in (1, 2, 4):
        most = 2**bits - 1
        small = (levels // (256 // (most + 1))).astype(np.uint8)
        shows = Image.fromarray((small * (255 // most)).astype(np.uint8))
        yield f"png, gray, {bits} bit", Encoding(png_of(small, 0, bits=bits), ".png", shows)


def _tiffs(image: Image.Image) -> Iterator[tuple[str, Encoding]]:
    gray = image.convert("L")
    levels = np.asarray(gray)
    wide = Image.fromarray(levels.astype(np.uint16) * 257)
    shares = Image.fromarray((levels / np.float32(255)).astype(np.float32))
    inks, few = image.convert("CMYK"), image.quantize(64)
    negative = Image.fromarray((255 - levels).astype(np.uint8))
    for name, stored, shows, how in (
        ("tiff", image, image, {}),
        ("tiff, lzw", image, image, {"compression": "tiff_lzw"}),
        ("tiff, deflate", image, image, {"compression": "tiff_adobe_deflate"}),
        ("tiff, gray", gray, gray, {}),
        ("tiff, gray, 0 is white", gray, gray, {"tiffinfo": {262: 0}}),
        ("tiff, gray, 16 bits", wide, gray, {}),
        ("tiff, gray, 16 bits, 0 is white", wide, negative, {"tiffinfo": {262: 0}}),
        ("tiff, fractions", shares, gray, {}),
        ("tiff, whole numbers", wide.convert("I"), gray, {}),
        ("tiff, palette", few, few.convert("RGB"), {}),
        ("tiff, partly clear", _alpha(image), _on_white(_alpha(image)), {}),
        ("tiff, cmyk", inks, inks.convert("RGB"), {}),
        ("tiff, jpeg inside", image, None, {"compression": "jpeg", "quality": 90}),
        ("tiff, two pages", image, image, {"save_all": True, "append_images": [Image.new("RGB", image.size)]}),
    ):
        yield name, Encoding(encoded(stored, "TIFF", **how), ".tif", shows)


def _others(image: Image.Image) -> Iterator[tuple[str, Encoding]]:
    gray, few, clear = image.convert("L"), image.quantize(64), _alpha(image)
    two = image.convert("1")
    later = {"save_all": True, "append_images": [Image.new("RGB", image.size)], "duration": 50}
    for name, kind, stored, shows, how in (
        ("bmp", "BMP", image, image, {}),
        ("bmp, gray", "BMP", gray, gray, {}),
        ("bmp, palette", "BMP", few, few.convert("RGB"), {}),
        ("bmp, 1 bit", "BMP", two, two.convert("L"), {}),
        ("gif", "GIF", few, few.convert("RGB"), {}),
        ("gif, gray", "GIF", gray, gray, {}),
        ("gif, animated", "GIF", few, few.convert("RGB"), later),
        ("gif, one colour clear", "GIF", few, None, {"transparency": 0}),
        ("webp", "WEBP", image, image, {"lossless": True}),
        ("webp, partly clear", "WEBP", clear, _on_white(clear), {"lossless": True, "exact": True}),
        ("webp, lossy", "WEBP", image, None, {"quality": 80}),
        ("webp, animated", "WEBP", image, image, {"lossless": True, **later}),
        ("avif", "AVIF", image, None, {"quality": 80}),
        ("jpeg 2000", "JPEG2000", image, image, {}),
        ("jpeg 2000, lossy", "JPEG2000", image, None, {"irreversible": True, "quality_layers": [20]}),
        ("ppm", "PPM", image, image, {}),
        ("pgm", "PPM", gray, gray, {}),
        ("pbm", "PPM", two, two.convert("L"), {}),
        ("tga", "TGA", image, image, {"compression": "tga_rle"}),
        ("pcx", "PCX", image, image, {}),
        ("sgi", "SGI", image, image, {}),
        ("qoi", "QOI", image, image, {}),
        ("ico", "ICO", image, image, {"sizes": [image.size]}),
    ):
        suffix = {"JPEG2000": ".jp2", "PPM": ".ppm"}.get(kind, f".{kind.lower()}")
        yield name, Encoding(encoded(stored, kind, **how), suffix, shows)


def _jpegs(image: Image.Image) -> Iterator[tuple[str, Encoding]]:
    for name, stored, how in (
        ("jpeg", image, {}),
        ("jpeg, 4:2:0", image, {"subsampling": 2}),
        ("jpeg, progressive", image, {"progressive": True}),
        ("jpeg, gray", image.convert("L"), {}),
        ("jpeg, cmyk", image.convert("CMYK"), {}),
        ("jpeg, rgb inside", image, {"keep_rgb": True}),
    ):
        yield name, Encoding(encoded(stored, "JPEG", quality=90, **how), ".jpg")
    yield (
        "jpeg, two pictures",
        Encoding(encoded(image, "MPO", save_all=True, append_images=[image]), ".mpo"),
    )


def _coloured(image: Image.Image) -> Iterator[tuple[str, Encoding]]:
    """With a profile: sRGB, another one, one of gray, one that is damaged."""
    srgb, wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), wide_profile()
    gray_profile = srgb[:16] + b"GRAY" + srgb[20:]
    converted = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(wide)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    gray = image.convert("L")
    for kind, suffix, how in (
        ("PNG", ".png", {}),
        ("TIFF", ".tif", {}),
        ("WEBP", ".webp", {"lossless": True}),
        ("JPEG", ".jpg", {"quality": 90}),
    ):
        lossless = kind != "JPEG"
        for name, stored, profile, shows in (
            ("an sRGB profile", image, srgb, image),
            ("another profile", image, wide, converted),
            ("a profile of gray", gray, gray_profile, gray),
            ("a damaged profile", image, b"no profile at all" * 9, image),
        ):
            if kind != "WEBP" or stored.mode == "RGB":
                data = encoded(stored, kind, icc_profile=profile, **how)
                yield f"{kind.lower()}, {name}", Encoding(data, suffix, shows if lossless else None)
    data = encoded(image.convert("CMYK"), "JPEG", quality=90, icc_profile=wide)
    yield "jpeg, cmyk with a profile of rgb", Encoding(data, ".jpg")


def _turned(image: Image.Image) -> Iterator[tuple[str, Encoding]]:
    for orientation, carrier in itertools.product(range(1, 9), _CARRIERS):
        lossy = carrier.startswith("JPEG")
        data = ORIENTED[carrier](_held(image, orientation), orientation)
        suffix = ".jpg" if lossy else f".{carrier[:4].strip(', ').lower()}"
        yield f"turned {orientation}, {carrier}", Encoding(data, suffix, None if lossy else image)
    for turns, stored in enumerate((image, *(image.transpose(_HELD[n]) for n in (8, 3, 6)))):
        yield f"heic, turned {turns} times", Encoding(heic(stored, turns=turns), ".heic")
    few = image.quantize(64)
    inks = _held(image.convert("CMYK"), 8)
    wide = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    yield "turned 6, palette", Encoding(encoded(_held(few, 6), exif=_exif(6)), ".png", few.convert("RGB"))
    yield "turned 8, cmyk", Encoding(encoded(inks, "JPEG", exif=_exif(8), quality=90), ".jpg")
    yield "turned 7, gray, 16 bits", Encoding(encoded(_held(wide, 7), exif=_exif(7)), ".png", image.convert("L"))
    data = encoded(_held(image, 5), exif=_exif(5), icc_profile=wide_profile())
    shows = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(wide_profile())), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    yield "turned 5, another profile", Encoding(data, ".png", shows)
    yield "heic, turned by EXIF too", Encoding(heic(image, exif=exif_block(6)), ".heic")


def _held(image: Image.Image, orientation: int) -> Image.Image:
    """``image`` as it is stored in a file that says it must be turned by ``orientation``."""
    turn = _HELD.get(orientation)
    return image if turn is None else image.transpose(turn)


def _exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def _alpha(image: Image.Image) -> Image.Image:
    """``image``, more and more transparent to the right."""
    shares = np.linspace(255, 40, image.width).round().astype(np.uint8)
    found = image.convert("RGBA")
    found.putalpha(Image.fromarray(np.tile(shares, (image.height, 1))))
    return found


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
