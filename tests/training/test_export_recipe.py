"""The recipe in docs/export.md, as printed, says what ``emolab predict`` says, without emolab."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from emolab.cli.main import run
from emolab.inference import runtime
from emolab.training.export import export
from emolab.training.networks import bundled
from tests.support.forms import wide_profile
from tests.support.paths import ROOT

for package in ("onnx", "onnxscript", "onnxruntime"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)


def recipe() -> str:
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- recipe: onnx -->\n```python\n(.*?)```", page, flags=re.S)
    assert found, "docs/export.md has no recipe"
    return found[1]


def face(width: int, height: int, *, seed: int = 0) -> Image.Image:
    """Smooth colours with eyes and a mouth: enough for answers that differ from image to image."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(60, 200, (9, 9, 3), dtype=np.uint8)).resize((width, height), 3)
    for left, top, right, bottom in ((0.2, 0.3, 0.4, 0.4), (0.6, 0.3, 0.8, 0.4), (0.3, 0.7, 0.7, 0.8)):
        image.paste((20, 20, 20), (int(left * width), int(top * height), int(right * width), int(bottom * height)))
    return image


def files(folder: Path) -> list[str]:
    """One file of every form that the page names."""
    deep = np.asarray(face(120, 100).convert("L"), dtype=np.uint16) * 257
    clear = face(120, 100).convert("RGBA")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    made: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "gray.png": (face(120, 100).convert("L"), {}),
        "rgb.png": (face(120, 100), {}),
        "own-size.png": (face(48, 48).convert("L"), {}),
        "bits.png": (face(120, 100).convert("1"), {}),
        "palette.png": (face(120, 100).quantize(40), {}),
        "palette-alpha.png": (face(120, 100).quantize(32), {"transparency": bytes(range(0, 256, 8))}),
        "rgba.png": (clear, {}),
        "la.png": (clear.convert("LA"), {}),
        "colour-key.png": (face(120, 100), {"transparency": (20, 20, 20)}),
        "deep.png": (Image.fromarray(deep), {}),
        "profile.png": (face(120, 100), {"icc_profile": wide_profile()}),
        "srgb.png": (face(120, 100), {"icc_profile": srgb}),
        "plain.jpg": (face(512, 430), {"quality": 93}),
        "gray.jpg": (face(300, 400).convert("L"), {"quality": 90}),
        "progressive.jpg": (face(640, 480), {"progressive": True}),
        "cmyk.jpg": (face(300, 300).convert("CMYK"), {}),
        "large.jpg": (face(4000, 3000), {"quality": 80}),
        "tiny.jpg": (face(8, 8), {}),
        "tiny.png": (face(8, 8), {}),
        "one.png": (face(1, 1), {}),
        "strip.png": (face(3, 900), {}),
        "profile.jpg": (face(400, 300), {"icc_profile": wide_profile()}),
        "lossy.webp": (face(200, 150), {}),
        "clear.webp": (clear, {"lossless": True}),
        "b.bmp": (face(90, 120), {}),
        "g.gif": (face(90, 120), {}),
        "clear.gif": (face(90, 120).quantize(16), {"transparency": 3}),
        "rgb.tif": (face(90, 120), {}),
        "cmyk.tif": (face(90, 120).convert("CMYK"), {}),
        "shares.tif": (Image.fromarray(deep.astype(np.float32) / 65535), {}),
        "levels.tif": (Image.fromarray(deep.astype(np.float32) / 257), {}),
        "whole.tif": (Image.fromarray(deep.astype(np.int32)), {}),
        "ten-bits.png": (Image.fromarray(deep // 64), {}),
        "twelve-bits.tif": (Image.fromarray(deep // 16), {}),
        "signed.tif": (Image.fromarray(deep.astype(np.float32) / 32768 - 1), {}),
        "bright.tif": (Image.fromarray(deep.astype(np.float32) / 15000), {}),
        "far.tif": (Image.fromarray(deep.astype(np.int32) * 900), {}),
    }  # fmt: skip
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        made[f"turned-{orientation}.jpg"] = (face(400, 300, seed=1), {"exif": exif})
    for orientation, name in ((6, "turned.png"), (3, "turned.webp"), (8, "turned.tif")):
        exif = Image.Exif()
        exif[0x0112] = orientation
        made[name] = (face(200, 150, seed=2), {"exif": exif})
    for name, (image, options) in made.items():
        image.save(folder / name, **options)
    return [str(folder / name) for name in made]


@pytest.mark.slow
@pytest.mark.parametrize("flips", [True, False])
def test_the_recipe_says_what_predict_says(
    flips: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    face48 = bundled.folder("face48")
    assert face48 is not None
    export.export(face48, tmp_path / "model.onnx", to="onnx", flips=flips)
    (tmp_path / "classify.py").write_text(recipe(), encoding="utf-8")
    (tmp_path / "images").mkdir()
    names = files(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "classify.py", "model.onnx", *names], capture_output=True, text=True, check=False, env=bare
    )
    assert done.returncode == 0, done.stderr
    plain = {row.pop("file"): row for row in map(json.loads, done.stdout.splitlines())}
    capsys.readouterr()
    assert run(["predict", "face48", "--faces", "off", "--flips" if flips else "--no-flips", "--json", *names]) == 0
    rows = {row["file"]: row["probs"] for row in json.loads(capsys.readouterr().out)["predictions"]}
    assert list(rows) == list(plain) == names
    apart = {Path(name).name: max(abs(plain[name][k] - p) for k, p in rows[name].items()) for name in names}
    assert {name: value for name, value in apart.items() if value > 1e-5} == {}
    assert len({max(row, key=row.__getitem__) for row in rows.values()}) > 1  # images that are told apart


def test_the_recipe_is_short_and_needs_pillow_numpy_and_onnx_runtime_alone() -> None:
    text = recipe()
    prepare = re.search(r"^def prepare.*?(?=^\S)", text[text.index("def prepare") :], flags=re.S | re.M)
    assert prepare and len(prepare[0].strip().splitlines()) <= 22
    imported = set(re.findall(r"^(?:import|from) (.+?)(?: import .*)?$", text, flags=re.M))
    assert imported == {"io, json, sys", "numpy as np, onnxruntime", "PIL"}


@pytest.mark.slow
def test_the_document_of_an_export_says_how_to_prepare_an_image(tmp_path: Path) -> None:
    face48 = bundled.folder("face48")
    assert face48 is not None
    export.export(face48, tmp_path / "model.onnx", to="onnx")
    about = runtime.describe(tmp_path / "model.onnx")
    steps = about["preprocessing"]
    assert (about["size"], about["color"], about["decoder"]) == (48, "gray", 3)
    assert (steps["dtype"], steps["layout"], steps["range"], steps["padding"]["value"]) == (
        "uint8",
        "NHWC",
        [0, 255],
        0,
    )
    assert steps["fit"] == "longer side to 48, other side max(1, round(shorter / longer * 48))"
    assert {"orientation", "resample", "transparency", "bits", "colour_profile", "channels", "decode"} <= steps.keys()
    assert about["temperature"] > 0
    assert about["probabilities"] == "softmax(logits / temperature), inside the graph"
    assert about["flips"] is False
    assert "research use" in about["licence"]


def test_an_image_that_the_recipe_and_predict_both_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space: dict[str, object] = {}
    text = recipe()
    exec(compile(text[: text.index("session =")], "recipe", "exec"), space)
    (tmp_path / "cut.jpg").write_bytes(half(face(300, 300)))
    with pytest.raises(OSError, match="truncated"):
        space["prepare"](tmp_path / "cut.jpg", 48, "gray")  # type: ignore[operator]
    assert run(["predict", "face48", "--json", str(tmp_path / "cut.jpg")]) == 1
    assert json.loads(capsys.readouterr().out)["predictions"][0]["error"].startswith("truncated: ")


def half(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()[: out.tell() // 2]
