"""One sample, several tasks: empty ones go, answered ones leave the queue, everybody's vote counts once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from unittest import mock

import pytest

from emolab.catalog.campaign import remotes
from emolab.labeling.form import controls
from emolab.labeling.label_studio import duplicate_queries
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.label_studio.duplicate_queries import State
from emolab.labeling.server import installation
from emolab.labeling.sync.pull import PullReport, pull
from emolab.labeling.sync.push import push
from emolab.workspace import Workspace
from tests.support.calling import emolab as command
from tests.support.proxy import Proxy
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, environment, ledger, named, other_machine, say, task_of, there

pytestmark = pytest.mark.labelstudio
IMPORT = r"POST /api/projects/\d+/import\?.*return_task_ids"
N = 4


@pytest.fixture(scope="module")
def people(label_studio: LabelStudioServer) -> list[Studio]:
    return [label_studio.annotator(name)[1] for name in ("ann", "bob")]


@pytest.fixture
def team(workspace: Workspace, studio: Studio) -> Workspace:
    """Four samples that were sent to a project of their own, and pulled once."""
    made = named(workspace, f"twins {uuid.uuid4().hex[:8]}")
    add_samples(made, N)
    push(made, studio)
    pull(made, studio)
    return made


def number(team: Workspace, studio: Studio) -> int:
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    return project.id


def sample_of(team: Workspace, place: int = 0) -> str:
    with team.catalog() as catalog, catalog.connect() as conn:
        return sorted(task.sample_id for task in remotes.tasks(conn, remotes.projects(conn)[0]))[place]


def main_task(team: Workspace, studio: Studio, place: int = 0) -> int:
    return task_of(studio, number(team, studio), sample_of(team, place))


def late(team: Workspace, studio: Studio, place: int = 0) -> int:
    """A second task of a sample, as a request carried out again makes it."""
    body = {"data": {"image": "/data/x.png", "emolab_uid": sample_of(team, place)}}
    return studio.import_tasks(number(team, studio), [body])[0]


def begin(person: Studio, task: int) -> None:
    """Begin an answer, as the page does when somebody presses a key and has not submitted yet."""
    person.http.call("POST", f"/api/tasks/{task}/drafts", json={"result": controls.answer("sadness"), "lead_time": 1.0})


def tasks(team: Workspace, studio: Studio) -> list[State]:
    project = number(team, studio)
    return duplicate_queries.states(studio, project, sorted(studio.list_task_ids(project)))


def open_twins(team: Workspace, studio: Studio) -> int:
    """How many samples have more than one task that somebody could be handed, or an empty one too many."""
    by_uid: dict[str | None, list[State]] = {}
    for state in tasks(team, studio):
        by_uid.setdefault(state.uid, []).append(state)
    groups = [group for group in by_uid.values() if len(group) > 1]
    return sum(sum(not s.finished for s in g) > 1 or any(not s.touched for s in g) for g in groups)


def handed_out(person: Studio, team: Workspace, studio: Studio) -> list[int]:
    """The tasks that a person is handed, one after another, until there are none (each is skipped)."""
    found = []
    while (task := person.next_task(number(team, studio))) is not None:
        found.append(task.id)
        say(person, task.id, None)
    return found


def labels(team: Workspace) -> list[str]:
    return sorted(str(vote.label) for vote in ledger(team))


def quiet(team: Workspace, studio: Studio) -> None:
    """The next pulls find nothing to do, and reading everything again changes nothing."""
    pull(team, studio)
    report = pull(team, studio)
    assert (report.changed, report.read, report.doubles_removed, report.twins_closed) == (False, 0, 0, 0)
    report = pull(team, studio, reconcile=True)
    assert (report.changed, report.doubles_removed, report.twins_closed) == (False, 0, 0)
    assert open_twins(team, studio) == 0


@pytest.mark.parametrize("by", ["pull", "push", "pull of everything"])
def test_an_empty_twin_is_removed(team: Workspace, studio: Studio, by: str) -> None:
    first, twin = main_task(team, studio), late(team, studio)
    if by == "push":
        assert push(team, studio).twins_removed == 1
    else:
        assert pull(team, studio, reconcile=by != "pull").doubles_removed == 1
    assert twin not in studio.list_task_ids(number(team, studio))
    assert main_task(team, studio) == first
    quiet(team, studio)


def test_a_whole_import_carried_out_again_and_again_leaves_every_sample_once(
    workspace: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    team = named(workspace, f"twins {uuid.uuid4().hex[:8]}")
    add_samples(team, N)
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        proxy.fault(IMPORT, "again")
        push(team, front)
        proxy.replay()
        proxy.replay()
        assert pull(team, studio).doubles_removed == 2 * N
        proxy.replay()
        assert push(team, studio).twins_removed == N
    assert set(there(studio, team.config.labeling.project).values()) == {1}
    quiet(team, studio)


def test_of_two_answered_tasks_one_leaves_the_queue_and_both_votes_count(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    ann, bob = people
    first, twin = main_task(team, studio), late(team, studio)
    say(ann, first, "happiness")
    say(bob, twin, "sadness")
    report = pull(team, studio)
    assert (report.new, report.twins_closed, report.doubles_removed) == (2, 1, 0)
    assert labels(team) == ["happiness", "sadness"]
    quiet(team, studio)
    assert [a.completed_by for a in studio.task(twin).annotations] == [bob.whoami().id], "still readable"
    assert twin not in handed_out(ann, team, studio)


def test_one_person_on_both_tasks_counts_once_with_the_later_answer(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    first, twin = main_task(team, studio), late(team, studio)
    say(people[0], first, "happiness")
    later = say(people[0], twin, "sadness")
    pull(team, studio)
    assert labels(team) == ["sadness"]
    assert len(ledger(team, rejected=True)) == 2
    quiet(team, studio)
    studio.delete_annotation(later)
    pull(team, studio)
    assert labels(team) == ["happiness"]
    quiet(team, studio)
    assert twin not in studio.list_task_ids(number(team, studio)), "empty now, so it went"


def test_a_twin_of_an_answered_task_goes_when_empty(team: Workspace, studio: Studio, people: list[Studio]) -> None:
    first = main_task(team, studio)
    say(people[0], first, "happiness")
    pull(team, studio)
    late(team, studio)
    assert pull(team, studio).doubles_removed == 1
    assert (main_task(team, studio), labels(team)) == (first, ["happiness"])
    quiet(team, studio)


def test_the_answered_one_of_two_stays_and_the_older_empty_one_goes(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    first, twin = main_task(team, studio), late(team, studio)
    say(people[0], twin, "happiness")
    assert pull(team, studio).doubles_removed == 1
    assert first not in studio.list_task_ids(number(team, studio))
    assert (main_task(team, studio), labels(team)) == (twin, ["happiness"])
    quiet(team, studio)
    assert push(team, studio).created == 0


def test_a_twin_that_somebody_has_begun_is_closed_and_its_answer_counts_later(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    ann, bob = people
    twin = late(team, studio)
    begin(ann, twin)
    first = main_task(team, studio)
    say(bob, first, "happiness")
    report = pull(team, studio)
    assert (report.twins_closed, report.doubles_removed) == (1, 0)
    assert open_twins(team, studio) == 0
    for _ in range(3):
        assert pull(team, studio).changed is False
    say(ann, twin, "sadness")
    assert pull(team, studio).new == 1
    assert labels(team) == ["happiness", "sadness"]
    assert open_twins(team, studio) == 0


def test_a_begun_twin_goes_when_the_draft_is_dropped(team: Workspace, studio: Studio, people: list[Studio]) -> None:
    twin = late(team, studio)
    begin(people[0], twin)
    say(people[1], main_task(team, studio), "happiness")
    assert pull(team, studio).twins_closed == 1
    (draft,) = people[0].http.get(f"/api/tasks/{twin}/drafts")
    people[0].http.call("DELETE", f"/api/drafts/{draft['id']}/")
    assert pull(team, studio).doubles_removed == 1
    quiet(team, studio)


def test_a_skipped_twin_is_closed_not_deleted(team: Workspace, studio: Studio, people: list[Studio]) -> None:
    twin = late(team, studio)
    say(people[0], twin, None)
    say(people[1], main_task(team, studio), "happiness")
    assert pull(team, studio).twins_closed == 1
    assert twin in studio.list_task_ids(number(team, studio))
    assert labels(team) == ["happiness"]
    quiet(team, studio)


def test_a_twin_behind_a_deletion_is_found(team: Workspace, studio: Studio) -> None:
    studio.delete_tasks(number(team, studio), [main_task(team, studio, 3)])
    late(team, studio)
    report = pull(team, studio)
    assert (report.doubles_removed, report.tasks_deleted) == (1, 1)
    quiet(team, studio)


@pytest.mark.parametrize(
    "when", [r"GET /api/projects/", r"GET /api/tasks/.*updated_at.*greater", r"GET /api/tasks/.*-tasks%3Aid"]
)
def test_a_twin_that_comes_while_a_pull_runs_is_gone_after_the_next(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, when: str
) -> None:
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        fault = proxy.fault(when, "call", action_on=lambda: late(team, studio) and None)
        first = pull(team, front)
        assert fault.hits == 1
    assert first.doubles_removed + pull(team, studio).doubles_removed == 1
    quiet(team, studio)


@pytest.mark.parametrize("state", ["pending", "sending"])
def test_a_twin_of_a_task_in_the_outbox_is_settled(team: Workspace, studio: Studio, state: str) -> None:
    with team.catalog() as catalog, catalog.begin() as tx:
        (mine,) = remotes.projects(tx)
        remotes.set_state(tx, mine, [sample_of(team)], state)
    late(team, studio)
    late(team, studio)
    assert pull(team, studio).doubles_removed == 2
    assert push(team, studio).created == 0
    quiet(team, studio)
    assert len(studio.list_task_ids(number(team, studio))) == N


def test_when_the_older_one_is_deleted_the_other_goes_on_in_the_queue(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    ann, bob = people
    first, twin = main_task(team, studio), late(team, studio)
    say(ann, first, "happiness")
    say(bob, twin, "sadness")
    pull(team, studio)
    studio.delete_tasks(number(team, studio), [first])
    pull(team, studio)
    assert labels(team) == ["sadness"]
    (state,) = [s for s in tasks(team, studio) if s.task == twin]
    assert (state.finished, state.marked) == (False, False)
    quiet(team, studio)
    assert push(team, studio).created == 0


def test_closed_twins_stay_closed_when_more_people_are_wanted(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    first, twin = main_task(team, studio), late(team, studio)
    say(people[0], first, "happiness")
    say(people[1], twin, "sadness")
    pull(team, studio)
    studio.update_project(number(team, studio), maximum_annotations=5)  # in Label Studio's own settings
    pull(team, studio)
    assert open_twins(team, studio) == 0
    quiet(team, studio)
    push(team, studio, overlap=4)
    pull(team, studio)
    assert open_twins(team, studio) == 0


def test_an_answer_given_right_before_the_deletion_is_kept(
    team: Workspace, studio: Studio, people: list[Studio], label_studio: LabelStudioServer
) -> None:
    twin = late(team, studio)
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        fault = proxy.fault(
            r"POST /api/dm/actions/.*delete_tasks", "call", action_on=lambda: say(people[0], twin, "sadness") and None
        )
        report = pull(team, front)
    assert (fault.hits, report.doubles_removed) == (1, 1), "the other one, which was still empty, went"
    pull(team, studio)
    assert (labels(team), main_task(team, studio)) == (["sadness"], twin)
    quiet(team, studio)


def test_an_answer_that_the_server_does_not_count_is_kept_too(
    team: Workspace, studio: Studio, people: list[Studio], label_studio: LabelStudioServer
) -> None:
    """Label Studio's counts stand still after two projects were deleted at once, until it is started again."""
    twin = late(team, studio)
    database = label_studio.server.folder / "data" / installation.DATABASE

    def answer() -> None:
        say(people[0], twin, "sadness")
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as there, there:
            there.execute("UPDATE task SET total_annotations = 0 WHERE id = ?", (twin,))

    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        fault = proxy.fault(r"POST /api/dm/actions/.*delete_tasks", "call", action_on=answer)
        report = pull(team, front)
    assert fault.hits == 1
    assert report.doubles_removed == 1, "the other one, which was still empty, went"
    pull(team, studio)
    assert (labels(team), main_task(team, studio)) == (["sadness"], twin)
    with mock.patch.dict(os.environ, environment(label_studio.url, label_studio.token)):
        told = command("-w", team.root, "label", "pull", "--reconcile")
    assert "does not count the answers to 1 task" in " ".join(told.err.split())
    say(people[1], twin, "sadness")  # which makes the server count again
    assert pull(team, studio).uncounted == 0


def test_two_machines_choose_the_same_task(team: Workspace, studio: Studio, people: list[Studio]) -> None:
    first, twin = main_task(team, studio), late(team, studio)
    begin(people[0], first)
    say(people[1], twin, "sadness")
    elsewhere = named(other_machine(team, n=N), team.config.labeling.project)
    reports: list[PullReport] = [pull(elsewhere, studio), pull(team, studio)]
    assert [r.twins_closed for r in reports] == [1, 0]
    say(people[0], first, "happiness")
    for workspace in (team, elsewhere, team):
        pull(workspace, studio)
        assert labels(workspace) == ["happiness", "sadness"]
        assert open_twins(workspace, studio) == 0
    assert [s.task for s in tasks(team, studio) if s.uid == sample_of(team) and not s.marked] == [twin]


def test_foreign_tasks_and_samples_of_others_are_left_alone(team: Workspace, studio: Studio) -> None:
    body = [
        {"data": {"image": "/data/x.png", **uid}}
        for uid in ({}, {}, {"emolab_uid": "f" * 64}, {"emolab_uid": "f" * 64})
    ]
    studio.import_tasks(number(team, studio), body)
    assert pull(team, studio).doubles_removed == 0
    assert push(team, studio).twins_removed == 0
    assert len(studio.list_task_ids(number(team, studio))) == N + 4


def test_a_quiet_pull_asks_little(team: Workspace, studio: Studio, label_studio: LabelStudioServer) -> None:
    pull(team, studio)
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        pull(team, front)
        asked = [line for line in proxy.seen if "token" not in line and "organizations" not in line]
    assert len(asked) == 3, asked
