"""Guesses that another machine sent: two workspaces on one real Label Studio come to the same figures and labels."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest

from emolab.catalog.campaign import guesses
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.labels import aggregate, anchored_votes
from emolab.labeling.labels.label_recipe import LabelRecipe
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.labeling.sync.task_payload import stays_blind
from emolab.loop.label.label_status import label_status
from emolab.workspace import Workspace
from tests.labeling.test_guesses import age, samples_of, submit
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, half_blind, named, other_machine

pytestmark = pytest.mark.labelstudio
N = 40


class Figures(NamedTuple):
    """What a machine says: (sample, said, guess, shown) of each answer, the anchoring, and labels corrected by it."""

    answers: list[tuple[str, str, str, bool]]
    anchoring: Mapping[str, object]
    labels: list[list[float]]
    corrected: bool


def figures(workspace: Workspace) -> Figures:
    """What this machine says of the anchoring, answer by answer and in sum, and its corrected labels."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        compared = guesses.answers(conn)
        ballots = aggregate.ballots(conn, workspace.config.project.classes)
    labels = aggregate.labels_of(ballots, LabelRecipe(method="soft", anchoring=anchored_votes.CORRECT))
    ignored = aggregate.labels_of(ballots, LabelRecipe(method="soft", anchoring=anchored_votes.IGNORE))
    order, told = np.argsort(labels.samples), label_status(workspace).to_dict()["anchoring"]
    return Figures(
        answers=sorted((each.sample_id, each.said, each.guess, each.shown) for each in compared),
        anchoring={**told, "annotators": sorted(each["agree_hidden"] for each in told["annotators"])},
        labels=labels.probs[order].round(6).tolist(),
        corrected=not np.allclose(labels.probs, ignored.probs),
    )


def test_a_fresh_workspace_knows_what_stood_on_the_forms_that_another_one_sent(
    workspace: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    title = f"elsewhere {uuid.uuid4().hex[:8]}"
    team = half_blind(named(workspace, title))
    ids = add_samples(team, N)
    sent = {name: ("sadness", "happiness")[i % 2] for i, name in enumerate(ids)}
    push(team, studio, overlap=2, n=N, show_predictions=True, guesses=sent)
    people = [label_studio.annotator(name)[1] for name in ("ann", "bob")]
    uids = samples_of(team, studio)
    later = dict.fromkeys(ids, "neutral")
    for number, (task, name) in enumerate(uids.items()):
        if number == N // 2:  # a new model says something else about what is left, and its guesses replace the first
            add_samples(team, 1, first=500)
            push(team, studio, n=1, show_predictions=True, guesses=later)
            age(studio, team)
        guess = (sent if number < N // 2 else later)[name]
        other = "happiness" if guess == "neutral" else "neutral"
        for person, one in enumerate(people):  # they follow what they see, and else agree with it every fourth time
            follows = not stays_blind(name, 0.5) or (number + person) % 4 == 0
            submit(one, task, guess if follows else other, seconds=0.01)
    elsewhere = half_blind(named(other_machine(team, n=N + 1), title), 0.25)  # with a setting of its own
    for machine in (team, elsewhere):
        pull(machine, studio)
    here, there = figures(team), figures(elsewhere)
    assert here == there
    assert len(here.answers) == 2 * N
    assert here.corrected, "the correction was not at work"
    assert {guess for _, _, guess, _ in here.answers} == {"sadness", "happiness", "neutral"}
    assert {shown for *_, shown in here.answers} == {True, False}
