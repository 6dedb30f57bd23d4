"""The app's door: personal links, sessions, roles, and the headers that keep foreign pages out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import emolab
from emolab.serving.people import PeopleFile
from emolab.serving.workbench import shell
from emolab.serving.workbench.session import Workbench
from emolab.workspace import Workspace
from tests.support.workbench import ADDRESS, app_over, enter, token_of


@pytest.fixture
def app(workspace: Workspace, tmp_path: Path) -> Iterator[tuple[Workbench, TestClient]]:
    with app_over(workspace, tmp_path) as made:
        yield made


def kind(response) -> str:  # type: ignore[no-untyped-def]
    error = response.json()["error"]
    assert set(error) == {"kind", "message", "hint"} and error["message"]
    return error["kind"]  # type: ignore[no-any-return]


def test_a_personal_link_brings_its_person_in_and_nobody_else(app: tuple[Workbench, TestClient]) -> None:
    bench, browser = app
    link = emolab.add_serve_person(bench.workspace, "ann", language="de").link
    assert link.startswith("http://127.0.0.1:8000/app#emolab_p_")
    assert kind(browser.get("/app/api/me")) == "session_missing"
    entered = browser.post("/app/session", json={"token": token_of(link)})
    assert entered.json() == {"name": "ann", "role": "annotator"}
    cookie = entered.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/app")) and "secure" not in cookie
    told = browser.get("/app/api/me").json()
    assert (told["name"], told["role"], told["language"], told["pages"]) == ("ann", "annotator", "de", ["vote"])
    browser.request("DELETE", "/app/session")
    assert kind(browser.get("/app/api/me")) == "session_missing"
    for token in ("", token_of(link)[:-1], "x"):
        refused = browser.post("/app/session", json={"token": token})
        assert (refused.status_code, kind(refused)) == (403, "link_unknown")


def test_the_cookie_is_for_tls_alone_where_the_page_came_by_tls(app: tuple[Workbench, TestClient]) -> None:
    bench, browser = app
    headers = {"origin": "https://localhost:8000"}  # a proxy in front speaks TLS; the browser says so
    entered = browser.post("/app/session", json={"token": bench.new_owner()}, headers=headers)
    assert "secure" in entered.headers["set-cookie"].lower()


def test_a_link_that_was_taken_back_or_is_over_is_refused_at_once(app: tuple[Workbench, TestClient]) -> None:
    bench, browser = app
    enter(browser, token_of(emolab.add_serve_person(bench.workspace, "ann").link))
    emolab.revoke_serve_person(bench.workspace, "ann")
    assert kind(browser.get("/app/api/me")) == "link_revoked"
    link = emolab.add_serve_person(bench.workspace, "bob").link
    enter(browser, token_of(link))
    _let_pass(bench.people, "bob")
    assert kind(browser.get("/app/api/me")) == "link_expired"
    assert kind(browser.post("/app/session", json={"token": token_of(link)})) == "link_expired"
    again = emolab.add_serve_person(bench.workspace, "bob").link  # a link that is over makes room for a new one
    enter(browser, token_of(again))
    assert browser.get("/app/api/me").json()["name"] == "bob"
    assert [person.name for person in emolab.serve_people(bench.workspace)] == ["bob"]


def _let_pass(people: PeopleFile, name: str) -> None:
    content = json.loads(people.path.read_text())
    for row in content["people"]:
        if row["name"] == name:
            row["expires_at"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    people.path.write_text(json.dumps(content, indent=1))


def test_the_owner_of_this_start_may_all_and_only_until_the_end(workspace: Workspace, tmp_path: Path) -> None:
    with app_over(workspace, tmp_path) as (bench, browser):
        token = bench.new_owner()
        enter(browser, token)
        assert browser.get("/app/api/me").json()["role"] == "owner"
    with app_over(workspace, tmp_path) as (bench, browser):
        assert kind(browser.post("/app/session", json={"token": token})) == "link_unknown"


@pytest.mark.parametrize(
    ("status", "expected", "sent"),
    [
        (415, "unknown_type", {"content": b'{"token": "x"}', "headers": {"content-type": "text/plain"}}),
        (415, "unknown_type", {"data": {"token": "x"}}),
        (400, "malformed", {"content": b"{", "headers": {"content-type": "application/json"}}),
        (422, "wrong_form", {"json": []}),
        (422, "wrong_form", {"json": {"token": 1}}),
        (413, "too_large", {"json": {"token": "x" * 70_000}}),
        (403, "wrong_origin", {"json": {"token": "x"}, "headers": {"origin": "http://evil.example"}}),
    ],
)
def test_what_a_page_of_the_app_would_not_send_is_refused(
    app: tuple[Workbench, TestClient], status: int, expected: str, sent: dict[str, object]
) -> None:
    refused = app[1].post("/app/session", **sent)  # type: ignore[arg-type]
    assert (refused.status_code, kind(refused)) == (status, expected)


def test_a_site_that_may_call_the_api_may_not_call_the_app(workspace: Workspace, tmp_path: Path) -> None:
    with app_over(workspace, tmp_path, origins=("http://friend.example",)) as (bench, browser):
        enter(browser, bench.new_owner())
        refused = browser.get("/app/api/me", headers={"origin": "http://friend.example"})
        assert (refused.status_code, kind(refused)) == (403, "wrong_origin")
        assert browser.get("/app/api/me", headers={"origin": ADDRESS}).status_code == 200


def test_the_api_needs_its_key_where_the_app_needs_none(workspace: Workspace, tmp_path: Path) -> None:
    with app_over(workspace, tmp_path, keys=True) as (bench, browser):
        assert kind(browser.get("/v1/models")) == "key_missing"
        assert browser.get("/app").status_code == 200
        enter(browser, bench.new_owner())
        assert browser.get("/app/api/me").status_code == 200
        assert kind(browser.get("/v1/models")) == "key_missing"


def test_every_file_of_the_pages_is_served_with_headers_that_keep_foreign_scripts_out(
    app: tuple[Workbench, TestClient],
) -> None:
    _, browser = app
    paths = ["/app", *(f"/app/static/{name}" for name in shell.parts())]
    assert {"/app/static/app.js", "/app/static/app.css", "/app/static/words/ru.json"} <= set(paths)
    for path in paths:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        expected = {
            "cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
            "x-frame-options": "DENY",
        }  # fmt: skip
        assert {name: answer.headers[name] for name in expected} == expected, path
    page = browser.get("/app").text
    assert "<script>" not in page and " on" not in page.replace(' on"', "") and "style=" not in page
    assert browser.get("/", follow_redirects=False).headers["location"] == "/app"
    for path in ("/app/static/../../keys.json", "/app/static/%2e%2e/live.html", "/app/static/words"):
        assert browser.get(path).status_code == 404


def test_texts_are_there_in_every_language(app: tuple[Workbench, TestClient]) -> None:
    def paths(words: dict[str, object], before: str = "") -> set[str]:
        found = set()
        for key, value in words.items():
            found |= paths(value, f"{before}{key}.") if isinstance(value, dict) else {before + key}
        return found

    texts = {code: json.loads(shell.parts()[f"words/{code}.json"]) for code in ("en", "de", "es", "fr", "ru")}
    assert len({frozenset(paths(words)) for words in texts.values()}) == 1
    assert "shell.link_expired.title" in paths(texts["en"])


def test_people_have_names_roles_and_days_that_can_be(workspace: Workspace) -> None:
    emolab.add_serve_person(workspace, "ann", role="reader", days=1)
    with pytest.raises(emolab.DataError, match='There is a link for "ann" already'):
        emolab.add_serve_person(workspace, "ann")
    with pytest.raises(emolab.DataError, match='"owner" is whoever starts the server'):
        emolab.add_serve_person(workspace, "owner")
    with pytest.raises(emolab.ConfigError, match='There is no role "boss"'):
        emolab.add_serve_person(workspace, "bob", role="boss")
    with pytest.raises(emolab.ConfigError, match='do not speak "xx"'):
        emolab.add_serve_person(workspace, "bob", language="xx")
    with pytest.raises(emolab.EmolabError, match="days"):
        emolab.add_serve_person(workspace, "bob", days=0)
    with pytest.raises(emolab.EmolabError, match='Unknown person "anne"'):
        emolab.revoke_serve_person(workspace, "anne")
    (ann,) = emolab.serve_people(workspace)
    assert (ann.name, ann.role, ann.expired()) == ("ann", "reader", False)
