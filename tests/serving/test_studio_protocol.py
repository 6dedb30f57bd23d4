"""Label Studio's ML-backend protocol with a fake model: as many results as tasks, in order, and no token kept."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from starlette.testclient import TestClient

from emolab.catalog import samples
from emolab.errors import ServerError
from emolab.labeling.answers import parse
from emolab.labeling.form import controls
from emolab.loop.label.backend.assist import Assistant, PullSoon
from emolab.records import FormGuess
from emolab.serving.answers import FaceAnswer, ImageAnswer
from emolab.serving.app import studio
from emolab.serving.app.application import create
from emolab.serving.service import Service
from emolab.workspace import Workspace
from tests.support.serving import picture, service
from tests.support.syncing import half_blind

TOKEN = "a-legacy-token-nobody-may-see"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Service]:
    found = service(tmp_path, max_images=3)
    yield found
    found.close()


@pytest.fixture
def faces(workspace: Workspace) -> Workspace:
    """Five pictures of rising brightness; none stays blind."""
    found = half_blind(workspace, 0.0)
    made = []
    for i in range(5):
        path = found.media / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(60 * i))
        made.append(samples.Sample(id=str(i) * 64, media=str(path.relative_to(found.root))))
    with found.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, made)
    return found


def api(made: Service, workspace: Workspace, pulls: PullSoon | None = None) -> TestClient:
    routes = studio.routes(Assistant(workspace), pulls or PullSoon(list))
    return TestClient(create(made, more=routes, environment={}), base_url="http://localhost")


def task(sample: str, number: int = 1) -> dict[str, Any]:
    return {"id": number, "data": {"image": "/data/upload/1/x.png", "emolab_uid": sample}, "annotations": []}


def chosen(result: dict[str, Any]) -> list[str]:
    return [choice for part in result["result"] for choice in part["value"]["choices"]]


def test_there_are_as_many_results_as_tasks_and_in_their_order(made: Service, faces: Workspace) -> None:
    tasks = [
        task("4" * 64),
        task("f" * 64),
        task("0" * 64),
        {"id": 9},
        {"data": None},
        7,
        task("1" * 64),
        task("3" * 64),
    ]
    told = api(made, faces).post("/predict", json={"tasks": tasks, "project": "1.2", "params": {}}).json()
    assert [chosen(one) for one in told["results"]] == [
        ["happiness"], [], ["sadness"], [], [], [], ["sadness"], ["happiness"],
    ]  # fmt: skip
    assert {one["model_version"] for one in told["results"]} == {studio.version_of(made)}
    for one in told["results"]:
        assert {"result", "score"} <= one.keys()
    assert told["results"][0]["score"] == pytest.approx(240 / 255, abs=1e-5)
    assert (made.capacity.held_images, made.capacity.held_bytes) == (0, 0)


def test_many_tasks_take_no_more_than_their_share_of_the_server(tmp_path: Path, faces: Workspace) -> None:
    small = service(tmp_path, queue=studio.TOGETHER)
    asked = {"tasks": [task(str(i % 5) * 64, i) for i in range(3 * studio.TOGETHER + 1)]}
    results = api(small, faces).post("/predict", json=asked).json()["results"]
    small.close()
    assert len(results) == len(asked["tasks"])
    assert [chosen(one) for one in results[:5]] == [chosen(one) for one in results[5:10]]


def test_blind_samples_and_lost_files_get_an_empty_form(made: Service, faces: Workspace) -> None:
    asked = {"tasks": [task(str(i) * 64) for i in range(5)]}
    blind = api(made, half_blind(faces, 1.0)).post("/predict", json=asked).json()["results"]
    assert [chosen(one) for one in blind] == [[]] * 5
    assert parse.read(blind[0]["result"]).form == FormGuess("sadness", False, 1.0), "it goes along unseen"
    (faces.media / "2.png").unlink()
    (faces.media / "3.png").write_text("Dear diary")
    results = api(made, faces).post("/predict", json=asked).json()["results"]
    assert [bool(one["result"]) for one in results] == [True, True, False, False, True]


def test_a_class_that_the_project_does_not_have_is_no_guess(made: Service, faces: Workspace) -> None:
    config = replace(faces.config, project=replace(faces.config.project, classes=("sadness", "neutral")))
    results = api(made, replace(faces, config=config)).post(
        "/predict", json={"tasks": [task("4" * 64), task("0" * 64)]}
    ).json()["results"]  # fmt: skip
    assert [chosen(one) for one in results] == [[], ["sadness"]]


def test_a_form_of_several_labels_shows_no_guess(made: Service, faces: Workspace) -> None:
    asked: dict[str, Any] = {"tasks": [task("4" * 64), task("0" * 64)]}
    one, more = (controls.render(faces.config.project.classes, several=several) for several in (False, True))
    told = api(made, faces).post("/predict", json={**asked, "label_config": one}).json()["results"]
    assert all(chosen(each) for each in told)
    told = api(made, faces).post("/predict", json={**asked, "label_config": more}).json()["results"]
    assert [each["result"] for each in told] == [[], []]
    assert all(each["score"] > 0 for each in told), "how sure it is still orders the queue"
    labeling = replace(faces.config.labeling, several=True)
    told = api(made, replace(faces, config=replace(faces.config, labeling=labeling))).post("/predict", json=asked)
    assert [each["result"] for each in told.json()["results"]] == [[], []]


@pytest.mark.parametrize("modality", ["image", "audio", "text"])
def test_a_guess_is_about_the_element_that_the_form_has(faces: Workspace, modality: str) -> None:
    config = replace(faces.config, project=replace(faces.config.project, modality=modality))
    face = FaceAnswer(probs=np.array([0.2, 0.7, 0.1], np.float32), label="sadness", confidence=0.7)
    answer = ImageAnswer(name="0", model="m", faces=(face,))
    told = Assistant(replace(faces, config=config)).result(task("0" * 64), answer, "v")
    form = Xml.fromstring(controls.render(config.project.classes, modality=modality))
    assert {part["to_name"] for part in told["result"]} == {form.find(".//Choices").get("toName")}


def test_set_up_names_the_model_and_the_token_is_nowhere(
    made: Service, faces: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {"project": "3.1700000000", "schema": "<View/>", "hostname": "http://x", "access_token": TOKEN, "new": [1]}
    told = api(made, faces).post("/setup", json=body)
    assert (told.status_code, told.json()) == (200, {"model_version": studio.version_of(made)})
    assert TOKEN not in told.text + caplog.text
    made.close()
    assert all(TOKEN not in file.read_text(errors="replace") for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/predict", b"{", 400),
        ("/predict", b"[]", 422),
        ("/predict", b'{"tasks": {}}', 422),
        ("/predict", json.dumps({"tasks": [{}] * (studio.MOST_TASKS + 1)}).encode(), 413),
        ("/predict", b'{"tasks": []}', 200),
        ("/setup", b"no json at all", 200),
        ("/webhook", b"no json at all", 200),
        ("/webhook", b'{"action": "START_TRAINING", "project": {"id": 1}}', 200),
        ("/train", b"{}", 404),
        ("/job_status", b"{}", 404),
    ],
)
def test_odd_bodies_and_paths_are_answered_cleanly(
    made: Service, faces: Workspace, path: str, body: bytes, status: int
) -> None:
    assert api(made, faces).post(path, content=body).status_code == status


def test_a_key_comes_as_the_password_of_basic(tmp_path: Path, faces: Workspace) -> None:
    closed = service(tmp_path, keys=True)
    key = closed.keys.add("studio")
    asked = api(closed, faces)
    basic = lambda word: {"authorization": "Basic " + base64.b64encode(f"emolab:{word}".encode()).decode()}  # noqa: E731
    for path in ("/setup", "/predict", "/webhook"):
        answers = [asked.post(path, json={"tasks": []}, headers=headers) for headers in ({}, basic("x"), basic(key))]
        assert [answer.status_code for answer in answers] == [401, 401, 200]
    assert asked.get("/health").status_code == 200
    closed.close()


def test_a_webhook_is_answered_at_once_and_becomes_one_pull_and_one_more(made: Service, faces: Workspace) -> None:
    began, go, done = threading.Event(), threading.Event(), []

    def pull() -> list[str]:
        began.set()
        assert go.wait(30)
        done.append(time.monotonic())
        return []

    pulls = PullSoon(pull)
    client = api(made, faces, pulls)
    assert client.post("/webhook", json={"action": "ANNOTATION_CREATED"}).status_code == 200
    assert began.wait(30)
    for _ in range(20):  # while the first pull is under way
        client.post("/webhook", json={"action": "ANNOTATION_CREATED"})
    assert done == []
    go.set()
    deadline = time.monotonic() + 30
    while len(done) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pulls.close()
    assert len(done) == 2
    pulls.ask()
    assert len(done) == 2


def test_a_pull_that_fails_is_a_line_and_the_next_webhook_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    tried = threading.Semaphore(0)
    errors = iter([ServerError("Label Studio is down.", retryable=True), ValueError("odd"), None])

    def pull() -> list[str]:
        try:
            error = next(errors)
            if error is not None:
                raise error
            return []
        finally:
            tried.release()

    pulls = PullSoon(pull)
    for _ in range(3):
        pulls.ask()
        assert tried.acquire(timeout=30)
        time.sleep(0.05)  # until it waits again
    pulls.close()
    assert "could not be pulled: Label Studio is down." in caplog.text
    assert "odd" in caplog.text


def test_what_a_pull_finds_for_somebody_to_look_at_is_a_line_once(caplog: pytest.LogCaptureFixture) -> None:
    tried = threading.Semaphore(0)
    found = iter([["uncounted"], ["uncounted"], ["uncounted", "gone"], [], ["gone"]])

    def pull() -> list[str]:
        tried.release()
        return next(found)

    pulls = PullSoon(pull)
    for _ in range(5):
        pulls.ask()
        assert tried.acquire(timeout=30)
        time.sleep(0.05)  # until it waits again
    pulls.close()
    assert [record.message for record in caplog.records] == ["uncounted", "gone", "gone"]
