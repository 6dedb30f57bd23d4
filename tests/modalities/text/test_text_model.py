"""A model of sentences learns, keeps what it learnt in a folder, and says what is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emolab.errors import DataError
from emolab.modalities.own_models import own_model
from emolab.modalities.text.learn import ALSO, TextSettings, folds, learn
from emolab.modalities.text.ngrams import NgramConfig
from emolab.modalities.text.text_model import TextModel, load
from emolab.stats import multilabel

CLASSES = ("joy", "anger", "fear")
SMALL = TextSettings(ngrams=NgramConfig(bits=16), strength=3.0)
WORDS = {
    "joy": ("glad", "lovely", "cheers"),
    "anger": ("furious", "damn", "rage"),
    "fear": ("scared", "panic", "dread"),
}


def sentences(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """``n`` made-up sentences, each with words of one class, every fourth with words of two."""
    rng = np.random.default_rng(seed)
    texts, targets = [], np.zeros((n, 3), np.float32)
    for i in range(n):
        mine = [i % 3, (i + 1) % 3] if i % 4 == 0 else [i % 3]
        targets[i, mine] = 1
        told = [str(rng.choice(WORDS[CLASSES[j]])) for j in mine]
        texts.append(" ".join([*told, *(f"w{v}" for v in rng.integers(0, 40, 4))]))
    return texts, targets


@pytest.fixture(scope="module")
def model() -> TextModel:
    texts, targets = sentences(240)
    return learn(texts, targets, CLASSES, settings=SMALL).model


def test_it_learns_one_and_several_labels(model: TextModel) -> None:
    texts, targets = sentences(90, seed=9)
    found = multilabel.summary(targets > 0, model.labels(model.probabilities(texts)), targets, CLASSES)
    assert found["macro_f1"] > 0.95
    assert model.about["metrics"]["out_of_fold"]["macro_f1"] > 0.9


def test_thresholds_come_from_sentences_that_were_held_out() -> None:
    texts, targets = sentences(60)
    learnt = learn(texts, targets, CLASSES, settings=SMALL)
    assert learnt.model.thresholds.tolist() == multilabel.best_thresholds(targets >= ALSO, learnt.held_out).tolist()
    assert not np.allclose(learnt.held_out, learnt.model.probabilities(texts), atol=1e-3)


def test_learning_again_gives_the_same_model_and_another_seed_other_folds() -> None:
    texts, targets = sentences(60)
    first, again, other = (learn(texts, targets, CLASSES, settings=SMALL, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.model.weight, again.model.weight)
    assert np.array_equal(first.held_out, again.held_out)
    assert np.array_equal(first.model.weight, other.model.weight)
    assert not np.array_equal(first.held_out, other.held_out)


def test_a_group_is_in_one_fold_and_ungrouped_sentences_are_on_their_own() -> None:
    groups = ["ann", "bob", None, "ann", None, "bob", "cyd"]
    found = folds(7, 3, groups=groups, seed=0)
    assert found[0] == found[3]
    assert found[1] == found[5]
    assert set(found.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(("texts", "groups"), [(["good"], None), (["good", "bad"], ["ann", "ann"])])
def test_too_little_to_judge_anything_is_refused(texts: list[str], groups: list[str | None] | None) -> None:
    with pytest.raises(DataError, match="too few to learn from"):
        learn(texts, np.ones((len(texts), 2)), ("a", "b"), groups=groups)
    with pytest.raises(DataError, match="No word or run of letters occurs in 2 of"):
        learn(["aaaa", "bbbb", "cccc", "dddd"], np.ones((4, 2)), ("a", "b"))


def test_a_saved_model_answers_the_same_and_has_the_same_id(model: TextModel, tmp_path: Path) -> None:
    made = model.save(tmp_path / "m")
    found = load(tmp_path / "m")
    texts, _ = sentences(30, seed=5)
    assert made == found.id == model.id
    assert np.array_equal(found.probabilities(texts), model.probabilities(texts))
    assert found.thresholds.tolist() == model.thresholds.tolist()
    assert json.loads((tmp_path / "m" / "model.json").read_text())["modality"] == "text"


def test_it_runs_without_pytorch_and_scikit_learn(model: TextModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    code = (
        "import sys; from pathlib import Path; from emolab.modalities.own_models import own_model; "
        f"m = own_model(Path({str(tmp_path / 'm')!r})); p, e = m.answers([b'so glad and lovely', b'\\x00']); "
        "print(m.classes[p[0].argmax()], sorted(e), sorted({'torch', 'sklearn', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "joy [1] []"


def test_sentences_without_a_known_word_and_none_at_all_are_answered(model: TextModel) -> None:
    assert model.probabilities([]).shape == (0, 3)
    odd = model.probabilities(["", "ЖЖЖ", "so glad"])
    assert np.isfinite(odd).all()
    assert model.labels(odd).any(axis=1).all()


def damage_document(folder: Path, **changed: object) -> None:
    file = folder / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": "emolab-text-model/9"}, "no model of sentences"),
        ({"features": 2}, "counts n-grams by version 2; this emolab has 1"),
        ({"thresholds": [0.5]}, "classes and thresholds do not match"),
        ({"thresholds": [0.5, 2, 0.5]}, "a threshold is not in 0 to 1"),
        ({"thresholds": [0.5, 0.5, 0.5]}, "its id is not that of what it holds"),
        ({"classes": ["a", "b"], "thresholds": [0.5, 0.5]}, "weight is not what it should be"),
        ({"ngrams": {"words": [1, 2]}}, "is damaged"),
    ],
)
def test_a_changed_document_is_said(model: TextModel, tmp_path: Path, changed: dict[str, object], message: str) -> None:
    model.save(tmp_path / "m")
    damage_document(tmp_path / "m", **changed)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "m")


def test_damaged_or_missing_weights_are_said_and_no_pickle_is_read(model: TextModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    file = tmp_path / "m" / "weights.npz"
    whole = file.read_bytes()
    for data in (b"", whole[: len(whole) // 2], whole[:-100] + bytes(100)):
        file.write_bytes(data)
        with pytest.raises(DataError, match="damaged"):
            load(tmp_path / "m")
    with file.open("wb") as stream:
        np.savez(stream, buckets=np.array([{}], object), rarity=np.zeros(1), weight=np.zeros(1), bias=np.zeros(1))
    with pytest.raises(DataError, match="damaged"):
        load(tmp_path / "m")
    file.unlink()
    with pytest.raises(DataError, match="damaged"):
        load(tmp_path / "m")


def test_a_folder_without_such_a_model_is_left_to_others(tmp_path: Path) -> None:
    assert own_model(tmp_path) is None
    for text in ("not json", "[1]", '{"format": "emolab-model/1"}', '{"modality": "smell"}'):
        (tmp_path / "model.json").write_text(text)
        assert own_model(tmp_path) is None


def test_probabilities_and_features_in_one_pass_are_those_of_two(model: TextModel) -> None:
    texts, _ = sentences(30, seed=4)
    media: list[bytes | Path] = [text.encode() for text in texts]
    probs, features = model.judged(texts)
    assert np.array_equal(probs, model.probabilities(texts))
    assert np.array_equal(features, model.unlearned(media))
    assert [part.shape for part in model.judged([])] == [(0, 3), (0, 384)]


def test_a_sentence_that_cannot_be_read_is_no_sentence_without_words(model: TextModel) -> None:
    with pytest.raises(DataError, match=r"^1 sentence cannot be read; the first: .*not text"):
        model.unlearned([b"so glad", b"\x89PNG\r\n\x1a\n\0\0"])
