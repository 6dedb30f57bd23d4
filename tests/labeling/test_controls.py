"""The form that annotators see: its keys, its questions and its look."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from emolab.errors import DataError, UnknownName
from emolab.labeling.form import controls
from emolab.taxonomy import PRESETS

CLASSES = ("happiness", "sadness", "neutral")


def test_classes_have_the_keys_1_to_8_and_the_two_ways_out_9_and_0() -> None:
    keys = controls.keys(PRESETS["ferplus8"])
    assert [keys[name] for name in PRESETS["ferplus8"]] == list("12345678")
    assert (keys["unknown"], keys["no_face"]) == ("9", "0")
    assert controls.keys(CLASSES)["unknown"] == "9"


def test_more_than_eight_classes_still_get_distinct_keys() -> None:
    keys = controls.keys([f"feeling {i}" for i in range(20)])
    assert len(set(keys.values())) == 22
    with pytest.raises(DataError, match="A form holds at most 29 classes, got 40"):
        controls.keys([f"feeling {i}" for i in range(40)])


def test_the_form_shows_the_image_one_question_and_every_answer_with_its_key() -> None:
    view = ElementTree.fromstring(controls.render(CLASSES))
    assert [tag.get("value") for tag in view.iter("Image")] == ["$image"]
    shown = {c.get("value"): c.get("hotkey") for c in view.iter("Choice")}
    assert shown == {"happiness": "1", "sadness": "2", "neutral": "3", "unknown": "9", "no face": "0"}
    assert controls.labels(controls.render(CLASSES)) == ["happiness", "sadness", "neutral", "unknown", "no face"]


def test_second_guess_and_confidence_are_on_the_form_only_when_asked_for() -> None:
    assert {c.get("name") for c in ElementTree.fromstring(controls.render(CLASSES)).iter("Choices")} == {"emotion"}
    full = ElementTree.fromstring(controls.render(CLASSES, second=True, confidence=True))
    assert {c.get("name") for c in full.iter("Choices")} == {"emotion", "second"}
    assert [r.get("name") for r in full.iter("Rating")] == ["confidence"]


def test_a_label_kept_for_its_answers_stands_behind_the_classes_without_a_key() -> None:
    text = controls.render(CLASSES, kept=["bored"])
    assert controls.labels(text)[-1] == "bored"
    assert not controls.same(text, controls.render(CLASSES))
    assert controls.same(text, text.replace("\n", "\n   "))


def test_the_form_hides_the_panels_for_regions_and_puts_many_answers_in_two_columns() -> None:
    few, many = (ElementTree.fromstring(controls.render(names)) for names in (CLASSES, [f"f {i}" for i in range(12)]))
    (style,) = [tag.text or "" for tag in few.iter("Style")]
    assert ".lsf-sidepanels__wrapper {display: none}" in style
    assert "\n" not in style, "two forms are compared apart from spacing around tags only"
    assert "repeat(1," in style
    assert "repeat(2," in "".join(tag.text or "" for tag in many.iter("Style"))
    assert "Press a key, then Ctrl + Enter for the next one." in [tag.get("value") for tag in few.iter("Header")]


def test_a_form_for_an_unknown_modality_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r'Unknown modality "smell"\. Known: audio, image, text'):
        controls.render(CLASSES, modality="smell")
