"""Many answers gone at once are believed only when somebody says so, with their exact number."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from emolab.catalog import events
from emolab.errors import ServerError
from emolab.labeling.answers import record_votes
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.sync.pull import pull, watch
from emolab.labeling.sync.push import push
from emolab.workspace import Workspace
from tests.support.proxy import Headers, Proxy
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, assert_at_rest, environment, ledger, named, say, task_of, there

Lie = Callable[[dict[str, object]], None]


def no_answers(task: dict[str, object]) -> None:
    task["annotations"] = []


def empty_answers(task: dict[str, object]) -> None:
    answers = task.get("annotations")
    for answer in answers if isinstance(answers, list) else []:
        answer["result"] = []


def most_of_the_answers(task: dict[str, object]) -> None:
    if isinstance(task["id"], int) and task["id"] % 3:
        task["annotations"] = []


@pytest.fixture
def team(workspace: Workspace, studio: Studio) -> Workspace:
    """Ten samples with an answer each, all counted; two more without."""
    made = named(workspace, f"gone {uuid.uuid4().hex[:8]}")
    add_samples(made, 12)
    push(made, studio)
    for task in tasks_of(made, studio)[:10]:
        say(studio, task, "neutral")
    assert pull(made, studio).new == 10
    return made


def number(team: Workspace, studio: Studio) -> int:
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    return project.id


def tasks_of(team: Workspace, studio: Studio) -> list[int]:
    project = number(team, studio)
    return sorted(task_of(studio, project, sample) for sample in there(studio, team.config.labeling.project))


def delete_answers(studio: Studio, tasks: list[int]) -> None:
    for task in tasks:
        for answer in studio.task(task).annotations:
            studio.delete_annotation(answer.id)


def told(team: Workspace) -> list[int]:
    with team.catalog() as catalog, catalog.connect() as conn:
        return [e["detail"]["held"] for e in events.latest(conn, "pull") if "held" in e["detail"]]


@pytest.mark.labelstudio
@pytest.mark.parametrize("lie", [no_answers, empty_answers, most_of_the_answers])
@pytest.mark.parametrize("reconcile", [False, True])
def test_a_server_that_hides_answers_takes_no_vote(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, lie: Lie, reconcile: bool
) -> None:
    def change(headers: Headers, data: bytes) -> tuple[Headers, bytes]:
        answer = json.loads(data)
        for task in answer["tasks"]:
            lie(task)
        return headers, json.dumps(answer).encode()

    for task in tasks_of(team, studio)[:10]:  # something changes, so that the pull looks
        studio.update_annotation(studio.task(task).annotations[0].id, lead_time=2.0)
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        proxy.fault("GET /api/tasks/.*fields=all", "rewrite", times=10**6, change=change)
        with contextlib.suppress(ServerError):
            report = pull(team, front, reconcile=reconcile)
            assert set(report.held.values()) <= {6, 7, 10} and report.withdrawn == 0
    assert len(ledger(team)) == 10
    assert pull(team, studio).held == {}
    assert len(ledger(team)) == 10
    assert_at_rest(team, studio)


@pytest.mark.labelstudio
@pytest.mark.parametrize("kind", ["answers", "tasks"])
def test_votes_go_with_the_exact_number_only_and_new_ones_come_in_meanwhile(
    team: Workspace, studio: Studio, kind: str
) -> None:
    tasks = tasks_of(team, studio)
    if kind == "answers":
        delete_answers(studio, tasks[:7])
    else:
        studio.delete_tasks(number(team, studio), tasks[:7])
    say(studio, tasks[10], "sadness")
    studio.update_annotation(studio.task(tasks[9]).annotations[0].id, result=controls.answer("happiness"))
    report = pull(team, studio)
    assert (list(report.held.values()), report.withdrawn, report.new, report.edited) == ([7], 0, 1, 1)
    assert len(ledger(team)) == 11
    for wrong in (6, 8, 1, 10):
        assert list(pull(team, studio, accept_withdrawn=wrong).held.values()) == [7]
    assert list(pull(team, studio, reconcile=True).held.values()) == [7]
    assert told(team) == [7], "said once"
    report = pull(team, studio, accept_withdrawn=7)
    assert (report.held, report.withdrawn, report.tasks_deleted) == ({}, 7, 7 if kind == "tasks" else 0)
    assert len(ledger(team)) == 4
    assert_at_rest(team, studio)
    assert pull(team, studio, reconcile=True).changed is False


@pytest.mark.labelstudio
def test_a_team_that_tidies_up_a_little_is_not_asked(team: Workspace, studio: Studio) -> None:
    delete_answers(studio, tasks_of(team, studio)[:1])
    report = pull(team, studio)
    assert (report.held, report.withdrawn) == ({}, 1)
    assert len(ledger(team)) == 9


@pytest.mark.labelstudio
def test_a_deleted_project_holds_nothing_back_and_its_votes_stay(team: Workspace, studio: Studio) -> None:
    studio.delete_project(number(team, studio))
    report = pull(team, studio)
    assert (report.gone, report.held, report.withdrawn) == ((team.config.labeling.project,), {}, 0)
    assert len(ledger(team)) == 10


@pytest.mark.labelstudio
def test_watching_goes_on_with_new_answers_while_withdrawals_wait(team: Workspace, studio: Studio) -> None:
    tasks = tasks_of(team, studio)
    delete_answers(studio, tasks[:6])
    reports = watch(team, studio, every=0.01)
    assert list(next(reports).held.values()) == [6]
    say(studio, tasks[11], "sadness")
    assert next(reports).new == 1
    assert list(next(reports).held.values()) == [6]
    for task in tasks[:6]:
        say(studio, task, "neutral")
    next(reports)
    reports.close()
    assert told(team) == [6]


@pytest.mark.labelstudio
def test_the_command_says_the_number_and_what_to_type(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, run_cli: Callable[..., CompletedProcess[str]]
) -> None:
    env = environment(label_studio.url, label_studio.token)
    delete_answers(studio, tasks_of(team, studio)[:9])
    done = run_cli("label", "pull", cwd=team.root, env=env)
    words = re.sub(r"\s+", " ", done.stderr)
    assert done.returncode == 1 and "9 counted votes of" in words and "--accept-withdrawn 9" in words, done.stderr
    wrong = run_cli("label", "pull", "--accept-withdrawn", "8", "--json", cwd=team.root, env=env)
    assert (wrong.returncode, list(json.loads(wrong.stdout)["held"].values())) == (1, [9])
    right = run_cli("label", "pull", "--accept-withdrawn", "9", "--json", "--reconcile", cwd=team.root, env=env)
    assert (right.returncode, json.loads(right.stdout)["withdrawn"]) == (0, 9)


@pytest.mark.parametrize(
    ("ceasing", "counted", "asked"),
    [(84, 84, True), (1, 1, False), (1, 5, False), (2, 19, True), (2, 20, False), (10, 100, False), (11, 100, True)],
)
def test_more_than_a_tenth_and_more_than_one(ceasing: int, counted: int, asked: bool) -> None:
    assert record_votes.too_many(ceasing, counted) is asked
