"""The data of the app over HTTP: who may see and change what, pictures without metadata, an audit line per write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import emolab
from emolab.catalog import samples
from emolab.loop.label.aggregate import aggregate
from emolab.records import Sample
from emolab.serving.workbench.session import Workbench
from emolab.workspace import Workspace
from tests.support.pictures import png
from tests.support.voting import vote
from tests.support.workbench import app_over, enter, lines, not_apart, token_of

H, S, N = "happiness", "sadness", "neutral"


def name(number: int) -> str:
    return f"{number:04x}" + "0" * 60


@pytest.fixture
def seen(workspace: Workspace) -> Workspace:
    """Nine voted samples with pictures, and three without votes."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        made = []
        for i in range(12):
            media = workspace.media / f"{i}.png"
            media.parent.mkdir(parents=True, exist_ok=True)
            media.write_bytes(png(i))
            made.append(Sample(id=name(i), media=str(media.relative_to(workspace.root)), split="train"))
        samples.add(tx, made)
    vote(workspace, {name(i): {"ann": (H, S, N)[i % 3], "bob": (H, S, N)[i % 3]} for i in range(9)})
    aggregate(workspace)
    return workspace


@pytest.fixture
def app(seen: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Workbench, TestClient]]:
    not_apart(monkeypatch)
    with app_over(seen, tmp_path) as made:
        enter(made[1], made[0].new_owner())
        yield made


def test_the_wall_is_filtered_by_the_address(app: tuple[Workbench, TestClient]) -> None:
    _, browser = app
    found = browser.get("/app/api/data/wall", params={"class": H, "n": 2}).json()
    assert [row["label"] for row in found["samples"]] == [H, H] and found["next"]
    more = browser.get("/app/api/data/wall", params={"class": H, "n": 2, "after": found["next"]}).json()
    assert len(more["samples"]) == 1 and more["next"] is None
    assert browser.get("/app/api/data/count", params={"class": H}).json() == {"n": 3, "next": None, "looked": 0}
    told = browser.get("/app/api/data/choices").json()
    assert told["classes"] == {H: 3, S: 3, N: 3} and told["unlabelled"] == 3 and told["may_change"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("round=x", "no number"),
        ("round=1e99", "no number"),
        ("agreement=nan", "no number"),
        ("n=inf", "no number"),
        ("split=%3Cscript%3E", "one of train"),
        ("order=best", "one of newest"),
        ("duplicates=yes", "1 or 0"),
        ("after=nowhere", "No page begins"),
        ("of=nothing", "Unknown list"),
        ("class=" + "x" * 999, "too long"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(app: tuple[Workbench, TestClient], query: str, says: str) -> None:
    refused = app[1].get(f"/app/api/data/wall?{query}")
    assert refused.status_code == 422 and says in refused.json()["error"]["message"], refused.text


def test_pictures_are_for_those_who_may_see_them_and_for_no_cache_on_the_way(
    app: tuple[Workbench, TestClient], seen: Workspace
) -> None:
    _, browser = app
    small = browser.get(f"/app/pictures/small/{name(1)}")
    whole = browser.get(f"/app/pictures/{name(1)}")
    assert (small.headers["content-type"], whole.headers["content-type"]) == ("image/jpeg", "image/png")
    assert whole.content == png(1)
    for answer in (small, whole):
        assert answer.headers["cache-control"].startswith("private, ")
        assert answer.headers["content-security-policy"] == "default-src 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in (f"small/{name(99)}", name(99), "small/..%2f..%2femolab.toml", "x"):
        assert browser.get(f"/app/pictures/{path}").status_code in (404, 422)
    (seen.media / "2.png").unlink()
    gone = browser.get(f"/app/pictures/small/{name(2)}")
    assert gone.status_code == 422 and "emolab collect" in gone.json()["error"]["hint"]


READS = ("api/data/choices", "api/data/wall", "api/data/count", f"api/data/samples/{name(1)}", f"pictures/{name(1)}")
WRITES = {
    "ask": {"ids": [name(1)]},
    "split": {"ids": [name(1)], "split": "test"},
    "exclude": {"ids": [name(1)]},
}


def test_annotators_see_nothing_readers_change_nothing(seen: Workspace, tmp_path: Path) -> None:
    with app_over(seen, tmp_path) as (bench, browser):
        assert all(browser.get(f"/app/{path}").status_code == 401 for path in READS)
        for role, status in (("annotator", 403), ("reader", 200)):
            enter(browser, token_of(emolab.add_serve_person(seen, f"a-{role}", role=role).link))
            assert [browser.get(f"/app/{path}").status_code for path in READS] == [status] * len(READS)
            assert browser.get(f"/app/pictures/small/{name(1)}").status_code == status
            for what, body in WRITES.items():
                assert browser.post(f"/app/api/data/{what}", json=body).status_code == 403
        assert lines(bench) == []
        assert not browser.get("/app/api/data/choices").json()["may_change"]


def test_chosen_samples_go_to_the_next_round_with_a_line_in_the_log(app: tuple[Workbench, TestClient]) -> None:
    bench, browser = app
    made = browser.post("/app/api/data/ask", json={"ids": [name(11), name(0)]}).json()
    assert made == {"round": 1, "new": 1, "again": 1, "already": 0}
    assert browser.get("/app/api/data/choices").json()["rounds"] == {"1": 2}
    (line,) = lines(bench)
    assert (line["person"], line["did"], line["round"], line["samples"]) == ("owner", "ask", 1, [name(11), name(0)])


def test_a_split_is_changed_after_a_look_at_what_would_move(app: tuple[Workbench, TestClient]) -> None:
    bench, browser = app
    body = {"ids": [name(3), name(4)], "split": "valid"}
    plan = browser.post("/app/api/data/split", json={**body, "dry_run": True}).json()
    assert plan["moved"] == 2 and lines(bench) == []
    assert browser.get("/app/api/data/choices").json()["splits"] == {"train": 12}
    assert browser.post("/app/api/data/split", json=body).json()["moved"] == 2
    assert browser.get("/app/api/data/choices").json()["splits"] == {"train": 10, "valid": 2}
    assert browser.post("/app/api/data/split", json={**body, "split": "none"}).json()["moved"] == 2
    assert [line["split"] for line in lines(bench)] == ["valid", "none"]


def test_what_is_taken_out_is_gone_with_its_thumbnail(app: tuple[Workbench, TestClient], seen: Workspace) -> None:
    bench, browser = app
    assert browser.get(f"/app/pictures/small/{name(5)}").status_code == 200
    plan = browser.post("/app/api/data/exclude", json={"ids": [name(5)], "dry_run": True}).json()
    assert (plan["removed"], plan["votes_withdrawn"], plan["dry_run"]) == (1, 2, True)
    assert browser.post("/app/api/data/exclude", json={"ids": [name(5)]}).json()["removed"] == 1
    assert browser.get(f"/app/pictures/small/{name(5)}").status_code == 422
    assert not list((seen.cache / "thumbnails").rglob(f"{name(5)}*"))
    assert browser.get("/app/api/data/choices").json()["samples"] == 11
    assert (lines(bench)[0]["samples"], lines(bench)[0]["removed"]) == ([name(5)], 1)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("ask", {}),
        ("ask", {"ids": "x"}),
        ("ask", {"ids": []}),
        ("ask", {"ids": [1]}),
        ("ask", {"ids": [name(1)] * 501}),
        ("ask", {"ids": [name(77)]}),
        ("split", {"ids": [name(1)], "split": "best"}),
        ("split", {"ids": [name(1)], "split": "test", "dry_run": 1}),
        ("exclude", {"ids": [name(77)]}),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(
    app: tuple[Workbench, TestClient], what: str, body: dict[str, object]
) -> None:
    bench, browser = app
    before = browser.get("/app/api/data/choices").json()
    refused = browser.post(f"/app/api/data/{what}", json=body)
    assert refused.status_code == 422, refused.text
    assert browser.get("/app/api/data/choices").json() == before and lines(bench) == []


def test_a_page_of_another_site_changes_nothing(app: tuple[Workbench, TestClient]) -> None:
    bench, browser = app
    for what, body in WRITES.items():
        refused = browser.post(f"/app/api/data/{what}", json=body, headers={"origin": "http://evil.example"})
        assert refused.status_code == 403
        assert browser.post(f"/app/api/data/{what}", data={"ids": name(1)}).status_code == 415
    assert lines(bench) == []
