"""One predictor: answers, streams and refusals. That every way in gives the same answer: test_every_way.py."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import emolab
from emolab.config import CollectConfig
from emolab.errors import DataError
from emolab.inference.uncertainty import Uncertainty
from emolab.modalities.preparing import Preprocessing
from emolab.serving import predictor as serving
from emolab.serving.predictor import Predictor

OFF = CollectConfig(faces="off")


@dataclass(frozen=True)
class Seen:
    """A model whose probabilities are made of the pixels it is given, so that every difference shows."""

    id: str = "seen"
    classes: tuple[str, ...] = ("dark", "light", "left", "right")
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(48, "rgb"))

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 4): shares of darkness, light, and light in the left and the right half."""
        light = pixels.mean(axis=(1, 2, 3)) / 255
        left, right = (half.mean(axis=(1, 2, 3)) / 255 for half in (pixels[:, :, :24], pixels[:, :, 24:]))
        raw = np.stack([1 - light, light, left, right], axis=1)
        found: NDArray[np.float32] = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
        return found


def picture() -> Image.Image:
    """64 by 40 pixels, another colour in every corner."""
    y, x = np.mgrid[0:40, 0:64]
    return Image.fromarray(np.stack([4 * x, 6 * y, (x * y) % 256], axis=2).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **more: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


@pytest.mark.slow
def test_no_face_is_a_result_and_several_faces_are_several_rows(portrait: Image.Image) -> None:
    predictor = Predictor(Seen(), CollectConfig(faces="all"))
    pair = Image.new("RGB", (2 * portrait.width, portrait.height), "gray")
    pair.paste(portrait, (0, 0))
    pair.paste(portrait, (portrait.width, 0))
    empty, two = predictor.predict([("room", np.full((200, 300, 3), 128, np.uint8)), ("pair", pair)])
    assert empty.no_face
    assert empty.error is None
    assert [face.place.number for face in two.faces if face.place] == [1, 2]
    assert not two.no_face


BROKEN = {
    "empty": b"",
    "text": b"Dear diary",
    "cut png": encoded(picture(), "PNG")[:-200],
    "cut jpeg": encoded(picture(), "JPEG")[:-100],
    "transparent": encoded(Image.new("RGBA", (30, 30)), "PNG"),
}


@pytest.mark.parametrize("faces", ["off", "auto", "all"])
def test_what_cannot_be_read_is_an_answer_and_ends_nothing(faces: str, tmp_path: Path) -> None:
    pictures = [(name, data) for name, data in BROKEN.items()]
    pictures[2:2] = [("there is none", tmp_path / "none.png"), ("a folder", tmp_path)]
    found = list(Predictor(Seen(), CollectConfig(faces=faces, tight=1000)).predict([*pictures, ("whole", picture())]))
    assert [answer.name for answer in found] == [*(name for name, _ in pictures), "whole"]
    for answer in found[:-1]:
        assert answer.error, answer.name
        assert "\n" not in answer.error
        assert not answer.no_face
    assert found[-1].error is None


@pytest.mark.parametrize("odd", [np.zeros((3, 3)), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 7), np.uint8)])
def test_an_array_that_is_no_image_says_what_one_is(odd: NDArray[np.uint8]) -> None:
    assert "is no image" in str(Predictor(Seen(), OFF).one(odd).error)


def test_a_stream_is_read_two_parts_ahead_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PART", 4)
    taken = count()
    pixels = np.asarray(picture())
    endless = ((str(next(taken)), pixels) for _ in iter(int, 1))
    stream = Predictor(Seen(), OFF).predict(endless)
    names = [next(stream).name for _ in range(10)]
    assert names == [str(i) for i in range(10)]
    assert next(taken) <= 10 + 2 * 4
    stream.close()


def test_all_crops_of_several_pictures_are_computed_together() -> None:
    predictor = Predictor(Seen(), OFF)
    one, two = (predictor.read(name, np.full((30, 30, 3), light, np.uint8)) for name, light in (("a", 10), ("b", 250)))
    nothing = predictor.read("c", b"")
    first, none, second = predictor.probabilities([one, nothing, two])
    assert (first.shape, none.shape, second.shape) == ((1, 4), (0, 4), (1, 4))
    assert predictor.answer(two, second).faces[0].label == "light"
    assert predictor.probabilities([]) == []


def test_an_answer_below_the_threshold_is_unsure_and_a_set_holds_what_is_likely() -> None:
    sure = Predictor(Seen(), OFF, uncertainty=Uncertainty(threshold=0.2, level=0.25)).one(np.asarray(picture()))
    unsure = Predictor(Seen(), OFF, uncertainty=Uncertainty(threshold=0.9, level=0.99)).one(np.asarray(picture()))
    plain = Predictor(Seen(), OFF).one(np.asarray(picture()))
    assert (sure.faces[0].unsure, unsure.faces[0].unsure, plain.faces[0].unsure) == (False, True, False)
    assert plain.faces[0].among is None
    assert unsure.faces[0].among == (unsure.faces[0].label,)  # the best class is always in it
    chosen = [name for name, p in zip(Seen.classes, sure.faces[0].probs, strict=True) if p >= 0.25]
    assert sorted(sure.faces[0].among or ()) == sorted(chosen)


#: Predicts by the command, and prints what it brought into the process.
LOADED = """
import sys
from emolab.cli.main import run
code = run(sys.argv[1:])
heavy = {"torch", "torchvision", "pandas", "sklearn", "fiftyone", "tensorflow"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--faces", "all")], ids=["a crop", "with faces"])
def test_predicting_brings_no_pytorch_into_the_process(tmp_path: Path, more: tuple[str, ...]) -> None:
    picture().save(tmp_path / "a.png")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "predict", "face48", "a.png", "--json", *more],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert json.loads(done.stdout)["files"] == 1


def test_an_array_of_the_wrong_kind_is_refused_by_the_step_at_once() -> None:
    with pytest.raises(DataError, match="An array of float64"):
        emolab.predict("face48", np.zeros((4, 4)))
