"""The pool as columns says of each sample what its row says, wherever a batch of rows ends."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select

from emolab.catalog import Catalog, pool_columns, samples, votes
from emolab.catalog.campaign import remotes, rounds
from emolab.catalog.storage import schema
from emolab.records import Sample, Suggestion, Vote
from emolab.votes.picture_bar import Bar

N = 60


def name(number: int) -> str:
    return f"{number:064d}"


def fill(catalog: Catalog, rng: np.random.Generator) -> None:
    def some(share: float) -> list[int]:
        return [i for i in range(N) if rng.random() < share]

    with catalog.begin() as tx:
        samples.add(tx, [drawn(i, rng) for i in rng.permutation(N).tolist()])
        votes.append(tx, [Vote(sample_id=name(i), annotator="ann", label="x", origin=f"o{i}") for i in some(0.3)])
        project = remotes.add_project(tx, server="s", project=1, title="faces")
        remotes.adopt(tx, project, {name(i): i + 1 for i in some(0.3)}, overlap=2)
        remotes.set_state(tx, project, [t.sample_id for t in remotes.tasks(tx, project)[::3]], "deleted")
        asked = [
            Suggestion(sample_id=name(i), score=1, reason="why", strategy="margin", round=1, rank=i) for i in some(0.1)
        ]
        rounds.create(tx, asked, strategy="margin", model=None, seed=0, settings={})
        tx.exec_driver_sql("UPDATE samples SET removed_at = '2026' WHERE pk - pk / 7 * 7 = 3")


def drawn(number: int, rng: np.random.Generator) -> Sample:
    return Sample(
        id=name(number),
        media="m",
        group=None if rng.random() < 0.3 else f"person{rng.integers(9)}",
        split=(None, "train", "valid", "test")[rng.integers(4)],
        representative=name(int(rng.integers(N + 5))) if rng.random() < 0.4 else None,
        quality={"blur": float(rng.random())} if rng.random() < 0.8 else {},
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_each_column_is_what_the_rows_say(catalog: Catalog, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_columns, "_ROWS", 7)
    fill(catalog, np.random.default_rng(seed))
    with catalog.connect() as conn:
        found = pool_columns.read(conn, Bar(max_blur=0.7))
        plain = pool_columns.read(conn)
        rows = conn.execute(select(schema.samples).where(schema.present).order_by(schema.samples.c.pk)).all()
        asked = set(conn.execute(select(schema.suggestions.c.sample)).scalars())
        tasks = schema.remote_tasks
        asked |= set(conn.execute(select(tasks.c.sample).where(tasks.c.state != "deleted")).scalars())
    groups = list(dict.fromkeys(row.group for row in rows if row.group is not None))
    copies = [row.representative not in (None, row.id) for row in rows]
    first: dict[str, int] = {row.id: i for i, row in enumerate(rows)}
    stands = [first.setdefault(row.representative, i) if copies[i] else i for i, row in enumerate(rows)]
    assert found.ids == [row.id for row in rows]
    assert found.pk.tolist() == [row.pk for row in rows]
    assert found.votes.tolist() == [row.n_votes for row in rows]
    assert found.pending.tolist() == [row.pk in asked and row.n_votes == 0 for row in rows]
    assert found.hidden.tolist() == copies
    assert found.group.tolist() == [-1 if row.group is None else groups.index(row.group) for row in rows]
    assert found.judge.tolist() == [row.split in ("valid", "test") for row in rows]
    assert found.duplicate.tolist() == stands
    assert found.unfit.tolist() == [row.quality.get("blur", 0) > 0.7 for row in rows]
    assert not plain.unfit.any()
