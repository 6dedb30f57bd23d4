"""Consent ends: tasks leave a real Label Studio, their votes stay, and a renewed consent sends the sample again."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

import emolab
from emolab.errors import ServerError
from emolab.labeling.label_studio.client import Studio
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.label.recall import Recall, recall
from emolab.loop.operate.privacy.consent import add_consent, end_consent
from emolab.workspace import Workspace
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, environment, ledger, named, say, task_of, there

pytestmark = pytest.mark.labelstudio


@pytest.fixture
def team(workspace: Workspace, studio: Studio) -> tuple[Workspace, int, list[str]]:
    """Four samples in a project of their own, the first two answered and pulled; workspace, project, samples."""
    made = named(workspace, f"recall {uuid.uuid4().hex[:8]}")
    ids = add_samples(made, 4)
    push(made, studio)
    project = studio.find_project(made.config.labeling.project)
    assert project is not None
    for one in ids[:2]:
        say(studio, task_of(studio, project.id, one), "sadness")
    assert pull(made, studio).new == 2
    return made, project.id, ids


def title(workspace: Workspace) -> str:
    return workspace.config.labeling.project


def test_tasks_go_and_their_votes_stay(
    team: tuple[Workspace, int, list[str]], studio: Studio, label_studio: LabelStudioServer
) -> None:
    workspace, _, ids = team
    end_consent(workspace, ids=[ids[0], ids[2]])
    with mock.patch.dict(os.environ, environment(label_studio.url, label_studio.token)):
        report = emolab.pull(workspace)
        assert (report.recalled, report.withdrawn, report.tasks_deleted) == (2, 0, 0)
        assert set(there(studio, title(workspace))) == {ids[1], ids[3]}
        assert len(ledger(workspace)) == 2
        again = emolab.pull(workspace, reconcile=True)
        assert (again.recalled, again.changed, again.held) == (0, False, {})
        assert len(ledger(workspace)) == 2
        assert push(workspace, studio).created == 0
    add_consent(workspace, ids=[ids[0], ids[2]], text="yes after all")
    assert push(workspace, studio).created == 1, "who was never answered"
    assert set(there(studio, title(workspace))) == {*ids[1:]}


def test_an_answer_that_no_pull_has_read_keeps_its_task(team: tuple[Workspace, int, list[str]], studio: Studio) -> None:
    workspace, project, ids = team
    recalling = Recall(workspace, studio)
    end_consent(workspace, ids=ids[3])
    say(studio, task_of(studio, project, ids[3]), "happiness")
    assert recalling.after(news=False) == 0
    assert ids[3] in there(studio, title(workspace))
    assert recalling.after(news=False) == 0
    assert pull(workspace, studio).new == 1
    assert recalling.after(news=True) == 1
    assert ids[3] not in there(studio, title(workspace))
    assert sorted(str(vote.label) for vote in ledger(workspace)) == ["happiness", "sadness", "sadness"]
    end_consent(workspace, ids=ids[2])
    assert recalling.after(news=False) == 1, "the register is another one"


def test_cut_off_before_the_server_answers_it_goes_on_with_the_next_pull(
    team: tuple[Workspace, int, list[str]], studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _, ids = team
    end_consent(workspace, ids=ids)
    with monkeypatch.context() as patch:
        patch.setattr(type(studio), "delete_tasks", mock.Mock(side_effect=ServerError("gone away")))
        with pytest.raises(ServerError):
            recall(workspace, studio)
    assert len(there(studio, title(workspace))) == 4
    report = pull(workspace, studio, reconcile=True)
    assert (report.withdrawn, report.held, len(ledger(workspace))) == (0, {}, 2)
    assert recall(workspace, studio) == 4
    assert not there(studio, title(workspace))
    assert pull(workspace, studio, reconcile=True).withdrawn == 0
    assert len(ledger(workspace)) == 2


def test_cut_off_after_the_server_has_deleted_them_no_vote_is_lost(
    team: tuple[Workspace, int, list[str]], studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _, ids = team
    end_consent(workspace, ids=ids)
    real = type(studio).delete_tasks

    def dying(self: Studio, project: int, tasks: list[int]) -> None:
        real(self, project, tasks)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(studio), "delete_tasks", dying)
        with pytest.raises(KeyboardInterrupt):
            recall(workspace, studio)
    assert pull(workspace, studio, reconcile=True).withdrawn == 0
    assert recall(workspace, studio) == 0
    assert len(ledger(workspace)) == 2
    add_consent(workspace, ids=ids, text="yes after all")
    assert push(workspace, studio).created == 2


def test_a_setting_empties_no_project(team: tuple[Workspace, int, list[str]], studio: Studio, tmp_path: Path) -> None:
    workspace, _, _ = team
    strict = replace(workspace.config, privacy=replace(workspace.config.privacy, consent_required=True))
    assert recall(Workspace(workspace.root, strict), studio) == 0
    assert len(there(studio, title(workspace))) == 4
