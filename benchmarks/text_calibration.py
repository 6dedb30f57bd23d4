"""How far probabilities of sentences mean what they say: GoEmotions, models of n-grams from few and from all sentences.

Everything is fitted out-of-fold on the training sentences that were drawn; the dev sentences judge and choose nothing.
Beside the temperature, which moves each class about its own share, stands what was there before it, a temperature that
divides log-odds as they are, and a slope and a shift for each class (Platt 1999). Needs the test data pack
(EMOLAB_TEST_DATA).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from benchmarks.harness import Result, main, summary
from benchmarks.text import EKMAN, Sentences
from emolab.inference import uncertainty
from emolab.modalities.text.learn import learn
from emolab.stats import class_temperature, multilabel
from emolab.stats.class_temperature import ClassTemperature
from emolab.stats.sparse_logistic import sigmoid

#: How many training sentences are drawn, and how often; ``None`` are all of them.
DRAWS: tuple[tuple[int | None, int], ...] = ((200, 10), (300, 10), (600, 10), (3000, 5), (None, 1))
QUICK: tuple[tuple[int | None, int], ...] = ((300, 2), (600, 2))
#: From this probability on the models count as sure.
SURE = 0.9

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Log-odds (m, k) of training sentences out-of-fold, ``truth`` (m, k), log-odds of dev (n, k), and what they fit.

    The temperature is fitted however few sentences there are.
    """

    made: ClassTemperature
    held: Floats
    truth: NDArray[np.bool_]
    dev: Floats


def run(quick: bool) -> list[Result]:
    """Log loss, calibration error and right answers on dev, what the sets hold, and the temperatures."""
    data = Sentences(EKMAN, quick, few=(3000, 1500))
    rows: list[Result] = []
    for size, times in QUICK if quick else DRAWS:
        n = size or len(data.texts)
        drawn = [draw(data, n, seed) for seed in range(times)]
        rows += judged(f"{n:,} sentences", data, drawn)
    return rows


def draw(data: Sentences, n: int, seed: int) -> Drawn:
    """The model of ``n`` training sentences."""
    chosen = np.sort(np.random.default_rng([seed, n]).permutation(len(data.texts))[:n])
    truth = data.truth[chosen]
    learnt = learn([data.texts[i] for i in chosen], truth.astype(np.float32), data.classes, seed=seed)
    held = multilabel.log_odds(learnt.held_out)
    made = class_temperature.fit(held, truth, fewest=1)
    return Drawn(made, held, truth, learnt.model.logits(data.dev).astype(np.float64))


def judged(name: str, data: Sentences, drawn: list[Drawn]) -> list[Result]:
    """Rows of all ways and of the sets."""
    ways: dict[str, Callable[[Drawn], NDArray[np.floating]]] = {
        "before": lambda one: sigmoid(one.dev),
        "temperature": lambda one: one.made.probabilities(one.dev),
        "log-odds divided": lambda one: sigmoid(one.dev / divided(one.held, one.truth)),
        "slope and shift a class": platt,
    }
    n, times = len(data.dev), len(drawn)
    rows, found = [], {way: [figures(data, said(one)) for one in drawn] for way, said in ways.items()}
    for key in ("log loss", "calibration error", "likeliest class applies"):
        for way, values in found.items():
            middle, spread = summary([value[key] for value in values])
            rows.append(Result(f"{name}, {way}: {key}", middle, "", n=n, seeds=times, spread=spread))
    for way in ("before", "temperature"):
        sure = [each for one in drawn if (each := above(data.answers, ways[way](one))) is not None]
        if not sure:
            continue
        middle, spread = summary([applies for applies, _, _ in sure])
        note = (
            f"said {np.mean([said for _, said, _ in sure]):.3f} on average, {np.mean([m for *_, m in sure]):,.0f} times"
        )
        what = f"{name}, {way}: applies where {SURE:.0%} or more is said"
        rows.append(Result(what, middle, "", n=n, seeds=len(sure), spread=spread, note=note))
    worse = sum(a["log loss"] > b["log loss"] for a, b in zip(found["temperature"], found["before"], strict=True))
    rows.append(Result(f"{name}: higher log loss through the temperature", worse, f"of {times}", n=n, seeds=times))
    changed = sum(not np.array_equal(*labels(one)) for one in drawn)
    rows.append(Result(f"{name}: labels changed by the temperature", changed, f"of {times}", n=n, seeds=times))
    middle, spread = summary([one.made.value for one in drawn])
    rows.append(Result(f"{name}: temperature", middle, "", n=len(drawn[0].truth), seeds=times, spread=spread))
    checked = [sets(one, data.answers) for one in drawn]
    for place, coverage in enumerate(uncertainty.COVERAGES):
        reached = [found[place]["reached"] for found in checked]
        mean, size = float(np.mean(reached)), np.mean([found[place]["size"] for found in checked])
        note = f"mean; {size:.2f} of {len(data.classes)} classes a set"
        what = f"{name}: sets stated {coverage:.0%} hold all labels"
        rows.append(Result(what, mean, "", n=n, seeds=times, spread=(min(reached), max(reached)), note=note))
    return rows


def figures(data: Sentences, probs: NDArray[np.floating]) -> dict[str, float]:
    """What ``probs`` (n, k) of dev are worth."""
    found = multilabel.honesty(data.answers, probs)
    right = data.answers[np.arange(len(probs)), probs.argmax(axis=1)].mean()
    return {
        "log loss": found["log_loss"],
        "calibration error": found["ece"],
        "likeliest class applies": float(right),
    }


def above(answers: NDArray[np.bool_], probs: NDArray[np.floating]) -> tuple[float, float, int] | None:
    """How often a class applies whose probability is :data:`SURE` or more, the mean of these, and how many they are.

    ``None`` where there are none.
    """
    sure = probs >= SURE
    return (float(answers[sure].mean()), float(probs[sure].mean()), int(sure.sum())) if sure.any() else None


def labels(one: Drawn) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The labels of dev without the temperature and with it."""
    found = multilabel.best_thresholds(one.truth, sigmoid(one.held))
    carried = one.made.thresholds(found)
    return multilabel.labels(sigmoid(one.dev), found), multilabel.labels(one.made.probabilities(one.dev), carried)


def sets(one: Drawn, answers: NDArray[np.bool_]) -> list[dict[str, float]]:
    """What sets that were fitted out-of-fold hold of dev."""
    stated = uncertainty.fit(one.made.probabilities(one.held), one.truth)
    return uncertainty.check(stated, one.made.probabilities(one.dev), answers)


def loss(logits: Floats, truth: NDArray[np.bool_]) -> float:
    """The mean log loss of all classes."""
    return float((np.logaddexp(0, logits) - truth * logits).mean())


def divided(held: Floats, truth: NDArray[np.bool_]) -> float:
    """The number by which log-odds as they are have the least log loss."""
    found = minimize_scalar(lambda log_t: loss(held / np.exp(log_t), truth), bounds=(-2.3, 2.3), method="bounded")
    return float(np.exp(found.x))


def platt(one: Drawn) -> NDArray[np.float32]:
    """Probabilities (n, k) of dev by a slope and a shift for each class."""
    moved = np.empty_like(one.dev)
    for j in range(one.dev.shape[1]):
        held, truth = one.held[:, j], one.truth[:, j]

        def worth(numbers: Floats, held: Floats = held, truth: NDArray[np.bool_] = truth) -> float:
            return loss(numbers[0] * held + numbers[1], truth)

        slope, shift = minimize(worth, np.array([1.0, 0.0]), method="Nelder-Mead").x
        moved[:, j] = slope * one.dev[:, j] + shift
    return sigmoid(moved)


if __name__ == "__main__":
    main(run)
