"""The bundled network face48 on FER+ valid, as it answers at work: accuracy, sets of classes, maps, images per second.

It runs as `emolab predict` runs it, without PyTorch. The sets are fitted on one half of the images and checked on the
other; the maps stand the deletion test (Petsiuk, Das, Saenko 2018) beside random ones. Needs the test data pack
(EMOLAB_TEST_DATA or ../shared). What seeds and teachers change was measured with scripts/face48.py.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, interleave, main, ratio
from emolab.config import CollectConfig
from emolab.datasets.benchmark_set import EvaluationSet, evaluation_set
from emolab.inference import uncertainty
from emolab.inference.activation import activation
from emolab.inference.saliency import deletion, occlusion
from emolab.inference.served_model import ServedModel
from emolab.loop.model.open_model import open_model
from emolab.serving.predictor import Predictor
from emolab.stats import metrics

HALVES = 100


def valid() -> EvaluationSet:
    """Return the images of FER+ valid that the official protocol judges, with their majority class."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared") / "data"
    if not (root / "ferplus_valid.zip").is_file():
        sys.exit(f"The test data pack is not at {root.parent}; set EMOLAB_TEST_DATA.")
    return evaluation_set(f"ferplus:{root / 'ferplus_valid.zip'}", open_model(None, "face48").classes)


def answered(model: ServedModel, judged: EvaluationSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the probabilities (n, 8) that `emolab predict` gives for some of the images."""
    predictor = Predictor(model, CollectConfig(faces="off"))
    return np.stack([answer.faces[0].probs for answer in predictor.predict(media(judged, rows))])


def media(judged: EvaluationSet, rows: NDArray[np.int64]) -> list[tuple[str, Any]]:
    """Return name and bytes of some images."""
    found = [(judged.names[i], judged.media[i]) for i in rows.tolist()]
    return [(name, given() if callable(given) else given) for name, given in found]


def figures(judged: EvaluationSet, rows: NDArray[np.int64], truth: NDArray[np.int64]) -> list[Result]:
    """Return what it is worth with mirror images and alone, and what its sets of classes hold."""
    found = []
    for flips, name in ((True, "with mirror images"), (False, "each image alone, as exported")):
        model = open_model(None, "face48", threads=1, flips=flips)
        probs = answered(model, judged, rows)
        reached = metrics.summary(probs, truth, model.classes)
        for key, label, unit, scale in (
            ("accuracy", "accuracy", "%", 100), ("macro_f1", "macro-F1", "", 1), ("ece", "ECE", "", 1),
        ):  # fmt: skip
            found.append(Result(f"{name}: {label}", scale * reached[key], unit, n=len(truth)))
        if flips:
            found += sets(probs, truth)
    return found


def sets(probs: NDArray[np.float32], truth: NDArray[np.int64]) -> list[Result]:
    """Return how often sets fitted on one half hold the right class of the other half, and how large they are."""
    rng = np.random.default_rng(0)
    halves = []
    for _ in range(HALVES):
        order = rng.permutation(len(truth))
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        halves.append(uncertainty.check(uncertainty.fit(probs[one], truth[one]), probs[other], truth[other]))
    found = []
    for place, coverage in enumerate(uncertainty.COVERAGES):
        reached, size = (np.array([half[place][key] for half in halves]) for key in ("reached", "size"))
        low, high = 100 * float(reached.min()), 100 * float(reached.max())
        found.append(
            Result(
                f"sets stated to hold the right class in {coverage:.0%}", 100 * float(reached.mean()), "%",
                n=len(truth) // 2, seeds=HALVES, spread=(low, high), note=f"{size.mean():.2f} classes a set",
            )
        )  # fmt: skip
    return found


def maps(judged: EvaluationSet, rows: NDArray[np.int64]) -> list[Result]:
    """Return the mean probability left when what a map calls important is taken away first, and by random maps."""
    model = open_model(None, "face48", threads=1)
    reader = Predictor(model, CollectConfig(faces="off"))
    look = activation(model)
    assert look is not None, "the file of face48 has a feature map"
    rng = np.random.default_rng(1)
    covered, activated, random = [], [], []
    seconds = np.zeros(2)
    for name, data in media(judged, rows):
        pixels = reader.read(name, data).crops[0].pixels
        best = int(model.probabilities(pixels[None])[0].argmax())
        began = time.process_time()
        by_map = look(pixels, best)
        between = time.process_time()
        by_covering = occlusion(model.probabilities, pixels, best)
        seconds += (between - began, time.process_time() - between)
        activated.append(deletion(model.probabilities, pixels, best, by_map))
        covered.append(deletion(model.probabilities, pixels, best, by_covering))
        blocks = [np.kron(rng.random((6, 6)), np.ones((8, 8))) for _ in range(5)]
        random.append(np.mean([deletion(model.probabilities, pixels, best, one) for one in blocks]))
    found = []
    for name, ours, cost in zip(("activation", "occlusion"), (activated, covered), seconds / len(rows), strict=True):
        better = float(np.mean(np.array(ours) < np.array(random)))
        note = f"lower for {better:.0%}; {1000 * cost:.3g} ms of a core a face"
        found.append(Result(f"deletion test, {name} map", float(np.mean(ours)), "", n=len(rows), note=note))
    return [
        *found,
        Result("deletion test, random maps", float(np.mean(random)), "", n=len(rows), note="5 an image"),
    ]


def speed(judged: EvaluationSet, rows: NDArray[np.int64]) -> list[Result]:
    """Return images per CPU second of `emolab predict` beside the bare runtime on the same batches."""
    model = open_model(None, "face48", threads=1)
    predictor = Predictor(model, CollectConfig(faces="off"), threads=1)
    pictures = media(judged, rows)
    pixels = np.stack([predictor.read(name, data).crops[0].pixels for name, data in pictures])

    def bare() -> None:
        for start in range(0, len(pixels), 64):
            model.probabilities(pixels[start : start + 64])

    taken = interleave({"bare": bare, "predict": lambda: list(predictor.predict(pictures))}, 5)
    share, (low, high) = ratio(taken, "bare", "predict")
    return [Result("images per CPU second, of the bare runtime's", share, "", n=len(rows), seeds=5, spread=(low, high))]


def run(quick: bool) -> list[Result]:
    """Judge all images, or with `quick` 400 of them."""
    judged = valid()
    rows = np.arange(len(judged.names), dtype=np.int64)
    if quick:
        rows = np.random.default_rng(0).permutation(rows)[:400]
    truth = np.asarray(judged.targets, dtype=np.int64)[rows]
    few = np.random.default_rng(2).permutation(rows)
    return [*figures(judged, rows, truth), *maps(judged, few[: 8 if quick else 60]), *speed(judged, few[:256])]


if __name__ == "__main__":
    main(run)
