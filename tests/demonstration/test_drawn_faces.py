"""The drawn data set: same bytes for the same seed, believable answers, every expression tells itself apart."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from emolab.demonstration.drawn_faces import draw_faces
from emolab.taxonomy import META, PRESETS


@pytest.mark.slow
def test_same_generator_state_gives_the_same_bytes() -> None:
    first = list(draw_faces(20, np.random.default_rng(5)))
    second = list(draw_faces(20, np.random.default_rng(5)))
    assert [face.png for face in first] == [face.png for face in second]
    assert first == second
    assert first[0].png != next(iter(draw_faces(20, np.random.default_rng(6)))).png


@pytest.mark.slow
def test_answers_are_distributions_over_classes_and_meta_labels() -> None:
    faces = list(draw_faces(200, np.random.default_rng(0)))
    for face in faces:
        assert abs(sum(face.answers.values()) - 1) < 1e-9
        assert set(face.answers) <= {*PRESETS["ferplus8"], *META}
    winners = {max(face.answers, key=lambda name: face.answers[name]) for face in faces}
    assert winners == {*PRESETS["ferplus8"], "no_face"}


@pytest.mark.slow
def test_the_set_holds_ambiguous_faces_and_many_persons() -> None:
    faces = list(draw_faces(200, np.random.default_rng(1)))
    unsure = [face for face in faces if max(face.answers.values()) < 0.8]
    assert 20 < len(unsure) < 120
    assert len({face.person for face in faces}) >= 15


@pytest.mark.slow
def test_pictures_decode_and_expressions_differ_more_than_noise() -> None:
    faces = [face for face in draw_faces(150, np.random.default_rng(2)) if max(face.answers.values()) > 0.9]
    pixels = {}
    for face in faces:
        image = Image.open(io.BytesIO(face.png))
        assert (image.size, image.mode) == ((96, 96), "RGB")
        pixels.setdefault(max(face.answers, key=lambda name: face.answers[name]), []).append(np.asarray(image))
    mouth = {name: np.mean([p[58:84, 30:66].std() for p in group]) for name, group in pixels.items()}
    assert mouth["surprise"] > mouth["neutral"] * 1.1


@pytest.mark.slow
def test_however_many_processes_draw_the_bytes_are_the_same() -> None:
    alone = list(draw_faces(40, np.random.default_rng(7)))
    together = list(draw_faces(40, np.random.default_rng(7), jobs=2))
    assert together == alone
