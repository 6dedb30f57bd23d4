"""A file that is no image, or no whole one, is called what it is."""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.modalities.image import reading
from emolab.workspace import Workspace
from tests.support.forms import chunk, encoded, scene

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


def said(data: bytes) -> tuple[str, str]:
    with pytest.raises(reading.Unreadable) as refused:
        reading.load(data)
    return refused.value.kind, refused.value.message


def jpeg_frame(code: int, bits: int) -> bytes:
    data = encoded(scene(), "JPEG")
    return data.replace(b"\xff\xc0\x00\x11\x08", bytes([0xFF, code, 0, 17, bits]), 1)


def tiff(bits: int, sample: int, channels: int, *, order: str = "<", compression: int = 1) -> bytes:
    """A TIFF header that announces such pixels; Pillow reads none of those asked for here."""
    tags = [
        (256, 3, 8),
        (257, 3, 8),
        (258, 3, bits),
        (259, 3, compression),
        (262, 3, 2),
        (273, 4, 200),
        (277, 3, channels),
    ]
    tags += [(278, 3, 8), (279, 4, 64), (339, 3, sample)]
    body = b"".join(
        struct.pack(order + "HHI", tag, kind, 1)
        + struct.pack(order + ("H" if kind == 3 else "I"), value).ljust(4, b"\0")
        for tag, kind, value in tags
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", len(tags)) + body + bytes(4) + bytes(300)


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.jpg", encoded(scene(), "JPEG"))
    return out.getvalue()


def video(suffix: str, codec: str = "mpeg4") -> bytes:
    av = pytest.importorskip("av")
    out = io.BytesIO()
    with av.open(out, "w", format=suffix) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_image(scene(64, 48))))
        container.mux(stream.encode())
    return out.getvalue()


PNG = encoded(scene())
JPEG = encoded(scene(), "JPEG")
S3 = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
CASES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    # pictures of a kind that is not read
    "12-bit JPEG": (lambda: jpeg_frame(0xC1, 12), "unsupported", "a JPEG of 12 bits per channel, which Pillow"),
    "lossless JPEG": (lambda: jpeg_frame(0xC3, 16), "unsupported", "a lossless JPEG of 16 bits per channel"),
    "JPEG-LS": (lambda: jpeg_frame(0xF7, 8), "unsupported", "a JPEG-LS of 8 bits per channel"),
    "float colour TIFF": (lambda: tiff(32, 3, 3), "unsupported", "a TIFF of 3 channels of 32-bit fractions, which"),
    "double TIFF, big-endian": (lambda: tiff(64, 3, 3, order=">"), "unsupported", "3 channels of 64-bit fractions"),
    "complex TIFF": (lambda: tiff(64, 6, 1), "unsupported", "a TIFF of 1 channel of 64-bit complex numbers"),
    "32-bit colour TIFF, packed": (lambda: tiff(32, 1, 3, compression=8), "unsupported", "numbers, compression 8"),
    "JPEG XL": (lambda: b"\xff\x0a" + bytes(range(90)), "unsupported", "a JPEG XL picture, which Pillow does not read"),
    "OpenEXR": (lambda: b"v/1\x01\x02\0\0\0" + bytes(90), "unsupported", "an OpenEXR picture"),
    "DICOM": (lambda: bytes(128) + b"DICM" + bytes(90), "unsupported", "a DICOM image"),
    "raw photo": (lambda: b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(90), "unsupported", "a raw photo of a Canon camera"),
    # pictures that are damaged or cut
    "PNG, header": (lambda: PNG[:16] + b"\0\0\1\0" + PNG[20:], "damaged", "a PNG that cannot be read: its header is"),
    "PNG, no pixels": (
        lambda: PNG[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 9, 8, 2, 0, 0, 0)) + PNG[33:],
        "damaged", "its header says 0 x 9 pixels",
    ),
    "PNG of an impossible depth": (
        lambda: PNG[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 3, 2, 0, 0, 0)) + PNG[33:],
        "damaged", "3 bits, colour type 2",
    ),
    "PNG without a header": (lambda: PNG[:8] + PNG[33:], "damaged", "it does not begin with one header"),
    "PNG taken for text": (lambda: PNG.replace(b"\r\n", b"\n"), "damaged", "its line ends were changed"),
    "PNG, first bytes": (lambda: PNG[:20], "truncated", "the file ends before the picture does"),
    "JPEG, first bytes": (lambda: JPEG[:60], "truncated", "the file ends before the picture does"),
    "JPEG, header": (lambda: JPEG[:2] + bytes(90) + JPEG[92:], "damaged", "a JPEG that cannot be read"),
    "TIFF, first bytes": (lambda: encoded(scene(), "TIFF")[:30], "truncated", "a TIFF that ends within its header"),
    "GIF": (lambda: b"GIF89a\0", "damaged", "a GIF that cannot be read"),
    "WebP": (lambda: b"RIFF\x10\0\0\0WEBPjunk", "damaged", "a WebP that cannot be read"),
    "never written": (lambda: bytes(5000), "damaged", "nothing but zero bytes"),
    # texts
    "web page": (lambda: b"<!DOCTYPE html><html>404</html>", "not an image", "a web page, not a picture: "),
    "web page with a title": (
        lambda: b"\xef\xbb\xbf\n<html lang=en><head><TITLE>Sign\n in</TITLE>" + b"x" * 9000,
        "not an image", 'a web page, not a picture: "Sign in"',
    ),
    "web page in UTF-16": (lambda: "<html><body>Gone</body></html>".encode("utf-16"), "not an image", "a web page"),
    "git-lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "not an image", "git lfs pull"),
    "git-annex": (lambda: b"/annex/objects/SHA256E-s3--a.jpg\n", "not an image", "git annex get"),
    "answer in JSON": (lambda: b'{"error": {"code": 403}}', "not an image", 'answer in JSON, not a picture: "{"error"'),
    "long answer in JSON": (lambda: b'[{"a": "' + b"x" * 9000, "not an image", "an answer in JSON"),
    "answer of a bucket": (lambda: S3, "not an image", "an answer in XML, not a picture"),
    "drawing": (lambda: b'<?xml version="1.0"?><svg xmlns="http://w3.org"/>', "not an image", "an SVG drawing"),
    "base64": (lambda: b"data:image/jpeg;base64,/9j/4AAQ", "not an image", "a picture written as base64 text"),
    "address": (lambda: b"https://example.org/a.jpg\n", "not an image", "a web address, not the picture"),
    "shortcut": (lambda: b"[InternetShortcut]\r\nURL=http://example.org\r\n", "not an image", "a Windows shortcut"),
    "letter": ("Liebe Größe".encode, "not an image", 'a text, not a picture: "Liebe Größe"'),
    # other files
    "MP4": (lambda: video("mp4"), "not an image", "an MP4 video; name it .mp4"),
    "MOV": (lambda: video("mov"), "not an image", "QuickTime video; name it .mov"),
    "MKV": (lambda: video("matroska"), "not an image", "MKV or WebM video"),
    "AVI": (lambda: video("avi"), "not an image", "an AVI video"),
    "MPEG-TS": (lambda: video("mpegts", "mpeg2video"), "not an image", "MPEG-TS video"),
    "PDF": (lambda: b"%PDF-1.7\n" + bytes(90), "not an image", "a PDF document"),
    "zip": (archive, "not an image", "a zip, or a document made of one"),
    "gzip": (lambda: gzip.compress(JPEG), "not an image", "a gzip archive; unpack it first"),
    "macOS": (lambda: b"\0\x05\x16\x07\0\2\0\0Mac OS X" + bytes(90), "not an image", "what macOS keeps beside a file"),
    "array": (lambda: b"\x93NUMPY\x01\0v\0" + bytes(90), "not an image", "a NumPy array"),
    "sound": (lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(90), "not an image", "a WAV sound"),
    "nothing known": (lambda: bytes(range(7, 99)), "not an image", r"no image format starts with b'\x07\x08"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_file_is_called_what_it_is(name: str) -> None:
    make, kind, words = CASES[name]
    found = said(make())
    assert found[0] == kind
    assert words in found[1]


def test_control_characters_of_a_text_are_not_shown() -> None:
    assert said(b"\xc2\x9b31mred\xc2\x85 and more")[1] == 'a text, not a picture: "31mred and more"'


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_the_message_about_any_beginning_is_one_short_line() -> None:
    rng = np.random.default_rng(5)
    starts = [b"", *(make()[:200] for make, _, _ in CASES.values())]
    for start in starts:
        for _ in range(20):
            data = bytearray(start + rng.integers(0, 256, 60, dtype=np.uint8).tobytes())
            for at in rng.integers(0, len(data), 3):
                data[at] = rng.integers(256)
            try:
                reading.load(bytes(data))
            except reading.Unreadable as refused:
                assert refused.message.isprintable() and len(refused.message) < 250
            except Image.DecompressionBombWarning:
                pass


@pytest.mark.slow
def test_collect_merge_and_predict_say_the_same(workspace: Workspace, tmp_path: Path, run_cli: RunCli) -> None:
    folder = tmp_path / "in" / "happiness"
    folder.mkdir(parents=True)
    (folder / "page.jpg").write_bytes(b"<!DOCTYPE html><title>Not found</title>")
    (folder / "a.png").write_bytes(encoded(Image.effect_noise((64, 64), 90)))
    message = 'a web page, not a picture: "Not found"; was it a failed download?'
    for command in (
        ["collect", str(tmp_path / "in"), "--faces", "off"],
        ["merge", "image_folder", str(tmp_path / "in")],
    ):
        done = run_cli(*command, cwd=workspace.root)
        assert done.returncode == 1
        assert message in " ".join(done.stderr.split())
    predicted = run_cli("predict", "face48", str(folder), "--json", cwd=workspace.root)
    (row,) = [row for row in json.loads(predicted.stdout)["predictions"] if row["file"].endswith("page.jpg")]
    assert row["error"] == f"not an image: {message}"


def test_a_module_says_it_without_pillow_plugins() -> None:
    """The words do not depend on what was registered before: a fresh process says the same."""
    code = (
        "from emolab.modalities.image import reading\n"
        "try: reading.load(b'%PDF-1.4 x')\nexcept reading.Unreadable as e: print(e.message)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("a PDF document")


def test_zlib_is_not_fooled() -> None:
    data = PNG[:33] + chunk(b"IDAT", zlib.compress(b"x")) + chunk(b"IEND", b"")
    assert said(data)[0] in ("damaged", "truncated")
