"""``emolab remove``: nothing sees the samples any more, the ledger keeps their votes, what is shared or sent stays."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from emolab.catalog import activity, pool_columns, removal, samples, votes
from emolab.catalog.storage import schema
from emolab.datasets.merge.merge import merge
from emolab.labeling.labels.aggregate import aggregate
from emolab.loop.data.remove import remove
from emolab.loop.operate.status import status
from emolab.records import Sample, Vote
from emolab.workspace import Workspace
from tests.support.pictures import png, put

Run = Callable[..., subprocess.CompletedProcess[str]]


def dataset(root: Path, seeds: range, label: str) -> Path:
    return put(root, {f"train/{label}/{seed}.png": png(seed) for seed in seeds})


@pytest.fixture
def merged(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Data set `wrong` of images 0..5, `right` of images 4..9; a person voted on image 0."""
    merge(workspace, "image_folder", dataset(tmp_path / "a", range(6), "sadness"), name="wrong")
    merge(workspace, "image_folder", dataset(tmp_path / "b", range(4, 10), "happiness"), name="right")
    with workspace.catalog() as catalog, catalog.begin() as tx:
        first = next(samples.iterate(tx, source="wrong"))
        votes.append(tx, [Vote(sample_id=first.id, annotator="ann", label="neutral", origin="test:1")])
    aggregate(workspace)
    return workspace


@pytest.mark.slow
def test_a_wrongly_merged_dataset_goes_and_comes_back_right(merged: Workspace, run_cli: Run, tmp_path: Path) -> None:
    at = ("-w", str(merged.root), "remove", "--source", "wrong")
    refused = run_cli(*at)
    assert (refused.returncode, "nothing was changed" in refused.stderr) == (1, True)
    dry = json.loads(run_cli(*at, "--dry-run", "--json").stdout)
    done = json.loads(run_cli(*at, "--yes", "--json").stdout)
    assert {**dry, "dry_run": False} == done
    assert (done["removed"], done["votes_withdrawn"], done["kept_others_voted"]) == (3, 6, 3)
    with merged.catalog() as catalog, catalog.connect() as conn:
        left = list(samples.iterate(conn))
        assert len(left) == samples.count(conn) == len(pool_columns.read(conn).ids) == 7
        assert sum(activity.votes_per_sample(conn).values()) == 7
        assert not [each for each in votes.iterate(conn) if each.annotator == "reader:wrong"]
        kept = conn.execute(select(func.count()).select_from(schema.votes)).scalar_one()
        assert kept == 6 + 6 + 1, "the ledger keeps what was withdrawn"
        assert catalog.problems() == []
    report = merge(merged, "image_folder", dataset(tmp_path / "c", range(6), "neutral"), name="wrong")
    assert (report.added, report.known, report.new_votes) == (3, 3, 6)
    with merged.catalog() as catalog, catalog.connect() as conn:
        assert samples.count(conn) == 10
        assert {each.label for each in votes.iterate(conn) if each.annotator == "reader:wrong"} == {"neutral"}


@pytest.mark.slow
def test_a_dataset_that_brought_votes_and_no_samples_of_its_own_goes_too(
    merged: Workspace, run_cli: Run, tmp_path: Path
) -> None:
    merge(merged, "image_folder", dataset(tmp_path / "d", range(4), "neutral"), name="again")
    at = ("-w", str(merged.root), "remove", "--source", "again", "--yes", "--json")
    done = json.loads(run_cli(*at, check=True).stdout)
    assert (done["removed"], done["votes_withdrawn"]) == (0, 4)
    with merged.catalog() as catalog, catalog.connect() as conn:
        assert samples.count(conn) == 10
        assert "reader:again" not in {each.annotator for each in votes.iterate(conn)}
    unknown = run_cli("-w", str(merged.root), "remove", "--source", "nowhere", "--yes")
    assert (unknown.returncode, 'No sample has the source "nowhere"' in unknown.stderr) == (1, True)


@pytest.mark.slow
def test_the_labels_that_status_counts_are_those_that_are_left(merged: Workspace) -> None:
    before = status(merged).labels
    remove(merged, sources=["wrong"])
    after = status(merged).labels
    assert before is not None and after is not None
    assert (before.n, after.n) == (10, 7)
    assert sum(after.per_class.values()) == 7


@pytest.mark.parametrize("state", ["pending", "sending", "open", "reopening", "deleted"])
def test_what_lies_in_a_project_stays(state: str, workspace: Workspace) -> None:
    ids = [f"{i:064x}" for i in range(3)]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=i, media="m", source="web") for i in ids])
        key = samples.keys(tx, ids)[ids[0]]
        tx.execute(schema.projects.insert().values(pk=1, server="s", project=1, title="t", created_at="now"))
        tx.execute(schema.remote_tasks.insert().values(project=1, sample=key, state=state, overlap=1))
        found = removal.plan(tx, sources=["web"])
    assert list(found.sent) == ([] if state == "deleted" else ids[:1])
    assert len(found.samples) + len(found.sent) == 3


def test_a_sample_goes_whoever_voted_and_its_copies_are_free(workspace: Workspace, run_cli: Run) -> None:
    ids = [f"{i + 10:064x}" for i in range(3)]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=i, media="m", representative=ids[0], split="train") for i in ids])
        votes.append(tx, [Vote(sample_id=ids[0], annotator=a, label="sadness", origin=a) for a in ("x", "y")])
    done = json.loads(run_cli("-w", str(workspace.root), "remove", "--sample", ids[0], "--yes", "--json").stdout)
    assert (done["removed"], done["votes_withdrawn"]) == (1, 2)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert {each.id: each.representative for each in samples.iterate(conn)} == {ids[1]: None, ids[2]: None}
        assert list(votes.iterate(conn)) == []
        assert samples.splits(conn, ids) == {ids[1]: "train", ids[2]: "train"}
        assert samples.keys(conn, ids).keys() == set(ids[1:])


def test_names_that_are_not_there_are_said(workspace: Workspace, run_cli: Run) -> None:
    at = ("-w", str(workspace.root), "remove")
    assert run_cli(*at).returncode == 2
    assert 'No sample has the source "nowhere"' in run_cli(*at, "--source", "nowhere", "--yes").stderr
    assert "There is no sample whose id starts with" in run_cli(*at, "--sample", "abc", "--yes").stderr
