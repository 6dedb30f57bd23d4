"""Emotions of sentences without any download: GoEmotions, emolab's heads on hashed n-grams beside scikit-learn.

Everything is learnt and chosen on GoEmotions' training sentences: thresholds out-of-fold, settings by cross-validation
(the rows "choice"). The dev sentences judge and choose nothing. Seeds divide the folds another way, so they move the
thresholds; the heads have one minimum. scikit-learn goes through the same protocol with the same code, in turns.
The rows "masked" need Faker, which makes the names, addresses and numbers. Needs the test data pack (EMOLAB_TEST_DATA).
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ferplus import root
from benchmarks.harness import Result, cpu_seconds, main, summary
from emolab.datasets.several_labels import several_labels
from emolab.modalities.text.learn import TextSettings, folds, held_out, judged_out_of_fold, learn
from emolab.modalities.text.masking import mask
from emolab.modalities.text.ngrams import NgramConfig, count_ngrams
from emolab.modalities.text.text_model import TextModel
from emolab.stats import multilabel

EKMAN = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
ORIGINAL = (
    *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire"),
    *("disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy"),
    *("love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral"),
)
#: Training and dev sentences of the quick run, and seeds of the full one.
FEW_TRAIN, FEW_DEV, SEEDS = 3000, 1500, 2
#: Folds that choices are judged in, and sentences with a name that is put in.
CHOICE_FOLDS, NAMED = 2, 500
#: What was chosen, each beside the settings that were kept; judged on the training sentences alone.
CHOICES: dict[str, dict[str, Any]] = {
    "kept": {},
    "strength 0.1": {"strength": 0.1},
    "strength 1": {"strength": 1.0},
    "no naive-Bayes weighting, strength 1": {"strength": 1.0, "floor": 1e6},
    "words only": {"ngrams": NgramConfig(letters=(40, 40))},
    "letters only": {"ngrams": NgramConfig(words=(40, 40))},
    "letters 3 to 5": {"ngrams": NgramConfig(letters=(3, 5))},
    "18 bits of buckets": {"ngrams": NgramConfig(bits=18)},
}


class Sentences:
    """Train and dev of one set of labels: texts, and which classes (n, k) apply."""

    def __init__(self, classes: tuple[str, ...], quick: bool, *, few: tuple[int, int] = (FEW_TRAIN, FEW_DEV)) -> None:
        spec = f"goemotions:{data()}"
        train, dev = (several_labels(spec, classes, split=split) for split in ("train", "valid"))
        some, dev_some = (slice(count if quick else None) for count in few)
        self.classes = classes
        self.texts, self.truth = texts_of(train.media)[some], train.truth[some]
        self.dev, self.answers = texts_of(dev.media)[dev_some], dev.truth[dev_some]

    def judged(self, probs: NDArray[np.floating[Any]], said: NDArray[np.bool_]) -> dict[str, Any]:
        """Figures on dev."""
        return multilabel.summary(self.answers, said, probs, self.classes)


def data() -> Path:
    """The zip of GoEmotions in the test data pack."""
    found = root() / "data" / "goemotions.zip"
    if not found.is_file():
        sys.exit(f"{found} is not there.")
    return found


def texts_of(media: Sequence[bytes | Path]) -> list[str]:
    """The sentences as text."""
    return [item.decode() for item in media if isinstance(item, bytes)]


def run(quick: bool) -> list[Result]:
    """Macro-F1 on dev and CPU seconds of both, 28 classes, choices on train, speed, and what masking finds."""
    ekman = Sentences(EKMAN, quick)
    rows, model = beside_sklearn(ekman, seeds=1 if quick else SEEDS)
    rows += speed(model, ekman.dev)
    if not quick:
        fine = Sentences(ORIGINAL, quick)
        rows += original(fine)
        rows += choices(ekman)
    return rows + masked(ekman.texts, NAMED // 5 if quick else NAMED)


def beside_sklearn(data: Sentences, *, seeds: int) -> tuple[list[Result], TextModel]:
    """emolab and scikit-learn in turns, one seed after the other."""
    score: dict[str, list[float]] = {}
    taken: dict[str, list[float]] = {}
    held: dict[str, list[float]] = {}
    n = len(data.dev)
    for seed in range(seeds):
        ways: dict[str, Callable[[int], tuple[NDArray[Any], NDArray[np.float64], float]]] = {
            "emolab": lambda seed: ours(data, seed),
            "scikit-learn, words": lambda seed: theirs(data, seed, letters=False),
            "scikit-learn, words and letters": lambda seed: theirs(data, seed, letters=True),
        }
        if seed:  # it takes longest, and one head has one minimum
            ways.popitem()
        for name in list(ways) if seed % 2 == 0 else list(reversed(ways)):
            before = cpu_seconds()
            probs, thresholds, out_of_fold = ways[name](seed)
            taken.setdefault(name, []).append(cpu_seconds() - before)
            found = data.judged(probs, multilabel.labels(probs, thresholds))
            score.setdefault(name, []).append(found["macro_f1"])
            held.setdefault(name, []).append(out_of_fold)
            if name == "emolab" and seed == 0:
                first = found
    rows = []
    for name, values in score.items():
        times = len(values)
        middle, spread = summary(values)
        rows.append(Result(f"{name}: macro-F1, 7 classes", middle, "", n=n, seeds=times, spread=spread, note="dev"))
        middle, spread = summary(held[name])
        note = "train, each fold by thresholds of the others"
        rows.append(Result(f"{name}: macro-F1 out-of-fold", middle, "", len(data.texts), times, spread, note))
        middle, spread = summary(taken[name])
        note = f"learning from {len(data.texts):,} in 5 folds and whole, judging dev"
        rows.append(Result(f"{name}: time", middle, "CPU s", n=n, seeds=times, spread=spread, note=note))
    for name in list(score)[1:]:
        middle, spread = summary([a / b for a, b in zip(taken["emolab"], taken[name], strict=False)])
        rows.append(Result(f"emolab / {name}: time", middle, "x", n=n, seeds=len(taken[name]), spread=spread))
    for row in first["per_class"]:
        rows.append(Result(f"emolab: F1 of {row['class']}", row["f1"] or 0.0, "", n=row["support"], note="dev, seed 0"))
    rows.append(Result("emolab: micro-F1, 7 classes", first["micro_f1"], "", n=n, note="dev, seed 0"))
    return rows, learnt[0]


#: The model of the last call of :func:`ours`.
learnt: list[TextModel] = []


def ours(data: Sentences, seed: int) -> tuple[NDArray[Any], NDArray[np.float64], float]:
    """Probabilities of dev, thresholds, and macro-F1 out-of-fold of emolab."""
    found = learn(data.texts, data.truth.astype(np.float32), data.classes, seed=seed)
    learnt[:] = [found.model]
    metrics = found.model.about["metrics"]["out_of_fold"]
    return found.model.probabilities(data.dev), found.model.thresholds, metrics["macro_f1"]


def theirs(data: Sentences, seed: int, *, letters: bool) -> tuple[NDArray[Any], NDArray[np.float64], float]:
    """The same of TF-IDF and logistic regression of scikit-learn, at the settings people use (C = 1, sublinear)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline, make_union

    def fresh() -> Any:
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        both = [TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)] if letters else []
        head = LogisticRegression(C=1.0, solver="liblinear")
        return make_pipeline(make_union(words, *both), OneVsRestClassifier(head))

    fold = folds(len(data.texts), 5, groups=None, seed=seed)
    held = np.zeros(data.truth.shape)
    for part in range(int(fold.max()) + 1):
        others, mine = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        model = fresh().fit([data.texts[i] for i in others], data.truth[others].astype(int))
        held[mine] = model.predict_proba([data.texts[i] for i in mine])
    whole = fresh().fit(data.texts, data.truth.astype(int))
    judged = judged_out_of_fold(data.truth, held, fold, data.classes)
    return whole.predict_proba(data.dev), multilabel.best_thresholds(data.truth, held), judged["macro_f1"]


def speed(model: TextModel, texts: Sequence[str]) -> list[Result]:
    """Sentences a CPU second, counted and judged."""
    rows = []
    for name, work in (
        ("n-grams counted", lambda: count_ngrams(texts, model.ngrams)),
        ("judged", lambda: model.probabilities(texts)),
        ("masked", lambda: [mask(text) for text in texts]),
    ):
        rates = []
        for _ in range(3):
            before = cpu_seconds()
            work()
            rates.append(len(texts) / max(cpu_seconds() - before, 1e-9))
        middle, spread = summary(rates)
        rows.append(Result(f"sentences {name}", middle, "per CPU s", n=len(texts), seeds=3, spread=spread))
    return rows


def original(data: Sentences) -> list[Result]:
    """The 28 classes, reported."""
    probs, thresholds, held = ours(data, 0)
    found = data.judged(probs, multilabel.labels(probs, thresholds))
    n = len(data.dev)
    return [
        Result("emolab: macro-F1, 28 classes", found["macro_f1"], "", n=n, note="dev, seed 0"),
        Result("emolab: micro-F1, 28 classes", found["micro_f1"], "", n=n, note="dev, seed 0"),
        Result("emolab: macro-F1 out-of-fold, 28 classes", held, "", n=len(data.texts), note="train"),
    ]


def choices(data: Sentences) -> list[Result]:
    """Macro-F1 out-of-fold on the training sentences of what was tried."""
    rows = []
    fold = folds(len(data.texts), CHOICE_FOLDS, groups=None, seed=0)
    for name, changed in CHOICES.items():
        settings = replace(TextSettings(), **changed)
        if settings.floor > 1e3:  # one weight for all: the penalty is scaled instead
            settings = replace(settings, strength=settings.strength / settings.floor**2)
        counts = count_ngrams(data.texts, settings.ngrams)
        held = held_out(counts, data.truth.astype(np.float32), fold, settings=settings)
        value = judged_out_of_fold(data.truth, held, fold, data.classes)["macro_f1"]
        rows.append(Result(f"choice: {name}", value, "", n=len(data.texts), note=f"train, {CHOICE_FOLDS} folds"))
    return rows


def masked(texts: Sequence[str], n: int) -> list[Result]:
    """The share of what Faker makes that masking takes out, and of sentences that it changes without need."""
    try:
        from faker import Faker
    except ImportError:
        return [Result("masked", 0, "not run", note="Faker is not installed")]
    slots = [text for text in texts if text.count("[NAME]") == 1]
    rows = []
    for place in ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES"):
        fake, pick = Faker(place), random.Random(0)
        fake.seed_instance(0)
        made: dict[str, Callable[[], str]] = {
            "given name": fake.first_name,
            "given name and surname": lambda: f"{fake.first_name()} {fake.last_name()}",  # noqa: B023 - called below
            "surname": fake.last_name,
            "e-mail": fake.email,
            "phone": fake.phone_number,
            "street and number": lambda: fake.street_address().replace("\n", ", "),  # noqa: B023
            "account number": fake.iban,
        }
        for kind, make in made.items():
            hits = sum(gone(pick.choice(slots).replace("[NAME]", value), value) for value in (make() for _ in range(n)))
            rows.append(Result(f"masked, {place}: {kind}", hits / n, "share", n=n))
    plain = [text for text in texts if not re.search(r"\d{3}|@|\bu/|https?:|\.(?:com|org|net)\b", text)]
    changed = sum(bool(mask(text)[1]) for text in plain)
    note = "names of places and works among them; every name of a person was masked by the publishers"
    return [*rows, Result("sentences changed without need", changed / len(plain), "share", n=len(plain), note=note)]


def gone(text: str, value: str) -> bool:
    """Whether no word or number of ``value`` is left in ``text`` once it is masked."""
    left = mask(text)[0]
    return not any(part in left for part in re.findall(r"\w{3,}", value) if len(part) > 3 or part.isdigit())


if __name__ == "__main__":
    main(run)
