"""Finding and cutting out faces, with the real detector."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.errors import DataError
from emolab.modalities.image import detector_weights, media
from emolab.modalities.image.faces import OVERLAP, TILE, Detector, Face, _scales, _spans, pin_input

pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(detector_weights.detector(""))


def inside(face: Face) -> bool:
    x, y, w, h = face.box
    return all(x <= px <= x + w and y <= py <= y + h for px, py in face.landmarks)


def test_a_portrait_has_one_face_with_landmarks_where_they_belong(detector: Detector, portrait: Image.Image) -> None:
    (face,) = detector.find(portrait)
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert face.score > 0.9
    assert inside(face)
    assert right_eye[0] < nose[0] < left_eye[0]  # the person's right is on the left of the picture
    assert right_mouth[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])


def test_boxes_are_in_pixels_of_the_image_given_whatever_size_is_searched(
    detector: Detector, portrait: Image.Image
) -> None:
    (small,) = detector.find(portrait)
    (large,) = detector.find(portrait.resize((2048, 2048)))
    for a, b in zip(small.box, large.box, strict=True):
        assert b == pytest.approx(4 * a, abs=0.15 * large.box[2])


def test_a_photo_that_exif_turns_has_its_face_where_the_upright_one_has_it(
    detector: Detector, portrait: Image.Image
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    portrait.rotate(90, expand=True).save(out, "JPEG", quality=95, exif=exif)
    turned = media.read(out.getvalue(), max_pixels=10**6, reduce_to=None)
    (here,), (there,) = detector.find(turned.image), detector.find(portrait)
    assert here.box == pytest.approx(there.box, abs=4)


def test_several_faces_come_largest_first(detector: Detector, portrait: Image.Image) -> None:
    group = Image.new("RGB", (1200, 600), "gray")
    head = portrait.crop((120, 20, 320, 220))
    for left, side in ((50, 180), (350, 360), (800, 260)):
        group.paste(head.resize((side, side)), (left, 60))
    areas = [face.box[2] * face.box[3] for face in detector.find(group)]
    assert len(areas) == 3
    assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize("size", [(640, 480), (33, 47), (1, 1), (5000, 20)])
def test_an_image_of_any_shape_without_a_face_has_none(detector: Detector, size: tuple[int, int]) -> None:
    assert detector.find(Image.new("L", size, 128)) == []


def group(portrait: Image.Image, size: tuple[int, int], places: list[tuple[int, int, int]]) -> Image.Image:
    """A photo of ``size`` without a face but those of ``portrait`` at ``places`` = (left, top, side)."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    photo = Image.fromarray((110 + 40 * np.sin(columns / 97) * np.cos(rows / 71)).astype(np.uint8)).convert("RGB")
    head = portrait.crop((130, 10, 310, 190))
    for left, top, side in places:
        photo.paste(head.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    return photo


def centres(faces: list[Face]) -> list[tuple[float, float]]:
    return [(x + w / 2, y + h / 2) for x, y, w, h in (face.box for face in faces)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "places"),
    [
        ((2000, 1500), [(960, 700, 60)]),
        ((1500, 2000), [(100, 1800, 60)]),
        ((2400, 700), [(60, 60, 60), (1150, 300, 60), (2300, 600, 60)]),
        ((2000, 1500), [(890, 500, 80), (1010, 900, 80), (920, 1100, 80)]),  # where tiles meet
        ((1900, 1400), [(300 * i + 50, 350 * j + 80, 60 + 5 * i) for i in range(6) for j in range(3)]),
    ],
)
def test_small_faces_of_a_large_photo_are_found_once_each(
    detector: Detector, portrait: Image.Image, size: tuple[int, int], places: list[tuple[int, int, int]]
) -> None:
    photo = group(portrait, size, places)
    found = detector.find(photo)
    wanted = [(left + 0.52 * side, top + 0.6 * side) for left, top, side in places]
    assert len(found) == len(places)
    assert all(inside(face) for face in found)
    for x, y in wanted:
        assert min(abs(there_x - x) + abs(there_y - y) for there_x, there_y in centres(found)) < 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coffee", "brick", "grass", "rocket", "moon"])
def test_a_later_look_takes_no_enlarged_texture_for_a_face(detector: Detector, name: str) -> None:
    picture = Image.fromarray(getattr(pytest.importorskip("skimage.data"), name)()).convert("RGB")
    assert detector.find(picture.resize((2000, 2000 * picture.height // picture.width))) == []


def test_where_a_face_is_large_one_look_is_enough(portrait: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    look = Detector._look
    monkeypatch.setattr(Detector, "_look", lambda self, pixels, scale: looks.append(scale) or look(self, pixels, scale))
    detector, never = Detector(detector_weights.detector("")), Detector(detector_weights.detector(""), again=0)
    detector.find(portrait.resize((1280, 1280)))
    assert looks == [0.5]
    looks.clear()
    assert never.find(group(portrait, (2000, 1000), [(960, 400, 60)])) == []
    assert looks == [0.32]


def test_a_face_that_two_looks_see_is_one(detector: Detector, portrait: Image.Image) -> None:
    (face,) = detector.find(group(portrait, (1600, 1200), [(700, 500, 110)]))  # 44 pixels in the first look
    assert 60 < max(face.box[2:]) < 150


@pytest.mark.parametrize(
    ("width", "height", "again", "scales"),
    [
        (600, 400, 12_000_000, [1.0]),
        (1280, 900, 12_000_000, [0.5, 1.0]),
        (2000, 1500, 12_000_000, [0.32, 1.0]),
        (4000, 3000, 12_000_000, [0.16, 0.4, 1.0]),
        (8000, 6000, 12_000_000, [0.08, 0.2, 0.5]),
        (4000, 3000, 0, [0.16]),
        (4000, 3000, 1_000, [0.16]),
    ],
)
def test_an_image_is_looked_at_in_steps_up_to_its_full_size(
    width: int, height: int, again: int, scales: list[float]
) -> None:
    assert list(_scales(width, height, 640, again)) == pytest.approx(scales)


@pytest.mark.parametrize("length", [1, 640, 1600, 1601, 2000, 3000, 4000, 9999])
def test_tiles_cover_all_and_overlap(length: int) -> None:
    spans = list(_spans(length))
    assert (spans[0][0], spans[-1][1]) == (0, length)
    assert all(end - start <= TILE for start, end in spans)
    assert all(spans[i][1] - spans[i + 1][0] >= OVERLAP - 1 for i in range(len(spans) - 1))


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    file = tmp_path / "weights.onnx"
    file.write_bytes(b"not a network")
    with pytest.raises(DataError, match=r"weights.onnx is not a YuNet face detector that OpenCV .* can read"):
        Detector(file)


def test_pinning_keeps_the_length_and_leaves_fixed_files_alone() -> None:
    header = b"\x12\x05batch..\x12\x06height..\x12\x05width"
    assert len(pin_input(header)) == len(header)
    assert b"batch" not in pin_input(header)
    assert pin_input(b"a file with fixed sizes") == b"a file with fixed sizes"


def face(x: float, y: float, w: float, h: float) -> Face:
    return Face((x, y, w, h), (), 1.0)


def test_a_crop_is_a_square_with_the_margin_on_every_side() -> None:
    assert face(100, 100, 40, 60).crop((400, 400), margin=0.25) == (75, 85, 165, 175)


def test_a_crop_at_the_border_is_moved_inside() -> None:
    assert face(-5, 0, 60, 60).crop((400, 400), margin=0.5) == (0, 0, 120, 120)
    assert face(380, 390, 40, 40).crop((400, 400), margin=0.0) == (360, 360, 400, 400)


def test_a_crop_larger_than_the_image_is_cut_to_it() -> None:
    assert face(10, 10, 80, 80).crop((100, 60), margin=0.5) == (0, 0, 100, 60)
