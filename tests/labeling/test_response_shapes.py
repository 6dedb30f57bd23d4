"""Answers of the wrong shape, from any endpoint: one line that says so, and nothing changed.

Listings that hold fewer tasks or answers than the project has are of that kind, too.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from emolab.catalog.campaign import remotes
from emolab.errors import ServerError
from emolab.labeling.label_studio import duplicate_queries, queries, retry
from emolab.labeling.label_studio.accounts import invitation
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.operate.checks import servers
from emolab.workspace import Workspace
from tests.support.misbehaving import misbehaving
from tests.support.proxy import Proxy
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, ledger, named, say, task_of, there

pytest.importorskip("httpx")
pytest.importorskip("label_studio_sdk")

LEGACY = "0123456789abcdef0123456789abcdef01234567"
DEEP = "[" * 100_000
SHAPES = ("{}", "[]", "1", '"x"', "null", "", "true", "[1]", "[[]]", '[{"id": "x"}]', "<html>", '{"id": 1}', DEEP)
READS: dict[str, Callable[[Studio], object]] = {
    "whoami": lambda s: s.whoami(),
    "users": lambda s: s.users(),
    "version": lambda s: s.version(),
    "server_id": lambda s: s.server_id,
    "project": lambda s: s.project(1),
    "projects": lambda s: s.projects(),
    "file_uploads": lambda s: s.file_uploads(1),
    "lookup_tasks": lambda s: s.lookup_tasks(1, ["a"]),
    "changed_tasks": lambda s: list(s.changed_tasks(1, "2026-01-01")),
    "all tasks": lambda s: list(s.changed_tasks(1)),
    "list_task_ids": lambda s: s.list_task_ids(1),
    "task": lambda s: s.task(1),
    "next_task": lambda s: s.next_task(1),
    "exports": lambda s: s.exports(1),
    "invitation": invitation,
    "window": lambda s: queries.window(s, 1, "2026-01-01"),
    "carriers": lambda s: list(queries.carriers(s, 1)),
    "newest_task": lambda s: queries.newest_task(s, 1),
    "used_labels": lambda s: queries.used_labels(s, 1),
    "model_versions": lambda s: queries.model_versions(s, 1),
    "prediction": lambda s: s.prediction(1),
    "predictions": lambda s: s.predictions(1),
    "states of twins": lambda s: duplicate_queries.states(s, 1, [1]),
}
WRITES: dict[str, Callable[[Studio], object]] = {
    "create_project": lambda s: s.create_project("faces", "<View/>"),
    "import_tasks": lambda s: s.import_tasks(1, [{"data": {}}]),
    "upload_files": lambda s: s.upload_files(1, [("a.jpg", b"x", "image/jpeg")]),
    "import_predictions": lambda s: s.import_predictions(1, [{"task": 1, "result": []}]),
    "create_annotation": lambda s: s.create_annotation(1, []),
    "update_annotation": lambda s: s.update_annotation(1, result=[]),
    "update_project": lambda s: s.update_project(1, title="new"),
}
#: Shapes that are right: nobody, no export, no file, no label and no order yet; an answer needs no more than its id.
RIGHT = {
    ("users", "[]"),
    ("exports", "[]"),
    ("file_uploads", "[]"),
    ("predictions", "[]"),
    ("prediction", '{"id": 1}'),
    ("model_versions", "[]"),
    ("model_versions", "{}"),
    ("model_versions", '{"id": 1}'),
    ("create_annotation", '{"id": 1}'),
    ("update_annotation", '{"id": 1}'),
}


def one_line(error: ServerError) -> bool:
    return "\n" not in str(error) and len(error.message) < 300


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape[:12])
def test_every_request_explains_an_answer_of_the_wrong_shape(shape: str) -> None:
    with misbehaving(lambda *_: (200, {}, shape)) as (url, seen), connect(url, LEGACY) as studio:
        for name, ask in {**READS, **WRITES}.items():
            if (name, shape) in RIGHT:
                continue
            seen.clear()
            with pytest.raises(ServerError) as caught:
                ask(studio)
            assert one_line(caught.value), name
            assert url in caught.value.message, name
            written = name in {"create_project", "update_project"} and len(seen) > 1  # and read again after that
            assert caught.value.outcome_unknown is (name in WRITES and not written), name
            assert not caught.value.retryable, name


def test_a_write_that_answers_oddly_is_sent_once_by_itself_and_three_times_at_most_where_that_does_no_harm() -> None:
    with misbehaving(lambda *_: (200, {}, "[1]")) as (url, seen), connect(url, LEGACY) as studio:
        with pytest.raises(ServerError):
            studio.import_tasks(1, [{"data": {}}])
        assert len(seen) == 1
        with pytest.raises(ServerError):
            patiently(lambda: studio.upload_files(1, [("a.jpg", b"x", "image/jpeg")]))
        assert len(seen) == 1 + retry.ODD_ANSWERS


def test_an_answer_about_a_token_is_never_quoted() -> None:
    with misbehaving(lambda *_: (200, {}, '{"access": 5, "secret": "hush"}')) as (url, _):
        token = "e30.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2ln"
        with connect(url, token) as studio, pytest.raises(ServerError) as caught:
            studio.version()
    assert "token/refresh" in caught.value.message
    assert "hush" not in str(caught.value)
    assert "secret" not in str(caught.value)


# -- one wrong field -------------------------------------------------------------------------------------------------

PROJECT: dict[str, object] = {
    "id": 1, "title": "faces", "label_config": "<View/>", "maximum_annotations": 1, "sampling": "", "task_number": 1,
    "show_collab_predictions": False, "model_version": None, "description": None, "finished_task_number": 0,
    "total_annotations_number": 1, "skipped_annotations_number": 0,
}  # fmt: skip
ANSWER: dict[str, object] = {
    "id": 5, "result": [{"type": "choices"}], "completed_by": 3, "was_cancelled": False, "ground_truth": False,
    "lead_time": 1.5, "parent_prediction": None, "updated_by": 3, "created_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
TASK: dict[str, object] = {"id": 1, "updated_at": "2026-01-01T00:00:00Z", "data": {"emolab_uid": "a"}}


def wrong_field(thing: dict[str, object], name: str, value: object) -> dict[str, object]:
    return {k: v for k, v in thing.items() if k != name} if value == "missing" else {**thing, name: value}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "missing"), ("id", "x"), ("id", 0), ("id", -1), ("id", 2**63), ("id", 1.5), ("id", True), ("id", []),
        ("updated_at", "missing"), ("updated_at", 5), ("data", "missing"), ("data", "x"), ("data", []), ("data", None),
        ("annotations", "missing"), ("annotations", None), ("annotations", {}), ("annotations", [1]),
    ],
)  # fmt: skip
def test_a_task_with_a_wrong_field_is_no_task(name: str, value: object) -> None:
    task = wrong_field({**TASK, "annotations": [ANSWER]}, name, value)
    body = json.dumps({"tasks": [task], "total": 1, "total_annotations": 1})
    with misbehaving(lambda *_: (200, {}, body)) as (url, _), connect(url, LEGACY) as studio:
        with pytest.raises(ServerError, match=name) as caught:
            list(studio.changed_tasks(1, "2026-01-01"))
        assert one_line(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "missing"), ("id", "ann"), ("id", 2**63), ("id", 10**30), ("completed_by", 10**20),
        ("parent_prediction", -(10**20)),
        ("result", "missing"), ("completed_by", "missing"), ("was_cancelled", "missing"),
        ("result", "happy"), ("result", 1), ("result", {"happy": 1}),
        ("completed_by", "ann"), ("completed_by", [3]), ("completed_by", 3.5), ("was_cancelled", "no"),
        ("was_cancelled", 0), ("parent_prediction", "x"),
        ("created_at", 17), ("ground_truth", []),
    ],
)  # fmt: skip
def test_an_answer_with_a_wrong_field_is_no_answer(name: str, value: object) -> None:
    task = {**TASK, "annotations": [wrong_field(ANSWER, name, value)]}
    body = json.dumps({"tasks": [task], "total": 1, "total_annotations": 1})
    with misbehaving(lambda *_: (200, {}, body)) as (url, _), connect(url, LEGACY) as studio:
        with pytest.raises(ServerError, match=rf"tasks\[0\]\.annotations\[(0|)\](\.{name}|)") as caught:
            list(studio.changed_tasks(1, "2026-01-01"))
        assert one_line(caught.value)


@pytest.mark.parametrize("name", ["id", "task_number", "total_annotations_number"])
@pytest.mark.parametrize("value", ["missing", "x", None, [], 1.5])
def test_a_project_without_its_numbers_is_none(name: str, value: object) -> None:
    body = json.dumps(wrong_field(PROJECT, name, value))
    with (
        misbehaving(lambda *_: (200, {}, body)) as (url, _),
        connect(url, LEGACY) as studio,
        pytest.raises(ServerError, match=name),
    ):
        studio.project(1)


# -- listings that cannot be true ------------------------------------------------------------------------------------


class Tasks:
    """A server with one project of ``n`` tasks, each answered once; tests make it lie."""

    def __init__(self, n: int) -> None:
        self.tasks = {i: {**TASK, "id": i, "data": {"emolab_uid": f"u{i}"}, "annotations": [{**ANSWER, "id": i}]}
                      for i in range(1, n + 1)}  # fmt: skip
        self.lie: Callable[[dict[str, Any]], dict[str, Any]] = lambda page: page
        self.export: Callable[[list[Any]], list[Any]] = lambda rows: rows
        self.before_page: Callable[[], None] = lambda: None
        self.listed = 0

    def __call__(self, method: str, path: str) -> tuple[int, dict[str, str], str]:
        parts = urlsplit(path)
        if parts.path == "/api/tasks/":
            self.before_page()
            return 200, {}, json.dumps(self.lie(self._page(parse_qs(parts.query))))
        if parts.path.endswith("/download"):
            return 200, {}, json.dumps(self.export(list(self.tasks.values())))
        if "/exports" in parts.path:
            return (204, {}, "") if method == "DELETE" else (201, {}, json.dumps({"id": 9, "status": "completed"}))
        answers = sum(len(task["annotations"]) for task in self.tasks.values())
        return 200, {}, json.dumps({**PROJECT, "task_number": len(self.tasks), "total_annotations_number": answers})

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        self.listed += 1
        items = json.loads(query["query"][0])["filters"]["items"]
        after = next((item["value"] for item in items if item["operator"] == "greater"), 0)
        wanted = next((item["value"] for item in items if item["operator"] == "in_list"), None)
        found = [
            task
            for number, task in sorted(self.tasks.items())
            if number > after and (wanted is None or task["data"]["emolab_uid"] in wanted)
        ]
        size = int(query["page_size"][0])
        return {"tasks": found[:size], "total": len(found), "total_annotations": len(found)}


@pytest.fixture
def faked() -> Iterator[tuple[Tasks, Studio]]:
    tasks = Tasks(84)
    with misbehaving(tasks) as (url, _), connect(url, LEGACY) as studio:
        yield tasks, studio


LIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "empty": lambda page: {**page, "tasks": [], "total": 0},
    "empty, but the total is right": lambda page: {**page, "tasks": []},
    "cut": lambda page: {**page, "tasks": page["tasks"][:40]},
    "cut, with a total to match": lambda page: {**page, "tasks": page["tasks"][:40], "total": len(page["tasks"][:40])},
    "one missing": lambda page: {**page, "tasks": page["tasks"][1:], "total": page["total"] - 1},
    "no answers": lambda page: {**page, "tasks": [{**task, "annotations": []} for task in page["tasks"]]},
    "one answer missing": lambda page: {**page, "tasks": [{**page["tasks"][0], "annotations": []}, *page["tasks"][1:]]},
    "twice the same": lambda page: {**page, "tasks": page["tasks"][:1] * len(page["tasks"])},
    "in another order": lambda page: {**page, "tasks": page["tasks"][::-1]},
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_listing_that_the_project_contradicts_is_not_believed(faked: tuple[Tasks, Studio], lie: str) -> None:
    tasks, studio = faked
    tasks.lie = LIES[lie]
    asked: list[Callable[[], object]] = [lambda: list(studio.changed_tasks(1))]
    if "answer" not in lie:
        asked += [lambda: studio.list_task_ids(1), lambda: list(queries.carriers(studio, 1))]
    for ask in asked:
        with pytest.raises(ServerError) as caught:
            ask()
        assert one_line(caught.value)


def test_answers_that_the_project_does_not_count_are_listed_all_the_same(faked: tuple[Tasks, Studio]) -> None:
    tasks, studio = faked
    twice = [{**ANSWER, "id": 1}, {**ANSWER, "id": 1001}]
    tasks.lie = lambda page: {**page, "tasks": [{**page["tasks"][0], "annotations": twice}, *page["tasks"][1:]]}
    assert sum(len(task.annotations) for page in studio.changed_tasks(1) for task in page) == 85


def test_a_listing_that_lies_once_is_asked_for_again(faked: tuple[Tasks, Studio]) -> None:
    tasks, studio = faked
    tasks.lie = lambda page: LIES["empty"](page) if tasks.listed == 1 else page
    assert sum(map(len, patiently(lambda: list(studio.changed_tasks(1))))) == 84


def test_a_page_that_never_ends_is_noticed(faked: tuple[Tasks, Studio]) -> None:
    tasks, studio = faked
    rows = list(tasks.tasks.values())
    tasks.lie = lambda page: {**page, "tasks": rows[:20], "total": 84}
    with pytest.raises(ServerError, match="in order of id, all above 20"):
        list(studio.pages(1, [], include="id,updated_at", size=20))


@pytest.mark.parametrize("size", [500, 20])
def test_tasks_deleted_and_added_by_others_meanwhile_are_fine(faked: tuple[Tasks, Studio], size: int) -> None:
    tasks, studio = faked

    def change() -> None:
        if tasks.listed in {0, 2}:  # before the first page, or between two
            for number in (3, 80, 81):
                tasks.tasks.pop(number, None)

    tasks.before_page = change
    assert 81 <= sum(map(len, studio.pages(1, [], include="id,updated_at,annotations", size=size))) <= 84
    assert len(tasks.tasks) == 81
    tasks.before_page = lambda: tasks.tasks.setdefault(99, {**TASK, "id": 99, "annotations": []}) and None
    assert sum(map(len, studio.pages(1, [], include="id,updated_at,annotations", size=size))) == 82


@pytest.mark.parametrize(
    "lie", [lambda rows: [], lambda rows: rows[:50], lambda rows: [{**row, "annotations": []} for row in rows]]
)
def test_a_snapshot_that_the_project_contradicts_is_not_believed(
    faked: tuple[Tasks, Studio], lie: Callable[[list[Any]], list[Any]]
) -> None:
    tasks, studio = faked
    assert len(studio.snapshot(1)) == 84
    tasks.export = lie
    with pytest.raises(ServerError, match="which has 84 by its own count"):
        studio.snapshot(1)


def test_there_is_no_such_task_is_believed_only_of_a_server_that_lists_the_others(faked: tuple[Tasks, Studio]) -> None:
    tasks, studio = faked
    assert studio.lookup_tasks(1, ["u1", "new"]).keys() == {"u1"}
    tasks.lie = LIES["empty"]
    with pytest.raises(ServerError, match="listed 0 tasks of project 1, which has 84"):
        studio.lookup_tasks(1, ["u1"])


# -- commands --------------------------------------------------------------------------------------------------------

COMMANDS = (
    ("label", "push", "--all"),
    ("label", "pull"),
    ("label", "status"),
    ("studio", "invite"),
)
SHAPES = ("{}", "[1]", "1", "<html>")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_ends_with_a_line(
    workspace: Workspace, run_cli: Callable[..., subprocess.CompletedProcess[str]], command: tuple[str, ...]
) -> None:
    add_samples(workspace, 2)
    for shape in SHAPES:
        with misbehaving(lambda *_, shape=shape: (200, {}, shape)) as (url, _):
            env = {"LABEL_STUDIO_URL": url, "EMOLAB_STUDIO_TOKEN": LEGACY}
            done = run_cli(*command, cwd=workspace.root, env=env)
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        if command != ("label", "status"):  # this shows what it finds here, server or not
            assert done.returncode == 1
            assert "✗" in done.stderr or "answered" in done.stderr, done.stderr


@pytest.mark.parametrize("shape", SHAPES)
def test_the_doctor_takes_no_such_server_for_a_healthy_one(shape: str) -> None:
    with misbehaving(lambda *_: (200, {}, shape)) as (url, _):
        check = servers.studio(url, LEGACY)
    assert (check.state, check.needed) == ("broken", True)
    assert "\n" not in check.detail


# -- the real server behind a proxy that changes answers -------------------------------------------------------------

ENDPOINTS = {
    "the listing": r"GET /api/tasks/\?.*annotations",
    "the window": r"GET /api/tasks/\?.*page_size=1&",
    "the projects": r"GET /api/projects/",
    "the people": r"GET /api/users/",
    "the organization": r"GET /api/organizations/",
}


@pytest.fixture
def answered(workspace: Workspace, label_studio: LabelStudioServer) -> Iterator[tuple[Workspace, Studio]]:
    """A workspace with seven samples on the server, five of them answered and pulled, the others answered since."""
    team = named(workspace, f"shapes {uuid.uuid4().hex[:8]}")
    ids = add_samples(team, 7)
    with label_studio.client() as studio:
        push(team, studio)
        project = studio.find_project(team.config.labeling.project)
        assert project is not None
        for name in ids[:5]:
            say(studio, task_of(studio, project.id, name), "happiness")
        assert pull(team, studio).new == 5
        _, ann = label_studio.annotator()
        for name in ids[5:]:
            say(ann, task_of(studio, project.id, name), "sadness")
        yield team, studio


@pytest.mark.labelstudio
@pytest.mark.parametrize("shape", ["{}", "[]", "1", '{"tasks": [], "total": 0, "total_annotations": 0}', "<html>"])
def test_a_pull_of_odd_answers_changes_nothing_and_the_next_one_reads_all(
    answered: tuple[Workspace, Studio], label_studio: LabelStudioServer, shape: str
) -> None:
    team, studio = answered
    before = [(vote.sample_id, vote.label) for vote in ledger(team)]
    for what, pattern in ENDPOINTS.items():
        with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as client:
            proxy.fault(pattern, "say", times=99, body=shape.encode())
            for reconcile in (False, True):
                if ("total" in shape and not reconcile) or (what == "the window" and reconcile):
                    continue  # a true "nothing new" looks the same; reading everything asks for no window
                with pytest.raises(ServerError) as caught:
                    pull(team, client, reconcile=reconcile)
                assert one_line(caught.value)
                assert [(vote.sample_id, vote.label) for vote in ledger(team)] == before
    assert pull(team, studio, reconcile=True).new == 2
    assert len(ledger(team)) == 7


@pytest.mark.labelstudio
@pytest.mark.parametrize("shape", ["{}", "[]", "1", "", "<html>", '{"task_ids": ["x"]}'])
def test_an_import_whose_answer_is_odd_is_looked_up(
    answered: tuple[Workspace, Studio],
    label_studio: LabelStudioServer,
    shape: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    team, studio = answered
    monkeypatch.setattr(retry, "SETTLE", 1.0)
    add_samples(team, 3, first=50)
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as client:
        proxy.fault(r"POST /api/projects/\d+/import\?.*return_task_ids", "say", body=shape.encode())
        report = push(team, client)
    assert (report.looked_up, report.created + report.adopted) == (1, 3)
    found = there(studio, team.config.labeling.project)
    assert (len(found), set(found.values())) == (10, {1})


@pytest.mark.labelstudio
def test_a_push_of_odd_answers_leaves_the_outbox_to_the_next_one(
    answered: tuple[Workspace, Studio], label_studio: LabelStudioServer
) -> None:
    team, studio = answered
    add_samples(team, 3, first=60)
    patterns = (r"GET /api/organizations/", r"GET /api/projects/\d+/", r"GET /api/tasks/", r"commit_to_project=false")
    for pattern in patterns:
        with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as client:
            proxy.fault(pattern, "say", times=99, body=b"[1]")
            with pytest.raises(ServerError) as caught:
                push(team, client)
            assert one_line(caught.value)
    assert push(team, studio).created == 3
    with team.catalog() as catalog, catalog.connect() as conn:
        assert {task.state for task in remotes.tasks(conn, remotes.projects(conn)[0])} == {"open"}
    assert set(there(studio, team.config.labeling.project).values()) == {1}
