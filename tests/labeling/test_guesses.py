"""A guess on the form, on a real Label Studio: what people submit counts, copies of guesses never do."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from emolab.catalog import samples, tallies, votes
from emolab.errors import ServerError
from emolab.labeling.answers import votes_from_answers
from emolab.labeling.form import controls
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.records import Vote
from emolab.workspace import Workspace
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, half_blind, ledger, named, other_machine

pytestmark = pytest.mark.labelstudio
GUESS = "sadness"


@pytest.fixture(scope="module")
def ann(label_studio: LabelStudioServer) -> Studio:
    return label_studio.annotator("ann")[1]


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    """A workspace with six samples; nothing is pushed yet."""
    made = half_blind(named(workspace, f"guesses {uuid.uuid4().hex[:8]}"), 0.0)
    add_samples(made, 6)
    return made


def samples_of(workspace: Workspace, studio: Studio) -> dict[int, str]:
    """The samples of the project by task, in the order of the tasks."""
    return {t.id: str(t.uid) for page in studio.changed_tasks(number_of(workspace, studio)) for t in page}


def number_of(workspace: Workspace, studio: Studio) -> int:
    found = studio.find_project(workspace.config.labeling.project)
    assert found is not None
    return found.id


def send(workspace: Workspace, studio: Studio, *, guess: str | None = GUESS, n: int | None = None) -> list[int]:
    """Push with ``guess`` on every form (``None``: without guesses) and return the tasks."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        ids = [sample.id for sample in samples.iterate(conn)]
    push(workspace, studio, n=n, show_predictions=guess is not None, guesses=dict.fromkeys(ids, guess or ""))
    return list(samples_of(workspace, studio))


def shown_to(person: Studio, task: int) -> tuple[int, list[dict[str, object]]]:
    """The prediction that the page starts the form from: its id and the parts of its result."""
    found = person.http.get(f"/api/tasks/{task}/")["predictions"]
    newest = max(found, key=lambda row: str(row["model_version"]))
    return int(newest["id"]), list(newest["result"])


def submit(
    person: Studio,
    task: int,
    label: str,
    *,
    seen: tuple[int, list[dict[str, object]]] | None = None,
    seconds: float = 4.4,
) -> int:
    """Answer as Label Studio's page does: it starts from the guess and says so."""
    prediction, parts = seen or shown_to(person, task)
    begun = dict(parts[0]) if parts else dict(controls.answer(label)[0])
    same = bool(parts) and begun["value"] == {"choices": [label]}
    begun.update(
        value={"choices": [label]},
        id=uuid.uuid4().hex[:10],
        origin=("prediction" if same else "prediction-changed") if parts else "manual",
    )
    body = {"lead_time": seconds, "result": [begun], "draft_id": 0, "parent_prediction": prediction}
    return int(person.http.call("POST", f"/api/tasks/{task}/annotations/", json=body)["id"])


def copy_guesses(studio: Studio, project: int, tasks: list[int]) -> None:
    """The Data Manager's "Create annotations from predictions"."""
    studio.http.call(
        "POST",
        "/api/dm/actions/",
        params={"id": "predictions_to_annotations", "project": project},
        json={"selectedItems": {"all": False, "included": tasks}},
    )


def age(studio: Studio, workspace: Workspace) -> None:
    """Delete all predictions but those in force, as the next push does when they are a day old."""
    number = number_of(workspace, studio)
    present = studio.project(number).model_version
    for version in studio.http.get(f"/api/projects/{number}/model-versions/"):
        if version != present:
            studio.delete_model_version(number, version)


def said(workspace: Workspace) -> Counter[tuple[str | None, str | None, str | None]]:
    return Counter((v.label, v.rejected, v.shown) for v in ledger(workspace, rejected=True))


def test_every_answer_to_a_shown_guess_counts_and_stays_over_pushes(
    team: Workspace, studio: Studio, ann: Studio
) -> None:
    one, two, three, *rest = send(team, studio)
    submit(ann, one, GUESS)
    submit(ann, two, "happiness")
    studio.create_annotation(three, controls.answer("neutral"), lead_time=2.0)
    expected = {("sadness", None, GUESS): 1, ("happiness", None, GUESS): 1, ("neutral", None, None): 1}
    assert (pull(team, studio).new, said(team)) == (3, expected)
    for _ in range(2):
        add_samples(team, 1, first=100 + len(rest))
        send(team, studio, guess="neutral")
        age(studio, team)
        rest.append(0)
        assert (pull(team, studio).edited, pull(team, studio, reconcile=True).edited) == (0, 0)
        assert said(team) == expected


def test_an_answer_read_for_the_first_time_after_its_guess_was_deleted_still_tells_it(
    team: Workspace, studio: Studio, ann: Studio
) -> None:
    one, two, *_ = send(team, studio)
    submit(ann, one, GUESS)
    submit(ann, two, "happiness")
    add_samples(team, 1, first=50)
    send(team, studio, guess="neutral")
    age(studio, team)
    pull(team, studio)
    assert said(team) == {("sadness", None, GUESS): 1, ("happiness", None, GUESS): 1}


def test_copies_of_guesses_are_refused_for_good_and_counted(team: Workspace, studio: Studio, ann: Studio) -> None:
    found = send(team, studio)
    submit(ann, found[0], "happiness")
    copy_guesses(studio, number_of(team, studio), found[1:4])
    report = pull(team, studio)
    assert report.rejected == {votes_from_answers.COPIED: 3}
    expected = {("happiness", None, GUESS): 1, (GUESS, votes_from_answers.COPIED, GUESS): 3}
    assert said(team) == expected
    add_samples(team, 1, first=60)
    send(team, studio, guess="neutral")
    age(studio, team)
    for reconcile in (False, True):
        assert pull(team, studio, reconcile=reconcile).edited == 0
        assert said(team) == expected


def test_an_answer_that_an_administrator_spreads_over_other_tasks_counts_once(
    team: Workspace, studio: Studio, ann: Studio
) -> None:
    one, *others = send(team, studio, guess=None)
    given = ann.create_annotation(one, controls.answer("happiness"), lead_time=2.0)
    studio.http.call(
        "POST", "/api/dm/actions/", params={"id": "propagate_annotations", "project": number_of(team, studio)},
        json={"selectedItems": {"all": False, "included": [one, *others[:3]]}, "source_annotation_id": given.id},
    )  # fmt: skip
    assert pull(team, studio).rejected == {votes_from_answers.PROPAGATED: 3}
    assert [vote.label for vote in ledger(team)] == ["happiness"]
    ann.http.call("DELETE", f"/api/annotations/{given.id}/")
    pull(team, studio, reconcile=True)
    assert ledger(team) == [], "without its source a copy is still nobody's answer"


def test_copies_pulled_only_after_their_predictions_are_gone_are_refused_on_any_machine(
    team: Workspace, studio: Studio, ann: Studio
) -> None:
    found = send(team, studio)
    copy_guesses(studio, number_of(team, studio), found[:3])
    submit(ann, found[3], "happiness")
    add_samples(team, 1, first=70)
    send(team, studio, guess="neutral")
    age(studio, team)
    expected = {("happiness", None, GUESS): 1, (GUESS, votes_from_answers.COPIED, GUESS): 3}
    elsewhere = other_machine(team, n=6)
    for machine in (team, named(elsewhere, team.config.labeling.project)):
        pull(machine, studio)
        assert said(machine) == expected


def test_a_copy_that_a_person_edits_or_confirms_counts_and_a_deleted_one_is_withdrawn(
    team: Workspace, studio: Studio
) -> None:
    found = send(team, studio)
    copy_guesses(studio, number_of(team, studio), found[:5])
    pull(team, studio)
    copies = [a for page in studio.changed_tasks(number_of(team, studio)) for task in page for a in task.annotations]
    studio.update_annotation(copies[0].id, result=controls.answer("happiness"))  # a program, which measures no time
    part = {**copies[1].result[0], "value": {"choices": ["neutral"]}, "origin": "prediction-changed"}
    studio.update_annotation(copies[1].id, result=[part], lead_time=3.0)
    studio.update_annotation(copies[2].id, result=list(copies[2].result), lead_time=3.0)  # looked at, and agreed
    studio.delete_annotation(copies[3].id)
    studio.update_annotation(copies[4].id, ground_truth=True)  # says nothing about the face
    report = pull(team, studio)
    assert (report.edited, report.withdrawn) == (3, 1)
    expected = Counter({(label, None, GUESS): 1 for label in ("happiness", "neutral", GUESS)})
    expected[GUESS, votes_from_answers.COPIED, GUESS] = 1
    assert said(team) == expected


def test_a_copy_edited_by_a_program_counts_on_a_machine_that_never_saw_the_copy(
    team: Workspace, studio: Studio
) -> None:
    found = send(team, studio)
    copy_guesses(studio, number_of(team, studio), found[:2])
    one, two = (task.annotations[0] for page in studio.changed_tasks(number_of(team, studio)) for task in page[:2])
    studio.update_annotation(one.id, result=controls.answer("happiness"))
    studio.update_annotation(two.id, result=controls.answer(GUESS))
    pull(team, studio)
    assert said(team) == {("happiness", None, GUESS): 1, (GUESS, votes_from_answers.COPIED, GUESS): 1}


def test_an_answer_from_a_page_that_was_open_during_a_push_is_taken_by_the_server(
    team: Workspace, studio: Studio, ann: Studio
) -> None:
    one, two, *_ = send(team, studio)
    seen = {task: shown_to(ann, task) for task in (one, two)}
    add_samples(team, 2, first=80)
    send(team, studio, guess="neutral", n=1)
    submit(ann, one, "happiness", seen=seen[one])
    send(team, studio, guess=None)  # guesses are switched off: pages that show one are still open
    submit(ann, two, "happiness", seen=seen[two])
    pull(team, studio)
    assert said(team) == {("happiness", None, GUESS): 2}


def test_predictions_nobody_sees_are_not_kept(team: Workspace, studio: Studio) -> None:
    send(team, studio, guess=None)
    add_samples(team, 1, first=85)
    send(team, studio, guess=None)
    assert len(studio.http.get(f"/api/projects/{number_of(team, studio)}/model-versions/")) == 1


def test_where_an_administrator_shows_predictions_the_places_in_the_queue_show_nothing(
    team: Workspace, studio: Studio, ann: Studio
) -> None:
    found = send(team, studio, guess=None)
    studio.update_project(number_of(team, studio), show_collab_predictions=True)
    for task in found[:3]:
        submit(ann, task, "happiness")
    copy_guesses(studio, number_of(team, studio), found[3:5])  # there is nothing to copy
    assert pull(team, studio).rejected == {votes_from_answers.EMPTY: 2}
    assert said(team) == {("happiness", None, ""): 3, (None, votes_from_answers.EMPTY, ""): 2}


@pytest.mark.parametrize("n", [3, 25])
def test_guesses_without_emolabs_mark_are_asked_for_one_by_one_or_all_at_once(
    team: Workspace, studio: Studio, ann: Studio, n: int
) -> None:
    add_samples(team, n, first=200)
    found = send(team, studio, guess=None)[:n]
    number = number_of(team, studio)
    rows = [{"task": t, "model_version": "theirs", "score": 0.5, "result": controls.answer("neutral")} for t in found]
    assert studio.import_predictions(number, rows) == n
    theirs = {int(row["task"]): row for row in studio.http.get("/api/predictions/", project=number) if row["result"]}
    for task in found:
        submit(ann, task, "happiness", seen=(theirs[task]["id"], theirs[task]["result"]))
    pull(team, studio)
    assert said(team) == {("happiness", None, "neutral"): n}


def test_copies_that_an_earlier_emolab_counted_are_refused_again(team: Workspace, studio: Studio) -> None:
    found = send(team, studio, guess=None)
    number = number_of(team, studio)
    rows = [{"task": found[0], "model_version": "emolab 1", "score": 0.5, "result": controls.answer(GUESS)}]
    studio.import_predictions(number, rows)
    studio.http.call(
        "POST", "/api/dm/actions/", params={"id": "predictions_to_annotations", "project": number},
        json={"selectedItems": {"all": False, "included": found[:1]}, "model_version": "emolab 1"},
    )  # fmt: skip
    pull(team, studio)
    studio.delete_model_version(number, "emolab 1")
    (copy,) = ledger(team, rejected=True)
    assert copy.rejected == votes_from_answers.COPIED
    with team.catalog() as catalog, catalog.begin() as tx:
        fields = {name: getattr(copy, name) for name in ("sample_id", "annotator", "label", "origin")}
        votes.append(tx, [Vote(**fields)])
    assert len(ledger(team)) == 1
    pull(team, studio, reconcile=True)
    with team.catalog() as catalog, catalog.connect() as conn:
        assert (tallies.count(conn)["active"], tallies.count(conn)["rejected"]) == (0, 1)


def test_label_studio_refuses_an_answer_whose_prediction_is_gone(team: Workspace, studio: Studio, ann: Studio) -> None:
    """Why predictions that people see are kept for a day; when this fails, they need not be."""
    (one, *_) = send(team, studio)
    seen = shown_to(ann, one)
    add_samples(team, 1, first=90)
    send(team, studio, guess="neutral")
    age(studio, team)
    with pytest.raises(ServerError, match="parent_prediction"):
        submit(ann, one, "happiness", seen=seen)
