"""The page of the monitor asks a route: looks, alarms with who was told, and what to type where there are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import emolab
from emolab.catalog import samples
from emolab.errors import UnknownName
from emolab.loop.look.monitor_view import SHOWN, monitor_view, stamp_of
from emolab.loop.look.moved_record import read_moved, write_moved
from emolab.loop.look.wall import WallRequest, wall
from emolab.loop.operate.alerting import tell_alarms
from emolab.loop.operate.monitor import look_record
from emolab.loop.operate.monitor.arrived_samples import MovedPictures
from emolab.loop.operate.monitor.look_record import LookedWindow
from emolab.monitoring.alerts.channels import attempts
from emolab.serving.workbench.session import Workbench
from emolab.workspace import Workspace
from tests.support.looks import add_looks, alarms, look
from tests.support.serve_process import add_champion
from tests.support.syncing import add_samples
from tests.support.workbench import app_over, enter

MODEL, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def app(workspace: Workspace, tmp_path: Path) -> Iterator[tuple[Workbench, TestClient]]:
    with app_over(workspace, tmp_path) as (bench, browser):
        enter(browser, bench.new_owner())
        yield bench, browser


def test_where_nobody_has_looked_the_page_knows_what_to_type(workspace: Workspace) -> None:
    def nothing(*, logging: bool = False) -> tuple[str, str | None]:
        found = monitor_view(workspace, serving=MODEL, logging=logging)
        assert (found.looks, found.alarms) == ([], [])
        return found.state, found.next

    assert nothing() == ("not_logged", "emolab serve --app --set serve.log=true")
    assert nothing(logging=True) == ("not_looked", "emolab monitor aaaaaaaa")
    add_champion(workspace, "a")
    assert nothing(logging=True) == ("not_looked", "emolab monitor")
    (workspace.state / "served" / MODEL).mkdir(parents=True)
    assert nothing() == ("not_looked", "emolab monitor")


def test_the_looks_come_oldest_first_with_the_surest_test_of_each_detector(workspace: Workspace) -> None:
    add_looks(workspace, MODEL, 4, drifted=1)
    found = monitor_view(workspace, serving=MODEL, logging=True)
    assert found.state == "looks"
    assert [look["window"]["n"] for look in found.looks] == [200, 201, 202, 203]
    newest = found.looks[-1]
    assert [(test["detector"], test["alarm"], test["p"]) for test in newest["tests"]] == [
        ("class_mix", True, 1e-05), ("confidence", False, 0.05), ("embedding_mmd", False, 0.05),
    ]  # fmt: skip
    assert [alarm["key"] for alarm in newest["alarms"]] == [f"drift:{MODEL}:class_mix", f"accuracy:{MODEL}"]
    assert [alarm["key"] for alarm in found.alarms] == [f"drift:{MODEL}:class_mix", f"accuracy:{MODEL}"]
    assert found.alarms[0]["words"].startswith("fear 18 % instead of 6 %")
    assert "words" not in newest["alarms"][0]


def test_no_more_than_two_years_of_weeks_are_sent(workspace: Workspace) -> None:
    add_looks(workspace, MODEL, SHOWN + 3)
    found = monitor_view(workspace, serving=MODEL, logging=True)
    assert len(found.looks) == SHOWN
    assert found.looks[-1]["window"]["n"] == 200 + SHOWN + 2


def test_who_was_told_and_who_was_not_stands_beside_an_alarm(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "sleep", lambda _: None)
    (record,) = add_looks(workspace, MODEL, 1, drifted=1)
    found = monitor_view(workspace, serving=MODEL, logging=True)
    assert [(alarm["told"], alarm["owed"]) for alarm in found.alarms] == [({}, [])] * 2
    told = workspace.with_settings(
        {"alerts.file": "alarms.jsonl", "alerts.webhook": "http://127.0.0.1:9/secret-token-1"}
    )
    tell_alarms(told, MODEL, alarms(MODEL, record.window.name), now=datetime(2026, 9, 14, tzinfo=UTC))
    found = monitor_view(workspace, serving=MODEL, logging=True)
    assert [(alarm["told"], alarm["owed"]) for alarm in found.alarms] == [
        ({"file": "2026-09-14T00:00:00+00:00"}, ["webhook"])
    ] * 2
    assert "secret-token-1" not in repr(found)


def test_an_unchanged_stamp_saves_the_rest(app: tuple[Workbench, TestClient], workspace: Workspace) -> None:
    _, browser = app
    add_looks(workspace, MODEL, 2)
    first = browser.get("/app/api/monitor").json()
    assert len(first["looks"]) == 2
    assert browser.get("/app/api/monitor", params={"stamp": first["stamp"]}).json() == {"stamp": first["stamp"]}
    look_record.append(workspace, look(workspace, MODEL, 2))
    second = browser.get("/app/api/monitor", params={"stamp": first["stamp"]}).json()
    assert len(second["looks"]) == 3
    assert second["stamp"] != first["stamp"]


def test_the_stamp_changes_with_the_log_and_who_was_told(workspace: Workspace) -> None:
    def stamp() -> str:
        return stamp_of(workspace, serving=MODEL, logging=True)

    seen = [stamp()]
    (workspace.state / "served" / MODEL).mkdir(parents=True)
    seen.append(stamp())
    (workspace.state / "served" / MODEL / "2026-11-02").mkdir()  # another day of the log is nothing new
    assert stamp() == seen[-1]
    add_looks(workspace, MODEL, 1, drifted=1)
    seen.append(stamp())
    tell_alarms(workspace.with_settings({"alerts.file": "alarms.jsonl"}), MODEL, alarms(MODEL, "week"))
    seen.append(stamp())
    assert len(set(seen)) == len(seen)


def test_another_model_is_asked_for_by_its_id_and_nothing_else(
    app: tuple[Workbench, TestClient], workspace: Workspace
) -> None:
    _, browser = app
    add_looks(workspace, OTHER, 3)
    first = browser.get("/app/api/monitor").json()
    assert (first["model"]["id"], first["model"]["serving"], first["state"]) == (MODEL, True, "not_logged")
    assert [model["id"] for model in first["models"]] == [MODEL, OTHER]
    assert len(browser.get("/app/api/monitor", params={"model": OTHER}).json()["looks"]) == 3
    for wrong in ("c" * 64, "../..", "bbbb"):
        refused = browser.get("/app/api/monitor", params={"model": wrong})
        assert refused.status_code == 422
        assert "Unknown model with looks" in refused.json()["error"]["message"]


def test_damaged_looks_are_said_with_what_to_do(app: tuple[Workbench, TestClient], workspace: Workspace) -> None:
    _, browser = app
    add_looks(workspace, MODEL, 2)
    file = look_record.home(workspace, MODEL) / look_record.FILE
    file.write_bytes(b"{}\n" + file.read_bytes())
    refused = browser.get("/app/api/monitor")
    assert refused.status_code == 422
    assert refused.json()["error"]["message"].startswith("Line 1 of ")
    assert "mv " in refused.json()["error"]["hint"]


def moved_of(workspace: Workspace, names: list[str], begin: str) -> None:
    """What `emolab monitor` keeps of these samples: the last one is the reference's."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        *loud, beside = samples.by_ids(conn, names)
    loudest = tuple((one, 3.2 - place, "sadness") for place, one in enumerate(loud))
    found = MovedPictures(words="Two samples.", loudest=loudest, beside=(beside,))
    write_moved(workspace, replace(look(workspace, MODEL, 0), window=replace(WINDOW, begin=begin)), found)


WINDOW = LookedWindow(begin="", end="", name="week", n=1)


def test_what_moved_is_shown_with_its_pictures_until_the_next_look(workspace: Workspace) -> None:
    names = add_samples(workspace, 3)
    (record,) = add_looks(workspace, MODEL, 1, drifted=1)
    assert monitor_view(workspace, serving=MODEL, logging=True).moved is None
    moved_of(workspace, names, record.window.begin)
    assert monitor_view(workspace, serving=MODEL, logging=True).moved == {
        "words": "Two samples.",
        "loudest": [
            {"sample": names[0], "away": 3.2, "said": "sadness"}, {"sample": names[1], "away": 2.2, "said": "sadness"},
        ],
        "beside": [names[2]],
    }  # fmt: skip
    found = wall(workspace, WallRequest(of=f"drifted:{MODEL}"))
    assert [one.id for one in found.samples] == names[:2]
    look_record.append(workspace, look(workspace, MODEL, 1))
    assert monitor_view(workspace, serving=MODEL, logging=True).moved is None


def test_what_moved_shows_no_sample_that_is_gone_or_may_not_be_shown(workspace: Workspace) -> None:
    names = add_samples(workspace, 4)
    (record,) = add_looks(workspace, MODEL, 1, drifted=1)
    moved_of(workspace, names, record.window.begin)
    emolab.add_consent(workspace, ids=[names[0]], text="May be trained on, not shown.", scope=["train"])
    emolab.remove(workspace, ids=[names[1]])
    found = read_moved(workspace, MODEL)
    assert found is not None
    assert [one for one, _, _ in found.loudest] == [names[2]]
    assert found.beside == (names[3],)


def test_what_was_kept_of_a_look_is_forgotten_with_its_sample(workspace: Workspace) -> None:
    names = add_samples(workspace, 3)
    (record,) = add_looks(workspace, MODEL, 1, drifted=1)
    moved_of(workspace, names, record.window.begin)
    emolab.forget(workspace, ids=[names[0]])
    found = read_moved(workspace, MODEL)
    assert found is not None
    assert [one for one, _, _ in found.loudest] == [names[1]]
    assert names[0] not in (look_record.home(workspace, MODEL) / "moved.json").read_text()


def test_a_wall_of_what_moved_says_why_it_is_empty(workspace: Workspace) -> None:
    found = wall(workspace, WallRequest(of=f"drifted:{MODEL}"))
    assert (found.lacking, found.hint) == ("Nobody has looked at this model yet.", "Look: emolab monitor")
    with pytest.raises(UnknownName, match="nobody"):
        wall(workspace, WallRequest(of="drifted:nobody"))
