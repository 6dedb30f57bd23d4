"""Answers to votes: pure functions."""

from __future__ import annotations

import json

import pytest

from emolab.catalog.votes import Known
from emolab.labeling.answers import votes_from_answers
from emolab.labeling.answers.votes_from_answers import AnswerTerms
from emolab.labeling.form import controls
from emolab.labeling.label_studio.records import RemoteAnnotation, annotation_of
from emolab.labeling.label_studio.response_shapes import JsonResponse
from emolab.records import Vote

CLASSES = ("happiness", "sadness", "neutral")
SAMPLE_ID = "ab" * 32


def said(identity: int = 1, label: str | None = "happiness", user: int | None = 7, **more: object) -> RemoteAnnotation:
    result = tuple(controls.answer(label)) if label else ()
    fields = {
        "id": identity,
        "task": 1,
        "completed_by": user,
        "result": result,
        "created_at": f"2026-01-01T00:00:{identity:02}Z",
    }
    return RemoteAnnotation(**{**fields, **more})  # type: ignore[arg-type]


def read(*answers: RemoteAnnotation) -> list[tuple[str, str | None, str | None]]:
    made = votes_from_answers.votes(
        answers,
        AnswerTerms(classes=CLASSES),
        sample_id=SAMPLE_ID,
        annotator_of=lambda a: {7: "ann", 8: "bob"}[a.completed_by or 0],
        origin_of=lambda a: f"studio:s:1:{a.id}",
    )
    return [(vote.annotator, vote.label, vote.rejected) for vote in made]


def test_an_answer_comes_back_as_the_vote_that_was_meant() -> None:
    result = tuple(controls.answer("no_face", second="sadness", confidence=2))
    vote = votes_from_answers.vote(
        said(result=result, lead_time=2.5), AnswerTerms(classes=CLASSES), sample_id="s", annotator="ann", origin="o",
        round_number=3,
    )  # fmt: skip
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


def page(label: str, origin: str, *, guess: str | None = None, **more: object) -> RemoteAnnotation:
    """An answer as Label Studio's page sends it: with its origin, a time, and what the guess carried."""
    part = {**controls.answer(label)[0], "id": "xU1l2c5T49", "origin": origin}
    if guess is not None:
        part["meta"] = {"emolab_guess": guess}
    return said(result=(part,), **{"lead_time": 4.4, "parent_prediction": 32, "updated_by": 7, **more})


def one(answer: RemoteAnnotation, *, before: Known | None = None, **more: object) -> Vote:
    terms = AnswerTerms(classes=CLASSES, known={"o": before} if before else {}, **more)  # type: ignore[arg-type]
    return votes_from_answers.vote(answer, terms, sample_id="s", annotator="ann", origin="o")


@pytest.mark.parametrize(
    ("answer", "guesses", "label", "shown"),
    [
        (page("happiness", "prediction", guess="happiness"), {}, "happiness", "happiness"),
        (page("happiness", "prediction-changed", guess="sadness"), {}, "happiness", "sadness"),
        (page("sadness", "prediction-changed", guess="sadness"), {}, "sadness", "sadness"),
        (page("happiness", "prediction"), {}, "happiness", "happiness"),  # a guess without emolab's mark
        (page("happiness", "prediction-changed"), {32: "sadness"}, "happiness", "sadness"),
        (page("happiness", "prediction-changed"), {}, "happiness", "?"),
        (page("happiness", "manual"), {32: ""}, "happiness", ""),  # only a place in the queue, nothing to see
        (page("happiness", "manual"), {32: "neutral"}, "happiness", "neutral"),  # the guess was taken away first
        (page("happiness", "manual"), {}, "happiness", None),
        (page("happiness", "manual", parent_prediction=None), {}, "happiness", ""),
        (page("happiness", "prediction", guess="happiness", parent_prediction=None), {}, "happiness", "happiness"),
        (page("no_face", "prediction-changed", guess="no_face"), {}, "no_face", "no_face"),
        (page("sadness", "prediction-changed", guess="bored"), {}, "sadness", "bored"),
        (page("happiness", "prediction", guess="happiness", lead_time=-3.0), {}, "happiness", "happiness"),
        (said(lead_time=2.0), {}, "happiness", None),
    ],
)
def test_what_a_person_submits_counts_and_remembers_the_guess_that_was_shown(
    answer: RemoteAnnotation, guesses: dict[int, str], label: str, shown: str | None
) -> None:
    vote = one(answer, guesses=guesses)
    assert (vote.label, vote.rejected, vote.shown) == (label, None, shown)


def test_a_skip_remembers_the_guess_too() -> None:
    vote = one(page("sadness", "prediction", guess="sadness", was_cancelled=True))
    assert (vote.label, vote.rejected, vote.shown) == (None, "skipped", "sadness")


COPY = {"lead_time": None, "updated_by": None}


@pytest.mark.parametrize(
    ("answer", "guesses", "before", "copied"),
    [
        (page("sadness", "prediction", guess="sadness", **COPY), {}, None, True),
        (page("sadness", "prediction", guess="sadness", **COPY, parent_prediction=None), {}, None, True),  # new machine
        (page("sadness", "prediction", **COPY, parent_prediction=None), {}, None, True),
        (page("sadness", "prediction", guess="sadness", **{**COPY, "lead_time": 0.0}), {}, None, True),
        (said(label="sadness", parent_prediction=5), {}, None, True),
        (said(label="sadness", parent_prediction=5), {5: "sadness"}, None, True),
        (said(label="sadness", parent_prediction=5), {5: "neutral"}, None, False),  # edited since, by a program
        (said(label="sadness", parent_prediction=5), {5: ""}, None, False),
        (said(label="sadness"), {}, Known(refused={"sadness": votes_from_answers.COPIED}), True),
        (
            said(label="sadness", lead_time=2.0),
            {},
            Known(refused={"sadness": votes_from_answers.COPIED}),
            False,
        ),  # confirmed since
        (said(label="neutral"), {}, Known(refused={"sadness": votes_from_answers.COPIED}), False),
        (said(label="neutral", parent_prediction=5), {}, Known(counted="neutral"), False),
        (page("neutral", "prediction-changed", guess="sadness", lead_time=None), {}, None, False),
        (page("neutral", "manual", lead_time=None), {}, None, False),
        (said(label="sadness"), {}, None, False),
    ],
)
def test_only_a_guess_that_nobody_looked_at_is_a_copy(
    answer: RemoteAnnotation, guesses: dict[int, str], before: Known | None, copied: bool
) -> None:
    assert one(answer, guesses=guesses, before=before).rejected == (votes_from_answers.COPIED if copied else None)


def test_what_the_ledger_knows_of_the_guess_outlives_the_prediction() -> None:
    gone = page("happiness", "manual", parent_prediction=None)
    assert one(gone, before=Known(counted="happiness", shown="neutral")).shown == "neutral"
    assert one(gone, before=Known(counted="happiness", shown="?")).shown == ""
    assert (
        one(page("happiness", "prediction-changed"), before=Known(shown="neutral"), guesses={32: "x"}).shown
        == "neutral"
    )


def control(name: str, kind: str, **value: object) -> dict[str, object]:
    return {"from_name": name, "to_name": "image", "type": kind, "value": value}


def choose(*words: str) -> dict[str, object]:
    return control("emotion", "choices", choices=list(words))


EMOTION = choose("neutral")


@pytest.mark.parametrize(
    ("part", "extra"),
    [
        (control("mixed_with", "choices", choices=["very angry"]), {"mixed_with": "very angry"}),
        (control("seen", "choices", choices=["b", "a"]), {"seen": ["a", "b"]}),
        (control("why", "textarea", text=["the mouth"]), {"why": "the mouth"}),
        (control("quality", "rating", rating=4), {"quality": 4}),
        (control("age", "number", number=31), {"age": 31}),
        (control("kind", "taxonomy", taxonomy=[["face", "side"], ["face"]]), {"kind": ["face", "face > side"]}),
        (
            control("eyes", "rectanglelabels", x=1, y=2, width=3, height=4, rectanglelabels=["eye"]),
            {"eyes": {"height": 4, "rectanglelabels": ["eye"], "width": 3, "x": 1, "y": 2}},
        ),
        (control("emotion", "textarea", text=["neutral"]), {"emotion": "neutral"}),
        (control("second", "textarea", text=["a little sad"]), {"second": "a little sad"}),
        (control("confidence", "rating", rating=5), {"confidence": 5}),
        ({"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"},
         {"relation": {"direction": "right", "from_id": "a", "to_id": "b"}}),
        (control("odd", "choices", choices=float("nan")), {"odd": "nan"}),
        (control("empty", "textarea", text=[]), {}),
    ],
)  # fmt: skip
def test_questions_of_the_team_are_extra_answers_and_never_the_answer(
    part: dict[str, object], extra: dict[str, object]
) -> None:
    for result in ((EMOTION, part), (part, EMOTION)):
        vote = one(said(result=result))
        assert (vote.label, vote.rejected, vote.extra) == ("neutral", None, extra)
    alone = one(said(result=(part,)))
    assert (alone.label, alone.rejected, alone.extra) == (None, "no answer given", extra)


@pytest.mark.parametrize("stars", [1, 2, 3, 5])
def test_stars_of_the_team_are_never_read_on_the_scale_of_ours(stars: int) -> None:
    parts = (EMOTION, control("confidence", "rating", rating=stars), control("second", "choices", choices=["sadness"]))
    vote = one(said(result=parts), theirs=frozenset({"confidence", "second"}))
    assert (vote.label, vote.confidence, vote.second) == ("neutral", None, None)
    assert vote.extra == {"confidence": stars, "second": "sadness"}


def test_several_parts_of_one_question_are_all_kept_in_their_order() -> None:
    parts = (
        EMOTION,
        control("b", "textarea", text=["2"]),
        control("a", "rating", rating=1),
        control("b", "textarea", text=["1"]),
    )
    vote = one(said(result=parts))
    assert (list(vote.extra), vote.extra["b"]) == (["a", "b"], ["2", "1"])


def test_long_extra_answers_are_cut_with_a_mark_that_still_tells_an_edit() -> None:
    long, other = ("x" * 5_000, "x" * 4_999 + "y")
    made = [one(said(result=(EMOTION, control("why", "textarea", text=[text])))).extra["why"] for text in (long, other)]
    assert all(len(text) <= 1_000 and "[cut: 5,000 characters, " in text for text in made)
    assert made[0] != made[1]
    many = [control(f"q{i:03}", "textarea", text=["z" * 200]) for i in range(100)]
    kept = one(said(result=(EMOTION, *many))).extra
    assert len(json.dumps(kept)) < 9_000
    assert kept["[cut]"].startswith(f"{100 - (len(kept) - 1)} more answers")


def test_text_that_no_database_takes_is_cleaned() -> None:
    extra = one(said(result=(EMOTION, control("why", "textarea", text=["a\0b\ud800"])))).extra
    assert extra == {"why": "a?b?"}


@pytest.mark.parametrize(
    ("parts", "label", "reason"),
    [
        ([choose("neutral", "sadness")], None, 'two answers at once: "neutral", "sadness"'),
        ([EMOTION, choose("sadness")], None, 'two answers at once: "neutral", "sadness"'),
        ([choose("neutral", "bored")], None, 'two answers at once: "bored", "neutral"'),
        ([choose("bored", "tired")], None, 'two answers at once: "bored", "tired"'),
        ([choose("neutral", "unknown")], None, 'two answers at once: "neutral", "unknown"'),
        ([choose("happy", "happiness")], "happiness", None),  # one class in two spellings
        ([EMOTION, EMOTION], "neutral", None),
    ],
)
def test_two_answers_at_once_do_not_count(
    parts: list[dict[str, object]], label: str | None, reason: str | None
) -> None:
    assert read(said(result=tuple(parts))) == [("ann", label, reason)]


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [(2.5, 2.5), (3, 3.0), (86_400, 86_400.0), (0, None), (-4.0, None), (86_401, None), (3.1e9, None),
     (float("nan"), None), (float("inf"), None), (float("-inf"), None), (True, None), ("5.5", None), (None, None),
     pytest.param(10**400, None, id="huge")],
)  # fmt: skip
def test_a_lead_time_that_cannot_be_one_is_none(raw: object, seconds: float | None) -> None:
    fields = {"id": 1, "completed_by": 2, "lead_time": raw, "result": controls.answer("neutral")}
    answer = annotation_of(JsonResponse(fields, "GET /api/tasks/1/", "http://studio").row(), 1)
    assert one(answer).lead_time == seconds


def part(name: str, *words: str) -> dict[str, object]:
    return {"from_name": name, "to_name": "image", "type": "choices", "value": {"choices": list(words)}}


@pytest.mark.parametrize("word", ["yes", "very angry", "unknown", "no face"])
def test_a_question_of_the_teams_own_that_is_called_second_is_kept_as_an_extra_answer(word: str) -> None:
    vote = one(said(result=(part("emotion", "sadness"), part("second", word))))
    assert (vote.label, vote.second, dict(vote.extra)) == ("sadness", None, {"second": word})


@pytest.mark.parametrize("word", ["\ud800", "sad\udfffness", "\0", "sad\0ness", "x" * 500 + "\ud800"])
def test_half_characters_are_kept_as_text_that_every_database_takes(word: str) -> None:
    own = one(said(result=(part("emotion", word), part("second", word), part("quality", word))))
    guess = one(page("sadness", "prediction-changed", guess=word))
    text = repr((own.label, own.rejected, own.second, dict(own.extra), guess.shown))
    assert own.label is not None
    assert own.rejected is not None
    assert "\\ud" not in text
    assert "\\x00" not in text


@pytest.mark.parametrize("kind", ["objects", "lists"])
@pytest.mark.parametrize("depth", [30, 400, 5000])
def test_an_extra_answer_that_is_nested_without_end_is_cut(kind: str, depth: int) -> None:
    value: object = "deep"
    for _ in range(depth):
        value = {"a": value} if kind == "objects" else [value]
    own = {"from_name": "odd", "type": "odd", "value": {"x": value, "y": 1}}
    kept = one(said(result=(part("emotion", "sadness"), own))).extra["odd"]
    assert kept["y"] == 1
    assert "nested more than 20 deep" in json.dumps(kept, ensure_ascii=False)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"),
        ("2026-01-01T00:00:00+02:00", "2025-12-31T23:00:00Z"),
        ("2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000002+00:00"),
        ("", "2026-01-01T00:00:00Z"),
        ("soon", "2026-01-01T00:00:00Z"),
    ],
)
def test_the_later_of_two_answers_counts_however_moments_are_written(earlier: str, later: str) -> None:
    first, second = said(2, "happiness", created_at=earlier), said(1, "sadness", created_at=later)
    assert [(label, why is None) for _, label, why in read(second, first)] == [("happiness", False), ("sadness", True)]


@pytest.mark.parametrize("odd", [1, "happiness", ["happiness"], [5], 2.5, True])
def test_a_part_that_is_no_object_ends_no_pull_and_is_kept_beside_the_answer(odd: object) -> None:
    def vote_of(*parts: object) -> Vote:
        answer = annotation_of({"id": 1, "completed_by": 7, "lead_time": 3.0, "result": [*parts]}, 7)
        terms = AnswerTerms(classes=CLASSES)
        return votes_from_answers.vote(answer, terms, sample_id=SAMPLE_ID, annotator="ann", origin="o")

    alone = vote_of(odd)
    assert (alone.label, alone.rejected) == (None, votes_from_answers.EMPTY)
    beside = vote_of(odd, *controls.answer("neutral"))
    assert (beside.label, beside.rejected) == ("neutral", None)
    assert beside.extra == alone.extra and "unreadable" in (beside.extra or {})


def test_an_answer_copied_to_other_tasks_in_bulk_is_nobodys_answer_to_them() -> None:
    spread = said(label="sadness", parent_annotation=9, lead_time=None)
    assert one(spread).rejected == votes_from_answers.PROPAGATED
    assert one(said(label="sadness", parent_annotation=9, lead_time=2.5)).rejected is None, "a person submitted it"
    before = Known(refused={"sadness": votes_from_answers.PROPAGATED})
    assert one(said(label="sadness"), before=before).rejected == votes_from_answers.PROPAGATED, (
        "its source was deleted since"
    )
    assert one(said(label="neutral"), before=before).rejected is None, "somebody changed it"
