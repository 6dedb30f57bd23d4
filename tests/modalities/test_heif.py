"""HEIC photos: read where pi-heif is installed, and a clear word about what to install where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from emolab.modalities.image import media, reading
from emolab.modalities.image.decode import decode
from emolab.modalities.image.reading import heif
from emolab.modalities.preparing import Preprocessing
from emolab.workspace import Workspace
from tests.support.forms import corners, encoded, exif_block, heic, scene

pytest.importorskip("av", reason="the test's HEIC pictures are encoded by FFmpeg")
RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
needs_heif = pytest.mark.skipif(heif.register() is not None, reason="pi-heif is not installed")


@pytest.fixture(scope="module")
def photo() -> bytes:
    return heic(scene(128, 96))


def test_heic_is_told_from_its_relatives(photo: bytes) -> None:
    assert heif.is_heif(photo)
    assert heif.is_heif(heic(scene(128, 96), brand=b"mif1"))
    assert not heif.is_heif(encoded(scene(), "AVIF"))
    for data in (b"", b"\0\0\0\x18ftypisom" + bytes(40), b"\0\0\0\x14ftypmp42\0\0\0\0", encoded(scene(), "JPEG")):
        assert not heif.is_heif(data)


@needs_heif
@pytest.mark.parametrize(
    ("turns", "exif", "seen", "size"),
    [
        (0, b"", "RGBB", (128, 96)),
        (1, b"", "GBRB", (96, 128)),
        (2, b"", "BBGR", (128, 96)),
        (3, b"", "BRBG", (96, 128)),
        (1, exif_block(6), "GBRB", (96, 128)),  # the container's turn counts, and only once
    ],
)
def test_a_heic_photo_is_kept_upright_and_shows_the_same_to_a_network(
    turns: int, exif: bytes, seen: str, size: tuple[int, int]
) -> None:
    data = heic(scene(128, 96), turns=turns, exif=exif)
    picture = media.read(data, max_pixels=100_000, reduce_to=None)
    assert (corners(picture.image), picture.size, picture.format, picture.source) == (seen, size, "PNG", "HEIF")
    wanted = Preprocessing(48, "rgb")
    assert (decode(data, wanted) == decode(picture.data, wanted)).all()


@needs_heif
def test_damage_and_size_are_said_as_for_any_image(photo: bytes) -> None:
    with pytest.raises(reading.Unreadable) as large:
        reading.load(photo, max_pixels=1000)
    assert (large.value.kind, large.value.message[:9]) == ("too large", "128 x 96 ")
    for broken in (photo[: len(photo) // 2], photo[:-20], photo[:60], photo[:100] + bytes(len(photo) - 100)):
        with pytest.raises(reading.Unreadable):
            reading.load(broken)


@needs_heif
def test_collect_takes_heic_from_a_folder(workspace: Workspace, tmp_path: Path, photo: bytes, run_cli: RunCli) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "IMG_0001.HEIC").write_bytes(photo)
    (tmp_path / "in" / "copy.jpg").write_bytes(photo)
    done = run_cli("collect", str(tmp_path / "in"), "--faces", "off", "--json", cwd=workspace.root, check=True)
    counts = json.loads(done.stdout)
    assert (counts["added"], counts["existing"], counts["notes"]) == (1, 1, {"wrong extension": 1})


@pytest.mark.slow
def test_without_the_extra_every_way_in_says_what_to_install(
    workspace: Workspace, tmp_path: Path, photo: bytes
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "IMG_0001.heic").write_bytes(photo)
    without = "import sys; sys.modules['pi_heif'] = None; from emolab.cli.main import run; sys.exit(run(sys.argv[1:]))"
    for command in (
        ["collect", str(tmp_path / "in"), "--faces", "off"],
        ["predict", "face48", str(tmp_path / "in" / "IMG_0001.heic")],
        ["predict", "face48", str(tmp_path / "in")],
    ):
        done = subprocess.run(
            [sys.executable, "-c", without, *command], cwd=workspace.root, capture_output=True, text=True, check=False,
            env={**os.environ, "COLUMNS": "300"},
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert 'pip install "emolab[heic]"' in " ".join((done.stdout + done.stderr).split()), done.stderr


def test_a_pi_heif_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    heif.register.cache_clear()
    try:
        assert 'pip install "emolab[heic]"' in str(heif.register())
    finally:
        heif.register.cache_clear()


def test_a_decoded_photo_has_the_colours_that_were_encoded(photo: bytes) -> None:
    if heif.register() is not None:
        pytest.skip("pi-heif is not installed")
    image = reading.load(photo)
    assert isinstance(image, Image.Image) and image.mode == "RGB"
