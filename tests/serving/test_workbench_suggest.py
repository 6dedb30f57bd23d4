"""Suggestions of the app over HTTP: who may see, choose and send; one job for all; an audit line for every write."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import emolab
from emolab.catalog.campaign import remotes, rounds
from emolab.serving.workbench.session import Workbench
from emolab.workspace import Workspace
from tests.support.judged_models import judged_model
from tests.support.syncing import add_samples
from tests.support.voting import vote
from tests.support.workbench import app_over, enter, token_of

N = 12
API = "/app/api/suggest"


@pytest.fixture
def faces(workspace: Workspace) -> list[str]:
    return add_samples(workspace, N)


@pytest.fixture
def app(
    workspace: Workspace, faces: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Workbench, TestClient]]:
    for name in ("LABEL_STUDIO_URL", "EMOLAB_STUDIO_TOKEN", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert len(faces) == N
    with app_over(workspace, tmp_path) as made:
        enter(made[1], made[0].new_owner())
        yield made


def lines(bench: Workbench) -> list[dict[str, object]]:
    files = sorted(bench.workspace.state.rglob("*app*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def ask(browser: TestClient, what: str, **body: object) -> dict[str, object]:
    stamp = browser.get(API).json()["stamp"]
    reply = browser.post(f"{API}/{what}", json={"id": f"wish-{time.monotonic_ns()}", "stamp": stamp, **body})
    assert reply.status_code == 200, reply.text
    return reply.json()["job"]  # type: ignore[no-any-return]


def over(browser: TestClient) -> dict[str, object]:
    end = time.monotonic() + 60
    while (job := browser.get(f"{API}/now").json()["job"])["ended_at"] is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    return job  # type: ignore[no-any-return]


def test_a_round_is_proposed_with_its_price_and_reasons(app: tuple[Workbench, TestClient], faces: list[str]) -> None:
    bench, browser = app
    before = browser.get(API).json()
    assert (before["samples"], before["unasked"], before["waiting"], before["job"]) == (N, N, 0, None)
    assert before["may_change"] and before["model"] is None and "auto" in before["strategies"]
    assert "studio up" in before["studio"]["hint"]
    assert ask(browser, "propose", n=5)["state"] == "running"
    job = over(browser)
    assert (job["state"], job["found"]["n"], job["found"]["round"]) == ("done", 5, 1)  # type: ignore[index]
    assert "drawn at random" in job["notes"][0]["text"]  # type: ignore[index]
    told = browser.get(API).json()
    (waits,) = told["rounds"]
    assert (waits["new"], waits["again"], waits["votes"]) == (5, 0, 5 * told["each"])
    assert (told["waiting"], told["votes"], told["seconds"]) == (5, 5 * told["each"], None)
    assert told["unasked"] == N - 5
    first = browser.get(f"{API}/faces", params={"n": 3}).json()
    rest = browser.get(f"{API}/faces", params={"n": 3, "after": first["next"]}).json()
    shown = [face["sample"] for face in (*first["faces"], *rest["faces"])]
    assert len(set(shown)) == 5 and set(shown) <= set(faces) and rest["next"] is None
    assert {face["reason"] for face in first["faces"]} == {"drawn at random"}
    begun, ended = lines(bench)
    assert (begun["person"], begun["did"], begun["n"]) == ("owner", "propose", 5)
    assert (ended["did"], ended["round"], ended["n"], ended["job"]) == ("propose done", 1, 5, begun["job"])


def test_minutes_of_the_team_are_counted_as_emolab_suggest_counts_them(
    app: tuple[Workbench, TestClient], workspace: Workspace
) -> None:
    from emolab.catalog import votes
    from emolab.records import Vote

    _, browser = app
    ids = [f"{i:04x}" + "0" * 60 for i in range(3)]
    vote(workspace, {sample: {"bob": "happiness"} for sample in ids})
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(
            tx,
            [
                Vote(sample_id=sample, annotator="ann", label="happiness", origin=f"timed:{sample}", lead_time=4.0)
                for sample in ids
            ],
        )
    told = browser.get(API).json()
    assert told["seconds_each"] == 4.0 * told["each"]
    made = emolab.suggest(workspace, n=5)
    told = browser.get(API).json()
    assert told["seconds"] == made.seconds == 5 * told["each"] * 4.0
    ask(browser, "propose", minutes=1)
    assert over(browser)["state"] == "done"


def test_the_same_wish_is_one_job_and_a_page_that_is_behind_starts_none(app: tuple[Workbench, TestClient]) -> None:
    bench, browser = app
    stamp = browser.get(API).json()["stamp"]
    wish = {"id": "one", "stamp": stamp, "n": 4}
    jobs = [browser.post(f"{API}/propose", json=wish).json()["job"]["id"] for _ in range(3)]
    other = browser.post(f"{API}/propose", json={**wish, "id": "two"})
    assert jobs == ["one"] * 3 and other.status_code == 409
    over(browser)
    assert browser.post(f"{API}/propose", json=wish).json()["job"]["state"] == "done"
    for what in ("propose", "push"):
        late = browser.post(f"{API}/{what}", json={**wish, "id": "three"})
        assert (late.status_code, late.json()["error"]["kind"]) == (409, "changed")
    with bench.workspace.catalog() as catalog, catalog.connect() as conn:
        assert [made.number for made in rounds.list_all(conn)] == [1]
    assert [line["did"] for line in lines(bench)] == ["propose", "propose done"]


def test_what_cannot_be_done_is_said_with_what_to_do(app: tuple[Workbench, TestClient]) -> None:
    _, browser = app
    ask(browser, "propose", n=N + 1)
    job = over(browser)
    assert job["state"] == "failed" and "12" in str(job["message"]) and job["hint"]
    ask(browser, "propose", n=3, strategy="margin")
    job = over(browser)
    assert job["state"] == "failed" and "emolab train" in str(job["hint"])
    ask(browser, "propose", n=3)
    over(browser)
    ask(browser, "push")
    job = over(browser)
    assert (job["state"], job["message"]) == ("failed", "Label Studio is not running.")
    assert "emolab studio up" in str(job["hint"]) and browser.get(API).json()["waiting"] == 3


def test_a_model_is_trained_on_the_votes_there_are(
    app: tuple[Workbench, TestClient], workspace: Workspace, faces: list[str]
) -> None:
    bench, browser = app
    assert ask(browser, "train")["kind"] == "train"
    job = over(browser)
    assert (job["state"], job["found"]) == ("failed", None)
    assert job["message"] and job["hint"], "there are no labels yet"
    with (workspace.root / "emolab.toml").open("a") as file:
        file.write('\n[training]\nbackbone = "tiny"\nsize = 16\nepochs = 1\ntuning = false\nthreads = 1\n')
    vote(workspace, {sample: {"ann": "happiness" if i % 2 else "sadness"} for i, sample in enumerate(faces)})
    ask(browser, "train")
    job = over(browser)
    assert job["state"] == "done", job
    found = job["found"]
    assert (found["alias"], found["backbone"]) == ("champion", "tiny")  # type: ignore[index]
    assert browser.get(API).json()["model"] == found["model"]  # type: ignore[index]
    assert [line["did"] for line in lines(bench)] == ["train", "train failed", "train", "train done"]
    assert lines(bench)[-1]["model"] == found["model"]  # type: ignore[index]


def test_a_round_chosen_by_hand_waits_there_too(app: tuple[Workbench, TestClient], faces: list[str]) -> None:
    _, browser = app
    browser.post("/app/api/data/ask", json={"ids": faces[:2]})
    (waits,) = browser.get(API).json()["rounds"]
    assert (waits["strategy"], waits["by"], waits["new"]) == ("by hand", "owner", 2)
    assert [face["reason"] for face in browser.get(f"{API}/faces").json()["faces"]] == ["chosen by owner"] * 2


def test_a_round_that_waits_is_taken_back_and_what_was_sent_is_not(
    app: tuple[Workbench, TestClient], workspace: Workspace, faces: list[str]
) -> None:
    bench, browser = app
    browser.post("/app/api/data/ask", json={"ids": faces[:2]})
    emolab.suggest(workspace, n=3)
    assert browser.post(f"{API}/drop", json={"round": 1}).json() == {"round": 1, "dropped": 2}
    assert [one["round"] for one in browser.get(API).json()["rounds"]] == [2]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        waits = [one.sample_id for one in rounds.suggestions(tx, unsent=True)]
        mine = remotes.add_project(tx, server="s" * 16, project=1, title="faces")
        remotes.want(tx, mine, [remotes.TaskRequest(waits[0], 0, 2, 2)])
    assert browser.post(f"{API}/drop", json={"round": 2}).json() == {"round": 2, "dropped": 2}
    for wrong, status in ((1, 422), (2, 422), (9, 422), ("2", 422), (True, 422), (2**40, 422)):
        assert browser.post(f"{API}/drop", json={"round": wrong}).status_code == status
    assert emolab.suggest(workspace, n=1).round == 3, "no number is given twice"
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert [one.sample_id for one in rounds.suggestions(conn, round_number=2)] == waits[:1]
    assert [(line["did"], line["round"]) for line in lines(bench)] == [("ask", 1), ("drop", 1), ("drop", 2)]


def test_the_model_s_guess_stands_beside_the_face(app: tuple[Workbench, TestClient], workspace: Workspace) -> None:
    _, browser = app
    ids = [f"{i:064x}" for i in range(3)]
    judged_model(workspace, "1", dict.fromkeys(ids, ("happiness", "sadness")), champion=True)
    browser.post("/app/api/data/ask", json={"ids": ids})
    found = browser.get(f"{API}/faces").json()["faces"]
    assert [(face["guess"], round(face["share"], 3)) for face in found] == [("sadness", 0.8)] * 3


WRITES = ("propose", "push", "stop", "drop")


def test_annotators_see_nothing_readers_start_nothing(app: tuple[Workbench, TestClient], workspace: Workspace) -> None:
    bench, owner = app
    ask(owner, "propose", n=3)
    over(owner)
    known = len(lines(bench))
    for role, status in (("annotator", 403), ("reader", 200)):
        browser = TestClient(owner.app, base_url=str(owner.base_url))
        enter(browser, token_of(emolab.add_serve_person(workspace, f"a-{role}", role=role).link))
        assert [browser.get(f"{API}{path}").status_code for path in ("", "/faces", "/now")] == [status] * 3
        for what in WRITES:
            assert browser.post(f"{API}/{what}", json={"id": "x", "stamp": "2.3.0"}).status_code == 403
        if role == "reader":
            assert browser.get(API).json()["waiting"] == 3 and not browser.get(API).json()["may_change"]
    assert len(lines(bench)) == known


@pytest.mark.parametrize(
    "body",
    [
        {"stamp": "1.0", "n": 3},
        {"id": "x", "n": 3},
        {"id": "x" * 200, "stamp": "1.0"},
        {"id": "x", "stamp": "1.0", "n": "3"},
        {"id": "x", "stamp": "1.0", "n": True},
        {"id": "x", "stamp": "1.0", "minutes": 1.5},
        {"id": "x", "stamp": "1.0", "strategy": "best"},
        {"id": "x", "stamp": "1.0", "strategy": ["margin"]},
    ],
)
def test_a_wish_that_makes_no_sense_starts_nothing(app: tuple[Workbench, TestClient], body: dict[str, object]) -> None:
    bench, browser = app
    assert browser.post(f"{API}/propose", json=body).status_code == 422
    assert browser.get(f"{API}/now").json()["job"] is None and lines(bench) == []
    assert browser.get(f"{API}/faces?after=x").status_code == 422


def test_a_page_of_another_site_starts_nothing(app: tuple[Workbench, TestClient]) -> None:
    bench, browser = app
    for what in WRITES:
        body = {"id": "x", "stamp": "1.0"}
        assert browser.post(f"{API}/{what}", json=body, headers={"origin": "http://evil.example"}).status_code == 403
    assert lines(bench) == [] and browser.get(f"{API}/now").json()["job"] is None


def test_an_empty_workspace_says_what_to_type(tmp_path: Path, workspace: Workspace) -> None:
    with app_over(workspace, tmp_path) as (bench, browser):
        enter(browser, bench.new_owner())
        told = browser.get(API).json()
        assert told["samples"] == 0 and told["next"].startswith("emolab collect")
        assert browser.get(f"{API}/faces").json() == {"faces": [], "next": None}
