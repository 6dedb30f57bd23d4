"""Every route of the app: who may call it, and that a write leaves a line in the log. A new route needs a row here."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

import emolab
from emolab.serving.workbench import all_routes, shell
from emolab.serving.workbench.session import Workbench
from emolab.workspace import Workspace
from tests.support.judged_models import judged_model
from tests.support.serving import picture
from tests.support.syncing import add_samples
from tests.support.workbench import answer, app_over, enter, lines, not_apart, pushed, token_of

ROLES = ("annotator", "reader", "owner")
EVERYBODY = "everybody"
H, S, N = "happiness", "sadness", "neutral"


@dataclass(frozen=True)
class Rule:
    """``role`` is the least one that may call a route; ``did`` is what its line in the log says, ``None`` for a route
    that changes nothing. ``why`` says of such a POST or DELETE what it does instead.

    ``sent`` makes a call that is good: what to put into the path, and the words of the request.
    """

    role: str
    did: str | None = None
    why: str = ""
    sent: Callable[[Place], dict[str, Any]] = lambda place: {}


@dataclass
class Place:
    """The app, and a browser in which whoever ``enter`` names has come in; ``faces`` wait for answers."""

    bench: Workbench
    browser: TestClient
    faces: list[str]

    def come(self, role: str) -> str:
        """Come in as somebody of this role; returns the name."""
        name = f"one-{role}"
        enter(self.browser, token_of(emolab.add_serve_person(self.bench.workspace, name, role=role).link))
        return name

    def get(self, path: str) -> Any:
        return self.browser.get(f"/app/api/{path}").json()

    def post(self, path: str, **body: object) -> Any:
        reply = self.browser.post(f"/app/api/{path}", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()


def json_of(**body: object) -> Callable[[Place], dict[str, Any]]:
    return lambda place: {"json": body}


def one_face(place: Place) -> dict[str, Any]:
    return {"path": {"id": place.faces[0], "sample": place.faces[0]}}


def chosen(**more: object) -> Callable[[Place], dict[str, Any]]:
    return lambda place: {"json": {"ids": place.faces[:1], **more}}


def to_undo(place: Place) -> dict[str, Any]:
    given = answer(place.faces[0])
    place.post("vote/answers", **given)
    return {"json": {"id": str(uuid.uuid4()), "answer": given["id"]}}


def a_job(place: Place) -> dict[str, Any]:
    return {"json": {"id": f"wish-{uuid.uuid4()}", "stamp": place.get("suggest")["stamp"]}}


def a_running_job(place: Place) -> dict[str, Any]:
    job = place.post("suggest/propose", id="wish", stamp=place.get("suggest")["stamp"])["job"]
    return {"json": {"id": job["id"]}}


def a_round(place: Place) -> dict[str, Any]:
    add_samples(place.bench.workspace, 1, first=50)
    emolab.suggest(place.bench.workspace, n=1, strategy="random")
    return {"json": {"round": place.get("suggest")["rounds"][0]["round"]}}


def a_wrong_answer(place: Place) -> dict[str, Any]:
    shown = {"b64": base64.b64encode(picture(200)).decode(), "name": "face.png"}
    said = {"id": str(uuid.uuid4()), "face": 1, "box": None, "label": S, "shown": H, "agreed": False, "sitting": None}
    return {"json": {"images": [shown], **said}}


def a_wrong_answer_to_undo(place: Place) -> dict[str, Any]:
    said = a_wrong_answer(place)["json"]
    place.post("try/wrong", **said)
    return {"json": {"id": str(uuid.uuid4()), "answer": said["id"]}}


def models(place: Place) -> dict[str, Any]:
    for letter in "12":
        judged_model(place.bench.workspace, letter, {f"{i:064x}": (H, S) for i in range(3)})
    return {"path": {"id": "1" * 64, "other": "2" * 64}}


RULES = {
    "GET /": Rule(EVERYBODY),
    "GET /app": Rule(EVERYBODY),
    "GET /app/static/{name:path}": Rule(EVERYBODY, sent=lambda place: {"path": {"name:path": "app.js"}}),
    "POST /app/session": Rule(EVERYBODY, why="enters by a link", sent=json_of(token="x")),
    "DELETE /app/session": Rule(EVERYBODY, why="leaves"),
    "GET /app/api/me": Rule("annotator"),
    "GET /app/api/vote/form": Rule("annotator"),
    "GET /app/api/vote/examples/{label}/{number:int}": Rule(
        "annotator", sent=lambda place: {"path": {"label": H, "number:int": "0"}}
    ),
    "GET /app/api/vote/pictures/{sample}": Rule("annotator", sent=one_face),
    "POST /app/api/vote/next": Rule("annotator", why="hands faces out", sent=json_of(holding=[], n=1)),
    "GET /app/api/vote/last": Rule("annotator"),
    "POST /app/api/vote/answers": Rule("annotator", "vote", sent=lambda place: {"json": answer(place.faces[0])}),
    "POST /app/api/vote/undo": Rule("annotator", "undo", sent=to_undo),
    "GET /app/api/data/choices": Rule("reader"),
    "GET /app/api/data/wall": Rule("reader"),
    "GET /app/api/data/count": Rule("reader"),
    "GET /app/api/data/samples/{id}": Rule("reader", sent=one_face),
    "POST /app/api/data/ask": Rule("owner", "ask", sent=chosen()),
    "POST /app/api/data/split": Rule("owner", "split", sent=chosen(split="test")),
    "POST /app/api/data/exclude": Rule("owner", "exclude", sent=chosen()),
    "GET /app/pictures/small/{id}": Rule("reader", sent=one_face),
    "GET /app/pictures/{id}": Rule("reader", sent=one_face),
    "GET /app/api/models": Rule("reader"),
    "GET /app/api/models/{id}": Rule("reader", sent=models),
    "GET /app/api/models/{id}/beside/{other}": Rule("reader", sent=models),
    "GET /app/api/models/{id}/card": Rule("reader", sent=lambda place: {"path": {"id": "none"}}),
    "GET /app/api/monitor": Rule("reader"),
    "GET /app/api/team": Rule("reader"),
    "GET /app/api/suggest": Rule("reader"),
    "GET /app/api/suggest/faces": Rule("reader"),
    "GET /app/api/suggest/now": Rule("reader"),
    "POST /app/api/suggest/propose": Rule("owner", "propose", sent=a_job),
    "POST /app/api/suggest/push": Rule("owner", "push", sent=a_job),
    "POST /app/api/suggest/train": Rule("owner", "train", sent=a_job),
    "POST /app/api/suggest/stop": Rule("owner", "stop propose", sent=a_running_job),
    "POST /app/api/suggest/drop": Rule("owner", "drop", sent=a_round),
    "POST /app/api/try": Rule("reader", why="keeps nothing", sent=lambda place: {"content": picture(255)}),
    "POST /app/api/try/wrong": Rule("owner", "wrong", sent=a_wrong_answer),
    "POST /app/api/try/wrong/undo": Rule("owner", "undo wrong", sent=a_wrong_answer_to_undo),
    "POST /app/api/try/looked": Rule("reader", why="keeps nothing", sent=lambda place: {"content": picture(255)}),
}
ASKED = {name: rule for name, rule in RULES.items() if rule.role != EVERYBODY}


@pytest.fixture
def place(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    not_apart(monkeypatch)
    for name in ("LABEL_STUDIO_URL", "EMOLAB_STUDIO_TOKEN", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    faces = pushed(workspace, 3)
    with app_over(workspace, tmp_path) as (bench, browser):
        yield Place(bench, browser, faces)


def call(place: Place, name: str, sent: dict[str, Any]) -> Any:
    method, path = name.split(" ")
    words = dict(sent)
    for part, value in words.pop("path", {}).items():
        path = path.replace(f"{{{part}}}", value)
    assert "{" not in path, name
    return place.browser.request(method, path, follow_redirects=False, **words)


def test_there_is_a_rule_for_every_route_and_for_no_other(workspace: Workspace) -> None:
    bench = Workbench.of(workspace)
    with ExitStack() as stack:
        stack.callback(bench.close)
        found = []
        for route in all_routes.routes(bench, stack):
            assert isinstance(route, Route), f"{route} is no plain route: say here who may call what is behind it"
            found += [f"{method} {route.path}" for method in route.methods or () if method != "HEAD"]
    assert sorted(found) == sorted(RULES)
    for name, rule in RULES.items():
        silent = rule.did is None and not name.startswith("GET ")
        assert bool(rule.why) == silent, f"{name}: a write without a line in the log has to say what it does instead"
    for page, role in shell.PAGES.items():
        path = {"vote": "vote/form", "data": "data/wall", "model": "models", "try": "try"}.get(page, page)
        rules = [rule for name, rule in RULES.items() if name.endswith(f" /app/api/{path}")]
        assert [rule.role for rule in rules] == [role], f"the page {page} and what it asks are for different people"


@pytest.mark.parametrize("name", ASKED)
def test_nobody_and_no_lesser_role_may_call_it(place: Place, name: str) -> None:
    rule = ASKED[name]
    path = {"id": place.faces[0], "sample": place.faces[0], "other": "x", "label": H, "number:int": "0"}
    sent = {"path": {part: value for part, value in path.items() if f"{{{part}}}" in name}, "json": {}}
    nobody = call(place, name, sent)
    assert (nobody.status_code, nobody.json()["error"]["kind"]) == (401, "session_missing")
    for role in ROLES[: ROLES.index(rule.role)]:
        place.come(role)
        refused = call(place, name, sent)
        assert (refused.status_code, refused.json()["error"]["kind"]) == (403, "not_allowed")
    foreign = place.browser.request(
        name.split(" ", maxsplit=1)[0], call_path(name, sent), headers={"origin": "http://evil.example"}
    )
    assert (foreign.status_code, foreign.json()["error"]["kind"]) == (403, "wrong_origin")
    assert lines(place.bench) == []


def call_path(name: str, sent: dict[str, Any]) -> str:
    path = name.split(" ")[1]
    for part, value in sent["path"].items():
        path = path.replace(f"{{{part}}}", value)
    return path


@pytest.mark.parametrize("name", RULES)
def test_who_may_call_it_is_let_in_and_what_it_changes_stands_in_the_log(place: Place, name: str) -> None:
    rule = RULES[name]
    if rule.role == EVERYBODY:
        answered = call(place, name, rule.sent(place))
        assert answered.status_code != 401 and lines(place.bench) == []
        return
    person = place.come(rule.role)
    sent = rule.sent(place)
    before = len(lines(place.bench))
    answered = call(place, name, sent)
    assert answered.status_code not in (401, 403, 405), answered.text
    fresh = [line for line in lines(place.bench)[before:] if line["person"] == person]
    if rule.did is None:
        assert fresh == []
        return
    assert answered.status_code == 200, answered.text
    (line,) = [line for line in fresh if line["did"] == rule.did]
    assert line["at"]
    assert {"samples", "sample", "job", "round"} & set(line), "a line says what it is about"
    assert not {"label", "token", "picture"} & set(line), "and not what was said"
