"""Projects that are deleted at once, by emolab or by people, leave everybody's answers counted."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.workspace import Workspace
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, assert_at_rest, ledger, named, say, task_of

pytestmark = pytest.mark.labelstudio
FORM = '<View><Text name="words" value="$words"/></View>'
AT_ONCE, TIMES, TASKS = 4, 3, 40


def delete_at_once(label_studio: LabelStudioServer) -> None:
    """Several people delete projects in the same moment."""
    with label_studio.client() as studio:
        going = [studio.create_project(f"going {uuid.uuid4().hex[:8]}", FORM).id for _ in range(AT_ONCE)]
        for number in going:
            studio.import_tasks(number, [{"data": {"words": str(i)}} for i in range(TASKS)])
        together = threading.Barrier(AT_ONCE)

        def delete(number: int) -> None:
            with connect(label_studio.url, label_studio.token) as mine:
                mine.whoami()
                together.wait(60)
                mine.delete_project(number)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(delete, going))


def counted(studio: Studio, task: int) -> tuple[int, int]:
    """Answers and skips of a task as the server counts them."""
    found = studio.http.ask(f"/api/tasks/{task}/").row()
    return found.number("total_annotations"), found.number("cancelled_annotations")


def test_answers_after_projects_were_deleted_at_once_are_counted(
    workspace: Workspace, studio: Studio, label_studio: LabelStudioServer
) -> None:
    team = named(workspace, f"counted {uuid.uuid4().hex[:8]}")
    ids = add_samples(team, TIMES)
    push(team, studio)
    project = studio.find_project(team.config.labeling.project)
    assert project is not None
    ann, bob = (label_studio.annotator(name)[1] for name in ("ann", "bob"))
    for n, sample in enumerate(ids):
        delete_at_once(label_studio)
        task = task_of(studio, project.id, sample)
        say(ann, task, "sadness")
        say(bob, task, None)
        assert counted(studio, task) == (1, 1), "Label Studio's own count"
        pull(team, studio)
        assert len(ledger(team)) == n + 1
    assert_at_rest(team, studio)
