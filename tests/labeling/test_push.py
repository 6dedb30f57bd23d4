"""Samples reach a real Label Studio once each, in emolab's order, without a word about where they came from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess, Popen

import numpy as np
import pytest

from emolab.catalog import models, samples
from emolab.catalog.campaign import remotes, rounds
from emolab.catalog.privacy.consents import WITHDRAWN
from emolab.errors import DataError, EmolabError
from emolab.inference import prediction_store
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.server import releases
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.operate.privacy.consent import end_consent
from emolab.progress import Progress
from emolab.records import Model, Predictions, Suggestion
from emolab.workspace import Workspace
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, environment, half_blind, named, other_machine, say, task_of, there

pytestmark = pytest.mark.labelstudio


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    """A workspace whose project no other test uses."""
    return named(workspace, f"team {uuid.uuid4().hex[:8]}")


def title(workspace: Workspace) -> str:
    return workspace.config.labeling.project


def suggest(workspace: Workspace, *ids: str, kind: str = "new") -> int:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        number = rounds.next_number(tx)
        made = [
            Suggestion(sample_id=s, score=0.5, reason="close call", strategy="margin", round=number, kind=kind, rank=i)
            for i, s in enumerate(ids)
        ]
        rounds.create(tx, made, strategy="margin", model=None, seed=0, settings={})
    return number


def test_every_sample_gets_one_task_with_its_bytes_and_no_original_name(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 5)
    report = push(team, studio)
    assert (report.created, report.waiting, report.new_project, report.source) == (5, 5, True, "unlabelled")
    assert there(studio, title(team)) == Counter(ids)
    project = studio.find_project(title(team))
    assert project is not None
    (page,) = studio.changed_tasks(project.id)
    for task in page:
        address = str(task.data["image"])
        assert task.uid in address
        stored = studio.http.client.get(address)
        assert hashlib.sha256(stored.content).hexdigest() == task.uid
    assert "anna" not in studio.http.client.get(f"/api/projects/{project.id}/export?exportType=JSON").text
    assert project.label_config.count("hotkey") == 5
    assert controls.labels(project.label_config)[:3] == ["happiness", "sadness", "neutral"]


def test_a_sample_whose_consent_was_withdrawn_is_not_sent_even_when_an_earlier_push_meant_to(
    team: Workspace, studio: Studio
) -> None:
    ids = add_samples(team, 4)
    end_consent(team, ids=ids[0])
    first = push(team, studio, n=1)
    assert (first.created, first.left_out) == (1, {WITHDRAWN: 1})
    left = [each for each in ids[1:] if each not in there(studio, title(team))]
    with team.catalog() as catalog, catalog.begin() as tx:  # as a push that was cut off leaves it
        (mine,) = remotes.projects(tx)
        remotes.want(tx, mine, [remotes.TaskRequest(each, 5, 1) for each in left])
    end_consent(team, ids=left[0])
    push(team, studio, n=1)
    assert there(studio, title(team)) == Counter(set(ids) - {ids[0], left[0]})


@pytest.mark.parametrize(("newest", "doubts"), [("1.999.0", 0), ("1.17.0", 1)])
def test_a_new_project_on_an_untried_release_is_announced_once(
    team: Workspace, studio: Studio, monkeypatch: pytest.MonkeyPatch, newest: str, doubts: int
) -> None:
    monkeypatch.setattr(releases, "TRIED", ("1.16.0", newest))
    told: list[str] = []

    class Listening(Progress):
        def note(self, text: str) -> None:
            told.append(text)

    for turn in range(2):
        add_samples(team, 1, first=turn)
        push(team, studio, progress=Listening())
    release = studio.version()
    sentence = f"Label Studio {release} is newer than any release emolab was tried with (1.16 to 1.17)."
    assert [line for line in told if "tried" in line] == [sentence] * doubts


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("1.16.3", ""),
        ("1.23.2", ""),
        ("1.15.0", "1.15.0 is older"),
        ("2.0.0", "2.0.0 is newer"),
        ("dev", "dev is older"),
    ],
)
def test_releases_outside_what_was_tried_are_named(release: str, said: str) -> None:
    told = releases.untried(release)
    assert told == (said and f"Label Studio {said} than any release emolab was tried with (1.16 to 1.23).")


def test_pushing_again_sends_nothing_and_only_new_samples_go(team: Workspace, studio: Studio) -> None:
    add_samples(team, 3)
    push(team, studio)
    again = push(team, studio)
    assert (again.created, again.note) == (0, "Every sample is labelled or was sent already.")
    add_samples(team, 2, first=3)
    assert push(team, studio).created == 2
    assert sorted(there(studio, title(team)).values()) == [1] * 5


def test_n_sends_the_next_samples_of_the_draw(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 6)
    push(team, studio, n=2)
    assert set(there(studio, title(team))) == set(ids[:2])
    push(team, studio, n=2)
    assert set(there(studio, title(team))) == set(ids[:4])
    with pytest.raises(DataError, match="0 samples cannot be pushed; expected at least 1"):
        push(team, studio, n=0)


def test_what_is_not_worth_asking_about_stays_here_and_is_said(team: Workspace, studio: Studio) -> None:
    good = add_samples(team, 2)
    first, second = add_samples(team, 2, first=10)
    with team.catalog() as catalog, catalog.begin() as tx:
        samples.set_representatives(tx, {first: good[0]})
        made = replace(samples.get(tx, second), id="f" * 64, quality={"faces": 0.0})
        samples.add(tx, [made])
    for dry_run in (True, False):
        report = push(team, studio, everything=True, dry_run=dry_run)
        assert (report.created, dict(report.left_out)) == (3, {"near copy of another sample": 1, "no face found": 1})
    assert set(there(studio, title(team))) == {*good, second}
    again = push(team, studio)
    assert (again.created, again.left_out) == (0, report.left_out)
    assert again.note == "Every other sample is labelled or was sent already."


def test_pending_suggestions_go_first_and_only_once(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 6)
    suggest(team, ids[4], ids[2])
    first = push(team, studio)
    assert (first.source, first.created) == ("suggestions", 2)
    assert set(there(studio, title(team))) == {ids[4], ids[2]}
    assert push(team, studio, suggestions=True).note == "No suggestion waits to be sent."
    assert push(team, studio).source == "unlabelled"
    assert there(studio, title(team)) == Counter(ids)


def test_annotators_get_tasks_in_the_order_of_the_newest_suggestions(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    ids = add_samples(team, 9)
    push(team, studio, n=3, overlap=1)
    suggest(team, ids[7], ids[3], ids[5])
    push(team, studio)
    suggest(team, ids[8], ids[6])
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    people = [label_studio.annotator()[1] for _ in range(3)]
    order = []
    for turn in range(8):
        person = people[turn % 3]
        task = person.next_task(project.id)
        assert task is not None
        order.append(task.uid)
        say(person, task.id, "neutral")
    assert order == [ids[8], ids[6], ids[7], ids[3], ids[5], ids[0], ids[1], ids[2]]


def test_annotators_do_not_see_the_guess_unless_it_is_asked_for(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    ids = add_samples(team, 2)
    guesses = {ids[0]: "sadness", ids[1]: "happiness"}
    push(team, studio, n=1, guesses=guesses)
    project = studio.find_project(title(team))
    assert project is not None
    ann = label_studio.annotator()[1]
    blind = ann.http.get(f"/api/projects/{project.id}/next/")
    assert (blind["predictions"], project.show_predictions) == ([], False)
    push(half_blind(team, 0.0), studio, show_predictions=True, guesses=guesses)
    seen = ann.http.get(f"/api/projects/{project.id}/next/")
    assert [p["result"][0]["value"] for p in seen["predictions"]] == [{"choices": ["sadness"]}]


def test_the_guess_that_is_shown_is_the_newest_models(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, run_cli: Callable[..., CompletedProcess[str]]
) -> None:
    ids = add_samples(team, 2)
    env = environment(label_studio.url, label_studio.token)
    none = run_cli("label", "push", "--show-predictions", cwd=team.root, env=env)
    assert (none.returncode, "There are no predictions to show." in none.stderr) == (1, True)
    classes = team.config.project.classes
    model = Model(
        id="m1", path="models/m1", classes=classes, config={}, snapshot="s", metrics={}, parent=None, created_at="2026"
    )
    with team.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, model)
    probs = np.array([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1]], dtype=np.float32)
    made = Predictions(
        model_id="m1", classes=classes, samples=ids, probs=probs, embeddings=np.zeros((2, 4), np.float16)
    )
    prediction_store.append(team.predictions_folder / "m1", made)
    sent = run_cli("label", "push", "--show-predictions", "--set", "labeling.blind=0", cwd=team.root, env=env)
    assert (sent.returncode, "with the model's guess shown" in sent.stderr) == (0, True)
    project = studio.find_project(title(team))
    assert project is not None
    ann = label_studio.annotator()[1]
    seen = ann.http.get(f"/api/projects/{project.id}/next/")
    assert [p["result"][0]["value"] for p in seen["predictions"]] == [{"choices": ["sadness"]}]


def test_a_dry_run_touches_neither_the_server_nor_the_catalog(team: Workspace, studio: Studio) -> None:
    add_samples(team, 4)
    report = push(team, studio, dry_run=True)
    assert (report.created, report.dry_run) == (4, True)
    assert studio.find_project(title(team)) is None
    with team.catalog() as catalog, catalog.connect() as conn:
        assert remotes.projects(conn) == []


def test_another_machine_adopts_what_is_there(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 4)
    push(team, studio, n=3)
    elsewhere = named(other_machine(team, n=4), title(team))
    report = push(elsewhere, studio)
    assert (report.created, report.adopted) == (1, 3)
    assert there(studio, title(team)) == Counter(ids)


def test_doubles_on_the_server_shrink_to_the_one_with_answers(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 3)
    push(team, studio, n=2)
    project = studio.find_project(title(team))
    assert project is not None
    double = [{"data": {"image": "/data/x.png", "emolab_uid": ids[0]}}, {"data": {"image": "/x", "emolab_uid": ids[2]}}]
    answered, _ = studio.import_tasks(project.id, double)
    say(studio, answered, "sadness")
    elsewhere = named(other_machine(team, n=3), title(team))
    report = push(elsewhere, studio)
    assert (report.created, report.adopted, report.twins_removed) == (0, 3, 1)
    assert there(studio, title(team)) == Counter(ids)
    assert task_of(studio, project.id, ids[0]) == answered
    pull(elsewhere, studio)
    pull(team, studio)
    with team.catalog() as catalog, catalog.connect() as conn:
        (mine,) = remotes.projects(conn)
        assert {t.sample_id: t.task for t in remotes.tasks(conn, mine)}[ids[0]] == answered


def test_a_revote_reopens_a_finished_task_for_one_more_person(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    ids = add_samples(team, 2)
    push(team, studio, overlap=1)
    project = studio.find_project(title(team))
    assert project is not None
    ann, bob = (label_studio.annotator()[1] for _ in range(2))
    for sample in ids:
        say(ann, task_of(studio, project.id, sample), "happiness")
    assert bob.next_task(project.id) is None
    pull(team, studio)
    suggest(team, ids[1], kind="revote")
    report = push(team, studio)
    assert (report.created, report.reopened) == (0, 1)
    task = bob.next_task(project.id)
    assert task is not None and task.uid == ids[1]
    assert ann.next_task(project.id) is None
    assert push(team, studio, suggestions=True).note == "No suggestion waits to be sent."


def test_a_revote_asks_one_more_even_when_there_was_an_answer_too_many(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    (sample,) = add_samples(team, 1)
    push(team, studio, overlap=1)
    project = studio.find_project(title(team))
    assert project is not None
    task = task_of(studio, project.id, sample)
    *both, third = (label_studio.annotator()[1] for _ in range(3))
    for person in both:  # as two do who press at once
        say(person, task, "happiness")
    assert pull(team, studio).new == 2
    suggest(team, sample, kind="revote")
    report = push(team, studio)
    assert (report.reopened, report.waiting) == (1, 1)
    assert studio.task(task).overlap == 3
    shown = third.next_task(project.id)
    assert shown is not None and shown.id == task


def test_a_skipped_face_keeps_its_place_in_the_queue(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    ids = add_samples(team, 3)
    push(team, studio, overlap=1)
    project = studio.find_project(title(team))
    assert project is not None
    ann, bob = (label_studio.annotator()[1] for _ in range(2))
    say(ann, task_of(studio, project.id, ids[0]), None)
    say(ann, task_of(studio, project.id, ids[1]), "happiness")
    pull(team, studio)
    add_samples(team, 1, first=40)
    assert push(team, studio).waiting == 3
    shown = bob.next_task(project.id)
    assert shown is not None and shown.uid == ids[0]


def test_a_larger_overlap_asks_more_people_about_earlier_samples_too(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    ids = add_samples(team, 3)
    push(team, studio, n=2, overlap=1)
    project = studio.find_project(title(team))
    assert project is not None
    ann, bob = (label_studio.annotator()[1] for _ in range(2))
    for sample in ids[:2]:
        say(ann, task_of(studio, project.id, sample), "happiness")
    pull(team, studio)
    assert push(team, studio, n=1, overlap=2).waiting == 3
    order = []
    while (task := bob.next_task(project.id)) is not None:
        order.append(task.uid)
        say(bob, task.id, "neutral")
    assert sorted(map(str, order)) == sorted(ids)
    assert push(team, studio).overlap == 2


def test_a_new_class_reaches_the_form_and_a_used_label_stays_on_it(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 3)
    push(team, studio, n=1)
    project = studio.find_project(title(team))
    assert project is not None
    say(studio, task_of(studio, project.id, ids[0]), "sadness")
    file = team.root / "emolab.toml"
    file.write_text(file.read_text().replace('"happiness", "sadness", "neutral"', '"neutral", "calm"'))
    report = push(Workspace.open(team.root), studio)
    assert (report.labels_added, report.labels_removed, report.labels_kept) == (("calm",), ("happiness",), ("sadness",))
    assert controls.labels(studio.project(project.id).label_config) == [
        "neutral",
        "calm",
        "unknown",
        "no face",
        "sadness",
    ]


def test_a_label_removed_on_the_server_returns_with_the_next_push(team: Workspace, studio: Studio) -> None:
    add_samples(team, 2)
    push(team, studio, n=1)
    project = studio.find_project(title(team))
    assert project is not None
    studio.update_project(project.id, label_config=controls.render(("happiness", "sadness")))
    assert push(team, studio).labels_added == ("neutral",)
    assert "neutral" in controls.labels(studio.project(project.id).label_config)


def test_a_task_deleted_on_the_server_is_not_sent_again(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 2)
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    studio.delete_tasks(project.id, [task_of(studio, project.id, ids[0])])
    assert pull(team, studio).tasks_deleted == 1
    suggest(team, ids[0])
    assert (
        push(team, studio, suggestions=True).note == "No suggestion waits to be sent (1 were deleted in Label Studio)."
    )
    assert there(studio, title(team)) == Counter(ids[1:])


def test_a_project_deleted_on_the_server_is_made_again(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 2)
    push(team, studio)
    project = studio.find_project(title(team))
    assert project is not None
    studio.delete_project(project.id)
    report = push(team, studio)
    assert (report.new_project, report.created) == (True, 2)
    assert there(studio, title(team)) == Counter(ids)


def test_a_file_that_is_gone_is_reported_and_the_rest_go_through(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 3)
    next(team.media.rglob(f"{ids[1]}.png")).unlink()
    report = push(team, studio)
    assert (report.created, report.missing, report.waiting) == (2, [ids[1]], 2)


def test_an_empty_workspace_says_what_to_do(team: Workspace, studio: Studio) -> None:
    with pytest.raises(DataError, match=r"There are no samples to label yet\..*emolab collect PATH"):
        push(team, studio)


def test_two_pushers_in_one_workspace_do_not_mix(team: Workspace, studio: Studio) -> None:
    add_samples(team, 2)
    with team.lock("push"), pytest.raises(EmolabError, match=r'Another emolab process .* is busy with "push"'):
        push(team, studio)


def test_the_command_says_what_it_did_in_words_and_in_json(
    team: Workspace, label_studio: LabelStudioServer, run_cli: Callable[..., CompletedProcess[str]]
) -> None:
    add_samples(team, 3)
    env = environment(label_studio.url, label_studio.token)
    dry = run_cli("label", "push", "--n", "2", "--dry-run", cwd=team.root, env=env)
    assert "would be sent" in dry.stderr and "2" in dry.stderr
    done = run_cli("label", "push", "--json", cwd=team.root, env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["created"], told["project"]) == (3, title(team))
    again = run_cli("label", "push", cwd=team.root, env=env)
    assert (again.returncode, "nothing to push" in again.stderr) == (0, True)
    pulled = run_cli("label", "pull", cwd=team.root, env=env)
    assert "nothing new" in pulled.stderr, pulled.stderr
    both = run_cli("label", "push", "--n", "2", "--suggestions", cwd=team.root, env=env)
    assert (both.returncode, "Give one of --n, --all, --suggestions and --revotes." in both.stderr) == (2, True)


def test_a_large_pool_goes_out_as_a_whole_only_when_somebody_says_so(
    team: Workspace, studio: Studio, label_studio: LabelStudioServer, run_cli: Callable[..., CompletedProcess[str]]
) -> None:
    add_samples(team, 501)
    env = environment(label_studio.url, label_studio.token)
    for more in ((), ("--json",)):
        refused = run_cli("label", "push", *more, cwd=team.root, env=env)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "All 501 samples that nobody has labelled would go to the team; nothing was sent." in refused.stderr
        assert "fix: Send a part with: emolab label push -n 100, or everything with --all." in refused.stderr
    status, shown = at_a_terminal("label", "push", cwd=team.root, env=env, answer="n")
    assert "none would be left for emolab suggest to choose from" in shown
    assert "Send all of them? [y/N]" in shown
    assert (status, "Nothing was sent." in shown) == (1, True)
    assert studio.find_project(title(team)) is None
    sent = run_cli("label", "push", "--all", "--json", cwd=team.root, env=env, check=True)
    assert json.loads(sent.stdout)["created"] == 501


def at_a_terminal(*arguments: str, cwd: Path, env: dict[str, str], answer: str) -> tuple[int, str]:
    """Exit code and screen of a command whose question somebody answers at a terminal."""
    screen, terminal = pty.openpty()
    os.write(screen, f"{answer}\n".encode())
    command = [sys.executable, "-m", "emolab", *arguments]
    with Popen(command, cwd=cwd, env={**os.environ, "COLUMNS": "200", **env}, stdin=terminal, stderr=terminal) as run:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the last writer has gone
            while part := os.read(screen, 4096):
                shown += part
        status = run.wait(timeout=60)
    os.close(screen)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    return status, " ".join(text.split())


def test_all_means_all_even_when_suggestions_wait(team: Workspace, studio: Studio) -> None:
    ids = add_samples(team, 3)
    suggest(team, ids[1])
    report = push(team, studio, everything=True)
    assert (report.source, report.created, there(studio, title(team))) == ("unlabelled", 3, Counter(ids))


def test_a_project_with_an_overlap_of_its_own_is_no_cause_for_alarm(
    team: Workspace, label_studio: LabelStudioServer, run_cli: Callable[..., CompletedProcess[str]]
) -> None:
    add_samples(team, 2)
    env = environment(label_studio.url, label_studio.token)
    told = run_cli("label", "push", "-n", "1", "--overlap", "2", cwd=team.root, env=env, check=True).stderr
    assert "labeling.overlap" not in told
    later = run_cli("label", "push", "-n", "1", cwd=team.root, env={**env, "COLUMNS": "200"}, check=True).stderr
    assert "This project goes on with 2 people per sample, as it was told to; labeling.overlap (3) is for" in later
