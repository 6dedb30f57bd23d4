"""Names of emotions: presets, aliases, meta labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.config import ProjectConfig
from emolab.errors import ConfigError, UnknownName
from emolab.labeling.form import controls
from emolab.taxonomy import META, MOST_CLASSES, PRESETS, canonical, parse_classes, resolve
from emolab.workspace import Workspace


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


@pytest.mark.parametrize("n", [30, 31, 40, 300])
def test_more_classes_than_a_form_holds_are_refused_at_once(n: int, tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(n)]
    told = f"A project holds at most 29 classes, got {n}: the form in Label Studio has one key for each."
    for refused in (
        lambda: parse_classes(",".join(names)),
        lambda: ProjectConfig(classes=tuple(names)),
        lambda: Workspace.init(tmp_path / "w", classes=tuple(names)),
    ):
        with pytest.raises(ConfigError, match=told) as caught:
            refused()
        assert "Name fewer" in str(caught.value.hint)
    assert not (tmp_path / "w").exists()


def test_a_file_edited_to_too_many_classes_is_refused_by_every_command(workspace: Workspace) -> None:
    file = workspace.root / "emolab.toml"
    many = ", ".join(f'"c{i}"' for i in range(30))
    lines = [f"classes = [{many}]" if line.startswith("classes") else line for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="at most 29 classes, got 30"):
        Workspace.find(workspace.root)


def test_as_many_classes_as_may_be_have_a_key_each() -> None:
    names = parse_classes(",".join(f"c{i}" for i in range(MOST_CLASSES)))
    assert len(set(controls.keys(names).values())) == MOST_CLASSES + 2
    assert controls.labels(controls.render(names))[:MOST_CLASSES] == list(names)


def test_meta_labels_are_no_classes_of_any_preset() -> None:
    assert not {name for classes in PRESETS.values() for name in classes} & set(META)
