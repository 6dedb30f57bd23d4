"""Where a sample, a model and a prediction come from, told from what the catalog and the models keep."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

import emolab
from emolab.catalog import models, samples, votes
from emolab.catalog.campaign import rounds
from emolab.catalog.privacy import consents
from emolab.errors import DataError, UnknownName
from emolab.inference import prediction_store
from emolab.provenance import snapshots
from emolab.records import SKIPPED, Model, Predictions, Sample, Suggestion, Vote
from emolab.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]
CLASSES = ("happiness", "sadness", "neutral")
A, B, C, M = "a" * 64, "b" * 64, "c" * 64, "e" * 64


@pytest.fixture
def told(workspace: Workspace) -> Workspace:
    """Three faces: one with five votes of all kinds, one that a model was judged by, one that was taken out."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.set_source(tx, "street", supported=None, licence="CC BY")
        faces = [Sample(id=i, media=f"{i}.png", source="street", name="[b]x.png", consent="signed") for i in (A, B, C)]
        samples.add(tx, faces)
        votes.append(tx, [
            Vote(sample_id=A, annotator="ann", label="happiness", origin="s:1", cast_at="2026-01-01", shown=""),
            Vote(sample_id=A, annotator="bob", label="happiness", origin="s:2", cast_at="2026-01-02", shown="sadness"),
            Vote(sample_id=A, annotator="cem", label=None, origin="s:3", rejected=SKIPPED),
            Vote(sample_id=A, annotator="dea", label="neutral", origin="s:4", cast_at="2026-01-03"),
            Vote(sample_id=C, annotator="ann", label="neutral", origin="s:5"),
        ])  # fmt: skip
        crowd = Vote(sample_id=A, annotator="ferplus", label="happiness", origin="r:1", count=7, cast_at="2020")
        votes.append(tx, [crowd], kind="dataset")
        votes.withdraw(tx, ["s:4"], "gone on the server")
        why = Suggestion(sample_id=A, score=0.9, reason="the model is torn", strategy="entropy", round=1, rank=0)
        rounds.create(tx, [why], strategy="entropy", model=M, seed=0, settings={})
        kept = snapshots.take(
            workspace, tx, classes=CLASSES, ids=[A, B], targets=np.eye(3)[[0, 1]], splits=["train", "valid"],
            label_version="f" * 64,
        )  # fmt: skip
        model = Model(id=M, path="none", classes=CLASSES, config={"backbone": "tiny"}, snapshot=kept.id, metrics={},
                      created_at="2026-02-01")  # fmt: skip
        models.add(tx, model)
        models.set_alias(tx, "champion", M, reason="better")
    emolab.aggregate(workspace)
    emolab.remove(workspace, ids=C)
    probs = np.array([[0.1, 0.7, 0.2]], dtype=np.float32)
    said = Predictions(model_id=M, classes=CLASSES, samples=[A], probs=probs, embeddings=np.zeros((1, 2), np.float32))
    prediction_store.append(workspace.predictions_folder / M, said)
    return workspace


def test_a_sample_is_explained_from_its_source_to_what_models_say(told: Workspace) -> None:
    found = emolab.why(told, "aaa")
    facts = found.to_dict()
    assert (facts["kind"], facts["subject"], facts["source"]["licence"]) == ("sample", A, "CC BY")
    assert [(v["annotator"], v["counts"], v["shown"]) for v in facts["votes"]] == [
        ("ann", True, ""), ("bob", True, "sadness"), ("cem", False, None), ("dea", False, None),
        ("ferplus", True, None),
    ]  # fmt: skip
    assert facts["votes"][3]["withdrawn"] == "gone on the server"
    assert (facts["label"]["label"], facts["label"]["votes"]) == ("happiness", 9)
    assert facts["suggested"][0]["reason"] == "the model is torn"
    assert facts["models"][0]["saw"] == "train"
    lines = "\n".join(found.lines)
    for part in (
        "licence: CC BY, consent: signed",
        "ann said happiness 2026-01-01, no guess shown",
        "bob said happiness 2026-01-02, with the guess sadness shown",
        "cem said a skip",
        "does not count: skipped",
        "dea said neutral 2026-01-03, not known whether a guess was shown; withdrawn",
        "ferplus (7 people) said happiness 2020",
        "Label happiness by",
        f"as number 1 by entropy with model {M[:10]}: the model is torn",
        f"Model {M[:10]} (champion) had it in train, says sadness 70%, neutral 20%, happiness 10%",
    ):
        assert part in lines


def test_a_sample_that_was_taken_out_and_one_a_model_was_judged_by(told: Workspace) -> None:
    gone = emolab.why(told, C)
    assert any(line.startswith("Taken out ") for line in gone.lines)
    assert gone.facts["votes"][0]["withdrawn"] == "sample removed"
    assert gone.facts["models"][0]["saw"] is None
    judged = emolab.why(told, B)
    assert judged.facts["models"][0] == {"model": M, "names": ["champion"], "saw": "valid", "said": None}
    assert "Nobody voted on it" in judged.lines and "It has no label" in judged.lines


def test_consent_is_told_and_what_the_sample_is_left_out_of(told: Workspace) -> None:
    assert emolab.why(told, A).facts["consents"] == {"entries": [], "left_out": {}}
    with told.catalog() as catalog, catalog.begin() as tx:
        consents.add(tx, sample=A, text="the form", scope=("train", "label"))
        consents.end(tx, sample=A)
    found = emolab.why(told, A)
    (entry,) = found.facts["consents"]["entries"]
    assert (entry["scope"], entry["state"]) == (["train", "label"], "withdrawn")
    assert set(found.facts["consents"]["left_out"]) == {"train", "label", "show", "export"}
    assert any(line.startswith("Consent of the sample, given ") and "withdrawn" in line for line in found.lines)
    assert "Left out of train: consent withdrawn" in found.lines
    assert emolab.why(told, B).facts["consents"] == {"entries": [], "left_out": {}}


def test_a_model_is_explained_by_its_data_and_its_events(told: Workspace) -> None:
    facts = emolab.why(told, "champion").to_dict()
    assert facts["data"] == {
        "samples": 2, "label_version": "f" * 64, "splits": {"train": {"happiness": 1}, "valid": {"sadness": 1}},
        "sources": {"street": 2}, "forgotten": 0,
    }  # fmt: skip
    assert [(one["kind"], one["alias"], one["reason"]) for one in facts["events"]] == [
        ("registered", None, ""), ("promoted", "champion", "better"),
    ]  # fmt: skip
    assert emolab.why(told, M[:6]).to_dict() == facts


def test_a_prediction_is_explained_by_both_and_what_is_not_there_is_said(told: Workspace) -> None:
    found = emolab.why(told, "champion:aaa")
    assert found.lines[0] == f"Model {M[:10]} says sadness 70%, neutral 20%, happiness 10%; it had it in train"
    assert found.facts["prediction"]["said"]["sadness"] == pytest.approx(0.7)
    with pytest.raises(DataError, match=f"What model {M[:10]} says of bbbbbbbbbb was not kept"):
        emolab.why(told, "champion:bbb")
    with pytest.raises(UnknownName, match='Unknown model "champio"'):
        emolab.why(told, "champio:aaa")
    with pytest.raises(DataError, match=r'No model has the name and no sample begins with "zzz"\.'):
        emolab.why(told, "zzz")
    with pytest.raises(DataError, match="no sample begins"):
        emolab.why(told, "")


def test_the_command_prints_lines_and_json(told: Workspace, run_cli: Run) -> None:
    shown = run_cli("why", "aaa", cwd=told.root, check=True)
    assert "called [b]x.png" in shown.stderr
    assert shown.stdout == ""
    assert json.loads(run_cli("why", "aaa", "--json", cwd=told.root, check=True).stdout)["sample"]["id"] == A
