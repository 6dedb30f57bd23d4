"""Sentences at work: false alarms of a year, weeks until planted changes are seen, and accuracy without labels.

A model of n-grams learns from 8,000 of GoEmotions' training sentences (Ekman grouping). Streams are made of the others,
which it has not seen; accuracy is estimated from one half of the dev sentences for draws from the other half. Spans,
level, features and columns of quality were set beforehand. A change is seen in the week in which `emolab monitor` would
raise an alarm, at its level for a year. Needs the test data pack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from benchmarks.harness import Result, main
from benchmarks.monitoring import WEEKS, shared
from benchmarks.text import EKMAN, Sentences
from emolab.modalities.text.learn import learn
from emolab.modalities.text.text_model import TextModel
from emolab.monitoring.drift_look import LEVEL, Watch
from emolab.monitoring.estimation import AccuracyEstimator, hits
from emolab.monitoring.reference import Observations

LEARNED, LEARNED_QUICK = 8000, 1200
#: Reference and week; how many quiet years.
REFERENCE, WEEK, YEARS = 1000, 100, 300
#: Streams of each change, quiet weeks before it, weeks after it.
EACH, QUIET, CHANGED = 40, 4, 13
DRAWS, DRAWN = 200, 1000
#: What sentences of another topic have a word of.
TOPIC = re.compile(r"\b(game|team|play|season|players?|win|coach|fans?)\b", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Seen:
    """What the model says of sentences as they are and in capitals, which classes apply, and which have the topic."""

    usual: Observations
    capitals: Observations
    truth: NDArray[np.bool_]
    topic: NDArray[np.bool_]


def run(quick: bool) -> list[Result]:
    """The three parts; the quick form has a smaller model and fewer streams."""
    data = Sentences(EKMAN, False)
    order = np.random.default_rng(0).permutation(len(data.texts))
    n = LEARNED_QUICK if quick else LEARNED
    texts = [data.texts[i] for i in order[:n]]
    model = learn(texts, data.truth[order[:n]].astype(np.float32), data.classes).model
    rest = order[n:]
    given = seen(model, [data.texts[i] for i in rest], data.truth[rest])
    dev = seen(model, data.dev, data.answers)
    return [*false_alarms(given, quick), *delays(given, quick), *estimates(dev, quick)]


def seen(model: TextModel, texts: Sequence[str], truth: NDArray[np.bool_]) -> Seen:
    """What ``model`` says of ``texts``, in the columns of the log."""
    usual, capitals = (_observed(model, form) for form in (texts, [text.upper() for text in texts]))
    return Seen(usual, capitals, truth, np.array([TOPIC.search(text) is not None for text in texts]))


def _observed(model: TextModel, texts: Sequence[str]) -> Observations:
    probs, features = model.judged(texts)
    quality = model.quality([text.encode() for text in texts])
    return Observations(
        classes=model.classes,
        probs=probs,
        embeddings=features.astype(np.float16),
        quality={name: quality[:, i] for i, name in enumerate(model.quality_names)},
        thresholds=tuple(float(value) for value in model.thresholds),
    )


# -- false alarms ------------------------------------------------------------------------------------------------------


def false_alarms(given: Seen, quick: bool) -> list[Result]:
    """The share of quiet years with an alarm; a year is drawn without putting anything back."""
    years = 16 if quick else YEARS
    alarms = sum(shared(partial(quiet_year, given.usual), range(years)))
    low, high = (end / years for end in binom.interval(0.95, years, LEVEL))
    note = f"level {LEVEL:.0%}; by chance {low:.1%} to {high:.1%} where it is all spent"
    return [Result(f"false alarms in a year, {WEEK} sentences a week", 100 * alarms / years, "%", n=years, note=note)]


def quiet_year(given: Observations, seed: int) -> bool:
    """Whether a year in which nothing happens has an alarm."""
    rows = np.random.default_rng((seed, 5)).permutation(len(given))
    watch = Watch(given.rows(rows[:REFERENCE]))
    weeks = [given.rows(rows[REFERENCE + i * WEEK : REFERENCE + (i + 1) * WEEK]) for i in range(WEEKS)]
    return any(watch.look(weeks[: i + 1]).alarms for i in range(WEEKS))


# -- delays ------------------------------------------------------------------------------------------------------------


def delays(given: Seen, quick: bool) -> list[Result]:
    """Weeks until a planted change raises an alarm, the first one is 1; one more than there are: never."""
    changes: dict[str, Callable[[Seen, NDArray[np.int64], np.random.Generator], Observations]] = {
        "all in capitals": lambda all_, rows, _: all_.capitals.rows(rows),
        "twice as much anger": partial(more, of="anger"),
        "two fifths about sports": partial(more, of=""),
    }
    found = []
    for name, change in changes.items():
        waits = [delay(given, change, seed) for seed in range(4 if quick else EACH)]
        never = float(np.mean(np.array(waits) > CHANGED))
        found.append(
            Result(
                f"{name}: weeks until an alarm", float(np.mean(waits)), "weeks",
                n=len(waits), spread=(min(waits), max(waits)), note=f"{never:.0%} not seen in {CHANGED} weeks",
            )
        )  # fmt: skip
    return found


def delay(
    given: Seen, change: Callable[[Seen, NDArray[np.int64], np.random.Generator], Observations], seed: int
) -> int:
    """The week of the change in which the first alarm comes."""
    rng = np.random.default_rng((seed, 7))
    rows = rng.permutation(len(given.usual))
    watch = Watch(given.usual.rows(rows[:REFERENCE]))
    parts = [rows[REFERENCE + i * WEEK : REFERENCE + (i + 1) * WEEK] for i in range(QUIET + CHANGED)]
    weeks = [given.usual.rows(part) for part in parts[:QUIET]]
    for number, part in enumerate(parts[QUIET:], start=1):
        weeks.append(change(given, part, rng))
        if watch.look(weeks).alarms:
            return number
    return CHANGED + 1


def more(given: Seen, rows: NDArray[np.int64], rng: np.random.Generator, *, of: str) -> Observations:
    """``rows`` with others in the place of some: twice as many of a class, or two fifths of the topic where none is."""
    wanted = given.topic if not of else given.truth[:, given.usual.classes.index(of)]
    share = 0.4 if not of else 2 * wanted.mean()
    count = rng.binomial(len(rows), share)
    others = rng.choice(np.flatnonzero(wanted), count, replace=False)
    rest = rows[~wanted[rows]][: len(rows) - count]
    return given.usual.rows(np.concatenate([others, rest]))


# -- estimated accuracy ------------------------------------------------------------------------------------------------


def estimates(dev: Seen, quick: bool) -> list[Result]:
    """The mean error of the estimated accuracy: how often the likeliest class is one of the labels."""
    words = dev.usual.quality["words"]
    odds = np.exp(np.clip((words - words.mean()) / words.std(), -3, 3))
    found = []
    for name, shifted in (("as judged", False), ("longer sentences", True)):
        rng = np.random.default_rng(11)
        errors, plain = [], []
        for _ in range(20 if quick else DRAWS):
            order = rng.permutation(len(dev.usual))
            judged, rest = order[: len(order) // 2], order[len(order) // 2 :]
            chances = odds[rest] / odds[rest].sum() if shifted else None
            drawn = rng.choice(rest, DRAWN, replace=shifted, p=chances)
            right = hits(dev.usual, dev.truth.astype(np.int64))
            estimator = AccuracyEstimator(dev.usual.rows(judged), dev.truth[judged].astype(np.int64))
            errors.append(100 * abs(estimator.estimate(dev.usual.rows(drawn)).accuracy - right[drawn].mean()))
            plain.append(100 * abs(right[judged].mean() - right[drawn].mean()))
        note = f"taking the judged accuracy itself: {np.mean(plain):.2f}"
        found.append(
            Result(
                f"estimated accuracy, mean error, {name}", float(np.mean(errors)), "points",
                n=DRAWN, seeds=len(errors), spread=(min(errors), max(errors)), note=note,
            )
        )  # fmt: skip
    return found


if __name__ == "__main__":
    main(run)
