"""Guesses on some forms only: on a real Label Studio, in its page, and as a pure function of the sample."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest

from emolab.catalog.campaign import guesses
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.labeling.sync.task_payload import stays_blind
from emolab.workspace import Workspace
from tests.labeling.test_guesses import age, samples_of, submit
from tests.support import page_rooms
from tests.support.servers import LabelStudioServer
from tests.support.studio_screen import SIZE, browser  # noqa: F401 (fixture)
from tests.support.syncing import add_samples, half_blind, ledger, named


def test_the_blind_share_is_the_asked_one_and_a_larger_one_holds_it() -> None:
    ids = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(4000)]
    few, half = ([stays_blind(name, share) for name in ids] for share in (0.2, 0.5))
    assert 0.18 < sum(few) / len(ids) < 0.22 and 0.47 < sum(half) / len(ids) < 0.53
    assert all(inside for inside, blind in zip(half, few, strict=True) if blind)
    assert not any(stays_blind(name, 0.0) for name in ids) and all(stays_blind(name, 1.0) for name in ids)


@pytest.mark.labelstudio
def test_half_of_the_forms_stay_empty_in_emolabs_order_and_the_ledger_knows_it(
    workspace: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    team = half_blind(named(workspace, f"blind {uuid.uuid4().hex[:8]}"))
    ids = add_samples(team, 12)
    sent = {name: "sadness" if i % 2 else "happiness" for i, name in enumerate(ids)}
    report = push(team, studio, overlap=1, show_predictions=True, guesses=sent)
    blind = {name for name in ids if stays_blind(name, 0.5)}
    assert 2 <= len(blind) <= 10, "these pictures fall on both sides"
    assert (report.guesses, report.blind) == (12 - len(blind), len(blind))

    again = push(team, studio, overlap=1, show_predictions=True, guesses=sent)
    assert (again.created, again.guesses, again.blind) == (0, 0, 0), "there is nothing to send"
    ann, uid = label_studio.annotator("ann")[1], samples_of(team, studio)
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    order = []
    for _ in ids:
        task = ann.next_task(project.id)
        assert task is not None
        name = str(task.uid)
        order.append(name)
        parts = next(row["result"] for row in ann.http.get(f"/api/tasks/{task.id}/")["predictions"])
        assert [p["value"]["choices"] for p in parts] == [[] if name in blind else [sent[name]]]
        submit(ann, task.id, "sadness", seconds=0.01)
    assert order == ids and set(uid.values()) == set(ids)

    add_samples(team, 1, first=50)
    push(team, studio, show_predictions=True, guesses={})
    age(studio, team)
    pull(team, studio)
    said = {vote.sample_id: vote for vote in ledger(team)}
    assert {name for name in ids if said[name].shown == ""} == blind, "though the server has deleted the predictions"
    assert all(said[name].shown == sent[name] for name in ids if name not in blind)
    with team.catalog() as catalog, catalog.connect() as conn:
        found = {answer.sample_id: answer for answer in guesses.answers(conn)}
    assert {name: (each.guess, each.shown) for name, each in found.items()} == {
        name: (sent[name], name not in blind) for name in ids
    }


@pytest.mark.labelstudio
@pytest.mark.browser
@pytest.mark.slow
def test_the_page_shows_no_guess_for_a_blind_sample_and_one_for_the_others(
    tmp_path: Path,
    studio: Studio,
    browser: Any,  # noqa: F811
) -> None:
    context = browser.new_context(viewport=SIZE)
    room = page_rooms.make(tmp_path / "faces", studio, shown=True, blind=0.5, n=12, overlap=1)
    person = room.person(context)
    person.enter(room.invitation())
    person.open_queue()
    seen = {}
    for _ in range(8):
        seen[str(person.sample)] = person.marked()
        person.choose_by_key(room.right(person))
        person.submit()
    context.close()
    hidden = {name for name in seen if name in room.guesses and stays_blind(name, 0.5)}
    assert hidden and any(seen.values()), "both kinds came up"
    assert {name for name, marked in seen.items() if not marked} >= hidden
    room.check()
    assert {vote.shown for vote in ledger(room.workspace) if vote.sample_id in hidden} == {""}
