"""What people tag and edit in the App becomes votes by clear rules; nothing is guessed, nothing is lost."""

from __future__ import annotations

import pytest

from emolab.datasets.inspect.answers import AppSample, Pulled, answers, restored_tags
from emolab.errors import EmolabError

CLASSES = ("happiness", "sadness", "neutral")
SAMPLE = "a" * 64


def told(tags=(), label="neutral", written="neutral", earlier=(), annotator="ann"):
    """(origin kind, annotator, label) of new votes, withdrawn origins without the sample id, known, problem lines."""
    found = answers(
        [AppSample(SAMPLE, tags, label, written)], annotator=annotator, classes=CLASSES, ledger={SAMPLE: list(earlier)}
    )
    return (
        [(vote.origin.removesuffix(f":{SAMPLE}"), vote.annotator, vote.label) for vote in found.votes],
        [origin.removesuffix(f":{SAMPLE}") for origin in found.withdrawn],
        found.known,
        [line for _, line in found.problems],
    )


def pulled(kind: str, annotator: str, label: str) -> Pulled:
    return Pulled(f"inspect:{kind}:{annotator}:{SAMPLE}", annotator, label)


@pytest.mark.parametrize(
    ("tags", "label", "vote"),
    [
        ((), "neutral", []),
        (("holiday", "to check"), "neutral", []),
        (("label:happiness",), "neutral", [("inspect:tag:ann", "ann", "happiness")]),
        (("label:Happy",), "neutral", [("inspect:tag:ann", "ann", "happiness")]),
        (("label:happiness", "label:happy"), "neutral", [("inspect:tag:ann", "ann", "happiness")]),
        (("no_face",), "neutral", [("inspect:tag:ann", "ann", "no_face")]),
        (("label:unknown",), "neutral", [("inspect:tag:ann", "ann", "unknown")]),
        ((), "sadness", [("inspect:edit:ann", "ann", "sadness")]),
        ((), "sad", [("inspect:edit:ann", "ann", "sadness")]),
        ((), None, []),
        (("label:sadness",), "sadness", [("inspect:tag:ann", "ann", "sadness")]),
    ],
)
def test_tags_and_edits_become_votes(tags, label, vote) -> None:
    assert told(tags, label) == (vote, [], 0, [])


def test_an_edit_of_a_sample_without_a_label_is_a_vote() -> None:
    assert told(label="sadness", written=None)[0] == [("inspect:edit:ann", "ann", "sadness")]


def test_the_same_answer_again_is_known_even_to_another_annotator() -> None:
    assert told(("label:happiness",), earlier=[pulled("tag", "ann", "happiness")]) == ([], [], 1, [])
    assert told(("label:happiness",), earlier=[pulled("tag", "ann", "happiness")], annotator="bob") == ([], [], 1, [])
    assert told(label="sadness", earlier=[pulled("edit", "ann", "sadness")], annotator="bob") == ([], [], 1, [])


def test_a_changed_tag_replaces_the_vote_and_a_removed_one_takes_it_back() -> None:
    earlier = [pulled("tag", "ann", "happiness")]
    assert told(("label:sadness",), earlier=earlier) == ([("inspect:tag:ann", "ann", "sadness")], [], 0, [])
    assert told(("label:sadness",), earlier=earlier, annotator="bob") == (
        [("inspect:tag:bob", "bob", "sadness")],
        ["inspect:tag:ann"],
        0,
        [],
    )
    assert told(earlier=earlier) == ([], ["inspect:tag:ann"], 0, [])


def test_an_edit_survives_the_label_being_rewritten() -> None:
    assert told(label="neutral", written="neutral", earlier=[pulled("edit", "ann", "sadness")]) == ([], [], 0, [])


def test_a_tag_takes_the_place_of_ones_own_edit() -> None:
    assert told(("label:happiness",), earlier=[pulled("edit", "ann", "sadness"), pulled("edit", "bob", "neutral")]) == (
        [("inspect:tag:ann", "ann", "happiness")],
        ["inspect:edit:ann"],
        0,
        [],
    )


@pytest.mark.parametrize(
    ("tags", "label", "line"),
    [
        (
            ("label:hapiness",),
            "neutral",
            'has the tag "label:hapiness": "hapiness" is no class here; did you mean "happiness"? '
            "known: happiness, sadness, neutral, unknown, no_face, multiple",
        ),
        (("happiness",), "neutral", 'has the tag "happiness", which is not an answer; to vote, write label:happiness'),
        (
            ("label:happiness", "unknown"),
            "neutral",
            "has two answers, label:happiness and unknown; remove one of the tags",
        ),
        (
            (),
            "bored",
            'has the label "bored": "bored" is no class here; known: happiness, sadness, neutral, '
            "unknown, no_face, multiple",
        ),
    ],
)
def test_what_is_no_clear_answer_is_a_line_and_earlier_votes_stay(tags, label, line) -> None:
    assert told(tags, label, earlier=[pulled("tag", "ann", "sadness")] if tags else []) == ([], [], 0, [line])


def test_a_tag_and_an_edit_that_contradict_each_other_keep_the_tag_and_say_so() -> None:
    votes, withdrawn, known, problems = told(("label:happiness",), "sadness")
    assert (votes, withdrawn, known) == ([("inspect:tag:ann", "ann", "happiness")], [], 0)
    assert problems == ["has the tag label:happiness, but its label was edited to sadness"]


def test_samples_that_the_app_does_not_show_keep_their_votes() -> None:
    found = answers([], annotator="ann", classes=CLASSES, ledger={SAMPLE: [pulled("tag", "ann", "sadness")]})
    assert (found.votes, found.withdrawn) == ([], [])


@pytest.mark.parametrize("name", ["", " ", "a:b", "x" * 41])
def test_a_name_that_cannot_stand_in_the_ledger_is_refused(name: str) -> None:
    with pytest.raises(EmolabError, match="cannot name an annotator"):
        answers([], annotator=name, classes=CLASSES, ledger={})


def test_a_rebuilt_dataset_gets_the_tags_of_the_votes_that_tags_made() -> None:
    ledger = {SAMPLE: [pulled("tag", "ann", "sadness"), pulled("edit", "bob", "neutral")],
              "b" * 64: [pulled("tag", "ann", "no_face")], "c" * 64: [pulled("edit", "ann", "sadness")]}  # fmt: skip
    assert restored_tags(ledger) == {SAMPLE: ["label:sadness"], "b" * 64: ["no_face"]}
