"""Voting in the app without Label Studio: who gets which face, and that an answer counts once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import emolab
from emolab.catalog.campaign import app_answers
from emolab.serving.workbench.session import Workbench
from emolab.workspace import Workspace
from tests.support.workbench import answer, app_over, enter, pushed, token_of


@pytest.fixture
def app(workspace: Workspace, tmp_path: Path) -> Iterator[tuple[Workbench, TestClient]]:
    with app_over(workspace, tmp_path) as made:
        yield made


def come_in(app: tuple[Workbench, TestClient], name: str) -> TestClient:
    browser = TestClient(app[1].app, base_url=str(app[1].base_url))
    enter(browser, token_of(emolab.add_serve_person(app[0].workspace, name).link))
    return browser


def ask(browser: TestClient, path: str, **body: object) -> dict[str, object]:
    reply = browser.post(f"/app/api/vote/{path}", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()  # type: ignore[no-any-return]


def samples(told: dict[str, object]) -> list[str]:
    return [face["sample"] for face in told["faces"]]  # type: ignore[attr-defined]


def stored(workspace: Workspace) -> list[tuple[str, str, str | None]]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return [(one.person, one.sample_id, one.label) for one in app_answers.waiting(conn) if one.undoes is None]


def test_an_answer_is_stored_once_however_often_it_is_sent(app: tuple[Workbench, TestClient]) -> None:
    names = pushed(app[0].workspace, 3)
    ann = come_in(app, "ann")
    told = ask(ann, "next", holding=[], n=2)
    assert (samples(told), told["left"], told["waiting"]) == (names[:2], 3, 0)
    body = answer(names[0], "sadness")
    for _ in range(3):
        told = ask(ann, "answers", holding=[names[1]], n=1, **body)
        assert (told["stored"], samples(told), told["left"], told["waiting"]) == (body["id"], [names[2]], 2, 1)
    again = ann.post("/app/api/vote/answers", json=answer(names[0], "neutral"))  # another tab
    assert (again.status_code, again.json()["error"]["kind"]) == (409, "answered_already")
    other = ann.post("/app/api/vote/answers", json={**answer(names[1]), "id": body["id"]})
    assert other.status_code == 409
    assert stored(app[0].workspace) == [("ann", names[0], "sadness")]


def test_what_is_on_the_screens_of_others_counts_as_a_vote_to_come(app: tuple[Workbench, TestClient]) -> None:
    names = pushed(app[0].workspace, 3, overlap=1)
    ann, bob = come_in(app, "ann"), come_in(app, "bob")
    assert samples(ask(ann, "next", holding=[], n=2)) == names[:2]
    assert samples(ask(bob, "next", holding=[], n=2)) == names[2:]
    assert samples(ask(ann, "next", holding=[names[1]], n=0)) == []  # the first is free again
    assert samples(ask(bob, "next", holding=[names[2]], n=2)) == [names[0]]
    assert ask(bob, "answers", holding=[names[0]], n=2, **answer(names[2]))["left"] == 1


def test_undo_brings_the_face_back_and_takes_the_answer_out(app: tuple[Workbench, TestClient]) -> None:
    names = pushed(app[0].workspace, 2)
    ann, bob = come_in(app, "ann"), come_in(app, "bob")
    body = answer(names[0])
    ask(ann, "answers", holding=[], n=1, **body)
    undo = {"id": str(uuid.uuid4()), "answer": body["id"]}
    for _ in range(2):
        told = ask(ann, "undo", holding=[names[1]], n=1, **undo)
        assert told["face"]["sample"] == names[0]  # type: ignore[index]
        assert told["left"] == 2
    assert stored(app[0].workspace) == []
    ask(ann, "answers", holding=[], n=1, **answer(names[0], None))
    assert stored(app[0].workspace) == [("ann", names[0], None)]
    last = ann.get("/app/api/vote/last").json()["answers"]
    assert [one["face"]["sample"] for one in last] == [names[0]]
    foreign = bob.post("/app/api/vote/undo", json={"id": str(uuid.uuid4()), "answer": last[0]["id"]})
    assert foreign.status_code == 422


def test_pictures_are_those_that_the_team_is_asked_about_and_no_others(app: tuple[Workbench, TestClient]) -> None:
    names = pushed(app[0].workspace, 1)
    ann = come_in(app, "ann")
    found = ann.get(f"/app/api/vote/pictures/{names[0]}")
    assert (found.status_code, found.headers["content-type"]) == (200, "image/png")
    assert found.headers["cache-control"].startswith("private, max-age=")
    for path in ("0" * 64, "..%2f..%2femolab.toml", "x"):
        assert ann.get(f"/app/api/vote/pictures/{path}").status_code == 404
    assert app[1].get(f"/app/api/vote/pictures/{names[0]}").status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"}, {"id": "A" * 36}, {"label": "joy"}, {"sample": "0" * 64}, {"second": "anger"}, {"stars": 1},
        {"also": ["anger"]}, {"also": "anger"},
        {"stars": True}, {"seconds": "1"}, {"shown": "joy"}, {"label": None}, {"holding": "x"}, {"n": -1},
    ],
)  # fmt: skip
def test_what_the_form_does_not_offer_is_refused(app: tuple[Workbench, TestClient], change: dict[str, object]) -> None:
    names = pushed(app[0].workspace, 1)
    ann = come_in(app, "ann")
    refused = ann.post("/app/api/vote/answers", json={**answer(names[0]), **change})
    assert refused.status_code == 422
    assert stored(app[0].workspace) == []


def test_second_guess_stars_and_words_follow_the_settings(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "w", classes=("happiness", "anger"))
    settings = {
        "labeling.second_guess": True, "labeling.confidence": True, "labeling.language": "de",
        "labeling.names": ["anger=Zorn"], "labeling.instructions": "<img src=x onerror=alert(1)>",
    }  # fmt: skip
    workspace = workspace.with_settings(settings)
    with app_over(workspace, tmp_path) as app:
        names = pushed(workspace, 2)
        ann = come_in(app, "ann")
        form = ann.get("/app/api/vote/form").json()
        assert [(one["label"], one["key"], one["text"]) for one in form["buttons"]] == [
            ("happiness", "1", "Freude"), ("anger", "2", "Zorn"), ("unknown", "9", "unklar"),
            ("no_face", "0", "kein Gesicht"),
        ]  # fmt: skip
        assert (form["second"], form["confidence"], form["language"]) == (True, True, "de")
        assert ann.get("/app/api/vote/form?language=fr").json()["buttons"][1]["text"] == "colère"
        ask(ann, "answers", holding=[], n=1, **answer(names[0], "anger", second="happiness", stars=3))
        with workspace.catalog() as catalog, catalog.connect() as conn:
            (said,) = app_answers.waiting(conn)
        assert (said.label, said.second, said.stars, said.seconds) == ("anger", "happiness", 3, 1.5)


def test_every_answer_and_undo_leaves_a_line_without_what_was_said(app: tuple[Workbench, TestClient]) -> None:
    names = pushed(app[0].workspace, 2)
    ann = come_in(app, "ann")
    body = answer(names[0], "sadness")
    ask(ann, "answers", holding=[], n=1, **body)
    ask(ann, "answers", holding=[], n=1, **body)
    ask(ann, "undo", holding=[], n=1, id=str(uuid.uuid4()), answer=body["id"])
    (log,) = (app[0].workspace.state / "serving").glob("app-*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["person"], line["did"], line["sample"]) for line in lines] == [
        ("ann", "vote", names[0]),
        ("ann", "undo", names[0]),
    ]
    assert "sadness" not in log.read_text()


def test_without_anything_sent_the_page_says_so(app: tuple[Workbench, TestClient]) -> None:
    told = ask(come_in(app, "ann"), "next", holding=[], n=3)
    assert (told["faces"], told["left"], told["asked"]) == ([], 0, False)
