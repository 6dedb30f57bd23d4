"""``emolab undo``: the state before the last collect, merge or split is back; what something depends on stays."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import emolab
from emolab.catalog import samples, snapshots, votes
from emolab.catalog.storage import actions, schema
from emolab.catalog.storage.vote_rows import content
from emolab.errors import DataError, EmolabError
from emolab.provenance import snapshots as kept
from emolab.records import Model, Vote
from emolab.workspace import Workspace
from tests.support.pictures import png, put

Run = Callable[..., subprocess.CompletedProcess[str]]
State = tuple[dict[str, Any], dict[str, str]]


def folder(root: Path, seeds: range, label: str = "") -> Path:
    return put(root, {f"{label}/{seed}.png".lstrip("/"): png(seed) for seed in seeds})


def state(workspace: Workspace) -> State:
    """The samples that are there with their splits, groups and representatives, and the votes that count."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert catalog.problems() == []
        assert catalog.miscounts() == []
        there = {one.id: (one.split, one.group, one.representative, one.source) for one in samples.iterate(conn)}
        return there, {vote.origin: content(vote) for vote in votes.iterate(conn, include_rejected=True)}


def n_actions(workspace: Workspace) -> int:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return int(conn.execute(select(func.count()).select_from(schema.actions)).scalar_one())


def collect(workspace: Workspace, at: Path) -> None:
    emolab.collect(workspace, at, faces="off")


def any_command(workspace: Workspace, at: Path, rng: random.Random) -> None:
    """A collect, a merge (also of a folder merged before, with another meaning) or a split."""
    seeds = range(start := rng.randrange(30), start + rng.randrange(1, 12))
    what = rng.randrange(5)
    if what == 0:
        emolab.collect(workspace, folder(at, seeds), faces="off", group_by=rng.choice([None, "folder"]))
    elif what in (1, 2):
        rules = put(at.with_suffix(".rules"), {"r.json": json.dumps({"sadness": rng.choice(["sadness", "happiness"])})})
        source = folder(at.parent / f"set{what}", seeds, "sadness")
        split = rng.choice(["auto", "train", "test"])
        emolab.merge(workspace, "image_folder", source, name=f"s{what}", rules=rules / "r.json", split=split)
    elif what == 3:
        emolab.draw_splits(workspace, {"train": 0.5, "valid": 0.2, "test": 0.3}, seed=rng.randrange(9), keep_test=False)
    else:
        there = sorted(workspace.samples().index)
        emolab.set_split(workspace, rng.choice(["train", "valid", None]), ids=rng.sample(there, len(there) // 2))


@pytest.mark.parametrize("seed", range(12))
def test_after_any_commands_each_undo_brings_back_the_state_before(
    workspace: Workspace, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    collect(workspace, folder(tmp_path / "first", range(4)))
    before = []
    for step in range(7):
        then, had = state(workspace), n_actions(workspace)
        any_command(workspace, tmp_path / f"step{step}", rng)
        if n_actions(workspace) > had:
            before.append(then)
        else:
            assert state(workspace) == then, "what changes something is an action"
    assert len(before) > 3
    for then in reversed(before):
        told = emolab.undo(workspace, dry_run=True)
        done = emolab.undo(workspace)
        assert {**told.to_dict(), "dry_run": False} == done.to_dict()
        assert done.kept == {}
        assert state(workspace) == then
    emolab.undo(workspace)
    assert state(workspace) == ({}, {})
    with pytest.raises(DataError, match="nothing to take back"):
        emolab.undo(workspace)
    with workspace.catalog() as catalog:
        assert workspace.problems(catalog) == [], "files of samples that are gone are no sign of another catalog"


def test_what_is_undone_can_be_done_again(workspace: Workspace, tmp_path: Path) -> None:
    at = folder(tmp_path / "set", range(6), "sadness")
    emolab.merge(workspace, "image_folder", at, name="set")
    then = state(workspace)
    assert emolab.undo(workspace).withdrawn == 6
    emolab.merge(workspace, "image_folder", at, name="set")
    assert state(workspace) == then
    collect(workspace, at)  # nothing new: no action
    assert emolab.undo(workspace).kind == "merge"


def test_a_second_map_is_taken_back_and_the_first_one_counts_again(workspace: Workspace, tmp_path: Path) -> None:
    at = folder(tmp_path / "set", range(5), "sadness")
    emolab.merge(workspace, "image_folder", at, name="set")
    rules = put(tmp_path, {"rules.json": json.dumps({"sadness": "happiness"})}) / "rules.json"
    emolab.merge(workspace, "image_folder", at, name="set", rules=rules)
    done = emolab.undo(workspace)
    assert (done.removed, done.withdrawn, done.again) == (0, 5, 5)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert {vote.label for vote in votes.iterate(conn)} == {"sadness"}


def test_what_others_voted_on_and_the_holdout_stay(workspace: Workspace, tmp_path: Path) -> None:
    collect(workspace, folder(tmp_path / "a", range(5)))
    ids = sorted(workspace.samples().index)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, [Vote(sample_id=ids[0], annotator="ann", label="neutral", origin="test:1")])
    emolab.holdout_add(workspace, ids=ids[1])
    done = emolab.undo(workspace)
    assert done.removed == 3
    assert sorted(done.kept.values()) == [1, 1]
    there, counted = state(workspace)
    assert sorted(there) == sorted(ids[:2])
    assert len(counted) == 1


def learned(workspace: Workspace, ids: list[str], name: str = "f" * 64) -> None:
    """A model that has learned from ``ids``."""
    from emolab.catalog import models
    from emolab.catalog.storage.engine import now

    with workspace.catalog() as catalog, catalog.begin() as tx:
        splits = samples.splits(tx, ids)
        taken = kept.take(workspace, tx, classes=("sadness", "happiness"), ids=ids, targets=_halves(len(ids)),
                          splits=[splits[one] for one in ids])  # fmt: skip
        assert snapshots.find(tx, taken.id) is not None
        models.add(tx, Model(id=name, path="models/x", classes=("sadness", "happiness"), config={}, snapshot=taken.id,
                             metrics={}, created_at=now()))  # fmt: skip


def _halves(n: int) -> Any:
    import numpy as np

    return np.full((n, 2), 0.5, np.float32)


def test_what_a_model_has_learned_from_stays_until_it_is_retired(workspace: Workspace, tmp_path: Path) -> None:
    emolab.merge(workspace, "image_folder", folder(tmp_path / "set", range(6), "sadness"), name="set", split="train")
    then = state(workspace)
    ids = sorted(then[0])
    learned(workspace, ids)
    with pytest.raises(DataError, match="6 stay: a model has learned from them") as caught:
        emolab.undo(workspace)
    assert "emolab models retire ffff" in (caught.value.hint or "")
    assert state(workspace) == then
    emolab.retire(workspace, "f" * 64)
    assert emolab.undo(workspace).removed == 6


def test_samples_that_no_model_knows_go_and_the_others_keep_their_votes(workspace: Workspace, tmp_path: Path) -> None:
    emolab.merge(workspace, "image_folder", folder(tmp_path / "set", range(6), "sadness"), name="set", split="train")
    ids = sorted(state(workspace)[0])
    learned(workspace, ids[:2])
    done = emolab.undo(workspace)
    assert (done.removed, done.withdrawn, list(done.kept.values()), done.models) == (4, 4, [2], ["f" * 64])
    there, counted = state(workspace)
    assert sorted(there) == ids[:2]
    assert len(counted) == 2
    assert {split for split, *_ in there.values()} == {"train"}


def test_a_split_that_a_model_has_learned_by_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    emolab.merge(workspace, "image_folder", folder(tmp_path / "set", range(6), "sadness"), name="set", split="train")
    emolab.set_split(workspace, "test", sources="set")
    then = state(workspace)
    learned(workspace, sorted(then[0]))
    with pytest.raises(DataError, match="has learned by the splits"):
        emolab.undo(workspace)
    assert state(workspace) == then


def test_after_a_restored_snapshot_nothing_is_taken_back(workspace: Workspace, tmp_path: Path) -> None:
    collect(workspace, folder(tmp_path / "a", range(3)))
    first = emolab.snapshot_create(workspace)
    collect(workspace, folder(tmp_path / "b", range(3, 6)))
    emolab.snapshot_restore(workspace, first.id)
    with pytest.raises(DataError, match="was restored after the last collect"):
        emolab.undo(workspace)
    collect(workspace, folder(tmp_path / "c", range(6, 8)))
    assert emolab.undo(workspace).removed == 2


def test_a_merge_killed_half_way_can_be_taken_back(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emolab.datasets.collect import ingest

    monkeypatch.setattr(ingest, "BATCH", 4)
    writes = 0

    def dying(self: Any, entries: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(ingest.InputLedger, "add", dying)
    with pytest.raises(KeyboardInterrupt):
        emolab.merge(workspace, "image_folder", folder(tmp_path / "set", range(12), "sadness"), name="set")
    assert len(state(workspace)[0]) == 8
    assert emolab.undo(workspace).removed == 8
    assert state(workspace) == ({}, {})


def test_a_transaction_that_fails_leaves_no_action(workspace: Workspace, tmp_path: Path) -> None:
    collect(workspace, folder(tmp_path / "a", range(2)))
    sample = sorted(workspace.samples().index)[0]
    with workspace.catalog() as catalog, catalog.recording("split", "set"):
        with pytest.raises(RuntimeError), catalog.begin() as tx:
            samples.set_splits(tx, {sample: "train"})
            raise RuntimeError
        assert n_actions(workspace) == 1
        with catalog.begin() as tx:
            samples.set_splits(tx, {sample: "valid"})
    assert n_actions(workspace) == 2
    assert emolab.undo(workspace).put_back == {"split": 1}


def test_a_large_merge_takes_few_rows(workspace: Workspace, tmp_path: Path) -> None:
    emolab.merge(workspace, "image_folder", folder(tmp_path / "set", range(60), "sadness"), name="set", split="train")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert conn.execute(select(func.count()).select_from(schema.action_changes)).scalar_one() <= 4
        assert len(actions.changes(conn, 1)[actions.ADDED]) == 60


def test_nobody_else_works_meanwhile(workspace: Workspace, tmp_path: Path) -> None:
    collect(workspace, folder(tmp_path / "a", range(2)))
    with workspace.lock("collect"), pytest.raises(EmolabError, match="busy"):
        emolab.undo(workspace)


@pytest.mark.slow
def test_the_command_asks_and_says_what_went(workspace: Workspace, tmp_path: Path, run_cli: Run) -> None:
    emolab.merge(workspace, "image_folder", folder(tmp_path / "set", range(6), "sadness"), name="set")
    at = ("-w", str(workspace.root), "undo")
    refused = run_cli(*at)
    assert (refused.returncode, "nothing was changed" in refused.stderr) == (1, True)
    dry = json.loads(run_cli(*at, "--dry-run", "--json").stdout)
    assert (dry["kind"], dry["about"], dry["removed"], dry["withdrawn"]) == ("merge", "set", 6, 6)
    done = run_cli(*at, "--yes")
    assert "taken back: merge (set)" in done.stderr
    assert "6 samples taken out, 6 votes withdrawn" in done.stderr
    again = run_cli(*at, "--yes")
    assert (again.returncode, "nothing to take back" in again.stderr) == (1, True)
