"""States of the data: the same data are one snapshot, differences are told in words, and a state comes back whole."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

import emolab
from emolab.catalog import samples, votes
from emolab.catalog.storage import schema
from emolab.errors import DataError, UnknownName
from emolab.provenance import data_restore, manifest
from emolab.records import Sample, Vote
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, configure, fill_workspace

Run = Callable[..., subprocess.CompletedProcess[str]]
A, B, C = (letter * 64 for letter in "abc")
NEW = "d" * 64
SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}


def put(workspace: Workspace, *ids: str, group: str | None = None) -> None:
    workspace.media.mkdir(parents=True, exist_ok=True)
    made = []
    for one in ids:
        file = workspace.media / f"{one}.png"
        file.write_bytes(one.encode())
        made.append(Sample(id=one, media=file.relative_to(workspace.root).as_posix(), group=group, consent="yes"))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, made)


def say(workspace: Workspace, sample: str, who: str, label: str) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, [Vote(sample_id=sample, annotator=who, label=label, origin=f"t:{sample[0]}:{who}")])


@pytest.fixture
def team(workspace: Workspace) -> Workspace:
    """Three faces with votes of two people, labels, splits, and a snapshot called before."""
    put(workspace, A, B, C)
    for sample, label in ((A, "happiness"), (B, "sadness"), (C, "neutral")):
        say(workspace, sample, "ann", label)
        say(workspace, sample, "bob", label)
    emolab.aggregate(workspace)
    emolab.set_split(workspace, "train", ids=[A, B])
    emolab.set_split(workspace, "test", ids=C)
    emolab.snapshot_create(workspace, name="before")
    return workspace


def disturb(workspace: Workspace) -> None:
    """Everything that a snapshot holds is another one after this."""
    put(workspace, NEW)
    say(workspace, NEW, "cem", "sadness")
    say(workspace, A, "bob", "sadness")
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.withdraw(tx, ["t:b:ann"], "gone")
    emolab.remove(workspace, ids=B)
    emolab.aggregate(workspace, min_votes=1)
    emolab.set_split(workspace, "train", ids=C)


def ledger(workspace: Workspace) -> list[tuple[object, ...]]:
    """The rows of the ledger and the tombstones, as they are stored."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        rows = [tuple(row) for row in conn.execute(select(schema.votes.c.pk, schema.votes.c.content))]
        return rows + [tuple(row) for row in conn.execute(select(schema.tombstones))]


def test_the_same_data_are_one_snapshot_and_share_their_chunks(team: Workspace) -> None:
    again = emolab.snapshot_create(team)
    assert (again.new, again.name, len(emolab.snapshot_list(team).snapshots)) == (False, "before", 1)
    before = {file.name for file in (team.snapshots / "data" / "chunks").rglob("*.gz")}
    say(team, A, "cem", "happiness")
    other = emolab.snapshot_create(team)
    after = {file.name for file in (team.snapshots / "data" / "chunks").rglob("*.gz")}
    assert other.new and other.id != again.id
    assert (before - after, len(after - before)) == (set(), 1)
    assert other.rows == {"samples": 3, "splits": 3, "votes": 7, "labels": 3, "sources": 0, "about": 3}


def test_a_snapshot_is_found_by_name_and_by_the_start_of_its_id(team: Workspace) -> None:
    shown = emolab.snapshot_show(team)
    assert (shown.name, shown.splits) == ("before", {"train": 2, "test": 1})
    assert shown.classes == {"happiness": 1, "sadness": 1, "neutral": 1}
    with pytest.raises(DataError, match='as in the snapshot "before"'):
        emolab.snapshot_create(team, name="after")
    assert emolab.snapshot_show(team, shown.id[:8]) == emolab.snapshot_show(team, "before") == shown
    with pytest.raises(UnknownName, match=r'Unknown snapshot "befor"\. Did you mean "before"'):
        emolab.snapshot_show(team, "befor")
    say(team, A, "cem", "happiness")
    with pytest.raises(DataError, match='"before" is the name of snapshot'):
        emolab.snapshot_create(team, name="before")
    with pytest.raises(DataError, match=r"'now' cannot be the name of a snapshot"):
        emolab.snapshot_create(team, name="now")


def test_a_changed_or_missing_chunk_is_noticed(team: Workspace) -> None:
    chunk = manifest.find(team, "before").parts["votes"][0]
    file = team.snapshots / "data" / "chunks" / chunk[:2] / f"{chunk}.jsonl.gz"
    other = manifest.find(team, "before").parts["splits"][0]
    shutil.copyfile(file.parent.parent / other[:2] / f"{other}.jsonl.gz", file)
    with pytest.raises(DataError, match="was changed: it is no longer what its name says"):
        emolab.snapshot_restore(team, "before")
    assert not emolab.snapshot_create(team).new
    assert emolab.snapshot_restore(team, "before").votes_added == 0, "made again, the chunk is whole again"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        emolab.snapshot_show(team, "before")
    file.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        emolab.snapshot_show(team)


def test_what_changed_is_said_in_words(team: Workspace) -> None:
    assert emolab.snapshot_diff(team, "before").sentences == []
    disturb(team)
    found = emolab.snapshot_diff(team.with_settings({"training.epochs": 3}), "before")
    epochs = team.config.training.epochs
    assert found.sentences == [
        "Samples: 1 added (collected 1)",
        "Samples: 1 removed (collected 1)",
        "Splits: test -> train 1",
        "1 samples moved from validation or test into train: figures on them cannot be compared",
        "Votes: 1 came (cem 1)",
        "Votes: 2 were withdrawn (ann 1, bob 1)",
        "Votes: 1 were edited (happiness -> sadness 1)",
        "Labels: 1 new, 1 gone",
        "Labels: 2 changed, 1 of them to another class",
        *[line for line in found.sentences if line.startswith("How labels are made")],
        f"Settings: training.epochs {epochs!r} -> 3",
    ]
    assert found.counts["votes"] == {"added": 1, "removed": 2, "changed": 1}
    back = emolab.snapshot_diff(team, "now", "before")
    assert "Splits: train -> test 1" in back.sentences


def test_a_state_comes_back_whole_and_the_ledger_is_only_added_to(team: Workspace) -> None:
    wanted = emolab.snapshot_show(team, "before").id
    disturb(team)
    before = ledger(team)
    plan = emolab.snapshot_restore(team, "before", dry_run=True)
    assert ledger(team) == before
    done = emolab.snapshot_restore(team, "before")
    assert (done.samples_back, done.samples_removed, done.splits_moved) == (1, 1, 1)
    assert (done.votes_added, done.votes_withdrawn, done.labels_changed) == (3, 2, True)
    assert (plan.votes_added, plan.samples_back) == (done.votes_added, done.samples_back)
    assert set(before) <= set(ledger(team))
    assert emolab.snapshot_diff(team, "before").sentences == []
    assert emolab.snapshot_create(team).id == wanted
    assert emolab.status(team).labels.outdated is None
    with team.catalog() as catalog, catalog.connect() as conn:
        assert [v.label for v in votes.iterate(conn, sample_id=B)] == ["sadness", "sadness"]
        assert conn.execute(select(func.sum(schema.samples.c.n_votes)).where(schema.present)).scalar() == 6
    again = emolab.snapshot_restore(team, "before")
    assert (again.votes_added, again.votes_withdrawn, again.samples_back, again.labels_changed) == (0, 0, 0, False)


def test_missing_files_are_named_and_nothing_changes(team: Workspace) -> None:
    disturb(team)
    before = ledger(team)
    (team.media / f"{B}.png").unlink()
    with pytest.raises(DataError, match=r"files of 1 of 3 samples are missing, so nothing was restored: .*bbb"):
        emolab.snapshot_restore(team, "before")
    assert ledger(team) == before


def test_a_stop_in_the_middle_leaves_everything_as_it_was(team: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    disturb(team)
    before = ledger(team), emolab.snapshot_create(team).id

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(data_restore.events, "record", stop)
    with pytest.raises(KeyboardInterrupt):
        emolab.snapshot_restore(team, "before")
    monkeypatch.undo()
    assert (ledger(team), emolab.snapshot_create(team).id) == before


def test_consent_that_was_taken_back_and_the_holdout_stay_as_they_are_now(team: Workspace) -> None:
    with team.catalog() as catalog, catalog.begin() as tx:
        tx.execute(schema.samples.update().where(schema.samples.c.id.in_([A, B])).values(consent="withdrawn"))
        samples.set_splits(tx, {C: "holdout"}, holdout=True)
    emolab.remove(team, ids=B)
    done = emolab.snapshot_restore(team, "before")
    assert (done.samples_back, done.samples_changed) == (1, 0)
    assert done.notes[0] == "1 sample stay in the holdout, which nothing takes from"
    with team.catalog() as catalog, catalog.connect() as conn:
        assert [sample.consent for sample in samples.by_ids(conn, [A, B, C])] == ["withdrawn", "withdrawn", "yes"]
        assert samples.splits(conn, [C]) == {C: "holdout"}


def test_the_commands_keep_compare_ask_and_bring_back(team: Workspace, run_cli: Run) -> None:
    disturb(team)
    done = run_cli("snapshot", "create", "--name", "after", cwd=team.root, check=True)
    assert "3 samples, 5 votes, 3 labels" in done.stderr
    listed = json.loads(run_cli("snapshot", "list", "--json", cwd=team.root, check=True).stdout)
    assert [one["name"] for one in listed] == ["before", "after"]
    assert "Splits: test -> train 1" in run_cli("snapshot", "diff", "before", "after", cwd=team.root, check=True).stderr
    refused = run_cli("snapshot", "restore", "before", cwd=team.root)
    assert refused.returncode == 1
    assert "nothing was changed" in refused.stderr
    told = run_cli("snapshot", "restore", "before", "--yes", cwd=team.root, check=True).stderr
    assert "1 sample come back" in told
    assert "Nothing changed." in run_cli("snapshot", "diff", "before", cwd=team.root, check=True).stderr


@pytest.mark.slow
def test_a_model_trained_again_from_its_snapshot_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    workspace = Workspace.init(tmp_path / "one", classes=("happiness", "sadness", "neutral"))
    truth = fill_workspace(workspace)
    workspace = configure(workspace, QUICK + "\ntensorboard = false")
    emolab.aggregate(workspace)
    emolab.draw_splits(workspace, SHARES)
    emolab.snapshot_create(workspace, name="trained")
    shutil.copytree(workspace.root, tmp_path / "two")
    first = emolab.train(workspace)
    other = Workspace.open(tmp_path / "two")
    ids = [*truth]
    emolab.remove(other, ids=ids[:5])
    for one in ids[5:15]:
        say(other, one, "ann", "sadness")
    emolab.aggregate(other)
    emolab.draw_splits(other, SHARES, keep_test=False)
    assert emolab.snapshot_diff(other, "trained").sentences
    emolab.snapshot_restore(other, "trained")
    again = emolab.train(other)
    assert again.to_dict()["model"] == first.to_dict()["model"]
    files = [next((ws.models).rglob("*.safetensors")).read_bytes() for ws in (workspace, other)]
    assert files[0] == files[1]
    data = emolab.snapshot_diff(other, "champion", "champion")
    assert (data.sentences, data.counts["labels"]["changed"]) == ([], 0)
    splits = other.samples()["split"]
    emolab.remove(other, ids=[one for one in ids if splits[one] != "test"][:3])
    fewer = emolab.train(other).to_dict()["model"]
    data = emolab.snapshot_diff(other, first.to_dict()["model"], fewer)
    assert data.sentences[0] == "Samples: 0 added, 3 removed"
    back = emolab.snapshot_diff(other, fewer, first.to_dict()["model"])
    assert back.sentences[0] == "Samples: 3 added, 0 removed"
    with pytest.raises(DataError, match="champion is a model, and trained is none"):
        emolab.snapshot_diff(other, "champion", "trained")
