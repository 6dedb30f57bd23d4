"""Models without networks: what they learned from, what they said of each sample, and figures made of that."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emolab.catalog import models, samples
from emolab.inference import prediction_store
from emolab.provenance import snapshots
from emolab.records import Model, Predictions, Sample
from emolab.stats import metrics
from emolab.workspace import Workspace


def judged_model(
    workspace: Workspace,
    letter: str,
    answers: Mapping[str, tuple[str, str]],
    *,
    champion: bool = False,
    stored: bool = True,
) -> Model:
    """A model called by 64 times ``letter`` that was judged on samples: by id, their class and what it says (at 0.8).

    ``stored``: its predictions are kept. Two more samples are in the training split.
    """
    classes = workspace.config.project.classes
    taught = ["e" * 63 + each for each in "01"]
    ids = [*answers, *taught]
    said = np.full((len(answers), len(classes)), 0.2 / (len(classes) - 1), dtype=np.float32)
    truth = np.array([classes.index(true) for true, _ in answers.values()], dtype=np.int64)
    said[np.arange(len(truth)), [classes.index(told) for _, told in answers.values()]] = 0.8
    targets = np.eye(len(classes))[[*truth.tolist(), 0, 1]]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=each, media="m", split="valid" if each in answers else "train") for each in ids])
        splits = ["valid"] * len(answers) + ["train"] * 2
        taken = snapshots.take(workspace, tx, classes=classes, ids=ids, targets=targets, splits=splits)
        made = Model(
            id=letter * 64, path=f".emolab/models/{letter}", classes=classes, config={"backbone": "drawn"},
            snapshot=taken.id, created_at=f"2026-01-01T00:00:0{letter if letter.isdecimal() else 0}.000Z",
            metrics={"valid": metrics.summary(said, truth, classes), "n_train": 2},
        )  # fmt: skip
        models.add(tx, made)
        if champion:
            models.set_alias(tx, "champion", made.id)
    if stored:
        none = np.zeros((len(answers), 1))
        told = Predictions(model_id=made.id, classes=classes, samples=list(answers), probs=said, embeddings=none)
        prediction_store.append(workspace.predictions_folder / made.id, told)
    return made
