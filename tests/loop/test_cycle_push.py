"""A cycle whose push is killed at any moment: with a real Label Studio every task of its round is there once."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from emolab.labeling.label_studio.client import Studio
from emolab.loop.operate.cycle import cycle_journal
from emolab.loop.operate.cycle.run_cycle import NOTHING_NEW, cycle
from emolab.workspace import Workspace
from tests.loop.test_cycle import ANSWERED, PROPOSED, answer, made, pool
from tests.support.killing import at_writes_of_its_push, errors, killed
from tests.support.servers import LabelStudioServer
from tests.support.syncing import environment, named, there

__all__ = ["pool"]
pytestmark = [pytest.mark.labelstudio, pytest.mark.slow]
KILLS = 12


def test_killed_while_it_pushes_each_task_is_there_once(
    pool: Workspace,
    label_studio: LabelStudioServer,
    studio: Studio,
) -> None:
    name = f"cycle {uuid.uuid4().hex[:8]}"
    workspace = named(pool, name)
    workspace = Workspace(workspace.root, replace(workspace.config, cycle=replace(workspace.config.cycle, push=True)))
    rng = np.random.default_rng(5)
    kills = cycles = 0
    with mock.patch.dict(os.environ, environment(label_studio.url, label_studio.token)):
        while kills < KILLS:
            answer(workspace, cycles * ANSWERED)
            cycles += 1
            assert cycles < 8, "kills come too late"
            while killed(workspace, int(rng.integers(1, 30)), at_writes_of_its_push):
                kills += 1
                assert set(there(studio, name).values()) <= {1}
            found = there(studio, name)
            assert (len(found), set(found.values())) == (PROPOSED * cycles, {1})
            assert made(workspace)[1] == [PROPOSED] * cycles
            assert cycle_journal.read_all(workspace.state / "cycles")[-1].ended
            assert cycle(workspace).outcome == NOTHING_NEW
    assert not errors(pool), "no cycle ended with an error"
    (project,) = [one for one in studio.projects() if one.title == name]
    studio.delete_project(project.id)
