"""Somebody says in the app that the model is wrong: one sample, one vote, and before that nothing at all."""

from __future__ import annotations

import base64
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

import emolab
from emolab.catalog import nicknames, votes
from emolab.catalog.campaign import guesses, remotes
from emolab.catalog.samples import iterate as all_samples
from emolab.labeling.answers import across_projects
from emolab.loop.label.voting.studio_users import annotator_of
from emolab.records import Sample, Vote
from emolab.serving.workbench.session import Workbench
from emolab.workspace import Workspace
from tests.support.serving import picture
from tests.support.syncing import add_samples
from tests.support.workbench import app_over, enter, pushed, token_of

EVIL = '<img src=x onerror="window.ran=1">.png'


@pytest.fixture
def app(workspace: Workspace, tmp_path: Path) -> Iterator[tuple[Workbench, TestClient]]:
    with app_over(workspace, tmp_path) as made:
        yield made


def come_in(app: tuple[Workbench, TestClient], name: str, role: str = "owner") -> TestClient:
    browser = TestClient(app[1].app, base_url=str(app[1].base_url))
    enter(browser, token_of(emolab.add_serve_person(app[0].workspace, name, role=role).link))
    return browser


def wrong(data: bytes | None = None, **more: object) -> dict[str, object]:
    """The body of an answer as the page sends it."""
    shown = base64.b64encode(picture(200) if data is None else data).decode()
    body = {"id": str(uuid.uuid4()), "face": 1, "box": None, "label": "sadness", "shown": "happiness", "agreed": False}
    return {"images": [{"b64": shown, "name": EVIL}], "sitting": None, **body, **more}


def send(browser: TestClient, body: dict[str, object], status: int = 200) -> dict[str, Any]:
    told = browser.post("/app/api/try/wrong", json=body)
    assert told.status_code == status, told.text
    return dict(told.json())


def samples(workspace: Workspace) -> list[Sample]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return list(all_samples(conn))


def ledger(workspace: Workspace, *, rejected: bool = False) -> list[Vote]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return list(votes.iterate(conn, include_rejected=rejected))


def media(workspace: Workspace) -> list[Path]:
    return [file for file in workspace.media.rglob("*") if file.is_file()]


def test_trying_keeps_nothing_and_saying_that_it_is_wrong_keeps_one_vote(app: tuple[Workbench, TestClient]) -> None:
    workspace, ann = app[0].workspace, come_in(app, "ann")
    assert ann.post("/app/api/try", content=picture(200)).status_code == 200
    assert ann.post("/app/api/try/looked", content=picture(200)).status_code == 200
    assert (samples(workspace), ledger(workspace), media(workspace)) == ([], [], [])

    body = wrong()
    told = [send(ann, body) for _ in range(3)]
    assert [one["sample"] for one in told] == [told[0]["sample"]] * 3
    assert [one["new"] for one in told] == [True, False, False]
    (sample,), (vote,) = samples(workspace), ledger(workspace)
    assert (sample.id, sample.source, sample.consent, sample.name) == (told[0]["sample"], "tryout", "not asked", EVIL)
    assert (vote.label, vote.shown, vote.origin) == ("sadness", "happiness", f"app:{body['id']}")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert nicknames.by_pseudonym(conn) == {vote.annotator: "ann"}
    noted = [
        json.loads(line) for file in workspace.state.rglob("app-*.jsonl") for line in file.read_text().splitlines()
    ]
    assert [(line["person"], line["did"], line["sample"]) for line in noted] == [("ann", "wrong", sample.id)]


def test_the_sample_is_the_one_that_a_collect_would_make(app: tuple[Workbench, TestClient], tmp_path: Path) -> None:
    file = tmp_path / "face.jpg"
    file.write_bytes(picture(90, size=(60, 60), format="JPEG"))
    kept = send(come_in(app, "ann"), wrong(file.read_bytes()))["sample"]
    done = emolab.collect(app[0].workspace, file)
    assert (done.report.added, done.report.existing) == (0, 1)
    assert [sample.id for sample in samples(app[0].workspace)] == [kept]


def test_only_the_face_that_was_meant_is_kept(
    app: tuple[Workbench, TestClient], portrait: Image.Image, tmp_path: Path
) -> None:
    pair = Image.new("RGB", (1000, 512), "gray")
    pair.paste(portrait, (0, 0))
    pair.paste(portrait.resize((400, 400)), (560, 60))
    stream = io.BytesIO()
    pair.save(stream, "PNG")
    ann, workspace = come_in(app, "ann"), app[0].workspace
    (tmp_path / "pair.png").write_bytes(stream.getvalue())
    emolab.collect(workspace, tmp_path / "pair.png")
    found = [sample.box for sample in samples(workspace)]
    assert len(found) == 2 and all(found)
    emolab.remove(workspace, ids=[sample.id for sample in samples(workspace)])
    boxes = sorted(([round(side) for side in box] for box in found if box), key=lambda box: -box[2] * box[3])
    refused = send(ann, wrong(stream.getvalue(), face=1, box=boxes[1]), 422)
    assert "another face" in refused["error"]["message"] and not samples(workspace)
    refused = send(ann, wrong(stream.getvalue(), face=3, box=boxes[1]), 422)
    assert not samples(workspace)
    send(ann, wrong(stream.getvalue(), face=2, box=boxes[1]))
    (kept,) = samples(workspace)
    assert kept.box is not None and [round(side) for side in kept.box] == boxes[1]


def test_another_class_later_replaces_the_vote_and_taking_it_back_withdraws_it(
    app: tuple[Workbench, TestClient],
) -> None:
    workspace, ann, bob = app[0].workspace, come_in(app, "ann"), come_in(app, "bob")
    first, second = wrong(), wrong(label="neutral")
    send(ann, first)
    send(ann, second)
    send(ann, first)  # a late copy of the first request
    assert [vote.label for vote in ledger(workspace)] == ["neutral"]
    assert len(ledger(workspace, rejected=True)) == 2
    send(ann, {**second, "label": "sadness"}, 409)
    send(bob, second, 409)
    send(bob, wrong())  # the same picture again, by somebody else
    assert sorted(vote.label or "" for vote in ledger(workspace)) == ["neutral", "sadness"]
    assert len(samples(workspace)) == 1

    assert bob.post("/app/api/try/wrong/undo", json={"answer": second["id"]}).status_code == 422
    for _ in range(2):
        assert ann.post("/app/api/try/wrong/undo", json={"answer": second["id"]}).status_code == 200
    send(ann, second)  # a copy that comes after that brings nothing back
    assert [vote.label for vote in ledger(workspace, rejected=True)] == ["sadness"]
    assert len(samples(workspace)) == 1


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("annotator", 403), ("reader", 403)])
def test_only_an_owner_may_keep_a_face(app: tuple[Workbench, TestClient], role: str | None, status: int) -> None:
    browser = app[1] if role is None else come_in(app, "eve", role)
    send(browser, wrong(), status)
    assert browser.post("/app/api/try/wrong/undo", json={"answer": str(uuid.uuid4())}).status_code == status
    assert not samples(app[0].workspace) and not media(app[0].workspace)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"}, {"label": "joy"}, {"label": "happiness"}, {"shown": ""}, {"shown": 3}, {"face": 0}, {"face": True},
        {"box": [1, 2]}, {"box": [1, 1, 5, 5]}, {"agreed": "no"}, {"sitting": "x"}, {"images": []}, {"more": 1},
        {"images": [{"b64": "AAAA", "name": "x"}]}, {"images": [{"b64": "!"}]},
    ],
)  # fmt: skip
def test_what_the_page_does_not_offer_is_refused(app: tuple[Workbench, TestClient], change: dict[str, object]) -> None:
    ann = come_in(app, "ann")
    told = send(ann, {**wrong(), **change}, 422)
    assert told["error"]["message"]
    assert ann.post("/app/api/try/wrong", content=json.dumps(wrong())).status_code == 415
    foreign = ann.post("/app/api/try/wrong", json=wrong(), headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert (samples(app[0].workspace), ledger(app[0].workspace), media(app[0].workspace)) == ([], [], [])


def test_faces_of_one_video_are_never_split_and_consent_is_kept(app: tuple[Workbench, TestClient]) -> None:
    ann, sitting = come_in(app, "ann"), str(uuid.uuid4())
    for level in (90, 200):
        send(ann, wrong(picture(level), sitting=sitting, agreed=True))
    kept = samples(app[0].workspace)
    assert {(sample.group, sample.consent) for sample in kept} == {
        (f"tryout {sitting}", "agreed, says whoever kept it")
    }
    assert len(kept) == 2


def test_the_same_request_after_a_restart_brings_no_second_vote(workspace: Workspace, tmp_path: Path) -> None:
    body, link = wrong(), emolab.add_serve_person(workspace, "ann", role="owner").link
    for _ in range(2):
        with app_over(workspace, tmp_path) as (_, browser):
            enter(browser, token_of(link))
            send(browser, body)
    assert (len(samples(workspace)), len(ledger(workspace, rejected=True))) == (1, 1)


def test_such_a_vote_makes_a_label_and_is_no_answer_to_a_blind_form(app: tuple[Workbench, TestClient]) -> None:
    workspace = app[0].workspace
    kept = send(come_in(app, "ann"), wrong())["sample"]
    emolab.aggregate(workspace)
    labels = workspace.labels()
    assert list(labels.index) == [kept] and list(labels["label"]) == ["sadness"]
    status = emolab.status(workspace).to_dict()
    assert (status["samples"], status["votes"]["people"]) == (1, 1)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert guesses.answers(conn) == [] and guesses.answered_with_one(conn) == {kept}


def test_such_a_vote_about_a_task_is_not_compared_with_answers_to_its_form(workspace: Workspace) -> None:
    (name,) = pushed(workspace, 1)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        (project,) = remotes.projects(tx)
        guesses.record(tx, project, {name: "happiness"}, tasks=[name], blind=[], share=0.5)
        said = {"sample_id": name, "label": "sadness", "shown": "happiness", "cast_at": "2099-01-01T00:00:00Z"}
        votes.append(tx, [Vote(annotator="ann", origin=f"app:{uuid.uuid4()}", **said)])  # type: ignore[arg-type]
        assert guesses.answers(tx) == []
        votes.append(tx, [Vote(annotator="bob", origin=project.origin(1), **said)])  # type: ignore[arg-type]
        assert [one.annotator for one in guesses.answers(tx)] == ["bob"]


def test_all_that_came_from_the_page_can_be_taken_out_by_its_source(app: tuple[Workbench, TestClient]) -> None:
    workspace, ann = app[0].workspace, come_in(app, "ann")
    add_samples(workspace, 1)
    send(ann, wrong())
    done = emolab.remove(workspace, sources="tryout").to_dict()
    assert (done["removed"], done["votes_withdrawn"], done["kept_others_voted"]) == (1, 1, 0)
    assert [sample.source for sample in samples(workspace)] == ["collected"] and not ledger(workspace)


def test_of_an_answer_at_a_server_and_one_here_the_later_counts_and_the_other_comes_back(
    app: tuple[Workbench, TestClient], tmp_path: Path
) -> None:
    workspace, ann = app[0].workspace, come_in(app, "ann")
    (tmp_path / "face.png").write_bytes(picture(200))
    emolab.collect(workspace, tmp_path / "face.png")
    (sample,) = samples(workspace)
    with workspace.catalog() as catalog:
        who = annotator_of(catalog, app[0].people, "ann")
        with catalog.begin() as tx:
            project = remotes.add_project(tx, server="s" * 16, project=1, title="faces")
            there = Vote(
                sample_id=sample.id, annotator=who, label="happiness", origin=project.origin(1),
                cast_at="2026-01-01T00:00:00Z",
            )  # fmt: skip
            votes.append(tx, [there])
        body = wrong()
        send(ann, body)
        assert [vote.label for vote in ledger(workspace)] == ["sadness"]
        with catalog.begin() as tx:  # a pull reads the answer at the server again
            votes.append(tx, across_projects.once(tx, project, [there], samples=[sample.id], leaving=set()))
        assert [vote.label for vote in ledger(workspace)] == ["sadness"]
        assert ann.post("/app/api/try/wrong/undo", json={"answer": body["id"]}).status_code == 200
        assert [vote.label for vote in ledger(workspace)] == ["happiness"]
