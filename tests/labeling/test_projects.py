"""Several projects of one title: one goes on, empty ones go, votes in the others count; people's own are left alone."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import replace

import pytest

from emolab.catalog.campaign import remotes
from emolab.errors import EmolabError
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.label_studio.records import RemoteProject
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.workspace import Workspace
from tests.support.proxy import Proxy
from tests.support.servers import FACES, LabelStudioServer
from tests.support.syncing import add_samples, ledger, named, other_machine, say, task_of, there

pytestmark = pytest.mark.labelstudio
CREATE = r"POST /api/projects/$"
N = 4


@pytest.fixture(scope="module")
def people(label_studio: LabelStudioServer) -> list[Studio]:
    return [label_studio.annotator(name)[1] for name in ("ann", "bob")]


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    made = named(workspace, f"kin {uuid.uuid4().hex[:8]}")
    add_samples(made, N)
    return made


def title(team: Workspace) -> str:
    return team.config.labeling.project


def projects(team: Workspace, studio: Studio) -> list[RemoteProject]:
    return studio.projects(title(team))


def labels(team: Workspace) -> list[str]:
    return sorted(str(vote.label) for vote in ledger(team))


def two_projects(team: Workspace, studio: Studio) -> tuple[Workspace, int, int]:
    """Two machines that each made a project of one title, neither seeing the other's: the elder's and the team's."""
    elsewhere = named(other_machine(team, n=N), title(team))
    push(elsewhere, studio)
    (elder,) = projects(team, studio)
    studio.update_project(elder.id, title="out of sight")
    push(team, studio)
    (younger,) = projects(team, studio)
    studio.update_project(elder.id, title=title(team))
    return elsewhere, elder.id, younger.id


def carried(studio: Studio, numbers: list[int]) -> Counter[str]:
    """How many tasks of these projects people could be handed, by sample."""
    rows: Counter[str] = Counter()
    for number in numbers:
        for page in studio.changed_tasks(number):
            rows.update(str(task.uid) for task in page if not studio.http.get(f"/api/tasks/{task.id}/")["is_labeled"])
    return rows


@pytest.mark.parametrize("by", ["push", "pull", "the push itself"])
def test_a_request_carried_out_again_leaves_one_project(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, by: str
) -> None:
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        proxy.fault(CREATE, "again")
        if by == "the push itself":
            proxy.fault(
                r"POST /api/projects/\d+/import", "call", action_on=lambda: [proxy.replay() for _ in range(3)] and None
            )
        report = push(team, front)
        first = report.number
        if by != "the push itself":
            for _ in range(3):
                proxy.replay()
            assert len(projects(team, studio)) == 4
            removed = push(team, studio).projects_removed if by == "push" else pull(team, studio).projects_removed
            assert removed == 3
    assert [project.id for project in projects(team, studio)] == [first]
    assert set(there(studio, title(team)).values()) == {1}
    assert pull(team, studio).changed is False


def test_a_lost_answer_and_a_repeat_leave_one_project(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        proxy.fault(CREATE, "again")
        proxy.fault(CREATE, "drop_answer")
        push(team, front)
        proxy.replay()
    push(team, studio)
    assert len(projects(team, studio)) == 1
    assert set(there(studio, title(team)).values()) == {1}


def test_everybody_moves_to_the_elder_project_and_the_empty_one_goes(team: Workspace, studio: Studio) -> None:
    elsewhere, elder, _ = two_projects(team, studio)
    add_samples(team, 2, first=70)
    report = push(team, studio)
    assert (report.number, report.created, report.twins_removed, report.projects_removed) == (elder, 2, N, 1)
    assert [project.id for project in projects(team, studio)] == [elder]
    assert sorted(there(studio, title(team)).values()) == [1] * (N + 2)
    assert push(elsewhere, studio).created == 0
    for workspace in (team, elsewhere):
        assert pull(workspace, studio).withdrawn == 0
        assert pull(workspace, studio).changed is False


@pytest.mark.parametrize("when", [r"POST /api/projects/\d+/import", r"DELETE .*model-versions|PATCH /api/projects/"])
def test_an_elder_project_that_shows_up_during_a_push_gets_everything(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, when: str
) -> None:
    elsewhere = named(other_machine(team, n=2), title(team))
    push(elsewhere, studio)
    (elder,) = projects(team, studio)
    studio.update_project(elder.id, title="out of sight")
    with Proxy(label_studio.url) as proxy, connect(proxy.url, label_studio.token) as front:
        fault = proxy.fault(when, "call", action_on=lambda: studio.update_project(elder.id, title=title(team)) and None)
        report = push(team, front, n=3)
    assert (fault.hits, report.number) == (1, elder.id)
    assert [project.id for project in projects(team, studio)] == [elder.id]
    assert sorted(there(studio, title(team)).values()) == [1] * 3
    assert push(team, studio).created == 1, "the one that was not asked for stays for the next push"
    assert pull(team, studio).changed is False


@pytest.mark.parametrize("by", ["push", "pull"])
def test_votes_in_both_projects_count_and_nobody_is_handed_a_sample_twice(
    team: Workspace, studio: Studio, people: list[Studio], by: str
) -> None:
    elsewhere, elder, younger = two_projects(team, studio)
    with team.catalog() as catalog, catalog.connect() as conn:
        one, two, *_ = (task.sample_id for task in remotes.tasks(conn, remotes.projects(conn)[0]))
    say(people[0], task_of(studio, elder, one), "happiness")
    say(people[1], task_of(studio, younger, one), "sadness")
    say(people[1], task_of(studio, younger, two), "neutral")
    if by == "push":
        push(team, studio)
    first = pull(team, studio)
    assert first.projects_merged == (younger,) or by == "push"
    pull(team, studio)
    assert labels(team) == ["happiness", "neutral", "sadness"]
    assert set(carried(studio, [elder, younger]).values()) == {1}
    assert pull(team, studio).changed is False
    assert pull(team, studio, reconcile=True).changed is False
    pull(elsewhere, studio)
    pull(elsewhere, studio)
    assert labels(elsewhere) == ["happiness", "neutral", "sadness"]
    add_samples(team, 1, first=80)
    assert push(team, studio).number == elder


def test_one_person_in_both_projects_counts_once_with_the_later_answer(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    _, elder, younger = two_projects(team, studio)
    with team.catalog() as catalog, catalog.connect() as conn:
        one = remotes.tasks(conn, remotes.projects(conn)[0])[0].sample_id
    say(people[0], task_of(studio, elder, one), "happiness")
    later = say(people[0], task_of(studio, younger, one), "sadness")
    pull(team, studio)
    assert labels(team) == ["sadness"]
    assert len(ledger(team, rejected=True)) == 2
    pull(team, studio)
    assert pull(team, studio, reconcile=True).changed is False
    studio.delete_annotation(later)
    pull(team, studio)
    pull(team, studio)
    assert labels(team) == ["happiness"]
    assert pull(team, studio, reconcile=True).changed is False


@pytest.mark.parametrize("state", ["pending", "sending"])
def test_what_waits_in_the_outbox_of_the_younger_project_moves(team: Workspace, studio: Studio, state: str) -> None:
    _, elder, _ = two_projects(team, studio)
    with team.catalog() as catalog, catalog.begin() as tx:
        (mine,) = remotes.projects(tx)
        for task in remotes.tasks(tx, mine):
            assert task.task is not None
            remotes.set_state(tx, mine, [task.sample_id], state)
    report = push(team, studio)
    assert (report.number, report.created) == (elder, 0)
    assert set(there(studio, title(team)).values()) == {1}
    assert len(projects(team, studio)) == 1


@pytest.mark.parametrize(
    "own", [FACES, controls.render(("happiness",)).replace("emolab", "mine")], ids=["plain", "alike"]
)
def test_a_persons_own_project_of_that_title_is_neither_taken_nor_deleted(
    team: Workspace, studio: Studio, own: str
) -> None:
    theirs = studio.create_project(title(team), own, description="for the seminar")
    for run in (push, pull):
        with pytest.raises(EmolabError, match=r"was not made by emolab, so it is left alone\..*--project NAME"):
            run(team, studio)
    assert projects(team, studio) == [studio.project(theirs.id)] == [theirs]


def test_emolabs_project_is_found_beside_a_persons_own(team: Workspace, studio: Studio) -> None:
    theirs = studio.create_project(title(team), FACES)
    studio.update_project(theirs.id, title="elsewhere")
    report = push(team, studio)
    theirs = studio.update_project(theirs.id, title=title(team))
    fresh = named(other_machine(team, n=N), title(team))
    assert (push(team, studio).number, push(fresh, studio).number) == (report.number, report.number)
    assert studio.project(theirs.id) == theirs


def test_a_younger_project_that_somebody_made_his_own_is_not_deleted(team: Workspace, studio: Studio) -> None:
    push(team, studio)
    theirs = studio.create_project(title(team), FACES, description="")
    push(team, studio)
    pull(team, studio)
    assert studio.project(theirs.id).title == title(team)


def test_a_renamed_project_is_gone_on_with(team: Workspace, studio: Studio) -> None:
    first = push(team, studio).number
    assert first is not None
    studio.update_project(first, title="another name")
    add_samples(team, 1, first=70)
    assert push(team, studio).number == first
    assert pull(replace(team), studio).gone == ()
