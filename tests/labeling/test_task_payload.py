"""What is sent of a sample: pure functions."""

from __future__ import annotations

import pytest

from emolab.errors import DataError
from emolab.labeling.sync import task_payload
from emolab.records import FormGuess, Sample
from tests.support.syncing import image

SAMPLE = Sample(id="ab" * 32, media="media/ab.png", name="anna_crying.png", group="anna", consent="signed by Anna")


def test_a_task_carries_the_sample_id_and_nothing_that_names_the_person() -> None:
    made = task_payload.task(SAMPLE, "/data/upload/1/x.png", round_number=4)
    assert made == {
        "data": {"image": "/data/upload/1/x.png", "emolab_uid": "ab" * 32},
        "meta": {"emolab_round": 4},
    }
    assert "anna" not in repr(made).lower()


def test_files_travel_under_their_hash_and_the_type_their_bytes_show() -> None:
    name, data, mime = task_payload.file_of("ab" * 32, image(1))
    assert (name, mime, data) == ("ab" * 32 + ".png", "image/png", image(1))
    assert task_payload.file_of("cd" * 32, b"\xff\xd8\xff\xe0rest")[0] == "cd" * 32 + ".jpg"
    with pytest.raises(DataError, match="Sample ef is no PNG, JPEG, GIF, BMP or WebP image, so a browser cannot show"):
        task_payload.file_of("ef", b"%PDF-1.7")


def test_a_visible_guess_carries_its_class_and_a_place_in_the_queue_shows_nothing() -> None:
    (part,) = task_payload.prediction(0.5, "v", guess=FormGuess("sadness", True, 0.5))["result"]
    assert (part["origin"], part["meta"]) == ("prediction", {"emolab_guess": "sadness", "emolab_blind": 0.5})
    assert part["value"] == {"choices": ["sadness"]}
    (part,) = task_payload.prediction(0.5, "v", guess=FormGuess("sadness", False, 0.5))["result"]
    assert part["meta"] == {"emolab_hidden": "sadness", "emolab_blind": 0.5}
    assert part["value"] == {"choices": []}, "nothing is marked"
    assert task_payload.prediction(0.5, "v")["result"] == []
