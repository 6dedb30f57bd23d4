"""How each section of a model's page is drawn: how it learned, what it confuses, its mistakes, its settings."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emolab.inference.model_document import Checkpoint
from emolab.pages import charts, svg_elements
from emolab.pages.html import Section, Thumbnail, code, columns, details, facts, gallery, paragraph, table
from emolab.pages.svg_elements import Series
from emolab.stats import comparison_words
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import TrainingSet

MISTAKES = 24
THUMBNAIL = 112
#: More classes than this make a matrix nobody can read; then only the tables are shown.
MOST_CLASSES = 24


def fairness(model: Checkpoint, valid: dict[str, Any]) -> list[Section]:
    """Both models side by side, and how far the figures rest on samples that were learned."""
    compared = model.metrics.get("compared")
    lines = [
        *comparison_words.speaker_lines(model.metrics.get("speakers")),
        *comparison_words.learned_lines(model.metrics.get("learned"), valid),
        *comparison_words.comparison_lines(compared),
    ]
    rows = comparison_words.comparison_rows(compared) if compared and compared["against"] else []
    if not compared or not rows:
        return [Section(title="What it was compared with", body="".join(map(paragraph, lines)))] if lines else []
    body = table(["", "this model", compared["against"], "difference", "95 % interval"], rows, numeric=(1, 2, 3))
    return [
        Section(
            title=comparison_words.comparison_title(compared),
            lead=f"Interval: {compared['method']}.",
            body=body + "".join(map(paragraph, lines)),
        )
    ]


def penalties(model: Checkpoint) -> Section:
    """What a solved head shows in place of epochs: the loss by penalty."""
    rows, solved = model.history, model.metrics["solved"]
    x = [math.log10(row["penalty"]) for row in rows]
    drawn = charts.line(
        [
            Series(name="fitted", x=x, y=[row["train_loss"] for row in rows], color=6),
            Series(name="held out", x=x, y=[row["held_loss"] for row in rows], color=1),
        ],
        x_label="penalty, as a power of ten",
        y_label="loss",
        mark_x=math.log10(solved["penalty"]),
        mark_label="kept",
        whole_x=False,
    )
    return Section(
        title="How it learned",
        lead="The backbone stayed as it was and the head was solved exactly. How strongly it is held back was chosen "
        "by cross-validation within the training samples: cross-entropy against the vote distributions.",
        body=columns(
            drawn,
            facts(
                {
                    "penalty": f"{solved['penalty']:.2g}, the best of {len(rows)} tried",
                    "held-out loss": f"{min(row['held_loss'] for row in rows):.4f}",
                    "steps": str(solved["steps"]),
                    "largest slope left": f"{solved['gradient']:.0e}",
                }
            ),
        ),
    )


def curves(model: Checkpoint) -> Section:
    """The loss of training and validation, and the scores, epoch by epoch."""
    rows = model.history
    x = [float(row["epoch"]) for row in rows]
    judged = [row for row in rows if row["valid_loss"] is not None]
    jx = [float(row["epoch"]) for row in judged]
    loss = charts.line(
        [
            Series(name="training", x=x, y=[row["train_loss"] for row in rows], color=6),
            Series(name="validation", x=jx, y=[row["valid_loss"] for row in judged], color=1),
        ],
        x_label="epoch",
        y_label="loss",
        mark_x=float(model.metrics["best_epoch"]) if judged else None,
        mark_label="kept",
    )
    score = charts.line(
        [
            Series(name="accuracy", x=jx, y=[row["accuracy"] for row in judged], color=1),
            Series(name="macro-F1", x=jx, y=[row["macro_f1"] for row in judged], color=2),
        ],
        x_label="epoch",
        y_label="score",
        y_range=(0.0, 1.0),
        y_format=svg_elements.percent,
    )
    return Section(
        title="How it learned",
        lead="Left: cross-entropy against the vote distributions. Right: scores on the validation samples.",
        body=columns(loss, score),
    )


def confusion(model: Checkpoint, valid: dict[str, Any], judge: str) -> Section:
    """Which classes the model takes for which, as a heat map."""
    return Section(
        title="What it confuses",
        lead=f"Rows are the answer of {judge}, columns the model's; colour is the share of the row.",
        body=charts.heatmap(valid["confusion"], model.classes, model.classes),
        wide=len(model.classes) > 10,
    )


def per_class(model: Checkpoint, valid: dict[str, Any], data: TrainingSet) -> Section:
    """Precision, recall and F1 of each class, beside how many samples it was trained and judged on."""
    train = {row["class"]: row["train"] for row in data.composition()}
    rows = [
        [
            row["class"],
            _number(row["precision"]),
            _number(row["recall"]),
            _number(row["f1"]),
            f"{train[row['class']]:,}",
            f"{row['support']:,}",
        ]
        for row in valid["per_class"]
    ]
    return Section(
        title="Class by class",
        lead="F1 is the mean of precision and recall; few training samples explain most low values.",
        body=table(["class", "precision", "recall", "F1", "trained", "judged"], rows, numeric=(1, 2, 4, 5), bars=(3,)),
        wide=len(model.classes) > 10,
    )


def calibration(model: Checkpoint, valid: dict[str, Any]) -> Section:
    """Whether confidence means what it says, before and after temperature, and how near the answers come to votes."""
    before = model.metrics["before_temperature"]
    return Section(
        title="Can its confidence be believed?",
        lead="Bars on the dashed line: of all answers given with 70 % confidence, 70 % are right. Orange is the gap.",
        body=columns(
            charts.reliability(
                before["reliability"], title="As trained", note=f"calibration error {before['ece']:.3f}"
            ),
            charts.reliability(
                valid["reliability"],
                title=f"With temperature {model.temperature:.2f}",
                note=f"calibration error {valid['ece']:.3f}",
            ),
        )
        + paragraph(_votes(before["votes"], valid["votes"])),
    )


def _votes(before: dict[str, Any], after: dict[str, Any]) -> str:
    """How near the answers come to the votes, in words."""
    near = (
        f"Against the votes themselves, not only their winners: cross-entropy {after['cross_entropy']:.3f} "
        f"({before['cross_entropy']:.3f} before temperature), Brier score {after['brier']:.3f} ({before['brier']:.3f})."
    )
    found = after["entropy_correlation"]
    if found is None:
        return near + " People agreed about every sample alike, so their doubt cannot be compared with the model's."
    return f"{near} As unsure as people are: rank correlation {found:.2f} between its entropy and that of the votes."


def mistakes(
    model: Checkpoint,
    data: TrainingSet,
    pixels: Pixels,
    probs: NDArray[np.float32],
    judge: str,
    *,
    hidden: Collection[str] = (),
) -> list[Section]:
    """The answers it was surest of among the wrong ones, as pictures; no section when there is none to show.

    Samples whose ids are ``hidden`` are left out.
    """
    truth = data.hard[data.valid]
    seen = np.array([data.ids[i] not in hidden for i in data.valid.tolist()], dtype=bool)
    wrong = np.flatnonzero((probs.argmax(axis=1) != truth) & seen)
    worst = wrong[np.argsort(-probs[wrong].max(axis=1), kind="stable")][:MISTAKES]
    images = pixels.take(data.valid[worst])
    shown = [
        Thumbnail(
            image=thumbnail(image),
            title=model.classes[int(probs[row].argmax())],
            note=f"{probs[row].max():.0%} sure; {judge}: {model.classes[int(truth[row])]} "
            f"{data.targets[data.valid[row], truth[row]]:.0%}",
            tone="bad",
        )
        for row, image in zip(worst, images, strict=True)
    ]
    if not shown:
        return []
    return [
        Section(
            title="Most confident mistakes",
            lead="Look here first: wrong labels, ambiguous faces and blind spots gather at the top.",
            body=gallery(shown),
        )
    ]


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """A JPEG of decoded pixels (size, size, channels), 112 pixels wide."""
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    out = io.BytesIO()
    picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()


def composition(data: TrainingSet) -> Section:
    """How many samples of each class there were to train and to validate on."""
    rows = data.composition()[:MOST_CLASSES]
    body = charts.bars(
        {row["class"]: float(row["train"]) for row in rows}, second={row["class"]: float(row["valid"]) for row in rows}
    )
    return Section(
        title="What it saw",
        lead=f"Samples per class to train on, below them the validation samples. Snapshot {data.snapshot[:16]}.",
        body=body,
        wide=False,
    )


def settings(model: Checkpoint) -> Section:
    """What was asked for and what came of it, with every setting folded in below."""
    plan, metrics = model.plan, model.metrics
    shown = {
        "backbone": f"{model.backbone}, {metrics['parameters'] / 1e6:.2f} million weights",
        "weights": "from scratch"
        if model.backbone == "tiny" and plan["weights"] == "default"
        else str(plan["weights"]),
        "input": model.preprocessing.words,
        **_learning(plan, metrics),
        "seed": str(plan["seed"]),
    }
    folded = details("Every setting", code(json.dumps(dict(plan), indent=2)))
    hint = paragraph("The same settings on the same snapshot give the same model.")
    return Section(title="How it was made", body=facts(shown) + folded + hint, wide=False)


def _learning(plan: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, str]:
    solved = metrics.get("solved")
    if solved:
        return {
            "head": f"solved in {solved['steps']} steps to a gradient of {solved['gradient']:.0e}; "
            f"penalty {solved['penalty']:.2g}, the best of {metrics['epochs']}"
        }
    return {
        "epochs": f"{metrics['epochs']} of {plan['epochs']}, {plan['head_epochs']} of them for the head alone; "
        f"kept the {_ordinal(metrics['best_epoch'])}",
        "learning": f"{plan['optimizer']}, rate {plan['lr']:g}, batch {plan['batch']}, {metrics['precision']}",
        "augmentation": f"{plan['augmentation']}, strength {plan['strength']:g}",
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _ordinal(n: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10 if n % 100 not in (11, 12, 13) else 0, "th")
    return f"{n}{ending}"
