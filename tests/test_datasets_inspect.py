"""The workspace in FiftyOne: what is written, what stays a person's, what comes back, and how it looks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from emolab.catalog import models, rounds, samples, votes
from emolab.catalog.engine import now
from emolab.datasets.drawn_faces import DrawnFace, draw_faces
from emolab.datasets.store import MediaStore
from emolab.labeling.aggregate import aggregate
from emolab.predictions import append
from emolab.records import Model, Predictions, Sample, Suggestion, Vote
from emolab.taxonomy import META, PRESETS
from emolab.workspace import Workspace

CLASSES = PRESETS["ferplus8"]
ANNOTATORS = ("ann", "bob", "eve")


def furnished(root: Path, n: int, *, seed: int = 0) -> Workspace:
    """A workspace with `n` drawn faces: three quarters voted on, labels, a model's predictions, a round, duplicates."""
    rng = np.random.default_rng(seed)
    workspace = Workspace.init(root, classes=CLASSES)
    store = MediaStore(workspace.media)
    drawn: dict[str, DrawnFace] = {hashlib.sha256(face.png).hexdigest(): face for face in draw_faces(n, rng)}
    ids = list(drawn)
    found = []
    for uid, face in drawn.items():
        path = store.put(face.png, uid, ".png")
        quality = {"brightness": round(float(rng.uniform(0.2, 0.9)), 3), "blur": round(float(rng.uniform(0, 1)), 3)}
        found.append(
            Sample(
                id=uid, media=str(path.relative_to(workspace.root)), source="drawn", group=face.person or None,
                width=48, height=48, split=("train", "train", "train", "valid")[len(found) % 4], quality=quality,
                added_at=now(), name=face.name,
            )
        )  # fmt: skip
    voted = ids[: len(ids) * 3 // 4]
    cast = [
        Vote(sample_id=uid, annotator=name, origin=f"test:{name}:{uid}", label=answer(drawn[uid], rng))
        for uid in voted
        for name in ANNOTATORS
    ]
    shares = np.array([[drawn[uid].answers.get(name, 0.0) + 0.02 for name in CLASSES] for uid in ids])
    probs = shares**0.7 * rng.uniform(0.3, 1.7, shares.shape)
    probs /= probs.sum(axis=1, keepdims=True)
    model = Model(id="m" * 64, path="m", classes=CLASSES, config={}, snapshot="s", metrics={}, created_at=now())
    open_ids = ids[len(voted) :][:12]
    with workspace.catalog() as catalog:
        with catalog.begin() as tx:
            samples.add(tx, found)
            votes.append(tx, cast)
            models.add(tx, model)
            samples.set_representatives(tx, {ids[1]: ids[0], ids[3]: ids[2]})
            rounds.create(
                tx,
                [
                    Suggestion(sample_id=uid, score=0.9 - i / 50, reason="small margin: fear or surprise",
                               strategy="margin", round=1, rank=i)
                    for i, uid in enumerate(open_ids)
                ],
                strategy="margin", model=model.id, seed=0, settings={},
            )  # fmt: skip
    aggregate(workspace)
    append(
        workspace.predictions / model.id,
        Predictions(model_id=model.id, classes=CLASSES, samples=ids, probs=probs.astype(np.float32),
                    embeddings=np.zeros((len(ids), 2), np.float16)),
    )  # fmt: skip
    return workspace


def answer(face: DrawnFace, rng: np.random.Generator) -> str:
    """One person's answer, drawn from what people would say."""
    names = list(face.answers)
    said = names[int(rng.choice(len(names), p=np.array(list(face.answers.values()))))]
    return said if said in META or rng.random() < 0.9 else "neutral"
