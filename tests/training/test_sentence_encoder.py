"""A local encoder carries a model of sentences, frozen or fine-tuned; nothing is fetched and nothing can run code."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("transformers")

from emolab.cli.main import cli
from emolab.errors import DataError
from emolab.modalities.own_models import own_model
from emolab.modalities.text.learn import learn
from emolab.stats import multilabel
from emolab.stats.sparse_logistic import sigmoid
from emolab.training.sentences.encoder import by_length, read_encoder
from emolab.training.sentences.encoder_model import EncoderModel, load, mixed
from emolab.training.sentences.fine_tune import FineTuning
from emolab.training.sentences.learn_with_encoder import EncoderSettings, learn_with_encoder
from tests.loop.test_text_workspace import WORDS, goemotions
from tests.support.encoders import put_encoder

CLASSES = ("joy", "anger", "fear")
TOLD = [word for words in WORDS.values() for word in words]
TUNED = FineTuning(epochs=12, batch=16, lr=1e-2, precision="float32")


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_encoder(tmp_path_factory.mktemp("encoder") / "small", [*TOLD, *(f"w{i}" for i in range(40))])


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def sentences(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """``n`` made-up sentences, each with a word of one class, every fourth with words of two."""
    rng = np.random.default_rng(seed)
    texts, targets = [], np.zeros((n, 3), np.float32)
    for i in range(n):
        mine = [i % 3, (i + 1) % 3] if i % 4 == 0 else [i % 3]
        targets[i, mine] = 1
        texts.append(
            " ".join([*(str(rng.choice(WORDS[CLASSES[j]])) for j in mine), *(f"w{v}" for v in rng.integers(0, 40, 4))])
        )
    return texts, targets


@pytest.fixture(scope="module")
def tuned(folder: Path) -> EncoderModel:
    return learn_with_encoder(folder, *sentences(240), CLASSES, settings=EncoderSettings(tuning=TUNED)).model


def macro_f1(model: EncoderModel, probs: np.ndarray, targets: np.ndarray) -> float:
    return float(multilabel.summary(targets > 0, model.labels(probs), probs, CLASSES)["macro_f1"])


def test_a_fine_tuned_encoder_learns_one_and_several_labels(tuned: EncoderModel) -> None:
    texts, targets = sentences(90, seed=9)
    assert tuned.share > 0
    assert macro_f1(tuned, tuned.probabilities(texts), targets) > 0.95


def test_fine_tuning_changes_layers_and_leaves_the_folder_and_the_embeddings(folder: Path, tuned: EncoderModel) -> None:
    before = read_encoder(folder).network.state_dict()
    after = tuned.encoder.network.state_dict()
    changed = {name for name in before if not np.array_equal(before[name].numpy(), after[name].numpy())}
    assert any(".layer.0." in name for name in changed)
    assert any(".layer.1." in name for name in changed)
    assert not any("embeddings" in name for name in changed)


def test_a_frozen_encoder_stays_as_it_is_and_its_share_is_found_out_of_fold(folder: Path) -> None:
    texts, targets = sentences(240)
    told = learn(texts, targets, CLASSES)
    learnt = learn_with_encoder(folder, texts, targets, CLASSES, ngrams=told)
    before, after = (one.network.state_dict() for one in (read_encoder(folder), learnt.model.encoder))
    assert all(np.array_equal(before[name].numpy(), after[name].numpy()) for name in before)
    assert learnt.ngrams == pytest.approx(told.model.about["metrics"]["out_of_fold"]["macro_f1"], abs=0.02)
    others, answers = sentences(90, seed=9)
    assert macro_f1(learnt.model, learnt.model.probabilities(others), answers) > 0.9


def test_the_sentences_that_choose_thresholds_taught_the_encoder_nothing(folder: Path) -> None:
    texts, targets = sentences(120)
    one = learn_with_encoder(folder, texts, targets, CLASSES, settings=EncoderSettings(tuning=TUNED)).model
    from emolab.modalities.text.learn import folds

    held = folds(120, 10, groups=None, seed=0) == 0
    assert 0 < held.sum() < 20
    turned = np.where(held[:, None], 1 - targets, targets)
    other = learn_with_encoder(
        folder, texts, turned, CLASSES, ngrams=learn(texts, targets, CLASSES), settings=EncoderSettings(tuning=TUNED)
    ).model
    assert np.array_equal(one.weight, other.weight)
    assert not np.array_equal(one.thresholds, other.thresholds)


def test_the_same_sentences_give_the_same_model_and_it_is_kept_whole(
    folder: Path, tuned: EncoderModel, tmp_path: Path
) -> None:
    again = learn_with_encoder(folder, *sentences(240), CLASSES, settings=EncoderSettings(tuning=TUNED)).model
    assert again.id == tuned.id
    assert tuned.save(tmp_path / "m") == tuned.id
    names = {file.relative_to(tmp_path / "m").as_posix() for file in (tmp_path / "m").rglob("*") if file.is_file()}
    assert names == {
        *("model.json", "head.safetensors", "ngrams/model.json", "ngrams/weights.npz"),
        *("encoder/config.json", "encoder/model.safetensors", "encoder/tokenizer.json"),
    }
    kept = load(tmp_path / "m")
    texts = sentences(20, seed=3)[0]
    assert kept.id == tuned.id
    assert np.allclose(kept.probabilities(texts), tuned.probabilities(texts), atol=1e-6)
    assert kept.save(tmp_path / "again") == tuned.id


def test_both_together_have_one_temperature_that_is_kept_and_changes_no_label(folder: Path, tmp_path: Path) -> None:
    texts, targets = sentences(300)
    targets[::5] = np.roll(targets[::5], 1, axis=1)  # not all agree, so that there is a temperature to find
    told = learn(texts, targets, CLASSES)
    model = learn_with_encoder(folder, texts, targets, CLASSES, ngrams=told).model
    assert model.temperature not in (None, 1.0)
    assert model.temperature != told.model.temperature
    assert model.conformal["n"] == 300
    others = sentences(400, seed=9)[0]
    logits = mixed(model.encoder.features(others) @ model.weight + model.bias, model.ngrams.logits(others), model.share)
    made = model.calibration
    assert made is not None
    assert np.allclose(model.probabilities(others), made.temperature.probabilities(logits), atol=1e-6)
    raw = made.temperature
    before = 1 / (1 + np.exp(-(raw.rest + (multilabel.log_odds(model.thresholds) - raw.rest) * raw.value)))
    assert np.array_equal(model.labels(model.probabilities(others)), multilabel.labels(sigmoid(logits), before))
    model.save(tmp_path / "m")
    kept = load(tmp_path / "m")
    assert (kept.id, kept.temperature, kept.conformal) == (model.id, model.temperature, model.conformal)
    assert np.allclose(kept.probabilities(others), model.probabilities(others), atol=1e-6)


def test_a_model_without_a_temperature_is_read_as_an_earlier_emolab_kept_it(
    tuned: EncoderModel, tmp_path: Path
) -> None:
    old = replace(tuned, calibration=None, ngrams=replace(tuned.ngrams, calibration=None))
    old.save(tmp_path / "m")
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    assert document["format"] == "emolab-encoder-model/1"
    assert "temperature" not in document
    kept = load(tmp_path / "m")
    assert (kept.id, kept.temperature, kept.conformal) == (old.id, None, {})
    texts = sentences(20, seed=3)[0]
    assert np.allclose(kept.probabilities(texts), old.probabilities(texts), atol=1e-6)


@pytest.mark.parametrize(
    "name", ["head.safetensors", "encoder/model.safetensors", "encoder/tokenizer.json", "model.json"]
)
def test_what_is_damaged_is_named(tuned: EncoderModel, tmp_path: Path, name: str) -> None:
    tuned.save(tmp_path / "m")
    data = bytearray((tmp_path / "m" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "m" / name).write_bytes(bytes(data))
    with pytest.raises(DataError, match=f"{name} is damaged"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    ("gone", "hint"),
    [
        ("model.safetensors", "pytorch_model.bin can run code and are not read"),
        ("tokenizer.json", "Save its tokenizer"),
        ("config.json", "config.json, model.safetensors, tokenizer.json"),
    ],
)
def test_a_missing_file_of_the_encoder_is_one_line(folder: Path, tmp_path: Path, gone: str, hint: str) -> None:
    shutil.copytree(folder, tmp_path / "e")
    (tmp_path / "e" / gone).unlink()
    with pytest.raises(DataError, match=f"There is no {gone} in ") as refused:
        read_encoder(tmp_path / "e")
    assert hint in str(refused.value.hint)


def test_batches_hold_sentences_of_about_one_length_and_every_sentence_once() -> None:
    ids = [[1] * n for n in (5, 1, 4, 2, 3)]
    assert [rows.tolist() for rows in by_length(ids, np.arange(5), 2)] == [[1, 3], [4, 2], [0]]


@pytest.mark.parametrize("mode", ["head", "full"])
def test_the_commands_train_judge_and_predict_with_an_encoder(tmp_path: Path, folder: Path, mode: str) -> None:
    at = tmp_path / "ws"
    assert run("init", at, "--modality", "text", "--classes", "happiness,anger,fear").exit_code == 0
    assert run("-w", at, "merge", "goemotions", goemotions(tmp_path / "data")).exit_code == 0
    copy = shutil.copytree(folder, tmp_path / "encoder")
    few = ("--set", "training.epochs=12", "--set", "training.batch=16", "--set", "training.lr=0.01")
    asked = ("--set", f"training.weights={copy}", "--set", f"training.mode={mode}", *few)
    done = run("-w", at, "train", *asked, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["backbone"], told["alias"], told["n_train"]) == ("encoder", "champion", 120)
    assert told["valid"]["macro_f1"] > 0.9
    shutil.rmtree(copy)  # the model is complete in itself
    judged = run("evaluate", at / told["path"], "--on", f"goemotions:{tmp_path / 'data'}", "--json")
    assert json.loads(judged.stdout)["macro_f1"] == pytest.approx(told["valid"]["macro_f1"])
    (tmp_path / "a.txt").write_text("glad w1 w2\nfurious w3\n")
    rows = json.loads(run("predict", at / told["path"], tmp_path / "a.txt", "--json").stdout)["predictions"]
    assert [row["label"] for row in rows] == ["happiness", "anger"]
    assert own_model(at / told["path"]) is not None


def test_weights_that_are_no_folder_are_refused_with_what_to_type(tmp_path: Path) -> None:
    at = tmp_path / "ws"
    assert run("init", at, "--modality", "text", "--classes", "happiness,anger,fear").exit_code == 0
    assert run("-w", at, "merge", "goemotions", goemotions(tmp_path / "data")).exit_code == 0
    for weights, said in (
        ("champion", "training.weights is champion, which is for networks of images and clips."),
        (str(tmp_path / "nowhere"), "which is no folder."),
    ):
        done = run("-w", at, "train", "--set", f"training.weights={weights}")
        assert done.exit_code == 1
        assert said in str(done.exception)
