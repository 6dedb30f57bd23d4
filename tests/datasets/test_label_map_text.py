"""The map that an error prints: readable in every script, and it loads back as what it says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emolab.cli.main import run
from emolab.datasets.merge.label_map import DROP, load_rules, plan, refuse_nothing
from emolab.errors import ConfigError, DataError
from emolab.modalities.problems import shown
from emolab.taxonomy import PRESETS, nearest, resolve
from emolab.workspace import Workspace
from tests.support.pictures import png, put

CLASSES = PRESETS["ferplus8"]


def printed(labels: dict[str, int], classes: tuple[str, ...] = CLASSES) -> str:
    with pytest.raises(DataError) as caught:
        plan(labels, classes)
    return str(caught.value).split(":\n\n", 1)[1]


anything = st.text(st.characters(), max_size=12)
odd = st.sampled_from(
    [
        '"',
        "\\",
        "\n",
        "\r\n",
        "\ud800",
        "\x00",
        "\x7f",
        "\x85",
        "\u2028",
        "\u202e",
        "👨\u200d👩\u200d👧",
        "caf\udce9",
        "=",
        "#",
        "[x]",
        "'",
    ]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(anything | odd | st.builds("".join, st.lists(odd | anything, max_size=4)), min_size=1, max_size=6))
@example(["000\ud800", "\r000\ud800"])
def test_the_printed_map_loads_back_to_the_same_map(tmp_path: Path, names: list[str]) -> None:
    labels = {"happy": 3, **{name: 1 for name in names if resolve(name, CLASSES) is None}}
    if len(labels) == 1:
        return
    text = printed(labels)
    expected = {shown(name): nearest(name, CLASSES) or DROP for name in labels if name != "happy"}
    assert tomllib.loads(text) == expected
    (tmp_path / "map.toml").write_text(text, encoding="utf-8")
    found = plan(labels, CLASSES, load_rules(tmp_path / "map.toml", CLASSES))
    assert not found.unused
    assert found.rules == {"happy": "happiness"} | {name: expected[shown(name)] for name in labels if name != "happy"}


def test_the_command_prints_the_map_as_it_is_to_be_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["😀", "悲伤", "👨‍👩‍👧", 'a "b"', "x\ty", "caf\udce9"]
    put(tmp_path / "in", {f"{name}/{i}.png": png(i) for i, name in enumerate(names)})
    workspace = Workspace.init(tmp_path / "faces", classes=CLASSES)
    assert run(["-w", str(workspace.root), "merge", "image_folder", str(tmp_path / "in")]) == 1
    lines = [line for line in capsys.readouterr().err.split("map.toml (")[1].splitlines() if line.startswith('"')]
    assert tomllib.loads("\n".join(lines)) == {shown(name): DROP for name in names}


@pytest.mark.parametrize(
    "name", ["高兴", "悲しみ", "Überraschung", "радость", "😀", "👨‍👩‍👧", "فرح", "खुशी", "O'Neill", "a b"]
)
def test_names_of_every_script_are_readable(name: str) -> None:
    assert f'"{name}" = "drop"' in printed({"happy": 1, name: 1})


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("a\nb", '"a\\nb"'), ("a\x1b[31m", '"a\\u001B[31m"'), ("\u202eevil", '"\\u202Eevil"'), ('"', '"\\""'),
     ("caf\udce9", '"caf\\\\xe9"')],
)  # fmt: skip
def test_what_cannot_be_seen_is_escaped(name: str, escaped: str) -> None:
    text = printed({"happy": 1, name: 1})
    assert text == f'{escaped} = "drop"\n'


@pytest.mark.parametrize(
    ("name", "proposed"),
    [
        ("suprise", "surprise"), ("hapiness", "happiness"), ("02-happy", "happiness"), ("class_anger", "anger"),
        ("Sadnes", "sadness"), ("fear faces", "fear"), ("disgusteed", "disgust"), ("contemt", "contempt"),
    ],
)  # fmt: skip
def test_whole_names_and_words_with_one_slip_propose(name: str, proposed: str) -> None:
    assert nearest(name, CLASSES) == proposed


@pytest.mark.parametrize(
    "name",
    ["nan", "NaN", "hate", "pain", "contentment", "None", "null", "ha ha", "danger", "tear", "gear", "train_set",
     "not happy", "happy_sad", "san", "an", "0", "", "S01", "content", "sunrise", "near"],
)  # fmt: skip
def test_what_only_looks_a_little_like_a_class_proposes_nothing(name: str) -> None:
    assert nearest(name, CLASSES) is None


def test_labels_that_differ_in_unicode_form_are_one_class() -> None:
    classes = ("Freude", "U\u0308berraschung")
    assert resolve("Überraschung", classes) == resolve("u\u0308berraschung", classes) == classes[1]
    rules = {"Ärger": "Freude"}
    assert plan({"A\u0308rger": 1, "Ärger": 2}, classes, rules).rules == {"A\u0308rger": "Freude", "Ärger": "Freude"}


def test_a_map_that_drops_every_label_stops_the_merge() -> None:
    with pytest.raises(DataError, match=r'drops every label of the dataset: "train_set" \(9 votes\)'):
        labels = {"train_set": 9, "x": 1}
        refuse_nothing(plan(labels, CLASSES, {"train_set": DROP, "x": DROP}), labels, CLASSES)
    with pytest.raises(DataError, match="None of its labels is one"):
        plan({"S01": 9, "S02": 1}, CLASSES)


def test_a_map_that_never_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.toml").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="a device or pipe, not a file"):
        load_rules(tmp_path / "map.toml", CLASSES)
