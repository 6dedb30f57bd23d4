"""Votes that go through a real Label Studio: imported there, looked at by its counts, exported, and the same again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emolab.errors import DataError
from emolab.labeling.label_studio.client import Studio
from emolab.loop.label.exchange.export_votes import export_votes
from emolab.loop.label.exchange.import_votes import import_votes
from emolab.workspace import Workspace
from tests.labeling.exchange.test_round_trips import CLASSES, put, team

pytestmark = pytest.mark.labelstudio


def test_tasks_that_were_imported_into_label_studio_come_back_as_the_same_votes(
    workspace: Workspace, tmp_path: Path, studio: Studio, project: int
) -> None:
    team(workspace)
    file = tmp_path / "tasks.json"
    assert export_votes(workspace, file, format="studio", rejected=True).votes == 6
    ids = studio.import_tasks(project, json.loads(file.read_text(encoding="utf-8")))
    assert len(ids) == 4
    assert sum(not answer.was_cancelled for task in ids for answer in studio.task(task).annotations) == 5
    handed = studio.http.get(f"/api/projects/{project}/export", exportType="JSON", download_all_tasks="true")
    back = tmp_path / "back.json"
    back.write_text(json.dumps(handed), encoding="utf-8")
    again = import_votes(workspace, back)
    assert (again.votes, again.known, again.new) == (6, 6, 0)
    other = Workspace.init(tmp_path / "other", classes=CLASSES)
    put(other)
    assert import_votes(other, back).new == 6
    export_votes(other, tmp_path / "again.json", format="studio", rejected=True)
    first, second = (json.loads(one.read_text(encoding="utf-8")) for one in (file, tmp_path / "again.json"))
    by_sample = [{task["data"]["emolab_uid"]: task for task in tasks} for tasks in (first, second)]
    assert by_sample[0] == by_sample[1]
    for task in handed:
        for answer in task["annotations"]:
            answer["result"] = [{**part, "value": {"choices": ["neutral"]}} for part in answer["result"]]
    back.write_text(json.dumps(handed), encoding="utf-8")
    with pytest.raises(DataError, match="4 of 6 votes contradict the ledger"):
        import_votes(workspace, back)
