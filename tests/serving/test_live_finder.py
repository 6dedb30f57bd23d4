"""The quick detector finds what OpenCV's finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.errors import DataError
from emolab.modalities.image import detector_weights
from emolab.modalities.image.faces import Detector
from emolab.serving.live.live_finder import LiveFinder
from tests.support import films

pytest.importorskip("cv2")
pytest.importorskip("onnxruntime")

CROWD = [(0, 20, 40, 150), (1, 240, 30, 170), (2, 470, 60, 140), (0, 60, 250, 190), (2, 330, 260, 200)]


@pytest.mark.parametrize("size", [(640, 480), (320, 240), (641, 479), (1280, 720), (300, 500)])
@pytest.mark.parametrize("places", [[], CROWD[:1], CROWD], ids=["nobody", "one", "five"])
def test_boxes_landmarks_and_scores_are_those_of_opencv(size: tuple[int, int], places: list) -> None:
    pixels = np.ascontiguousarray(films.frame(places, size)[:, :, ::-1])
    weights = detector_weights.detector("")
    theirs = Detector(weights, size=320, again=0).find_pixels(pixels)
    ours = LiveFinder(weights, size=320).find_pixels(pixels)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.box == pytest.approx(b.box, abs=0.5)
        assert np.asarray(a.landmarks) == pytest.approx(np.asarray(b.landmarks), abs=0.5)
        assert a.score == pytest.approx(b.score, abs=0.002)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"a\.onnx is not a YuNet face detector"):
        LiveFinder(tmp_path / "a.onnx")
