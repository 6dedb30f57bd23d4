"""Names of emotions: presets, aliases, meta labels."""

from __future__ import annotations

import pytest

from emolab.errors import ConfigError, UnknownName
from emolab.taxonomy import META, PRESETS, canonical, parse_classes, resolve


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("Happy", "happiness"), (" ANGRY ", "anger"), ("surprised", "surprise"), ("fearful", "fear"), ("NF", "no_face"),
     ("not a face", "no_face"), ("boredom", "boredom")],
)  # fmt: skip
def test_aliases_lead_to_the_usual_spelling(word: str, meaning: str) -> None:
    assert canonical(word) == meaning


def test_a_projects_own_class_wins_over_an_alias() -> None:
    assert resolve("happy", ("happy", "sad")) == "happy"
    assert resolve("joy", ("happy", "sad")) == "happy"
    assert resolve("sadness", ("happy", "sad")) == "sad"
    assert resolve("NF", ("happy", "sad")) == "no_face"
    assert resolve("bored", ("happy", "sad")) is None


def test_presets_and_lists_are_parsed() -> None:
    assert parse_classes("ekman7") == PRESETS["ekman7"]
    assert parse_classes("happy, sad ,other") == ("happy", "sad", "other")


@pytest.mark.parametrize("text", ["a,", "a,a", "happy,joy", "a,<b>", "a,unknown", "a,not a face"])
def test_bad_lists_of_classes_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_classes(text)


def test_a_mistyped_preset_is_met_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match='Did you mean "ferplus8"'):
        parse_classes("ferplus")


def test_meta_labels_are_no_classes_of_any_preset() -> None:
    assert not {name for classes in PRESETS.values() for name in classes} & set(META)
