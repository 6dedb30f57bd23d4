"""The guesses that went out with tasks, and which answers can be compared: with a shown guess, with a hidden one."""

from __future__ import annotations

import pytest

from emolab.catalog import Catalog, samples, votes
from emolab.catalog.campaign import guesses, remotes
from emolab.catalog.storage import schema
from emolab.records import SKIPPED, FormGuess, GuessedAnswer, Sample, Vote

ONE, TWO, THREE = (letter * 64 for letter in "abc")
PUSHED, LATER = "2026-11-01T12:00:00.000Z", "2026-11-02T12:00:00.000Z"


@pytest.fixture
def faces(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """Three samples in project 1, a clock that stands at the push."""
    monkeypatch.setattr(guesses, "now", lambda: PUSHED)
    with catalog.begin() as tx:
        samples.add(tx, [Sample(id=name, media=f"media/{name}.png") for name in (ONE, TWO, THREE)])
        remotes.add_project(tx, server="s", project=1, title="faces")
    return catalog


def send(catalog: Catalog, sent: dict[str, str], *, blind: set[str] = frozenset(), share: float = 0.5) -> int:  # type: ignore[assignment]
    with catalog.begin() as tx:
        (mine,) = remotes.projects(tx)
        return guesses.record(tx, mine, sent, tasks=[ONE, TWO, THREE], blind=blind, share=share)


def say(catalog: Catalog, sample: str, said: str | None, *, by: str = "ann", at: str = LATER, **fields: object) -> None:
    origin = f"studio:s:1:{by}{sample[0]}"
    vote = Vote(sample_id=sample, annotator=by, label=said, origin=origin, cast_at=at, **fields)  # type: ignore[arg-type]
    with catalog.begin() as tx:
        votes.append(tx, [vote])


def compared(catalog: Catalog) -> list[GuessedAnswer]:
    with catalog.connect() as conn:
        return guesses.answers(conn)


def test_answers_to_shown_and_hidden_guesses_are_told_apart(faces: Catalog) -> None:
    send(faces, {ONE: "happiness", TWO: "sadness"}, blind={TWO})
    say(faces, ONE, "neutral", shown="happiness")
    say(faces, TWO, "sadness", shown="")
    say(faces, THREE, "sadness", shown="")
    assert compared(faces) == [
        GuessedAnswer(ONE, "ann", "neutral", "happiness", shown=True),
        GuessedAnswer(TWO, "ann", "sadness", "sadness", shown=False),
    ], "the third sample had no guess"


def test_the_guess_counts_that_held_when_the_form_was_opened(faces: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    send(faces, {ONE: "happiness", TWO: "happiness"}, blind={ONE, TWO})
    monkeypatch.setattr(guesses, "now", lambda: LATER)
    send(faces, {ONE: "sadness", TWO: "sadness"}, blind={ONE, TWO})
    say(faces, ONE, "sadness", at="2026-11-02T12:00:04+00:00", lead_time=5.0)
    say(faces, TWO, "sadness", at="2026-11-02T12:00:04+00:00", lead_time=3.0)
    assert [(a.sample_id, a.guess) for a in compared(faces)] == [(ONE, "happiness"), (TWO, "sadness")]


def test_what_stayed_hidden_can_be_asked_for_by_answer(faces: Catalog) -> None:
    send(faces, {ONE: "happiness", TWO: "sadness"}, blind={TWO})
    asked = [
        (ONE, LATER, 3.0),
        (TWO, LATER, 3.0),
        (THREE, LATER, 3.0),
        (TWO, "2026-10-01T12:00:00Z", None),
        (TWO, "", 1.0),
    ]
    with faces.connect() as conn:
        (mine,) = remotes.projects(conn)
        assert guesses.hidden(conn, mine, asked) == [False, True, False, False, False]
        assert guesses.hidden(conn, mine, []) == []


def test_without_a_share_by_chance_nothing_can_be_compared(faces: Catalog) -> None:
    for share, blind in ((0.0, set[str]()), (1.0, {ONE})):
        send(faces, {ONE: "happiness"}, blind=blind, share=share)
        say(faces, ONE, "happiness", by=f"ann{share:.0f}", shown="" if blind else "happiness")
    assert compared(faces) == []


def test_answers_of_which_it_is_not_known_what_was_shown_are_left_out(faces: Catalog) -> None:
    send(faces, {ONE: "happiness", TWO: "sadness"}, blind={TWO})
    say(faces, ONE, "happiness", by="program")
    say(faces, ONE, "happiness", by="early", at="2026-10-01T12:00:00Z", shown="happiness")
    say(faces, ONE, "happiness", by="timeless", at="", shown="happiness")
    say(faces, TWO, "sadness", by="saw", shown="sadness")
    say(faces, TWO, None, by="skipped", rejected=SKIPPED)
    assert compared(faces) == []
    say(faces, ONE, "neutral", by="other", shown="?")
    say(faces, TWO, "unknown", by="late")
    assert [(a.annotator, a.guess, a.shown) for a in compared(faces)] == [
        ("other", "happiness", True),
        ("late", "sadness", False),
    ]


def test_only_what_changes_is_written_and_a_lost_guess_ends_the_comparison(faces: Catalog) -> None:
    sent = {ONE: "happiness", TWO: "sadness"}
    assert send(faces, sent, blind={TWO}) == 2
    assert send(faces, sent, blind={TWO}) == 0
    assert send(faces, {**sent, TWO: "neutral"}, blind={TWO}) == 1
    assert send(faces, {}) == 2
    assert send(faces, {}) == 0
    say(faces, TWO, "neutral", shown="")
    assert compared(faces) == []
    with faces.connect() as conn:
        assert len(conn.execute(schema.remote_guesses.select()).all()) == 5


def test_what_goes_with_the_forms_now_is_the_newest_guess(faces: Catalog) -> None:
    send(faces, {ONE: "happiness", TWO: "sadness", THREE: "neutral"}, blind={TWO})
    with faces.connect() as conn:
        (mine,) = remotes.projects(conn)
        assert guesses.standing(conn, mine) == {
            ONE: FormGuess("happiness", True, 0.5),
            TWO: FormGuess("sadness", False, 0.5),
            THREE: FormGuess("neutral", True, 0.5),
        }
    send(faces, {ONE: "sadness", TWO: "sadness"})
    with faces.connect() as conn:
        assert guesses.standing(conn, mine) == dict.fromkeys((ONE, TWO), FormGuess("sadness", True, 0.5))


def test_new_ranks_are_the_order_within_a_round(faces: Catalog) -> None:
    with faces.begin() as tx:
        (mine,) = remotes.projects(tx)
        remotes.want(tx, mine, [remotes.TaskRequest(name, rank, 1, 1) for rank, name in enumerate((ONE, TWO))])
        remotes.want(tx, mine, [remotes.TaskRequest(THREE, 0, 1, 2)])
        remotes.set_ranks(tx, mine, {ONE: 1, TWO: 0})
        assert [task.sample_id for task in remotes.tasks(tx, mine)] == [THREE, TWO, ONE]
        assert {task.state for task in remotes.tasks(tx, mine)} == {"pending"}
