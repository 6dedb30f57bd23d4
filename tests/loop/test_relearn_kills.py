"""The queue learns while it is killed: after every kill the order is a whole one, and no vote is lost or doubled."""

from __future__ import annotations

import uuid
from collections import Counter

import numpy as np
import pytest

from benchmarks.kills import kill_relearns
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.label_studio.queries import model_versions
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.label.relearn import Renewal, relearn
from emolab.workspace import Workspace
from tests.labeling.test_faults import assert_no_debris
from tests.loop.test_relearn import champion, ranked
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, ledger, named, say, task_of

pytestmark = [pytest.mark.labelstudio, pytest.mark.slow]
KILLS, PER_RUN = 12, 2


def order_on_the_server(studio: Studio, number: int) -> list[str]:
    """The samples by the scores of the version in force; each has exactly one."""
    version = studio.project(number).model_version
    uids = {task.id: str(task.uid) for page in studio.pages(number, [], include="id,data") for task in page}
    rows = [row for row in studio.http.get("/api/predictions/", project=number) if row["model_version"] == version]
    scores = {uids[row["task"]]: row["score"] for row in rows}
    assert len(scores) == len(rows) == len(set(scores.values()))
    return sorted(scores, key=scores.__getitem__)


def test_after_every_kill_the_queue_has_one_whole_order_and_every_vote_is_there_once(
    workspace: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    team = named(workspace, f"relearn kills {uuid.uuid4().hex[:8]}")
    with (team.root / "emolab.toml").open("a") as file:
        file.write(f"relearn = {PER_RUN}\n")
    team = Workspace.open(team.root)
    ids = add_samples(team, 3 * KILLS * PER_RUN + 20)
    champion(team, ids)
    push(team, studio, n=len(ids), overlap=1)
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    number, answered, orders = project.id, list[str](), [ids]
    ann = label_studio.annotator("ann")[1]
    seen = Counter[str]()

    def look() -> list[str]:
        """The waiting samples in the server's order: that of before the kill, or the one that the catalog has now."""
        now = [name for name in order_on_the_server(studio, number) if name not in answered]
        assert sorted(now) == sorted(set(ids) - set(answered)), "no waiting sample has lost its place"
        before = [name for name in orders[-1] if name not in answered]
        new = [name for name in ranked(team, studio) if name not in answered]
        assert now in (before, new), "a mixture of two orders"
        seen["old" if now == before else "new"] += 1
        orders.append(now)
        return now

    def again() -> list[str]:
        """The same after the next pull, which ends what was cut off: both sides have the one order."""
        pull(team, studio)
        assert relearn(team, studio).problem == ""
        now = look()
        assert now == ranked(team, studio), "what was cut off is taken up again"
        return now

    def more() -> None:
        look()
        for name in again()[:PER_RUN]:
            say(ann, task_of(studio, number, name), "sadness" if ids.index(name) % 2 else "happiness")
            answered.append(name)

    runs, where = kill_relearns(
        team, studio, token=label_studio.token, kills=KILLS, rng=np.random.default_rng(14), more=more
    )
    assert where.total() == KILLS
    assert seen["old"] and seen["new"], seen
    look()
    assert again() != [name for name in ids if name not in answered]
    assert relearn(team, studio) == Renewal(), "nothing is left to be done"
    assert model_versions(studio, number) == [studio.project(number).model_version], "no half order is left"
    assert Counter(vote.sample_id for vote in ledger(team)) == Counter(answered)
    assert len(answered) == (2 + runs) * PER_RUN
    assert_no_debris(team)
