"""Transparency lies on white whatever colour space it came in, and what shows nothing is said by every command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emolab.catalog import samples
from emolab.modalities.image import media
from emolab.modalities.image.decode import decode
from emolab.modalities.preparing import Preprocessing
from emolab.workspace import Workspace
from tests.support.forms import encoded, wide_profile

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
P3 = wide_profile()


def cut_out(mode: str = "RGBA") -> Image.Image:
    """Orange, with green hidden under transparency in its left part."""
    image = Image.new("RGBA", (100, 96), (200, 90, 40, 255))
    image.paste((10, 200, 10, 0), (0, 0, 40, 96))
    return image.convert(mode)


def keyed() -> Image.Image:
    image = Image.new("RGB", (100, 96), (200, 90, 40))
    image.paste((10, 200, 10), (0, 0, 40, 96))
    return image


def deep() -> Image.Image:
    values = np.full((96, 100), 30000, np.uint16)
    values[:, :40] = 5000
    return Image.fromarray(values)


#: Files with a colour profile that hide something under their left part.
HIDING = {
    "PNG": encoded(cut_out(), icc_profile=P3),
    "PNG, gray": encoded(cut_out("LA"), icc_profile=P3),
    "PNG, colour key": encoded(keyed(), icc_profile=P3, transparency=(10, 200, 10)),
    "PNG, palette": encoded(keyed().quantize(2), icc_profile=P3, transparency=keyed().quantize(2).getpixel((5, 5))),
    "PNG, 16-bit colour key": encoded(deep(), icc_profile=P3, transparency=5000),
    "WebP": encoded(cut_out(), "WEBP", lossless=True, exact=True, icc_profile=P3),
    "TIFF": encoded(cut_out(), "TIFF", icc_profile=P3),
    "AVIF": encoded(cut_out(), "AVIF", quality=100, icc_profile=P3),
    "JPEG 2000": encoded(cut_out(), "JPEG2000"),
    "GIF": encoded(keyed().quantize(2), "GIF", transparency=keyed().quantize(2).getpixel((5, 5))),
    "PNG, profile that cannot be used": encoded(cut_out(), icc_profile=b"no profile" * 40),
}


@pytest.mark.parametrize("name", HIDING)
def test_what_is_hidden_by_transparency_stays_hidden(name: str) -> None:
    picture = media.read(HIDING[name], max_pixels=10_000, reduce_to=None)
    shown = picture.image.convert("RGB")
    assert min(shown.getpixel((5, 50))) >= 250
    assert max(shown.getpixel((80, 50))) < 250
    wanted = Preprocessing(100, "rgb")
    assert (decode(HIDING[name], wanted) == decode(picture.data, wanted)).all()


NAN = encoded(Image.fromarray(np.full((60, 60), np.nan, np.float32)), "TIFF")
CLEAR = encoded(Image.new("RGBA", (60, 60), (10, 200, 10, 0)))
CLEAR_WITH_PROFILE = encoded(Image.new("RGBA", (60, 60), (10, 200, 10, 0)), icc_profile=P3)
NOISE = Image.effect_noise((64, 64), 90)

#: Files that show nothing or next to nothing: whether they are refused, and the words.
NOTHING = {
    "nan.tif": (NAN, True, "nothing in it: every pixel is NaN or infinite"),
    "clear.png": (CLEAR, True, "nothing in it: every pixel is transparent"),
    "clear_profile.png": (CLEAR_WITH_PROFILE, True, "nothing in it: every pixel is transparent"),
    "clear.webp": (
        encoded(Image.new("LA", (60, 60), (9, 0)), "WEBP", lossless=True), True, "every pixel is transparent"
    ),
    "thin.png": (encoded(NOISE.resize((1, 60))), False, "1 x 60 pixels is a strip, mostly padding to the network"),
    "flat.png": (encoded(NOISE.resize((60, 1))), False, "60 x 1 pixels is a strip, mostly padding to the network"),
    "thin.jpg": (encoded(NOISE.resize((1, 500)), "JPEG"), False, "1 x 500 pixels is a strip"),
    "dot.png": (encoded(NOISE.resize((1, 1))), False, "only 1 x 1 pixels, too few to show a face"),
    "red.png": (encoded(Image.new("RGB", (60, 60), "red")), False, "all of one colour"),
    "gray.jpg": (encoded(Image.new("L", (900, 700), 128), "JPEG"), False, "all of one colour"),
    "almost_clear.png": (encoded(Image.new("RGBA", (60, 60), (10, 200, 10, 1))), False, "all of one colour"),
    "dark.png": (encoded(NOISE.point(lambda v: v // 18)), False, "nearly black"),
}  # fmt: skip


def lines_of(report: dict[str, Any]) -> list[str]:
    """A line per problem and note: of collect from its log, of merge from its report."""
    if isinstance(report["problems"], list):
        return [
            f"{'note' if p['taken'] else 'FAILED'} {p['path']}: {p['kind']}: {p['message']}" for p in report["problems"]
        ]
    return Path(report["log"]).read_text().splitlines()


@pytest.mark.slow
def test_collect_merge_and_predict_say_what_shows_nothing(
    workspace: Workspace, tmp_path: Path, run_cli: RunCli
) -> None:
    folder = tmp_path / "in" / "happiness"
    folder.mkdir(parents=True)
    for name, (data, _, _) in NOTHING.items():
        (folder / name).write_bytes(data)
    (folder / "fine.png").write_bytes(encoded(NOISE))
    refused = sum(failed for _, failed, _ in NOTHING.values())
    for i, command in enumerate((["merge", "image_folder", str(tmp_path / "in")], ["collect", str(folder)])):
        other = Workspace.init(tmp_path / str(i), classes=("happiness", "sadness"))
        done = run_cli(*command, "--json", cwd=other.root)
        assert done.returncode == 1, done.stderr
        lines = lines_of(json.loads(done.stdout))
        assert not any("fine.png" in line for line in lines)
        for name, (_, failed, words) in NOTHING.items():
            (line,) = [line for line in lines if f"/{name}:" in line]
            assert line.startswith("FAILED" if failed else "note") and words in line
        with other.catalog() as catalog, catalog.connect() as connection:
            assert len(list(samples.iterate(connection))) == len(NOTHING) + 1 - refused
    shown = run_cli("merge", "image_folder", str(tmp_path / "in"), cwd=workspace.root)
    assert "little to see: 8 images, such as " in shown.stderr
    done = run_cli("predict", "face48", str(folder), "--faces", "off", "--json", cwd=workspace.root)
    rows = {Path(row["file"]).name: row for row in json.loads(done.stdout)["predictions"]}
    assert done.returncode == 1
    for name, (_, failed, words) in NOTHING.items():
        assert words in rows[name]["error" if failed else "note"]
    assert rows["fine.png"]["note"] is None
