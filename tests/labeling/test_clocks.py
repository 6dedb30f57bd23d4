"""Clocks that are wrong hide no answer: those of front servers, of Label Studio itself, and stamps in other words."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from emolab.catalog.campaign import remotes
from emolab.errors import ServerError
from emolab.labeling.answers import last_pull, timestamps
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.label_studio.queries import window, window_of
from emolab.labeling.server import installation
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.workspace import Workspace
from tests.support.proxy import Headers, Proxy
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, assert_at_rest, ledger, named, say, task_of, there

MINUTES = timedelta(minutes=1)


@pytest.fixture
def team(workspace: Workspace, studio: Studio) -> Workspace:
    """Four samples that were sent to a project of their own."""
    made = named(workspace, f"clock {uuid.uuid4().hex[:8]}")
    add_samples(made, 4)
    push(made, studio)
    return made


def tasks_of(team: Workspace, studio: Studio) -> list[int]:
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    return sorted(task_of(studio, project.id, sample) for sample in there(studio, project.title))


def labels(team: Workspace) -> list[str]:
    return sorted(str(vote.label) for vote in ledger(team))


def no_date(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name != "Date"]


def dated(text: str) -> Callable[[Headers, bytes], tuple[Headers, bytes]]:
    return lambda headers, data: ([*no_date(headers), ("Date", text)], data)


def shifted(minutes: float) -> Callable[[Headers, bytes], tuple[Headers, bytes]]:
    return dated(format_datetime(datetime.now(UTC) + minutes * MINUTES, usegmt=True))


FRONT = {
    "10 minutes ahead": shifted(10),
    "a day ahead": shifted(24 * 60),
    "10 minutes behind": shifted(-10),
    "a year behind": shifted(-365 * 24 * 60),
    "missing": lambda headers, data: (no_date(headers), data),
    "nonsense": dated("yesterday, around noon"),
    "empty": dated(""),
}


@pytest.mark.labelstudio
@pytest.mark.parametrize("change", FRONT.values(), ids=FRONT.keys())
def test_a_front_servers_clock_decides_nothing(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, change: Callable[..., tuple[Headers, bytes]]
) -> None:
    one, two, *_ = tasks_of(team, studio)
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        proxy.fault(".", "rewrite", times=10**6, change=change)
        answer = say(studio, one, "happiness")
        assert pull(team, front).new == 1
        studio.update_annotation(answer, result=controls.answer("sadness"))
        assert pull(team, front).edited == 1
        say(studio, two, "neutral")
        assert pull(team, front).new == 1
        assert_at_rest(team, front)
    assert labels(team) == ["neutral", "sadness"]


def in_zone(stamp: str, hours: int) -> str:
    time = timestamps.moment(stamp)
    assert time is not None
    return time.astimezone(timezone(timedelta(hours=hours))).isoformat()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "+02:00": lambda stamp: in_zone(stamp, 2),
    "-05:00": lambda stamp: in_zone(stamp, -5),
    "no zone": lambda stamp: stamp.rstrip("Z"),
    "+00:00": lambda stamp: stamp.replace("Z", "+00:00"),
    "a space": lambda stamp: stamp.replace("T", " "),
    "whole seconds": lambda stamp: re.sub(r"\.\d+", "", stamp),
    "no time": lambda stamp: "soon",
}


@pytest.mark.labelstudio
@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_moments_are_compared_as_times_however_they_are_written(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, spelt: Callable[[str], str]
) -> None:
    def change(headers: Headers, data: bytes) -> tuple[Headers, bytes]:
        spell = lambda found: f'"updated_at":{json.dumps(spelt(found[1]))}'  # noqa: E731
        return headers, re.sub(r'"updated_at":\s*"([^"]+)"', spell, data.decode()).encode()

    one, two, *_ = tasks_of(team, studio)
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        proxy.fault("GET /api/tasks", "rewrite", times=10**6, change=change)
        answer = say(studio, one, "happiness")
        assert pull(team, front).new == 1
        say(studio, two, "neutral")
        studio.update_annotation(answer, result=controls.answer("sadness"))
        report = pull(team, front)
        assert (report.new, report.edited) == (1, 1)
        assert pull(team, front).changed is False
    assert labels(team) == ["neutral", "sadness"]


@pytest.mark.labelstudio
def test_no_moment_at_all_ends_the_pull_with_one_line_and_changes_nothing(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    def change(headers: Headers, data: bytes) -> tuple[Headers, bytes]:
        return headers, re.sub(r'"updated_at":\s*"[^"]+"', '"updated_at":""', data.decode()).encode()

    say(studio, tasks_of(team, studio)[0], "happiness")
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        proxy.fault("GET /api/tasks", "rewrite", times=10**6, change=change)
        with pytest.raises(ServerError, match=r"updated_at.*Nothing was changed here"):
            pull(team, front)
    assert (labels(team), pull(team, studio).new) == ([], 1)


def set_back(label_studio: LabelStudioServer, task: int, by: timedelta) -> None:
    """Give a task the moment that a server whose clock is behind would have written."""
    database = label_studio.server.folder / "data" / installation.DATABASE
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as server, server:
        (old,) = server.execute("SELECT updated_at FROM task WHERE id = ?", (task,)).fetchone()
        behind = datetime.fromisoformat(old) - by
        server.execute("UPDATE task SET updated_at = ? WHERE id = ?", (str(behind), task))


@pytest.mark.labelstudio
@pytest.mark.parametrize("minutes", [3, 60, 60 * 24, -60], ids=["minutes", "an hour", "a day", "ahead for an hour"])
def test_new_and_deleted_answers_are_seen_under_a_clock_that_jumps(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, minutes: int
) -> None:
    one, two, three, _ = tasks_of(team, studio)
    say(studio, one, "happiness")
    pull(team, studio)
    second = say(studio, two, "neutral")
    set_back(label_studio, two, minutes * MINUTES)
    assert pull(team, studio).new == 1
    say(studio, three, "sadness")
    assert pull(team, studio).new == 1
    set_back(label_studio, three, -minutes * MINUTES)
    pull(team, studio)
    studio.delete_annotation(second)
    pull(team, studio, reconcile=True)
    assert labels(team) == ["happiness", "sadness"]
    assert_at_rest(team, studio)


@pytest.mark.labelstudio
@pytest.mark.parametrize("change", ["edited", "deleted", "skipped instead", "same moment"])
def test_what_stamps_and_numbers_hide_shows_when_all_answers_are_compared(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(last_pull, "RECONCILE_EVERY", 4)
    one, *_ = tasks_of(team, studio)
    answer = say(studio, one, "happiness")
    pull(team, studio)
    if change in ("edited", "same moment"):
        studio.update_annotation(answer, result=controls.answer("sadness"))
    elif change == "deleted":
        studio.delete_annotation(answer)
    else:
        studio.update_annotation(answer, was_cancelled=True)
    set_back(label_studio, one, 60 * MINUTES if change != "same moment" else timedelta(0))
    for _ in range(3):
        pull(team, studio)
    assert labels(team) == (["sadness"] if change in ("edited", "same moment") else [])


@pytest.mark.labelstudio
@pytest.mark.parametrize("ahead", [10, 24 * 60, 10 * 365 * 24 * 60], ids=["minutes", "a day", "ten years"])
def test_a_catalog_whose_cursor_lies_in_the_future_recovers(team: Workspace, studio: Studio, ahead: int) -> None:
    one, *_ = tasks_of(team, studio)
    answer = say(studio, one, "happiness")
    pull(team, studio)
    with team.catalog() as catalog, catalog.begin() as tx:
        (mine,) = remotes.projects(tx)
        assert mine.window is not None
        older = {name: mine.window[name] for name in ("classes", "others")}
        nothing = {"tasks": 0, "answers": 0, "newest": ""}
        future = timestamps.written(datetime.now(UTC) + ahead * MINUTES)
        remotes.set_cursor(tx, mine, future, {**older, "seen": nothing})
    studio.update_annotation(answer, result=controls.answer("sadness"))
    assert pull(team, studio).edited == 1
    studio.update_annotation(answer, result=controls.answer("neutral"))
    assert pull(team, studio).edited == 1


@pytest.mark.labelstudio
def test_the_glance_and_the_reading_agree_on_what_lies_behind_a_moment(team: Workspace, studio: Studio) -> None:
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    (tasks,) = studio.changed_tasks(project.id)
    for since in sorted(task.updated_at for task in tasks):
        assert window(studio, project.id, since) == window_of(tasks, since)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20T12:00:00.5+02:00", "2026-11-20T10:00:00.500000Z"),
        ("2026-11-20T10:00:00", "2026-11-20T10:00:00.000000Z"),
        ("2026-11-20 05:00:00-05:00", "2026-11-20T10:00:00.000000Z"),
        ("", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_stamp_is_a_time_or_nothing(text: str | None, time: str | None) -> None:
    read = timestamps.moment(text)
    assert (None if read is None else timestamps.written(read)) == time
