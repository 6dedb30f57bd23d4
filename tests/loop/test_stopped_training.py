"""What may not be learned from any more is not learned from by a training that was stopped before."""

from __future__ import annotations

from pathlib import Path

import pytest

import emolab
from emolab.catalog import models
from emolab.catalog import snapshots as known_snapshots
from emolab.errors import DataError
from emolab.loop.model.train import train
from emolab.loop.operate.cycle.run_cycle import COMPLETE, cycle
from emolab.provenance import snapshots
from emolab.training.runs import runs
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace
from tests.training.test_train_model import StopAfter

pytestmark = pytest.mark.slow


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """48 labelled images and settings that train within seconds."""
    fill_workspace(workspace)
    return configure(workspace, QUICK + "\ntensorboard = false\n[cycle]\npush = false")


def stopped(workspace: Workspace) -> tuple[str, ...]:
    """The samples of the training that was stopped."""
    run = runs.unfinished(workspace)
    assert run is not None
    assert run.epochs_done() == 1
    return run.data.ids


def learned(workspace: Workspace, model: str) -> set[str]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        kept = known_snapshots.find(conn, models.get(conn, model).snapshot)
    assert kept is not None
    return set(snapshots.read(workspace.root / kept.path).ids)


def test_resume_refuses_what_may_not_be_learned_from_any_more(ready: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(ready, progress=StopAfter(6))
    withdrawn, held, gone, *others = stopped(ready)
    emolab.end_consent(ready, ids=withdrawn)
    emolab.holdout_add(ready, ids=held)
    emolab.remove(ready, ids=gone)
    with pytest.raises(DataError) as refused:
        train(ready, resume=True)
    assert refused.value.message.endswith("1 consent withdrawn, 1 in the holdout, 1 taken out.")
    assert refused.value.hint == "Begin a new one without them: emolab train"
    assert learned(ready, train(ready).model.id) == set(others)


@pytest.mark.parametrize("ended", [True, False])
def test_a_stopped_cycle_goes_on_without_a_sample_whose_consent_ended(ready: Workspace, *, ended: bool) -> None:
    with pytest.raises(KeyboardInterrupt):
        cycle(ready, now=True, progress=StopAfter(6))
    first, *others = stopped(ready)
    if ended:
        emolab.end_consent(ready, ids=first)
    done = cycle(ready)
    assert (done.outcome, done.resumed) == (COMPLETE, True)
    assert learned(ready, done.steps[2].came["model"]) - set(others) == (set() if ended else {first})


def test_a_cycle_whose_stopped_training_is_damaged_trains_anew(ready: Workspace, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cycle(ready, now=True, progress=StopAfter(6))
    (folder,) = (ready.state / "runs").iterdir()
    (folder / "data.json").rename(tmp_path / "data.json")
    with pytest.raises(DataError, match=r"The unfinished run in .* cannot be read"):
        cycle(ready)
    assert cycle(ready).outcome == COMPLETE
