"""Frames of a video are kept as a player shows them: stretched where pixels are not square, turned and mirrored."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose

from emolab.datasets.collect.ingest import Problem
from emolab.datasets.collect.sources import InputSource
from emolab.datasets.collect.video import frames
from tests.support.forms import corners, scene

av = pytest.importorskip("av")
ONE = 1 << 16


def film(
    path: Path, image: Image.Image, *, shape: Fraction | None = None, matrix: tuple[int, ...] | None = None
) -> Path:
    """A video of one picture; ``matrix`` = (a, b, c, d) goes into the header of its track."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = image.size
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode(None))
    if matrix is not None:
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 4
        at += 40 if data[at] == 0 else 52
        a, b, c, d = matrix
        data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
    return path


def first(path: Path, notes: list[str] | None = None) -> Image.Image:
    found = next(frames(str(path), every=1.0, similar=0.06, notes=notes))
    assert found is not None
    return found.image


#: A matrix as FFmpeg writes it, and what was done to the scene before it was filmed.
MATRICES = {
    "plain": ((ONE, 0, 0, ONE), None),
    "turned right": ((0, ONE, -ONE, 0), Transpose.ROTATE_90),
    "turned left": ((0, -ONE, ONE, 0), Transpose.ROTATE_270),
    "upside down": ((-ONE, 0, 0, -ONE), Transpose.ROTATE_180),
    "mirrored": ((-ONE, 0, 0, ONE), Transpose.FLIP_LEFT_RIGHT),
    "flipped": ((ONE, 0, 0, -ONE), Transpose.FLIP_TOP_BOTTOM),
    "mirrored and turned": ((0, ONE, ONE, 0), Transpose.TRANSPOSE),
    "flipped and turned": ((0, -ONE, -ONE, 0), Transpose.TRANSVERSE),
    "nearly turned right": ((-600, ONE, -ONE, -600), Transpose.ROTATE_90),
    "of another scale": ((0, 2 * ONE, -2 * ONE, 0), Transpose.ROTATE_90),
    "without an extent": ((0, 0, 0, 0), None),
}


@pytest.mark.parametrize("name", MATRICES)
def test_a_display_matrix_is_applied(name: str, tmp_path: Path) -> None:
    matrix, done = MATRICES[name]
    image = scene(160, 96) if done is None else scene(160, 96).transpose(done)
    shown = first(film(tmp_path / "a.mp4", image, matrix=matrix))
    assert (corners(shown), shown.size) == ("RGBB", (160, 96))


def test_a_camera_held_askew_and_mirrored_is_set_right(tmp_path: Path) -> None:
    spot = Image.new("RGB", (160, 160), "black")
    spot.paste("white", (72, 8, 88, 24))  # at the top
    angle = math.radians(30)
    cos, sin = round(math.cos(angle) * ONE), round(math.sin(angle) * ONE)
    for i, (matrix, x) in enumerate((((cos, sin, -sin, cos), 1), ((-cos, -sin, -sin, cos), 1))):
        shown = first(film(tmp_path / f"{i}.mp4", spot, matrix=matrix)).convert("L")
        rows, columns = np.nonzero(np.asarray(shown) > 128)
        assert columns.mean() - shown.width / 2 == pytest.approx(x * 64 * math.sin(angle), abs=3)
        assert rows.mean() - shown.height / 2 == pytest.approx(-64 * math.cos(angle), abs=3)


@pytest.mark.parametrize(
    ("name", "size", "shape", "shown"),
    [
        ("pal_wide.mkv", (720, 576), Fraction(64, 45), (1024, 576)),
        ("hdv.mp4", (1440, 1080), Fraction(4, 3), (1920, 1080)),
        ("ntsc.mkv", (720, 480), Fraction(8, 9), (720, 540)),
        ("ntsc_wide.avi", (720, 480), Fraction(32, 27), (853, 480)),
        ("half.mkv", (352, 576), Fraction(24, 11), (768, 576)),
        ("square.mp4", (320, 240), Fraction(1, 1), (320, 240)),
        ("unsaid.mp4", (320, 240), None, (320, 240)),
    ],
)
def test_pixels_that_are_not_square_are_stretched(
    name: str, size: tuple[int, int], shape: Fraction | None, shown: tuple[int, int], tmp_path: Path
) -> None:
    notes: list[str] = []
    found = first(film(tmp_path / name, scene(*size), shape=shape), notes)
    assert (found.size, corners(found), notes) == (shown, "RGBB", [])


def test_pixels_are_stretched_before_the_picture_is_turned(tmp_path: Path) -> None:
    image = scene(160, 96).transpose(Transpose.ROTATE_90)
    clip = film(tmp_path / "a.mp4", image, shape=Fraction(4, 3), matrix=(0, ONE, -ONE, 0))
    found = first(clip)
    assert (corners(found), found.size) == ("RGBB", (160, 128))


def test_a_shape_that_cannot_be_is_noted_and_not_applied(tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mkv", scene(160, 96), shape=Fraction(40, 1))
    notes: list[str] = []
    assert first(clip, notes).size == (160, 96)
    assert notes == ["its pixels are said to be 40 times as wide as high; taken as square"]
    (whole,) = InputSource(base=tmp_path).entries([str(clip)])
    problems = [part for part in whole.entries if isinstance(part, Problem)]
    assert [(problem.kind, problem.taken) for problem in problems if problem.kind == "pixel shape"] == [
        ("pixel shape", True)
    ]
