"""Samples to tasks, answers to votes: pure functions."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from syncing import image

from emolab.errors import DataError, UnknownName
from emolab.labeling import form, tasks
from emolab.labeling.studio_records import RemoteAnnotation
from emolab.records import Sample
from emolab.taxonomy import PRESETS

CLASSES = ("happiness", "sadness", "neutral")
SAMPLE = Sample(id="ab" * 32, media="media/ab.png", name="anna_crying.png", group="anna", consent="signed by Anna")


def said(identity: int = 1, label: str | None = "happiness", user: int | None = 7, **more: object) -> RemoteAnnotation:
    result = tuple(form.answer(label)) if label else ()
    fields = {
        "id": identity,
        "task": 1,
        "completed_by": user,
        "result": result,
        "created_at": f"2026-01-01T00:00:{identity:02}Z",
    }
    return RemoteAnnotation(**{**fields, **more})  # type: ignore[arg-type]


def read(*answers: RemoteAnnotation) -> list[tuple[str, str | None, str | None]]:
    made = tasks.votes(
        answers,
        sample_id=SAMPLE.id,
        annotator_of=lambda a: {7: "ann", 8: "bob"}[a.completed_by or 0],
        origin_of=lambda a: f"studio:s:1:{a.id}",
        classes=CLASSES,
    )
    return [(vote.annotator, vote.label, vote.rejected) for vote in made]


def test_a_task_carries_the_sample_id_and_nothing_that_names_the_person() -> None:
    made = tasks.task(SAMPLE, "/data/upload/1/x.png", round_number=4)
    assert made == {
        "data": {"image": "/data/upload/1/x.png", "emolab_uid": "ab" * 32},
        "meta": {"emolab_round": 4},
    }
    assert "anna" not in repr(made).lower()


def test_files_travel_under_their_hash_and_the_type_their_bytes_show() -> None:
    name, data, mime = tasks.file_of("ab" * 32, image(1))
    assert (name, mime, data) == ("ab" * 32 + ".png", "image/png", image(1))
    assert tasks.file_of("cd" * 32, b"\xff\xd8\xff\xe0rest")[0] == "cd" * 32 + ".jpg"
    with pytest.raises(DataError, match="Sample ef is no PNG, JPEG, GIF, BMP or WebP image, so a browser cannot show"):
        tasks.file_of("ef", b"%PDF-1.7")


def test_classes_have_the_keys_1_to_8_and_the_two_ways_out_9_and_0() -> None:
    keys = form.keys(PRESETS["ferplus8"])
    assert [keys[name] for name in PRESETS["ferplus8"]] == list("12345678")
    assert (keys["unknown"], keys["no_face"]) == ("9", "0")
    assert form.keys(CLASSES)["unknown"] == "9"


def test_more_than_eight_classes_still_get_distinct_keys() -> None:
    keys = form.keys([f"feeling {i}" for i in range(20)])
    assert len(set(keys.values())) == 22
    with pytest.raises(DataError, match="A form holds at most 29 classes, got 40"):
        form.keys([f"feeling {i}" for i in range(40)])


def test_the_form_shows_the_image_one_question_and_every_answer_with_its_key() -> None:
    view = ElementTree.fromstring(form.render(CLASSES))
    assert [tag.get("value") for tag in view.iter("Image")] == ["$image"]
    shown = {c.get("value"): c.get("hotkey") for c in view.iter("Choice")}
    assert shown == {"happiness": "1", "sadness": "2", "neutral": "3", "unknown": "9", "no face": "0"}
    assert form.labels(form.render(CLASSES)) == ["happiness", "sadness", "neutral", "unknown", "no face"]


def test_second_guess_and_confidence_are_on_the_form_only_when_asked_for() -> None:
    assert {c.get("name") for c in ElementTree.fromstring(form.render(CLASSES)).iter("Choices")} == {"emotion"}
    full = ElementTree.fromstring(form.render(CLASSES, second=True, confidence=True))
    assert {c.get("name") for c in full.iter("Choices")} == {"emotion", "second"}
    assert [r.get("name") for r in full.iter("Rating")] == ["confidence"]


def test_a_label_kept_for_its_answers_stands_behind_the_classes_without_a_key() -> None:
    text = form.render(CLASSES, kept=["bored"])
    assert form.labels(text)[-1] == "bored"
    assert not form.same(text, form.render(CLASSES))
    assert form.same(text, text.replace("\n", "\n   "))


def test_the_form_hides_the_panels_for_regions_and_puts_many_answers_in_two_columns() -> None:
    few, many = (ElementTree.fromstring(form.render(names)) for names in (CLASSES, [f"f {i}" for i in range(12)]))
    (style,) = [tag.text or "" for tag in few.iter("Style")]
    assert ".lsf-sidepanels__wrapper {display: none}" in style
    assert "\n" not in style, "two forms are compared apart from spacing around tags only"
    assert "repeat(1," in style
    assert "repeat(2," in "".join(tag.text or "" for tag in many.iter("Style"))
    assert "Press a key, then Ctrl + Enter for the next one." in [tag.get("value") for tag in few.iter("Header")]


def test_a_form_for_an_unknown_modality_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r'Unknown modality "smell"\. Known: image'):
        form.render(CLASSES, modality="smell")


def test_an_answer_comes_back_as_the_vote_that_was_meant() -> None:
    result = tuple(form.answer("no_face", second="sadness", confidence=2))
    vote = tasks.vote(
        said(result=result, lead_time=2.5), sample_id="s", annotator="ann", origin="o", classes=CLASSES, round_number=3
    )
    assert (vote.label, vote.second, vote.confidence) == ("no_face", "sadness", pytest.approx(2 / 3))
    assert (vote.lead_time, vote.round, vote.cast_at, vote.rejected) == (2.5, 3, "2026-01-01T00:00:01Z", None)


@pytest.mark.parametrize(
    ("answer", "label", "reason"),
    [
        (said(was_cancelled=True), None, "skipped"),
        (said(label=None), None, "no answer given"),
        (said(label="bored"), "bored", '"bored" is no class of this project'),
        (said(parent_prediction=5), "happiness", "taken over from a prediction"),
        (said(label="Happy"), "happiness", None),
        (said(label="unknown"), "unknown", None),
    ],
)
def test_what_cannot_be_counted_is_kept_with_a_reason(
    answer: RemoteAnnotation, label: str | None, reason: str | None
) -> None:
    assert read(answer) == [("ann", label, reason)]


def test_a_result_of_another_shape_is_an_empty_answer_not_a_crash() -> None:
    odd = ({"from_name": "emotion"}, {"value": {"choices": []}}, {"value": "text"})
    assert read(said(result=odd)) == [("ann", None, "no answer given")]


def test_of_several_answers_by_one_person_the_last_counts_and_all_are_kept() -> None:
    later = "replaced by a later answer of the same annotator"
    assert read(said(1, "happiness"), said(2, "neutral", 8), said(3, "sadness")) == [
        ("ann", "happiness", later),
        ("bob", "neutral", None),
        ("ann", "sadness", None),
    ]


def test_a_skip_does_not_replace_an_answer() -> None:
    assert read(said(1, "happiness"), said(2, was_cancelled=True)) == [
        ("ann", "happiness", None),
        ("ann", None, "skipped"),
    ]
