"""A model has to pass the holdout before it takes the place of the champion."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import emolab
from emolab.catalog import samples, votes
from emolab.loop.model.registry.promote import GateBlocked
from emolab.records import Vote
from emolab.workspace import Workspace
from tests.loop.test_text_workspace import WORDS
from tests.support.calling import emolab as command
from tests.support.learnable import QUICK, configure, fill_workspace
from tests.support.pictures import put

pytestmark = pytest.mark.slow


def test_the_holdout_decides_who_becomes_champion(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "faces", classes=("happiness", "sadness", "neutral"))
    fill_workspace(workspace, 90)
    workspace = configure(workspace, QUICK + "\ntensorboard = false\nepochs = 12" if "epochs" not in QUICK else QUICK)
    good = emolab.train(workspace)
    assert good.alias == "champion"
    for split, way in (("holdout", "emolab holdout add -n 200"), ("test", "emolab split draw --train 0.6")):
        said = command("-w", workspace.root, "evaluate", good.model.id, "--on", split)
        assert said.code == 1
        assert way in " ".join(said.err.split())
    floors = [command("-w", workspace.root, "evaluate", "champion", "--on", "valid", "--fail-under", floor)
              for floor in ("macro_f1=.5", "n=10000")]  # fmt: skip
    assert [one.code for one in floors] == [0, 3]
    assert "n is 18, below 10000" in " ".join(floors[1].err.split())
    fill_workspace(workspace, 60, seed=7)
    emolab.holdout_add(workspace, n=60)

    better = emolab.train(workspace.with_settings({"training.seed": 4}))
    assert (better.alias, better.champion) in {("candidate", good.model.id)}
    told = emolab.compare_models(workspace, better.model.id, good.model.id)
    assert told.verdict.document["n"] == 60
    assert told.verdict.document["learned"] == 0
    compared = command("-w", workspace.root, "models", "compare", better.model.id[:12], "champion", "--json")
    assert compared.code == 0
    assert (json.loads(compared.out)["n"], json.loads(compared.out)["passed"]) == (60, told.verdict.passed)
    assert emolab.model(workspace).id == good.model.id, "to compare promotes nobody"

    bad = emolab.train(workspace.with_settings({"training.epochs": 1, "training.lr": 1e-7, "training.seed": 9}))
    assert bad.alias == "candidate"
    with pytest.raises(GateBlocked, match="is blocked") as caught:
        emolab.promote(workspace, bad.model.id)
    assert "--force" in str(caught.value.hint)
    said = command("-w", workspace.root, "models", "promote", bad.model.id[:12], "--json")
    assert said.code == 3
    assert json.loads(said.out)["passed"] is False
    assert emolab.model(workspace).id == good.model.id

    forced = emolab.promote(workspace, bad.model.id, force=True, reason="a test")
    assert forced.gate is not None and forced.gate["passed"] is False
    last = [event for event in emolab.model_history(workspace).events if event.kind == "promoted"][-1]
    assert (last.reason, last.detail["forced"], last.detail["before"]) == ("a test", True, good.model.id)
    assert emolab.rollback(workspace).model == good.model.id
    kinds = [event.kind for event in emolab.model_history(workspace, bad.model.id).events]
    assert kinds.count("judged") == 3

    log = workspace.state / "serving"
    log.mkdir(exist_ok=True)
    line = {"shadow": bad.model.id, "model": good.model.id, "pictures": 3, "faces": 5, "agreed": 4, "failed": 0}
    (log / "shadow-2026-11-30.jsonl").write_text(json.dumps(line) + "\n" + json.dumps(line) + '\n{"shadow": "')
    shadow = emolab.compare_models(workspace, bad.model.id, good.model.id).shadow
    assert shadow == {"pictures": 6, "faces": 10, "agreed": 8, "failed": 0, "broken": 1}


def _sentences(workspace: Workspace, folder: Path, n: int, seed: int) -> None:
    """``n`` sentences of persons of their own, each with the votes of two people."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        name = ("joy", "anger", "fear")[i % 3]
        noise = " ".join(f"w{v}" for v in rng.integers(0, 30, 5))
        rows.append(f"{rng.choice(WORDS[name])} {noise} s{seed}n{i},p{seed}.{i}")
    emolab.collect(workspace, put(folder, {f"{seed}.csv": "text,speaker\n" + "\n".join(rows) + "\n"}))
    words = {word: name for name, some in WORDS.items() for word in some}
    classes = {"joy": "happiness", "anger": "anger", "fear": "fear"}
    with workspace.catalog() as catalog, catalog.begin() as tx:
        new = [one for one in samples.iterate(tx) if (one.group or "").startswith(f"p{seed}.")]
        said = {one.id: classes[words[workspace.locate(one.media).read_text().split()[0]]] for one in new}
        votes.append(
            tx,
            [
                Vote(sample_id=one, annotator=who, label=label, origin=f"t:{who}:{one}")
                for one, label in said.items()
                for who in ("ann", "bob")
            ],
        )


def test_models_of_sentences_pass_the_holdout_too(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "words", classes=("happiness", "anger", "fear"), modality="text")
    _sentences(workspace, tmp_path, 120, 1)
    emolab.aggregate(workspace)
    good, first = emolab.train(workspace), set(workspace.samples().index)
    assert good.alias == "champion"
    _sentences(workspace, tmp_path, 60, 2)
    emolab.holdout_add(workspace, n=60)
    other = {"happiness": "anger", "anger": "fear", "fear": "happiness"}
    with workspace.catalog() as catalog, catalog.begin() as tx:  # what is learned now is wrong
        wrong = [(vote.sample_id, other[vote.label or ""], i) for vote in votes.iterate(tx) for i in range(3)
                 if vote.sample_id in first]  # fmt: skip
        made = [Vote(sample_id=one, annotator=f"x{i}", label=label, origin=f"t:x{i}:{one}") for one, label, i in wrong]
        votes.append(tx, {vote.origin: vote for vote in made}.values())
    emolab.aggregate(workspace, method="majority")
    bad = emolab.train(workspace)
    assert bad.alias == "candidate"
    told = emolab.compare_models(workspace, bad.model.id, good.model.id).verdict
    assert (told.passed, told.document["n"], told.document["learned"]) == (False, 60, 0)
    with pytest.raises(GateBlocked, match="is blocked"):
        emolab.promote(workspace, bad.model.id)
    assert emolab.promote(workspace, bad.model.id, force=True, reason="a test").gate is not None
    back = emolab.compare_models(workspace, good.model.id, bad.model.id).verdict
    assert back.passed
