"""What others do while somebody is asked "Do you want that?" counts: undo, remove and split plan again then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.catalog import samples, votes
from emolab.catalog.campaign import remotes
from emolab.catalog.campaign.remotes import TaskRequest
from emolab.errors import DataError
from emolab.records import Sample, Vote
from emolab.workspace import Workspace
from tests.support.pictures import png, put

N = 5


@pytest.fixture
def ids(workspace: Workspace, tmp_path: Path) -> list[str]:
    """Samples that one collect brought."""
    emolab.collect(workspace, put(tmp_path / "a", {f"{seed}.png": png(seed) for seed in range(N)}), faces="off")
    return sorted(workspace.samples().index)


def vote(workspace: Workspace, sample: str) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, [Vote(sample_id=sample, annotator="ann", label="neutral", origin=f"test:{sample}")])


def send(workspace: Workspace, sample: str) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        project = remotes.add_project(tx, server="there", project=7, title="faces")
        remotes.want(tx, project, [TaskRequest(sample, 1, 1)])


def there(workspace: Workspace) -> list[str]:
    """The samples that are left; every vote that counts is about one of them."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert catalog.problems() == catalog.miscounts() == []
        left = sorted(one.id for one in samples.iterate(conn))
        assert {one.sample_id for one in votes.iterate(conn, include_rejected=True)} <= {*left}
    return left


@pytest.mark.parametrize("happens", [vote, send])
def test_undo_keeps_what_somebody_came_to_need(
    workspace: Workspace, ids: list[str], happens: Callable[[Workspace, str], None]
) -> None:
    asked: list[Any] = []

    def agree(plan: Any) -> None:
        asked.append(plan.removed)
        happens(workspace, ids[0])

    done = emolab.undo(workspace, agree=agree)
    assert (asked, done.removed, sum(done.kept.values())) == ([N], N - 1, 1)
    assert there(workspace) == ids[:1]


def test_undo_takes_nothing_but_what_was_agreed_to(workspace: Workspace, ids: list[str]) -> None:
    with pytest.raises(DataError, match="The last collect is not the last command any more"):
        emolab.undo(workspace, agree=lambda _: action_of_another(workspace))
    assert there(workspace) == ids


def action_of_another(workspace: Workspace) -> None:
    with workspace.catalog() as catalog, catalog.recording("split", "by somebody"), catalog.begin() as tx:
        samples.set_splits(tx, dict.fromkeys([one.id for one in samples.iterate(tx)], "train"))


def test_remove_leaves_what_was_sent_meanwhile_and_withdraws_votes_that_came(
    workspace: Workspace, ids: list[str]
) -> None:
    def agree(plan: Any) -> None:
        assert len(plan.samples) == 3 and not plan.votes
        vote(workspace, ids[0])
        send(workspace, ids[1])

    done = emolab.remove(workspace, ids=ids[:3], agree=agree)
    assert (len(done.plan.samples), len(done.plan.sent), done.withdrawn) == (2, 1, 1)
    assert there(workspace) == sorted([ids[1], *ids[3:]])


def test_a_source_that_is_removed_leaves_what_others_voted_on_meanwhile(workspace: Workspace, ids: list[str]) -> None:
    (source,) = {*workspace.samples()["source"]}
    done = emolab.remove(workspace, sources=source, agree=lambda _: vote(workspace, ids[2]))
    assert (len(done.plan.samples), list(done.plan.shared)) == (N - 1, [ids[2]])
    assert there(workspace) == [ids[2]]


def test_a_sample_that_came_into_a_group_meanwhile_moves_with_it(workspace: Workspace, ids: list[str]) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=letter * 64, media=f"{letter}.png", group="ann") for letter in "ab"])

    def comes(_: Any) -> None:
        with workspace.catalog() as catalog, catalog.begin() as tx:
            samples.add(tx, [Sample(id="c" * 64, media="c.png", group="ann")])

    done = emolab.set_split(workspace, "test", groups="ann", agree=comes)
    assert len(done.moves.to) == 3
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert {one.id[0]: one.split for one in samples.iterate(conn) if one.group == "ann"} == dict.fromkeys(
            "abc", "test"
        )
