"""What a watch compares with are samples too: those that were forgotten are in it no longer, and the watch goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import emolab
from emolab.catalog import samples
from emolab.datasets.near_copies import groups
from emolab.errors import DataError
from emolab.loop.operate.monitor import look_record, reference_samples, watch_reference
from emolab.loop.operate.monitor.watch_reference import WatchReference
from emolab.workspace import Workspace
from tests.loop.monitor.conftest import Site

Made = Callable[..., Site]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained workspace, whose images have been compared with one another, as after a collect: that takes long."""
    root = tmp_path_factory.mktemp("compared") / "bars"
    shutil.copytree(trained, root)
    workspace = Workspace.open(root)
    with workspace.catalog() as catalog:
        groups.find(workspace, catalog)
    return root


def kept(here: Site) -> WatchReference:
    found = watch_reference.kept(here.workspace, here.model.id)
    assert found is not None
    return found


def holding(workspace: Workspace, rows: np.ndarray) -> list[Path]:
    """Arrays of the monitor that hold one of these ``rows`` (n, d), byte by byte."""
    forms = [np.asarray(row, dtype).tobytes() for row in rows for dtype in (rows.dtype, np.float16, np.float64)]
    found = (workspace.state / "monitor").rglob("*.npy")
    return [file for file in found if any(form in file.read_bytes() for form in forms)]


def judging(workspace: Workspace) -> list[str]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return [one.id for one in samples.iterate(conn, split="valid")]


def test_the_rows_of_the_forgotten_go_and_the_watch_goes_on(site: Made) -> None:
    here = site(2)
    before = here.look()
    reference = kept(here)
    assert reference.judged is not None
    assert (set(reference.ids), len(reference.ids)) == (set(judging(here.workspace)), len(reference.seen))
    gone, rows = list(reference.ids[:5]), reference.seen.embeddings[:5]
    assert len(holding(here.workspace, rows)) == 2, "of what is seen and of what is judged"
    foreseen = emolab.forget(here.workspace, ids=gone, dry_run=True)
    assert foreseen.holders["references of the monitor"] == (10, "10 rows")
    done = emolab.forget(here.workspace, ids=gone)
    assert done.holders["references of the monitor"] == (10, "10 rows")
    assert holding(here.workspace, rows) == []
    after = kept(here)
    assert after.ids == reference.ids[5:]
    assert np.array_equal(after.seen.embeddings, reference.seen.embeddings[5:])
    assert np.array_equal(after.seen.quality["blur"], reference.seen.quality["blur"][5:])
    assert after.judged is not None
    assert [*after.judged_ids] == [one for one in reference.judged_ids if one not in gone]
    of = dict(zip(reference.judged_ids, reference.truth.tolist(), strict=True))
    assert after.truth.tolist() == [of[one] for one in after.judged_ids]
    here.ask()
    looks = here.look().looks
    assert looks[: len(before.looks)] == before.looks
    assert len(looks) == len(before.looks) + 1


@pytest.mark.parametrize("known", [True, False])
def test_a_reference_that_has_to_go_begins_a_new_watch(site: Made, *, known: bool) -> None:
    here = site(2)
    here.look()
    home, reference = look_record.home(here.workspace, here.model.id), kept(here)
    gone = [*reference.ids[: len(reference.ids) - 90]] if known else [reference.ids[0]]
    if not known:  # a watch that began before ids were kept
        (home / reference_samples.FILE).unlink()
    done = emolab.forget(here.workspace, ids=gone)
    assert "begins a new watch of 1 model" in " ".join(done.notes)
    assert [file.name for file in home.glob("*.npy")] == []
    assert watch_reference.kept(here.workspace, here.model.id) is None


def test_a_call_that_was_cut_off_is_ended_by_the_next(site: Made) -> None:
    here = site(2)
    here.look()
    home, reference = look_record.home(here.workspace, here.model.id), kept(here)
    gone = set(reference.ids[3:6])
    stay = np.array([one not in gone for one in reference.ids])
    np.save(home / "seen.probs.npy", reference.seen.probs[stay])
    assert reference_samples.drop(home, gone) == 6
    after = kept(here)
    assert np.array_equal(after.seen.probs, reference.seen.probs[stay])
    assert np.array_equal(after.seen.embeddings, reference.seen.embeddings[stay])
    assert json.loads((home / reference_samples.REFERENCE).read_text())["n"] == len(after.ids)
    assert reference_samples.drop(home, gone) == 0


def test_who_may_not_judge_is_not_compared_with(site: Made) -> None:
    here = site(2)
    withdrawn = judging(here.workspace)[:4]
    emolab.end_consent(here.workspace, ids=withdrawn)
    here.look()
    assert set(kept(here).ids) == set(judging(here.workspace)) - set(withdrawn)


def test_who_withdraws_later_leaves_the_reference_and_the_watch_goes_on(site: Made) -> None:
    here = site(2)
    before = here.look()
    reference = kept(here)
    gone, rows = list(reference.ids[:5]), reference.seen.embeddings[:5]
    emolab.end_consent(here.workspace, ids=gone)
    at_once = kept(here)
    assert at_once.ids == reference.ids[5:] and not {*gone} & {*at_once.judged_ids}
    assert at_once.judged is not None and len(at_once.judged) == len(at_once.truth) == len(at_once.judged_ids)
    assert np.array_equal(at_once.seen.embeddings, reference.seen.embeddings[5:])
    here.ask()
    looked = here.look()
    assert "10 rows of the reference went: the consent of these samples has ended" in looked.notes
    assert looked.looks[: len(before.looks)] == before.looks and len(looked.looks) == len(before.looks) + 1
    assert holding(here.workspace, rows) == []
    assert "the consent" not in " ".join(here.look().notes), "it is said once"


def test_where_most_withdraw_a_new_watch_begins(site: Made) -> None:
    here = site(2)
    here.look()
    emolab.end_consent(here.workspace, ids=kept(here).ids[90:])
    assert watch_reference.kept(here.workspace, here.model.id) is None
    with pytest.raises(DataError, match="The reference"):
        here.look()
    assert [*look_record.home(here.workspace, here.model.id).glob("*.npy")] == []
