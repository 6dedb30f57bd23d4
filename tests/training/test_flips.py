"""Judging an image together with its mirror image: the same by every path, and never mixed up with judging it alone."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from emolab.catalog import votes
from emolab.cli.main import run
from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DataError
from emolab.inference import model_document, probabilities
from emolab.inference.probabilities import softmax
from emolab.loop.model.train import train
from emolab.records import Vote
from emolab.training import checkpoint
from emolab.training.export import export, formats, graph
from emolab.training.judging import flips
from emolab.training.predict import Predictor, load, predict_pool, quickened
from emolab.training.runs.recipes import plan
from emolab.workspace import Workspace
from tests.support.learnable import QUICK, bars, configure, fill_workspace, problem

#: What the tests share takes longer to make than most tests take.
pytestmark = pytest.mark.slow

EXPORTS = all(find_spec(package) for package in ("onnx", "onnxscript", "onnxruntime", "openvino"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """320 samples, every sixth outvoted, and a champion that judges them with their mirror images."""
    classes = ("happy", "sad", "neutral")
    made = Workspace.init(tmp_path_factory.mktemp("flips") / "faces", classes=classes)
    answer = fill_workspace(made, 320)
    wrong = [
        Vote(sample_id=name, annotator=who, label=classes[(label + 1) % 3], origin=f"test:{who}:{name}")
        for name, label in sorted(answer.items())[::6]
        for who in ("cem", "dia", "eve")
    ]
    with made.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, wrong)
    made = configure(made, QUICK + '\ntensorboard = false\nflips = true\n[labeling]\naggregator = "majority"')
    train(made)
    return made


@pytest.fixture(scope="module")
def folder(workspace: Workspace) -> Path:
    return next(path.parent for path in workspace.models.glob("*/model.json"))


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return load(folder, device="cpu")


def test_the_logits_are_the_mean_of_both_and_the_features_those_of_the_image(predictor: Predictor) -> None:
    images, _ = bars(20, 3, seed=5)
    alone = predictor.with_flips(False)
    (first, features), (second, others) = alone.logits(images), alone.logits(probabilities.mirrored(images))
    logits, found = predictor.logits(images)
    assert np.abs(first - second).max() > 1e-3
    assert np.allclose(logits, (first + second) / 2, atol=1e-6)
    assert np.array_equal(found, features)
    assert not np.array_equal(found, others)
    probs, _ = predictor.probabilities(images)
    assert np.allclose(probs, softmax(logits, predictor.checkpoint.temperature))


def test_an_image_and_its_mirror_image_get_the_same_answer(predictor: Predictor) -> None:
    images, _ = bars(8, 3, seed=6)
    assert np.allclose(
        predictor.probabilities(images)[0], predictor.probabilities(probabilities.mirrored(images))[0], atol=1e-6
    )


def test_a_symmetric_image_is_judged_as_it_is_alone(predictor: Predictor) -> None:
    images, _ = bars(8, 3, seed=7)
    images[:, :, 8:] = images[:, :, 7::-1]
    alone = predictor.with_flips(False)
    assert np.allclose(predictor.logits(images)[0], alone.logits(images)[0], atol=1e-6)


def test_each_way_has_the_temperature_that_fits_it(folder: Path) -> None:
    made = model_document.describe(folder)
    assert made.flips
    assert made.plan["flips"] is True
    assert set(made.metrics["flips"]) == {"off", "on"}
    told = made.metrics["flips"]
    assert made.temperature == told["on"]["temperature"] != told["off"]["temperature"]
    assert made.other_temperature == told["off"]["temperature"]
    assert made.metrics["valid"]["nll"] == told["on"]["nll"] != told["off"]["nll"]
    other = made.with_flips(False)
    assert (other.flips, other.temperature) == (False, told["off"]["temperature"])
    assert other.with_flips(True) == made
    assert made.with_flips(True) is made


def test_the_figures_of_each_way_come_from_its_own_logits() -> None:
    _, data = problem(80, valid=60)
    rng = np.random.default_rng(0)
    alone, mirrored = (rng.normal(size=(60, 3)).astype(np.float32) + data.targets[data.valid] for _ in range(2))
    found = flips.ways(alone, mirrored, data)
    assert found[flips.ON].brief == flips.judged((alone + mirrored) / 2, data).brief
    assert found[flips.OFF].brief == flips.judged(alone, data).brief
    assert found[flips.ON].measured["nll"] < found[flips.OFF].measured["nll"]
    assert list(flips.ways(alone, None, data)) == [flips.OFF]


def test_a_model_made_before_there_were_flips_judges_images_alone(folder: Path, tmp_path: Path) -> None:
    made, weights = checkpoint.read(folder)
    checkpoint.write(tmp_path, made, weights)
    document = json.loads((tmp_path / "model.json").read_text())
    del document["flips"], document["other_temperature"], document["plan"]["flips"], document["metrics"]["flips"]
    (tmp_path / "model.json").write_text(json.dumps(document))
    old = load(tmp_path, device="cpu")
    assert not old.checkpoint.flips
    images, _ = bars(4, 3)
    assert np.array_equal(old.logits(images)[0], load(folder, device="cpu").with_flips(False).logits(images)[0])
    with pytest.raises(DataError, match="calibrated without mirror images only") as told:
        old.with_flips(True)
    assert "Train it again" in (told.value.hint or "")
    assert run(["models", "card", str(tmp_path)]) == 0


def test_the_pool_is_predicted_the_models_own_way_and_another_way_is_another_model(
    workspace: Workspace, folder: Path, predictor: Predictor
) -> None:
    from emolab.catalog import models

    with workspace.catalog() as catalog, catalog.connect() as conn:
        champion = models.find(conn, "champion")
    assert champion is not None
    found = predict_pool(workspace, champion)
    images = _pixels(workspace, predictor, found.samples)
    probs, features = predictor.probabilities(images)
    assert np.allclose(found.probs, probs, atol=1e-6)
    assert np.array_equal(found.embeddings, features.astype(np.float16))
    made, weights = checkpoint.read(folder)
    assert made.id == checkpoint.identity(made.plan, made.snapshot, weights)
    assert made.id != checkpoint.identity({**made.plan, "flips": False}, made.snapshot, weights)


def _pixels(workspace: Workspace, predictor: Predictor, ids: list[str]) -> np.ndarray:
    from emolab.training.inputs import pixel_cache

    def media(_: str) -> Path:
        raise AssertionError("every image was decoded before")

    return pixel_cache.fill(workspace.cache, ids, media, predictor.checkpoint.preprocessing).take(np.arange(len(ids)))


@pytest.mark.skipif(not EXPORTS, reason="needs the extra export")
@pytest.mark.parametrize("to", formats.FORMATS)
@pytest.mark.parametrize("flipped", [False, True])
def test_an_exported_file_holds_the_way_that_was_asked_for_with_its_temperature(
    to: str, flipped: bool, folder: Path, predictor: Predictor, tmp_path: Path
) -> None:
    out = tmp_path / f"model{formats.SUFFIX[to]}"
    made = export.export(folder, out, to=to, flips=flipped)
    judging = predictor.with_flips(flipped)
    runner = graph.open_any(out, threads=1)
    assert runner.document["flips"] is flipped
    assert runner.document["temperature"] == judging.checkpoint.temperature
    assert made.parity.agreement == 1
    images, _ = bars(7, 3, seed=8)
    wanted, logits = judging.probabilities(images)[0], judging.logits(images)[0]
    for batch in (1, 7):
        probs, scores, features = runner(images, batch=batch)
        assert np.abs(probs - wanted).max() < 1e-4
        assert np.abs(scores - logits).max() < 1e-3
        assert np.abs(features - predictor.logits(images)[1]).max() < 1e-3
    assert np.abs(runner(images)[0] - predictor.with_flips(not flipped).probabilities(images)[0]).max() > 1e-3


@pytest.mark.skipif(not EXPORTS, reason="needs the extra export")
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_an_engine_made_for_images_alone_serves_both_ways(engine: str, predictor: Predictor, tmp_path: Path) -> None:
    images, _ = bars(24, 3, seed=9)
    config = TrainingConfig(engine=engine, threads=1)
    files = set()
    for judging in (predictor, predictor.with_flips(False)):
        quick = quickened(judging, config, n=24, images=lambda k: images[:k], cache=tmp_path)
        assert quick.runner is not None
        assert quick.runner.document["flips"] is False
        assert np.abs(quick.probabilities(images)[0] - judging.probabilities(images)[0]).max() < 0.02
        files |= set((tmp_path / "engines").glob(f"*{formats.SUFFIX[engine]}"))
    assert len(files) == 1


def test_faces_are_judged_with_their_mirror_images_unless_told_otherwise() -> None:
    def made(**settings: object) -> bool:
        return plan(TrainingConfig(**settings), n_train=100, color="gray").flips  # type: ignore[arg-type]

    assert made(backbone="face48")
    assert made(backbone="face48", weights="none")
    assert not made(backbone="face48", flips=False)
    assert not made(backbone="face48", mode="head")
    assert not made(backbone="mobilenet_v2")
    assert made(backbone="mobilenet_v2", flips=True)
    with pytest.raises(ConfigError, match=r"training\.flips needs training\.mode = full"):
        made(backbone="face48", mode="head", flips=True)


def test_the_commands_take_the_other_way_and_say_which_it_was(
    workspace: Workspace, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {}
    for word in ("--flips", "--no-flips", None):
        words = [
            "-w",
            str(workspace.root),
            "evaluate",
            "champion",
            "--on",
            "valid",
            "--json",
            *([word] if word else []),
        ]
        assert run(words) == 0
        told[word] = json.loads(capsys.readouterr().out)
    assert [told[word]["flips"] for word in told] == [True, False, True]
    assert told["--flips"]["nll"] == told[None]["nll"] != told["--no-flips"]["nll"]
    made = model_document.describe(folder)
    assert told[None]["nll"] == pytest.approx(made.metrics["flips"]["on"]["nll"], abs=1e-4)
    assert told["--no-flips"]["nll"] == pytest.approx(made.metrics["flips"]["off"]["nll"], abs=1e-4)
    assert run(["-w", str(workspace.root), "models", "card", "champion", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)["card"]
    assert "validation samples, each image with its mirror image" in card
    assert f"Each sample alone (temperature {made.other_temperature:.3f})" in card
    old = replace(made, flips=False, other_temperature=None)
    checkpoint.write(tmp_path, old, checkpoint.read(folder)[1])
    assert run(["-w", str(workspace.root), "evaluate", str(tmp_path), "--on", "valid", "--flips"]) == 1
    assert "without mirror images only" in capsys.readouterr().err
