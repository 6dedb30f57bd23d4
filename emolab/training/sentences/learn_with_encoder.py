"""A model of sentences from an encoder in a local folder: frozen or fine-tuned, asked together with n-grams.

1. Frozen (``training.mode=head``): features are computed once, and the heads are solved on them. Fine-tuned
   (``training.mode=full``): the encoder learns too, see :mod:`emolab.training.sentences.fine_tune`.
2. Sentences that were held out are judged by the encoder's head and by n-grams: all of them in five folds where the
   encoder is frozen, a tenth of them where it is fine-tuned. They choose the share of the encoder (lowest log loss),
   the threshold of each class (best F1), and then the temperature of both together.
3. The head on frozen features and the n-grams that are kept come from all sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emolab.config import TrainingConfig
from emolab.modalities.own_models import OwnLearnt
from emolab.modalities.text.learn import (
    ALSO,
    LearnedText,
    folds,
    judged_out_of_fold,
    learn,
    readable,
    strength_of,
    targets_of,
)
from emolab.modalities.text.text_calibration import calibrated, honest
from emolab.progress import SILENT, Progress
from emolab.stats import multilabel, sparse_logistic
from emolab.stats.search_space import Between, OneOf, SearchSpace
from emolab.stats.sparse_logistic import sigmoid
from emolab.training.fitting.devices import cpu_threads, pick_device
from emolab.training.sentences.encoder import Encoder, quicker, read_encoder
from emolab.training.sentences.encoder_model import EncoderModel, mixed
from emolab.training.sentences.fine_tune import FineTuning, fine_tune

Floats = NDArray[np.float32]
#: Shares of the encoder that are tried.
SHARES = tuple(i / 10 for i in range(11))


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """``tuning`` is ``None`` for a frozen encoder; ``strength`` is that of the heads on its features.

    ``held_out`` is one part in so many that judges a fine-tuned encoder, ``folds`` those of a frozen one.
    """

    tuning: FineTuning | None = None
    strength: float = 0.1
    tolerance: float = 5e-2
    folds: int = 5
    held_out: int = 10
    seed: int = 0


@dataclass(frozen=True)
class _Judged:
    """What the ``encoder`` says, log-odds (m, k), of sentences that were held out.

    ``rows`` (m,) says which, ``fold`` (m,) in which part each lies.
    """

    rows: NDArray[np.int64]
    fold: NDArray[np.int64]
    encoder: Floats


@dataclass(frozen=True)
class LearnedWithEncoder:
    """The ``model``, and macro-F1 on held-out sentences of the encoder ``alone``, of ``ngrams``, and of ``both``."""

    model: EncoderModel
    alone: float
    ngrams: float
    both: float


def learn_with_encoder(
    folder: Path,
    sentences: Sequence[str],
    targets: Floats,
    classes: Sequence[str],
    *,
    groups: Sequence[str | None] | None = None,
    counted: NDArray[np.bool_] | None = None,
    ngrams: LearnedText | None = None,
    settings: EncoderSettings | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> LearnedWithEncoder:
    """The model for ``sentences`` (n) and soft ``targets`` (n, k), as in :func:`emolab.modalities.text.learn.learn`.

    ``ngrams`` is what that made of the same sentences, where it is there already.
    Raises :class:`DataError` for a ``folder`` that holds no encoder and where there is too little to learn from.
    """
    wanted = settings or EncoderSettings()
    known = np.ones(targets.shape, bool) if counted is None else counted
    encoder = read_encoder(folder, device=pick_device(device))
    told = ngrams or learn(
        sentences, targets, classes, groups=groups, counted=counted, seed=wanted.seed, progress=progress
    )
    lesson = _Lesson(encoder, sentences, np.ascontiguousarray(targets, np.float32), known, tuple(classes), progress)
    if wanted.tuning is None:
        fold = folds(len(sentences), wanted.folds, groups=groups, seed=wanted.seed)
        head, judged = _frozen(lesson, fold, wanted)
    else:
        fold = folds(len(sentences), wanted.held_out, groups=groups, seed=wanted.seed)
        head, judged = _tuned(lesson, fold == 0, wanted.tuning)
    return _chosen(lesson, head, told, judged, about={"settings": asdict(wanted)}, source=folder)


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What an encoder learns from: ``sentences`` (n), ``targets`` (n, k), and what is ``known`` (n, k) of them."""

    encoder: Encoder
    sentences: Sequence[str]
    targets: Floats
    known: NDArray[np.bool_]
    classes: tuple[str, ...]
    progress: Progress


def _frozen(lesson: _Lesson, fold: NDArray[np.int64], wanted: EncoderSettings) -> tuple[tuple[Floats, Floats], _Judged]:
    """The head on features as they are, and what heads of other folds say of each sentence."""
    from scipy.sparse import csr_matrix

    found = lesson.encoder.features(lesson.sentences, half=quicker(lesson.encoder), progress=lesson.progress)
    middle, spread = found.mean(axis=0), found.std(axis=0) + 1e-6
    found = (found - middle) / spread

    def solved(rows: NDArray[np.bool_]) -> sparse_logistic.SparseHead:
        return sparse_logistic.solve(
            csr_matrix(found[rows]),
            lesson.targets[rows],
            strength=wanted.strength,
            counted=lesson.known[rows],
            tolerance=wanted.tolerance,
        )

    held = np.zeros(lesson.targets.shape, np.float32)
    with lesson.progress.task("Heads on the encoder", int(fold.max()) + 2, unit="fits") as task:
        for part in range(int(fold.max()) + 1):
            head = solved(fold != part)
            held[fold == part] = found[fold == part] @ head.weight + head.bias
            task.advance()
        head = solved(np.ones(len(fold), bool))
        task.advance()
    weight = (head.weight / spread[:, None]).astype(np.float32)
    bias = (head.bias - middle @ weight).astype(np.float32)
    return (weight, bias), _Judged(np.arange(len(fold)), fold, held)


def _tuned(lesson: _Lesson, mine: NDArray[np.bool_], tuning: FineTuning) -> tuple[tuple[Floats, Floats], _Judged]:
    """The head, encoder and head having learned from all sentences but ``mine`` (n,), and what they say of those."""
    others, rows = np.flatnonzero(~mine), np.flatnonzero(mine)
    weight, bias = fine_tune(
        lesson.encoder,
        [lesson.sentences[i] for i in others.tolist()],
        lesson.targets[others],
        counted=lesson.known[others],
        settings=tuning,
        progress=lesson.progress,
    )
    found = lesson.encoder.features([lesson.sentences[i] for i in rows.tolist()], progress=lesson.progress)
    return (weight, bias), _Judged(rows, np.arange(len(rows)) % 2, found @ weight + bias)


def _chosen(
    lesson: _Lesson,
    head: tuple[Floats, Floats],
    told: LearnedText,
    judged: _Judged,
    *,
    about: Mapping[str, Any],
    source: Path,
) -> LearnedWithEncoder:
    """Both together, with the share and the thresholds that the held-out sentences choose."""
    truth = lesson.targets[judged.rows] >= ALSO
    ngrams = multilabel.log_odds(told.held_out[judged.rows]).astype(np.float32)
    loss = [_log_loss(mixed(judged.encoder, ngrams, share), truth) for share in SHARES]
    share = SHARES[int(np.argmin(loss))]

    def figures(share: float) -> dict[str, Any]:
        return judged_out_of_fold(truth, sigmoid(mixed(judged.encoder, ngrams, share)), judged.fold, lesson.classes)

    logits, known = mixed(judged.encoder, ngrams, share), lesson.known[judged.rows]
    both = figures(share) | honest(logits, truth, known, judged.fold)
    found = multilabel.best_thresholds(truth, sigmoid(logits))
    calibration, thresholds = calibrated(logits, truth, known, found)
    model = EncoderModel(
        classes=lesson.classes,
        thresholds=thresholds,
        encoder=lesson.encoder,
        weight=head[0],
        bias=head[1],
        ngrams=told.model,
        share=share,
        source=source,
        calibration=calibration,
        about={
            **about,
            "n": len(lesson.sentences),
            "steps": told.model.about["steps"],
            "metrics": {"held_out": both},
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return LearnedWithEncoder(model, figures(1.0)["macro_f1"], figures(0.0)["macro_f1"], both["macro_f1"])


def _log_loss(logits: Floats, truth: NDArray[np.bool_]) -> float:
    return float((np.logaddexp(0, logits) - truth * logits).mean())


def learn_media(
    media: Sequence[bytes | Path],
    shares: NDArray[np.floating[Any]],
    classes: Sequence[str],
    *,
    supported: NDArray[np.bool_],
    groups: Sequence[str | None],
    config: TrainingConfig,
    progress: Progress,
) -> OwnLearnt:
    """:func:`learn_with_encoder` from files of one sentence each and distributions of votes; see :class:`Learner`."""
    sentences, kept, left_out = readable(media)
    settings = settings_of(config)
    with cpu_threads(config.threads or torch.get_num_threads()):
        learnt = learn_with_encoder(
            Path(config.weights).expanduser(),
            sentences,
            targets_of(shares[kept]),
            classes,
            groups=[groups[i] for i in kept],
            counted=supported[kept],
            settings=settings,
            device=config.device,
            progress=progress,
        )
    progress.note(
        f"Macro-F1 on sentences that were held out: {learnt.alone:.3f} by the encoder, {learnt.ngrams:.3f} by n-grams, "
        f"{learnt.both:.3f} by both."
    )
    return OwnLearnt(
        model=learnt.model,
        backbone="encoder",
        settings=learnt.model.about["settings"],
        steps=learnt.model.about["steps"],
        penalty=1 / settings.strength,
        left_out=left_out,
    )


def settings_of(config: TrainingConfig) -> EncoderSettings:
    """What the section training asks for; what is not set there is as :class:`FineTuning` has it."""
    if config.mode == "head":
        made = EncoderSettings(seed=config.seed)
        return made if config.weight_decay is None else replace(made, strength=strength_of(config.weight_decay))
    asked: dict[str, Any] = {
        "epochs": config.epochs,
        "batch": config.batch,
        "lr": config.lr,
        "decay": config.depth_decay,
        "weight_decay": config.weight_decay,
        "dropout": config.dropout,
    }
    tuning = FineTuning(precision=config.precision, seed=config.seed)
    tuning = replace(tuning, **{key: value for key, value in asked.items() if value is not None})
    return EncoderSettings(tuning=tuning, seed=config.seed)


def search_space(config: TrainingConfig) -> SearchSpace:
    """What may be tried: the penalty of a frozen encoder's heads, or how a fine-tuned one learns."""
    if config.mode == "head":
        return {"training.weight_decay": Between(1.0, 10.0, log=True)}
    usual = FineTuning()
    return {
        "training.lr": Between(usual.lr / 5, usual.lr * 5, log=True),
        "training.depth_decay": OneOf((0.8, 0.9, 0.95)),
        "training.weight_decay": Between(usual.weight_decay / 10, usual.weight_decay * 10, log=True),
        "training.dropout": Between(0.0, 0.3),
        "training.batch": OneOf((usual.batch // 2, usual.batch, usual.batch * 2)),
        "training.epochs": OneOf((1, 2, 3, 4)),
    }
