"""Source labels become project labels by name: meaning, rules, shares, and errors that hand over a map."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from emolab.datasets.merge.label_map import DROP, load_rules, plan
from emolab.errors import ConfigError, DataError
from tests.support.pictures import put

CLASSES = ("neutral", "happiness", "sadness", "surprise")


def test_labels_are_mapped_by_meaning() -> None:
    labels = plan({"Happy": 3, "sad": 2, "NF": 1, "PS": 1}, CLASSES)
    assert labels.rules == {"Happy": "happiness", "sad": "sadness", "NF": "no_face", "PS": "surprise"}
    assert labels.translate({"Happy": 2, "NF": 1}, "a") == {("Happy", "happiness"): 2, ("NF", "no_face"): 1}


def test_unknown_labels_are_listed_with_a_map_that_can_be_saved_and_used(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        plan({"happy": 5, "Ahegao": 1205, "suprised": 7}, CLASSES, {"calm": {"neutral": 0.7, "sadness": 0.3}})
    message = str(caught.value)
    assert (
        '2 labels of the dataset are no class of this project: "Ahegao" (1,205 votes), "suprised" (7 votes)' in message
    )
    assert "Classes: neutral, happiness, sadness, surprise; meta labels: unknown, no_face, multiple." in message
    ready = message.split("\n\n")[1]
    assert tomllib.loads(ready) == {
        "calm": {"neutral": 0.7, "sadness": 0.3},
        "Ahegao": "drop",
        "suprised": "surprise",
    }
    rules = load_rules(put(tmp_path, {"map.toml": ready}) / "map.toml", CLASSES)
    assert plan({"happy": 5, "Ahegao": 1205, "suprised": 7}, CLASSES, rules).unused == ("calm",)


def test_rules_win_over_meaning_and_ignore_case(tmp_path: Path) -> None:
    put(tmp_path, {"map.json": '{"HAPPY": "surprise", "other": "unknown", "bored": "drop"}'})
    labels = plan({"happy": 1, "Other": 1, "bored": 2}, CLASSES, load_rules(tmp_path / "map.json", CLASSES))
    assert labels.rules == {"happy": "surprise", "Other": "unknown", "bored": DROP}
    assert labels.translate({"bored": 2, "happy": 1}, "a") == {("happy", "surprise"): 1}
    assert labels.targets() == {"surprise", "unknown"}


def test_shares_divide_votes_and_come_out_as_written_over_a_dataset() -> None:
    labels = plan({"calm": 1}, CLASSES, {"calm": {"neutral": 0.7, "sadness": 0.3}})
    assert labels.translate({"calm": 10}, "a") == {("calm", "neutral"): 7, ("calm", "sadness"): 3}
    totals: Counter[str] = Counter()
    for key in range(2000):
        parts = labels.translate({"calm": 3}, str(key))
        assert sum(parts.values()) == 3
        totals.update({label: count for (_, label), count in parts.items()})
    assert totals["neutral"] / 6000 == pytest.approx(0.7, abs=0.01)
    assert labels.translate({"calm": 1}, "same") == labels.translate({"calm": 1}, "same")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"a" = "happyness2"', 'maps "a" to "happyness2", which is no class of this project. Did you mean "happiness"'),
        ('"a" = {neutral = 0.5, sadness = 0.2}', 'the shares of "a" sum to 0.7, expected 1'),
        ('"a" = {neutral = -1, sadness = 2}', 'gives "neutral" the share -1; expected a number from 0 to 1'),
        ('"a" = 3', 'maps to 3. Expected a label, "drop" or a table of shares'),
        ("a = ", "is neither TOML nor JSON"),
    ],
)
def test_a_broken_map_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path, {"map.toml": text})
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path / "map.toml", CLASSES)
    assert message in str(caught.value)


def test_a_map_that_is_no_table_or_not_there_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"map.json": "[1]"})
    with pytest.raises(ConfigError, match="holds no table of labels"):
        load_rules(tmp_path / "map.json", CLASSES)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_rules(tmp_path / "none.toml", CLASSES)
