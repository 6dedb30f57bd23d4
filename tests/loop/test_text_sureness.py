"""How sure a model of sentences is, by the commands: temperature, sets of classes, and what older models say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import emolab
from emolab.cli.main import cli
from emolab.config import apply
from emolab.loop.operate.serve import open_service
from emolab.modalities.own_models import own_model
from tests.modalities.text.test_text_calibration import CLASSES, drawn, old
from tests.support.pictures import put

N, DEV = 500, 300


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def told(*args: str | Path) -> dict[str, Any]:
    done = run(*args, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(n: int, seed: int) -> str:
    """The sentences in the layout of GoEmotions."""
    texts, truth = drawn(n, seed)
    labels = [",".join(str(j) for j in np.flatnonzero(row)) for row in truth]
    return "".join(
        f"{text} n{i}\t{said}\t{seed}-{i}\n" for i, (text, said) in enumerate(zip(texts, labels, strict=True))
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Mapping[str, Any]]:
    """A workspace with a model, the sentences as a dataset, and what the training told."""
    base = tmp_path_factory.mktemp("sure")
    data = put(base / "data", {"labels.txt": "\n".join(CLASSES), "train.tsv": rows(N, 0), "dev.tsv": rows(DEV, 1)})
    at = base / "ws"
    assert run("init", at, "--modality", "text", "--classes", "happiness,anger,fear,disgust").exit_code == 0
    assert run("-w", at, "merge", "goemotions", data).exit_code == 0
    return at, data, told("-w", at, "train")


def test_training_tells_the_temperature_and_what_it_changed(place: tuple[Path, Path, Mapping[str, Any]]) -> None:
    at, _, trained = place
    assert trained["temperature"] not in (None, 1.0)
    before, valid = trained["before_temperature"], trained["valid"]
    assert set(before) == {"nll", "ece", "brier", "log_loss"}
    assert valid["log_loss"] < before["log_loss"]
    judged = told("-w", at, "evaluate", "champion", "--on", "valid")
    assert judged["temperature"] == trained["temperature"]
    for key in ("log_loss", "ece"):
        assert judged[key] == pytest.approx(valid[key], abs=1e-6)
        assert judged["before_temperature"][key] == pytest.approx(before[key], abs=1e-6)
    said = " ".join(run("-w", at, "train").output.split())
    assert f"calibration error {valid['ece']:.3f} (before {before['ece']:.3f})" in said
    said = " ".join(run("-w", at, "evaluate", "champion", "--on", "valid").output.split())
    assert f"log loss {valid['log_loss']:.3f} (before {before['log_loss']:.3f})" in said
    assert f"temperature {trained['temperature']:.3f}, fitted on 500 sentences" in run(
        "-w", at, "models", "card", "champion"
    ).output.replace("\n", " ")


def test_evaluate_tells_how_often_the_sets_hold_all_labels(place: tuple[Path, Path, Mapping[str, Any]]) -> None:
    at, data, _ = place
    judged = told("-w", at, "evaluate", "champion", "--on", f"goemotions:{data}", "--split", "valid")
    assert [row["coverage"] for row in judged["conformal"]] == [0.8, 0.9, 0.95]
    for row in judged["conformal"]:
        spread = np.sqrt(row["coverage"] * (1 - row["coverage"]) * (1 / N + 1 / DEV))
        assert abs(row["reached"] - row["coverage"]) < 3 * spread, row


def test_predict_and_the_server_give_the_same_sets_and_probabilities(
    place: tuple[Path, Path, Mapping[str, Any]], tmp_path: Path
) -> None:
    at, _, trained = place
    texts = drawn(40, 9)[0]
    put(tmp_path, {"a.txt": "\n".join(texts) + "\n"})
    found = told("-w", at, "predict", "champion", tmp_path / "a.txt", "--coverage", "0.9", "--unsure", "0.4")
    model = own_model(at / trained["path"])
    assert model is not None
    level = model.conformal["levels"]["0.9"]
    sizes = set()
    for row in found["predictions"]:
        among = {name for name, p in row["probs"].items() if p >= level}
        assert set(row["among"]) == among | {row["label"]}
        assert row["among"][0] == row["label"]
        assert row.get("unsure", False) == (row["confidence"] < 0.4)
        sizes.add(len(row["among"]))
    assert len(sizes) > 1
    workspace = emolab.open(at)
    service = open_service(workspace, config=apply(workspace.config, ("serve.coverage=0.9", "serve.unsure=0.4")))
    try:
        answered = service.host.submit([(f"{i}", text.encode()) for i, text in enumerate(texts)]).result(60)
        assert f"temperature {trained['temperature']:.3f}" in answered.version.card
    finally:
        service.close()
    for answer, row in zip(answered.answers, found["predictions"], strict=True):
        face = answer.faces[0]
        assert list(face.among or ()) == row["among"]
        assert list(face.labels or ()) == row["labels"]
        assert face.probs.tolist() == pytest.approx(list(row["probs"].values()), abs=2e-6)
    lines = run("-w", at, "predict", "champion", tmp_path / "a.txt", "--coverage", "0.9", "--csv").stdout.splitlines()
    assert "among" in lines[0].split(",")


def test_the_champion_of_an_earlier_emolab_answers_and_says_that_it_has_no_temperature(tmp_path: Path) -> None:
    old(tmp_path / "old")
    put(tmp_path, {"a.txt": "joy1 w1 w2\n", "data/labels.txt": "\n".join(CLASSES), "data/dev.tsv": rows(60, 4)})
    done = run("predict", tmp_path / "old", tmp_path / "a.txt")
    assert done.exit_code == 0, done.output
    assert "has no temperature and states no sets: an earlier emolab learned it" in " ".join(done.output.split())
    refused = run("predict", tmp_path / "old", tmp_path / "a.txt", "--coverage", "0.9").exception
    assert "states no sets of classes that hold the right one in 90%" in str(refused)
    judged = run("evaluate", tmp_path / "old", "--on", f"goemotions:{tmp_path / 'data'}", "--split", "valid", "--json")
    assert "Train it again with: emolab train" in " ".join(judged.stderr.split())
    found = json.loads(judged.stdout)
    assert (found["temperature"], found["before_temperature"], found["conformal"]) == (None, None, [])
    shutil.rmtree(tmp_path / "old")
