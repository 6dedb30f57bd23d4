"""The team's answers come back from a real Label Studio as votes: once each, under pseudonyms, with their reasons."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from subprocess import CompletedProcess
from threading import Barrier

import pytest

from emolab.catalog import events, settings, tallies
from emolab.catalog.campaign import answers, remotes
from emolab.errors import EmolabError
from emolab.labeling.answers import changes, last_pull, timestamps
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.server import installation
from emolab.labeling.sync import export_snapshots
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.workspace import Workspace
from tests.support.proxy import Proxy
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, assert_at_rest, environment, ledger, named, other_machine, say, task_of

pytestmark = pytest.mark.labelstudio


@pytest.fixture
def team(workspace: Workspace, studio: Studio) -> Workspace:
    """A workspace with four samples that were pushed to a project of their own."""
    made = named(workspace, f"team {uuid.uuid4().hex[:8]}")
    add_samples(made, 4)
    push(made, studio)
    return made


@pytest.fixture(scope="module")
def people(label_studio: LabelStudioServer) -> list[Studio]:
    """Three annotators."""
    return [label_studio.annotator(name)[1] for name in ("ann", "bob", "cem")]


def samples_of(workspace: Workspace) -> list[str]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        (mine,) = remotes.projects(conn)
        return [task.sample_id for task in remotes.tasks(conn, mine)]


def project_of(workspace: Workspace, studio: Studio) -> int:
    found = studio.find_project(workspace.config.labeling.project)
    assert found is not None
    return found.id


def tasks_of(workspace: Workspace, studio: Studio) -> list[int]:
    number = project_of(workspace, studio)
    return [task_of(studio, number, sample) for sample in samples_of(workspace)]


def test_every_answer_becomes_one_vote_and_a_second_pull_adds_nothing(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    one, two, *_ = tasks_of(team, studio)
    for person, label in zip(people, ("happiness", "happiness", "sadness"), strict=True):
        say(person, one, label, seconds=2.5)
    say(people[0], two, "no_face")
    first = pull(team, studio)
    assert (first.new, first.edited, first.withdrawn, first.people) == (4, 0, 0, 3)
    found = ledger(team)
    assert Counter(v.label for v in found) == {"happiness": 2, "sadness": 1, "no_face": 1}
    assert {v.lead_time for v in found} == {2.5, 1.5}
    assert len({v.annotator for v in found}) == 3
    again = pull(team, studio)
    assert (again.changed, again.read) == (False, 0)
    assert pull(team, studio, reconcile=True).changed is False
    assert len(ledger(team)) == 4


def test_people_appear_under_pseudonyms_only(team: Workspace, studio: Studio, people: list[Studio]) -> None:
    task = tasks_of(team, studio)[0]
    for person in people:
        say(person, task, "neutral")
    pull(team, studio)
    names = {v.annotator for v in ledger(team)}
    assert all(name.startswith("ann-") and len(name) == 12 for name in names)
    stored = b"".join(p.read_bytes() for p in team.state.glob("catalog.db*"))
    assert b"team.example" not in stored
    assert studio.server_id.encode() in stored


def test_the_same_person_keeps_one_pseudonym_over_projects(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    say(people[0], tasks_of(team, studio)[0], "neutral")
    pull(team, studio)
    add_samples(team, 1, first=90)
    other = f"{team.config.labeling.project} B"
    push(team, studio, title=other)
    found = studio.find_project(other)
    assert found is not None
    ((task,),) = studio.changed_tasks(found.id)
    say(people[0], task.id, "sadness")
    assert pull(team, studio).new == 1
    assert len({v.annotator for v in ledger(team)}) == 1


def test_skips_empty_answers_and_foreign_labels_are_kept_with_a_reason(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    one, two, three, four = tasks_of(team, studio)
    say(people[0], one, None)
    people[0].create_annotation(two, [])
    say(people[0], three, "bored")
    say(people[0], four, "unknown")
    report = pull(team, studio)
    assert report.rejected == {"skipped": 1, "no answer given": 1, '"bored" is no class of this project': 1}
    assert [(v.label, v.rejected) for v in ledger(team)] == [("unknown", None)]
    kept = {(v.label, v.rejected) for v in ledger(team, rejected=True) if v.rejected}
    assert kept == {(None, "skipped"), (None, "no answer given"), ("bored", '"bored" is no class of this project')}


def test_a_label_that_becomes_a_class_later_counts_then(team: Workspace, studio: Studio, people: list[Studio]) -> None:
    say(people[0], tasks_of(team, studio)[0], "bored")
    pull(team, studio)
    assert ledger(team) == []
    file = team.root / "emolab.toml"
    file.write_text(file.read_text().replace('"neutral"]', '"neutral", "bored"]'))
    wider = Workspace.open(team.root)
    assert pull(wider, studio).edited == 1
    assert [v.label for v in ledger(wider)] == ["bored"]


def test_an_edit_supersedes_and_a_deletion_withdraws_but_nothing_leaves_the_ledger(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    one, two, *_ = tasks_of(team, studio)
    edited, deleted = say(people[0], one, "happiness"), say(people[0], two, "sadness")
    pull(team, studio)
    people[0].update_annotation(edited, result=controls.answer("neutral"))
    people[0].delete_annotation(deleted)
    report = pull(team, studio)
    assert (report.new, report.edited, report.withdrawn) == (0, 1, 1)
    assert [v.label for v in ledger(team)] == ["neutral"]
    with team.catalog() as catalog, catalog.connect() as conn:
        assert tallies.count(conn)["withdrawn"] == 2


def test_a_second_answer_by_the_same_person_counts_instead_of_the_first(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    task = tasks_of(team, studio)[0]
    say(people[0], task, "happiness")
    pull(team, studio)
    second = say(people[0], task, "sadness")
    pull(team, studio)
    assert [v.label for v in ledger(team)] == ["sadness"]
    assert len(ledger(team, rejected=True)) == 2
    people[0].delete_annotation(second)
    pull(team, studio)
    assert [v.label for v in ledger(team)] == ["happiness"]


def test_two_tasks_of_one_sample_still_give_one_vote_per_person(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    number, sample = project_of(team, studio), samples_of(team)[0]
    say(people[0], task_of(studio, number, sample), "happiness")
    pull(team, studio)
    (twin,) = studio.import_tasks(number, [{"data": {"image": "/data/x.png", "emolab_uid": sample}}])
    say(people[0], twin, "sadness")
    say(people[1], twin, "neutral")
    pull(team, studio)
    assert sorted(str(v.label) for v in ledger(team)) == ["neutral", "sadness"]


def test_answers_taken_over_from_a_prediction_are_flagged_and_do_not_count(team: Workspace, studio: Studio) -> None:
    number, task = project_of(team, studio), tasks_of(team, studio)[0]
    guess = {"task": task, "model_version": "guess", "score": 0.9, "result": controls.answer("sadness")}
    assert studio.import_predictions(number, [guess]) == 1
    studio.http.call(
        "POST", "/api/dm/actions/", params={"id": "predictions_to_annotations", "project": number},
        json={"selectedItems": {"all": False, "included": [task]}, "model_version": "guess"},
    )  # fmt: skip
    assert pull(team, studio).rejected == {"taken over from a prediction": 1}
    assert ledger(team) == []


def test_an_answer_in_somebody_elses_name_counts_for_that_person_and_is_reported(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    ann, bob, _ = people
    one, two, three, _ = tasks_of(team, studio)
    say(ann, one, "neutral")
    pull(team, studio)
    (own,) = {vote.annotator for vote in ledger(team)}
    body = {"result": controls.answer("happiness"), "completed_by": ann.whoami().id}
    studio.http.call("POST", f"/api/tasks/{two}/annotations/", json=body)  # a script with the administrator's token
    say(bob, three, "sadness")
    report = pull(team, studio)
    assert (report.new, report.by_others) == (2, 1)
    assert {str(v.label): v.annotator == own for v in ledger(team)} == {
        "neutral": True, "happiness": True, "sadness": False,
    }  # fmt: skip
    (answer,) = studio.task(one).annotations
    bob.update_annotation(answer.id, result=controls.answer("sadness"))
    report = pull(team, studio)
    assert (report.edited, report.by_others) == (1, 1)
    assert pull(team, studio, reconcile=True).by_others == 0, "told once"
    with team.catalog() as catalog, catalog.connect() as conn:
        told = [event["detail"].get("by_others") for event in events.latest(conn, "pull")]
    assert sorted(told, key=str) == [1, 1, None]


def test_one_answer_more_than_asked_is_a_vote_too_and_can_be_counted(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    studio.update_project(project_of(team, studio), maximum_annotations=1)
    one, two, *_ = tasks_of(team, studio)
    barrier = Barrier(2)

    def press(person: Studio) -> None:
        barrier.wait()
        say(person, one, "happiness")

    with ThreadPoolExecutor(2) as room:
        list(room.map(press, people[:2]))
    say(people[2], two, "sadness")
    assert pull(team, studio).new == 3
    assert Counter(v.label for v in ledger(team)) == {"happiness": 2, "sadness": 1}
    with team.catalog() as catalog, catalog.connect() as conn:
        (mine,) = remotes.projects(conn)
        given = answers.counts(conn, mine)
        asked = {task.sample_id: task.overlap for task in remotes.tasks(conn, mine)}
    first, second, *_ = samples_of(team)
    assert {s: n - 1 for s, n in given.items()} == {first: 1, second: 0}
    assert set(asked) == set(samples_of(team))
    assert pull(team, studio, reconcile=True).changed is False


def test_votes_of_an_annotator_whose_account_is_deleted_stay_his(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    task, other, *_ = tasks_of(team, studio)
    email, leaver = label_studio.annotator("leaver")
    say(leaver, task, "sadness")
    pull(team, studio)
    before = ledger(team)
    unread = say(leaver, other, "neutral")
    who = next(user.id for user in studio.users().values() if user.email == email)
    studio.http.call("DELETE", f"/api/users/{who}/")
    pull(team, studio, reconcile=True)
    after = {v.label: v.annotator for v in ledger(team)}
    assert after == {"sadness": before[0].annotator, "neutral": f"departed-{unread}"}


def test_deleted_tasks_take_their_votes_out_even_when_others_were_added(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    number = project_of(team, studio)
    one, two, *_ = tasks_of(team, studio)
    say(people[0], one, "happiness")
    say(people[0], two, "sadness")
    pull(team, studio)
    studio.delete_tasks(number, [one])
    report = pull(team, studio)
    assert (report.tasks_deleted, report.withdrawn) == (1, 1)
    assert [v.label for v in ledger(team)] == ["sadness"]
    assert pull(team, studio).changed is False
    studio.delete_tasks(number, [two])
    studio.import_tasks(number, [{"data": {"image": "/data/x.png", "emolab_uid": "f" * 64}}])
    report = pull(team, studio)
    assert (report.tasks_deleted, report.withdrawn) == (1, 1)
    assert ledger(team) == []


def test_deletions_behind_additions_show_when_ids_are_compared(
    team: Workspace, studio: Studio, people: list[Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_pull, "RECONCILE_EVERY", 2)
    number = project_of(team, studio)
    one = tasks_of(team, studio)[0]
    say(people[0], one, "happiness")
    pull(team, studio)
    studio.delete_tasks(number, [one])
    add_samples(team, 1, first=50)
    push(team, studio)
    pull(team, studio)
    pull(team, studio)
    assert ledger(team) == []


def test_a_machine_that_never_pushed_pulls_by_the_project_name(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    say(people[0], tasks_of(team, studio)[0], "happiness")
    elsewhere = named(other_machine(team, n=2), team.config.labeling.project)
    report = pull(elsewhere, studio)
    assert (report.new, report.adopted, report.foreign) == (1, 2, 2)
    assert push(elsewhere, studio).created == 0
    add_samples(elsewhere, 4)
    assert pull(elsewhere, studio, reconcile=True).foreign == 0


def test_a_sample_collected_after_its_answers_were_passed_over_gets_them(
    team: Workspace, studio: Studio, people: list[Studio]
) -> None:
    for task in tasks_of(team, studio):
        say(people[0], task, "happiness")
    elsewhere = named(other_machine(team, n=2), team.config.labeling.project)
    assert pull(elsewhere, studio).new == 2
    add_samples(elsewhere, 4)
    assert push(elsewhere, studio).adopted == 2
    assert pull(elsewhere, studio).new == 2
    assert len(ledger(elsewhere)) == 4


def test_a_deleted_project_leaves_its_votes(team: Workspace, studio: Studio, people: list[Studio]) -> None:
    say(people[0], tasks_of(team, studio)[0], "happiness")
    pull(team, studio)
    studio.delete_project(project_of(team, studio))
    report = pull(team, studio)
    assert (report.gone, report.changed) == ((team.config.labeling.project,), False)
    assert len(ledger(team)) == 1


def test_large_projects_come_through_a_snapshot_with_the_same_result(
    team: Workspace, studio: Studio, people: list[Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, *_ = tasks_of(team, studio)
    say(people[0], one, "happiness")
    say(people[1], two, None)
    monkeypatch.setattr(changes, "PAGES_UP_TO", 0)
    first = pull(team, studio)
    assert (first.new, first.rejected) == (2, {"skipped": 1})
    assert_at_rest(team, studio)
    monkeypatch.undo()
    assert pull(team, studio, reconcile=True).changed is False
    assert studio.http.get(f"/api/projects/{project_of(team, studio)}/exports/") == []


PULL_BY_SNAPSHOT = """
from pathlib import Path
from emolab.labeling.answers import changes
from emolab.labeling.server import address
from emolab.labeling.sync import pull
from emolab.workspace import Workspace
changes.PAGES_UP_TO = 0
workspace = Workspace.open(Path())
with address.open_studio(workspace) as studio:
    pull.pull(workspace, studio)
"""


def test_an_export_that_a_killed_pull_left_goes_with_the_next_pull_and_only_that(
    team: Workspace, studio: Studio, people: list[Studio], label_studio: LabelStudioServer
) -> None:
    say(people[0], tasks_of(team, studio)[0], "happiness")
    path = f"/api/projects/{project_of(team, studio)}/exports/"
    for title in ("emolab pull", "the team's own"):
        studio.http.call("POST", path, json={"title": title})
    with Proxy(label_studio.url) as proxy:
        env = environment(proxy.url, label_studio.token)
        child = subprocess.Popen([sys.executable, "-c", PULL_BY_SNAPSHOT], cwd=team.root, env=env)
        proxy.fault(r"POST .*/exports/", "call", action_on=child.kill)
        assert child.wait(60) == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while len(left := studio.http.get(path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(left) == 3, "the server finished what the dead pull had asked for"
    assert pull(team, studio).new == 1
    assert {export["title"] for export in studio.http.get(path)} == {"emolab pull", "the team's own"}


@pytest.mark.parametrize(("hours", "left"), [(0, 1), (2, 0)], ids=["just now", "hours ago"])
def test_an_export_that_the_server_still_builds_is_left_for_a_later_pull(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, hours: int, left: int
) -> None:
    path = f"/api/projects/{project_of(team, studio)}/exports/"
    number = studio.http.call("POST", path, json={"title": "emolab pull 0123"})["id"]
    with team.catalog() as catalog, catalog.begin() as tx:
        (mine,) = remotes.projects(tx)
        asked = timestamps.written(datetime.now(UTC) - timedelta(hours=hours))
        settings.put(tx, export_snapshots._note(mine), f"emolab pull 0123|{asked}")
    database = label_studio.server.folder / "data" / installation.DATABASE

    def state(status: str) -> None:
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as server, server:
            server.execute("UPDATE data_export_export SET status = ? WHERE id = ?", (status, number))

    state("in_progress")
    pull(team, studio)
    assert len(studio.http.get(path)) == left
    state("completed")
    pull(team, studio)
    assert studio.http.get(path) == []


def test_a_pull_without_a_project_says_how_to_make_one(workspace: Workspace, studio: Studio) -> None:
    with pytest.raises(EmolabError, match=r'has no project "team nowhere" yet\..*emolab label push'):
        pull(named(workspace, "team nowhere"), studio)


def test_two_pulls_in_one_workspace_do_not_mix(team: Workspace, studio: Studio) -> None:
    with team.lock("pull"), pytest.raises(EmolabError, match=r'Another emolab process .* is busy with "pull"'):
        pull(team, studio)


def test_the_command_says_what_came_in_words_and_in_json(
    team: Workspace, label_studio: LabelStudioServer, studio: Studio, people: list[Studio],
    run_cli: Callable[..., CompletedProcess[str]],
) -> None:  # fmt: skip
    env = environment(label_studio.url, label_studio.token)
    say(people[0], tasks_of(team, studio)[0], "happiness")
    say(people[1], tasks_of(team, studio)[0], None)
    told = json.loads(run_cli("label", "pull", "--json", cwd=team.root, env=env, check=True).stdout)
    assert (told["new"], told["people"], told["rejected"]) == (2, 2, {"skipped": 1})
    say(people[2], tasks_of(team, studio)[0], "happiness")
    done = run_cli("label", "pull", cwd=team.root, env=env)
    assert "new answers" in done.stderr and "emolab label aggregate" in done.stderr, done.stderr
    assert "nothing new" in run_cli("label", "pull", cwd=team.root, env=env).stderr
