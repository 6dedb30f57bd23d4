"""Train voice16, the model of voices that comes with emolab, from RAVDESS speech and put it into the package.

    python -m scripts.voice16 --data ravdess_speech_16k.zip --work DIR

All speakers of the data are learned from, by the recipe of `benchmarks/voice16.py`. What the model is worth, and how
sure it may be, five models made in the same way say, each about four speakers that it has not heard. Everything is kept
in DIR, so a stopped run goes on when it is started again. The last step halves the precision of the weights, and writes
the model, its figures and which clips it has learned from (``learned.safetensors``) into the package.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import speech, voice16
from benchmarks.speech import CLASSES, Voices
from benchmarks.voice16 import LEVELS, SETTINGS, HeldOut
from emolab.catalog.storage.engine import now
from emolab.inference import uncertainty
from emolab.inference.model_document import DOCUMENT, Checkpoint, describe
from emolab.inference.probabilities import softmax
from emolab.stats import metrics
from emolab.training import checkpoint
from emolab.training.export.export import export
from emolab.training.export.light import write_light
from emolab.training.judging.calibrate import fit_temperature
from emolab.training.learned import fingerprints, learned_images
from emolab.training.networks.bundled import ABOUT, ROOT
from emolab.training.runs.runs import settings
from scripts.packing import halved

FOLDER = ROOT / "voice16"
#: What the clips are called in the record of what the model learned from, and in its figures.
LEARNED = "RAVDESS speech"
PROTOCOL = (
    "Each clip was judged by one of five models that were made in the same way as this one, but without its speaker "
    "and three others. This one has learned from all of them."
)


def train(known: Voices, work: Path, **chosen: Any) -> Path:
    """The folder in ``work`` of the network that has learned from all clips; it is trained unless it is there."""
    folder = work / "all"
    if (folder / DOCUMENT).is_file():
        return folder
    fitted, plan = speech.trained(known, np.arange(len(known.ids), dtype=np.int64), **SETTINGS, **chosen)
    snapshot = hashlib.sha256(json.dumps([*zip(known.ids, known.truth.tolist(), strict=True)]).encode()).hexdigest()
    made = Checkpoint(
        id=checkpoint.identity(settings(plan), snapshot, fitted.weights),
        classes=CLASSES,
        backbone=plan.backbone,
        size=plan.size,
        color=plan.color,
        mean=fitted.mean,
        std=fitted.std,
        temperature=1.0,
        plan=settings(plan),
        snapshot=snapshot,
        created_at=now(),
        made_by=checkpoint.made_by(),
        metrics={
            "n_train": len(known.ids),
            "epochs": len(fitted.history),
            "best_epoch": fitted.best_epoch + 1,
            "minutes": fitted.seconds / 60,
            "precision": fitted.precision,
            "layout": fitted.layout,
            "parameters": fitted.parameters,
            "solved": None,
        },
        history=tuple(fitted.history),
    )
    checkpoint.write(folder, made, fitted.weights)
    return folder


def pack(folder: Path, judged: Sequence[HeldOut], out: Path) -> None:
    """Write the model in ``folder`` to ``out`` with weights of half precision and what the folds say of it."""
    made, weights = checkpoint.read(folder)
    half = halved(weights)
    logits, truth = (np.concatenate([getattr(fold, name) for fold in judged]) for name in ("logits", "truth"))
    temperature = fit_temperature(logits, truth)
    probs = softmax(logits, temperature)
    before = voice16.figures(logits, truth)
    measured = voice16.figures(logits, truth, temperature)
    figures = {
        "valid": measured,
        "folds": {"n": len(judged), "protocol": PROTOCOL, "conditions": conditions(judged, temperature)},
        "conformal": {"off": uncertainty.fit(probs, truth)},
        "before_temperature": {key: before[key] for key in ("nll", "ece", "brier", "reliability")},
    }
    made = replace(
        made,
        id=checkpoint.identity(made.plan, made.snapshot, half),
        temperature=temperature,
        metrics={**made.metrics, **figures},
    )
    checkpoint.write(out, made, half)
    shutil.copyfile(Path(__file__).with_name("voice16_about.md"), out / ABOUT)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "model.onnx"
        export(out, file, to="onnx", flips=False)
        write_light(out, file)


def conditions(judged: Sequence[HeldOut], temperature: float) -> list[dict[str, Any]]:
    """Means over the folds of what the answers are worth: in all, by the sex of the speaker, and in noise."""
    asked = [("all", [(fold.logits, fold.truth) for fold in judged])]
    for sex, odd in (("women", 0), ("men", 1)):
        rows = [fold.actors % 2 == odd for fold in judged]
        asked.append((sex, [(f.logits[some], f.truth[some]) for f, some in zip(judged, rows, strict=True)]))
    asked += [(f"noise at {db} dB", [(fold.noisy[db], fold.truth) for fold in judged]) for db in LEVELS]
    found = []
    for name, parts in asked:
        one = [metrics.summary(softmax(logits, temperature), truth, CLASSES) for logits, truth in parts]
        kept = {key: float(np.mean([row[key] for row in one])) for key in ("balanced_accuracy", "macro_f1", "ece")}
        found.append({"name": name, "n": sum(len(truth) for _, truth in parts), **kept})
    return found


def record(known: Voices, out: Path) -> int:
    """Write beside the model in ``out`` which clips it has learned from; how many they are."""
    found = learned_images.Learned().with_images(fingerprints.of_media(known.media), LEARNED)
    learned_images.write(out / learned_images.FILE, found)
    return found.n


def main(words: Sequence[str] | None = None) -> None:
    """Parse the command line, train, pack and say where the model is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="RAVDESS speech, a folder or zip")
    parser.add_argument(
        "--work", type=Path, required=True, help="where to work: a new folder, or that of a stopped run"
    )
    parser.add_argument("--epochs", type=int, help="of a training; default: the recipe")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where to write the model; default: the package")
    parser.add_argument("--train-only", action="store_true", help="train on all clips, and end")
    chosen = parser.parse_args(words)
    data, work, out = (path.resolve() for path in (chosen.data, chosen.work, chosen.out))
    known = speech.voices(data, voice16.SIZE)
    folder = train(known, work, epochs=chosen.epochs)
    if chosen.train_only:
        return
    pack(folder, voice16.folds(data, work / "folds", epochs=chosen.epochs), out)
    n = record(known, out)
    print(f"{describe(out).backbone} is in {out}, with a record of the {n:,} clips it has learned from.")


if __name__ == "__main__":
    main()
