"""Writing the workspace into FiftyOne: emolab's way beside a raw bulk insert and FiftyOne's own add_samples."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Result, interleave, main, measured, ratio, summary
from emolab.catalog import labels, samples, votes
from emolab.catalog.storage.engine import now
from emolab.datasets.inspect import fiftyone_dataset, fiftyone_view, mongod, row_batches, rows
from emolab.datasets.inspect.documents import Writer, fields
from emolab.datasets.inspect.sync import Direct, Public, sample, synchronise
from emolab.records import LabelSet, Predictions, Sample, Vote
from emolab.taxonomy import PRESETS
from emolab.workspace import Workspace

CLASSES = PRESETS["ferplus8"]
ANNOTATORS = ("ann", "bob", "eve")


def run(quick: bool) -> list[Result]:
    """Measure with 4,000 samples (quick) or 20,000; three votes, a label and a prediction each."""
    n, repeats = (4_000, 3) if quick else (20_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        workspace, predictions = catalog(Path(folder) / "inspect", n)
        address = mongod.database(workspace.fiftyone)
        return [
            *bulk(workspace, predictions, address, n, repeats),
            *whole(workspace, predictions, address, n),
        ]


def bulk(workspace: Workspace, predictions: Predictions, address: str, n: int, repeats: int) -> list[Result]:
    """The write itself, from rows in memory to the database, three ways into one empty dataset."""
    fo = fiftyone_view.connect(address)
    dataset = fiftyone_dataset.prepared(fo, "bulk", fields(CLASSES, ["blur", "brightness"]))
    collection = dataset._sample_collection
    with workspace.catalog() as opened, opened.connect() as conn:
        found = list(row_batches.batches(conn, root=workspace.root, classes=CLASSES, predictions=predictions))
    writer = Writer(CLASSES)
    dataset.add_sample(sample(fo, {**writer.document(found[0][0]).content(), "tags": []}))
    template = collection.find_one()
    few: list[list[rows.SampleRow]] = [found[0][: n // 10]]

    def clones() -> None:
        collection.delete_many({})
        documents = []
        for batch in found:
            for row in batch:
                document = copy(template)
                del document["_id"]
                document["uid"], document["filepath"] = row.uid, row.filepath
                documents.append(document)
        collection.insert_many(documents)

    def write(path: Any, batches: Sequence[Sequence[rows.SampleRow]]) -> None:
        collection.delete_many({})
        documents: Any = ([*map(writer.document, batch)] for batch in batches)
        for _ in synchronise(dataset, path, documents, fields=(), tags={}, pulled=()):
            pass

    taken = interleave(
        {
            "raw": clones,
            "emolab": lambda: write(Direct(dataset), found),
            "public": lambda: write(Public(dataset, fo), few),
        },
        repeats,
    )
    taken["public"] = [seconds * 10 for seconds in taken["public"]]
    results = []
    for name, what, note in (
        ("raw", "raw insert_many", "clones of one real sample, one request"),
        ("emolab", "emolab, direct path", "rows -> documents -> database"),
        ("public", "add_samples", "FiftyOne's own samples, made and added; measured on a tenth"),
    ):
        per = [seconds / n * 10_000 for seconds in taken[name]]
        middle, spread = summary(per)
        results.append(Result(what, middle, "client CPU s / 10k", n, repeats, spread, note))
    for name, base, what in (
        ("emolab", "raw", "emolab / raw insert_many"),
        ("public", "emolab", "add_samples / emolab"),
    ):
        middle, spread = ratio(taken, name, base)
        results.append(Result(what, middle, "x", n, repeats, spread, "target: at most 3" if base == "raw" else ""))
    fo.delete_dataset("bulk")
    return results


def whole(workspace: Workspace, predictions: Predictions, address: str, n: int) -> list[Result]:
    """All that ``emolab inspect --no-app`` does once FiftyOne is imported, reading the catalog included."""
    results = []
    for what, about in (
        ("whole write, new dataset", "reads the catalog, makes fields, self-check, views"),
        ("whole write, nothing changed", "compares every sample"),
    ):
        with measured() as timing:
            report = fiftyone_view.write(workspace, address, predictions=predictions)
        note = f"{about}; {timing.wall_s:.1f} s on the clock; {report.path} path"
        results.append(Result(what, timing.cpu_s, "client CPU s", n, note=note))
    with workspace.catalog() as opened, opened.begin() as tx:
        changed = predictions.samples[: n // 100]
        samples.set_splits(tx, dict.fromkeys(changed, "test"))
    with measured() as timing:
        report = fiftyone_view.write(workspace, address, predictions=predictions)
    note = f"{report.tally.changed:,} samples rewritten; {timing.wall_s:.1f} s on the clock"
    return [*results, Result("whole write, 1 % changed", timing.cpu_s, "client CPU s", n, note=note)]


def catalog(root: Path, n: int) -> tuple[Workspace, Predictions]:
    """A workspace with ``n`` made-up samples (no media), three votes each, labels and predictions."""
    rng = np.random.default_rng(0)
    workspace = Workspace.init(root, classes=CLASSES)
    ids = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]
    probs = rng.dirichlet(np.ones(len(CLASSES)), n).astype(np.float32)
    said = rng.integers(len(CLASSES), size=(n, len(ANNOTATORS)))
    with workspace.catalog() as opened, opened.begin() as tx:
        samples.add(
            tx,
            [
                Sample(
                    id=uid, media=f".emolab/media/{uid[:2]}/{uid}.png", group=f"subject{i % 100}", split="train",
                    width=48, height=48, added_at=now(), quality={"blur": 0.25, "brightness": 0.5},
                )
                for i, uid in enumerate(ids)
            ],
        )  # fmt: skip
        votes.append(
            tx,
            [
                Vote(sample_id=uid, annotator=name, label=CLASSES[said[i, j]], origin=f"benchmark:{name}:{uid}")
                for i, uid in enumerate(ids)
                for j, name in enumerate(ANNOTATORS)
            ],
        )
        labels.write(
            tx,
            LabelSet(
                version="benchmark", classes=CLASSES, samples=ids, probs=probs, hard=probs.argmax(1).astype(np.int16),
                votes=np.full(n, 3, np.int32), agreement=np.full(n, 0.6, np.float32), method="soft", created_at=now(),
            ),
        )  # fmt: skip
    embeddings = np.zeros((n, 1), np.float16)
    return workspace, Predictions(model_id="m", classes=CLASSES, samples=ids, probs=probs, embeddings=embeddings)


if __name__ == "__main__":
    main(run)
