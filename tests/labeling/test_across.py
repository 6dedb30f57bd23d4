"""One vote per person and sample over several projects of a server, whatever order they are read in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from emolab.catalog import samples, votes
from emolab.catalog.campaign import remotes
from emolab.errors import ServerError
from emolab.labeling.answers import across_projects, record_votes
from emolab.labeling.answers.votes_from_answers import SUPERSEDED
from emolab.labeling.form import controls
from emolab.labeling.label_studio.records import RemoteAnnotation, RemoteProject, RemoteTask
from emolab.labeling.sync import project as projects
from emolab.records import SKIPPED, Sample, Vote
from emolab.workspace import Workspace

FACE = "a" * 64


@pytest.fixture
def tx(workspace: Workspace) -> Iterator[Connection]:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=FACE, media="a.png", width=1, height=1, name="a.png")])
        yield tx


def project(tx: Connection, number: int, server: str = "s") -> remotes.Project:
    return remotes.add_project(tx, server=server, project=number, title="faces")


def said(where: remotes.Project, number: int, label: str | None, at: str, who: str = "ann") -> Vote:
    return Vote(sample_id=FACE, annotator=who, label=label, origin=where.origin(number), cast_at=at)


def settle(tx: Connection, where: remotes.Project, *made: Vote, leaving: set[str] = frozenset()) -> int:  # type: ignore[assignment]
    """Store these votes of one project as a pull does and return how many rows that added."""
    rows = votes.append(tx, across_projects.once(tx, where, made, samples=[FACE], leaving=set(leaving)))
    votes.withdraw(tx, leaving, "gone")
    return rows


def counted(tx: Connection) -> list[str]:
    return sorted(f"{vote.annotator} {vote.label}" for vote in votes.iterate(tx))


NOON, LATER = "2026-11-20T12:00:00Z", "2026-11-20T15:00:00+02:00"  # an hour later, in another zone


def test_of_each_persons_answers_the_latest_counts_and_one_replaced_in_vain_comes_back() -> None:
    def vote(number: int, who: str, at: str, rejected: str | None = None) -> Vote:
        origin = f"studio:s:1:{number}"
        return Vote(sample_id=FACE, annotator=who, label="sadness", origin=origin, cast_at=at, rejected=rejected)

    votes = [
        vote(1, "ann", NOON),
        vote(2, "ann", LATER),
        vote(3, "bob", NOON, SUPERSEDED),
        vote(4, "bob", NOON, SKIPPED),
    ]
    changed = across_projects.latest_counts(votes)
    assert {origin[-1]: vote.rejected for origin, vote in changed.items()} == {"1": SUPERSEDED, "3": None}


@pytest.mark.parametrize("first", [0, 1], ids=["the earlier is read first", "the later is read first"])
def test_the_later_answer_counts_in_whatever_order_projects_are_read(tx: Connection, first: int) -> None:
    one, two = project(tx, 1), project(tx, 2)
    reads = [(one, said(one, 7, "happiness", NOON)), (two, said(two, 3, "sadness", LATER))]
    for where, vote in (reads[first], reads[1 - first]):
        settle(tx, where, vote)
    assert counted(tx) == ["ann sadness"]
    assert [settle(tx, where, vote) for where, vote in reads] == [0, 0], "read again, nothing is added"
    assert len(list(votes.iterate(tx, include_rejected=True))) == 2


def test_the_earlier_answer_counts_again_when_the_later_goes(tx: Connection) -> None:
    one, two = project(tx, 1), project(tx, 2)
    settle(tx, one, said(one, 7, "happiness", NOON))
    settle(tx, two, said(two, 3, "sadness", LATER))
    settle(tx, two, leaving={two.origin(3)})
    assert counted(tx) == ["ann happiness"]


def test_an_edit_of_the_earlier_answer_changes_nothing_that_counts(tx: Connection) -> None:
    one, two = project(tx, 1), project(tx, 2)
    settle(tx, one, said(one, 7, "happiness", NOON))
    settle(tx, two, said(two, 3, "sadness", LATER))
    settle(tx, one, said(one, 7, "neutral", NOON))
    assert counted(tx) == ["ann sadness"]


def test_a_skip_or_an_empty_answer_supersedes_nothing(tx: Connection) -> None:
    one, two = project(tx, 1), project(tx, 2)
    settle(tx, one, said(one, 7, "happiness", NOON))
    settle(tx, two, replace(said(two, 3, None, LATER), rejected=SKIPPED))
    assert counted(tx) == ["ann happiness"]


def test_other_people_and_other_servers_are_left_alone(tx: Connection) -> None:
    one, two, other = project(tx, 1), project(tx, 2), project(tx, 2, server="elsewhere")
    settle(tx, one, said(one, 7, "happiness", NOON))
    settle(tx, two, said(two, 3, "sadness", LATER, who="bob"))
    settle(tx, other, said(other, 3, "neutral", LATER))
    assert counted(tx) == ["ann happiness", "ann neutral", "bob sadness"]


@pytest.mark.parametrize("at", ["", "soon", NOON])
def test_of_two_answers_at_one_moment_the_higher_number_is_the_later(tx: Connection, at: str) -> None:
    one, two = project(tx, 1), project(tx, 2)
    settle(tx, one, said(one, 7, "happiness", at))
    settle(tx, two, said(two, 3, "sadness", at))
    assert counted(tx) == ["ann sadness"]
    assert [v.rejected for v in votes.iterate(tx, include_rejected=True) if v.label == "happiness"] == [SUPERSEDED]


@pytest.mark.parametrize("how", ["the later answers are gone", "the later answers are empty", "answered again"])
def test_votes_that_a_pull_holds_back_count_once_beside_other_answers_of_the_person(tx: Connection, how: str) -> None:
    """Ten faces, whose later answers the server no longer shows, so the ledger's stay: still one vote for each face."""
    faces = [f"{n:064x}" for n in range(10)]
    samples.add(tx, [Sample(id=face, media=f"{face}.png", width=1, height=1, name="a.png") for face in faces])

    def task(number: int, face: str, label: str | None, at: str, answer: int | None = None) -> RemoteTask:
        said = RemoteAnnotation(
            id=answer or number, task=number, completed_by=1, created_at=at,
            result=tuple(controls.answer(label)) if label else (),
        )  # fmt: skip
        return RemoteTask(id=number, uid=face, annotations=(said,))

    def pull(seen: list[RemoteTask]) -> record_votes.LedgerChanges:
        pulled = record_votes.PulledTasks(
            tasks=seen, classes=("happiness", "sadness"), names={1: "ann"}, overlap=1,
            there={t.id: t.uid for t in seen}, tasks_before=remotes.known_tasks(tx, where),
        )  # fmt: skip
        return record_votes.record(tx, where, pulled)

    where = project(tx, 1)
    votes.annotator_keys(tx, {"ann"})
    earlier = [task(n, face, "happiness", NOON) for n, face in enumerate(faces, 1)]
    later = [task(100 + n, face, "sadness", "2026-11-20T13:00:00Z") for n, face in enumerate(faces, 1)]
    pull(later if how == "answered again" else earlier + later)
    assert counted(tx) == ["ann sadness"] * 10
    changed = {
        "the later answers are gone": earlier,
        "the later answers are empty": earlier + [task(t.id, t.uid or "", None, LATER) for t in later],
        "answered again": [task(500 + n, face, "happiness", "2026-11-21T12:00:00Z") for n, face in enumerate(faces, 1)],
    }[how]
    wanted = "ann happiness" if how == "answered again" else "ann sadness"
    assert (pull(changed).held, counted(tx)) == (10, [wanted] * 10)
    pull(changed)
    assert counted(tx) == [wanted] * 10, "the next pull sees the same again"


def test_a_project_that_cannot_be_looked_at_is_not_taken_for_a_removed_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        server_id = "s"

        def project(self, number: int) -> RemoteProject:
            raise ServerError(f"No answer about {number}.", retryable=True, outcome_unknown=True)

    monkeypatch.setattr(projects, "patiently", lambda action: action())
    with workspace.catalog() as catalog:
        with catalog.begin() as tx:
            project(tx, 2)
        twin = RemoteProject(id=2, title="faces", label_config="", maximum_annotations=1, sampling="",
                             show_predictions=False, model_version="", description=projects.MARK)  # fmt: skip
        with pytest.raises(ServerError, match="No answer about 2"):
            projects.remove_empty(catalog, Silent(), [twin])  # type: ignore[arg-type]
        with catalog.connect() as conn:
            assert [p.gone for p in remotes.projects(conn)] == [False]


def test_what_somebody_said_on_the_page_try_it_counts_until_a_server_has_a_later_answer(tx: Connection) -> None:
    first = project(tx, 1)
    tried = Vote(sample_id=FACE, annotator="ann", label="sadness", origin=f"{votes.APP}1-2", cast_at=NOON)
    votes.append(tx, [tried])
    settle(tx, first, said(first, 1, "anger", "2026-11-20T11:00:00Z"))
    assert counted(tx) == ["ann sadness"]
    settle(tx, first, said(first, 2, "happiness", LATER), said(first, 3, "happiness", LATER, who="bob"))
    assert counted(tx) == ["ann happiness", "bob happiness"]
    settle(tx, first, said(first, 3, "happiness", LATER, who="bob"), leaving={first.origin(2)})
    assert counted(tx) == ["ann sadness", "bob happiness"]
