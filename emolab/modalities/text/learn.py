"""A model of sentences from labelled sentences: heads solved exactly, thresholds found on sentences they never saw.

1. N-grams are counted once. In each of five folds, weights and heads come from the other four and judge the fifth.
2. Each class's threshold is the one with the best F1 over all those judgements (out-of-fold). They fit the temperature
   too, and the sets that hold all labels of a sentence; thresholds are then carried over, so labels stay as they were.
3. The heads that are kept come from all sentences.

Every choice in :class:`TextSettings` was made by cross-validation on GoEmotions' training sentences
(``python -m benchmarks.text``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DataError
from emolab.modalities.own_models import OwnLearnt
from emolab.modalities.text import tfidf
from emolab.modalities.text.ngrams import NgramConfig, NgramCounts, count_ngrams
from emolab.modalities.text.sentence import read_sentences
from emolab.modalities.text.text_calibration import calibrated, honest
from emolab.modalities.text.text_model import TextModel
from emolab.progress import SILENT, Progress
from emolab.stats import multilabel, sparse_logistic
from emolab.stats.search_space import Between, SearchSpace
from emolab.stats.sparse_logistic import SparseHead

Floats = NDArray[np.floating[Any]]
#: From this share of what the leading class has, a class is a label of the sentence too.
ALSO = 0.5


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """``strength`` and ``floor``: see :mod:`emolab.stats.sparse_logistic`; ``least``: sentences an n-gram needs."""

    ngrams: NgramConfig = field(default_factory=NgramConfig)
    least: int = 2
    strength: float = 0.3
    floor: float = 0.25
    folds: int = 5
    tolerance: float = 5e-2


@dataclass(frozen=True)
class LearnedText:
    """The ``model``, and what its heads said of each training sentence (n, k) while that was held out.

    That is before the temperature.
    """

    model: TextModel
    held_out: NDArray[np.float32]


def targets_of(distributions: Floats) -> NDArray[np.float32]:
    """How much each class applies (n, k), 0..1, by a distribution of votes: its share against that of the leader.

    So two classes that everybody named both count in full, and one that a fifth as many named as the leader counts 0.2.

    >>> targets_of(np.array([[0.5, 0.5, 0.0], [0.1, 0.5, 0.4]])).round(2).tolist()
    [[1.0, 1.0, 0.0], [0.20000000298023224, 1.0, 0.800000011920929]]
    """
    most = distributions.max(axis=1, keepdims=True)
    found: NDArray[np.float32] = np.divide(distributions, most, out=np.zeros(distributions.shape), where=most > 0)
    return found.astype(np.float32)


def learn(
    sentences: Sequence[str],
    targets: Floats,
    classes: Sequence[str],
    *,
    groups: Sequence[str | None] | None = None,
    counted: NDArray[np.bool_] | None = None,
    settings: TextSettings | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> LearnedText:
    """The model for ``sentences`` (n) and soft ``targets`` (n, k) of ``classes`` (k).

    Sentences of one of ``groups`` (n) are in one fold together. Where ``counted`` (n, k) is false, nothing is known of
    a class. Raises :class:`DataError` for fewer sentences or groups
    than two, and where no n-gram occurs often enough.
    """
    wanted = settings or TextSettings()
    counts = count_ngrams(sentences, wanted.ngrams)
    fold = folds(len(sentences), wanted.folds, groups=groups, seed=seed)
    truth = targets >= ALSO
    with progress.task("Heads", int(fold.max()) + 2, unit="fits") as task:
        held = held_out(counts, targets, fold, counted=counted, settings=wanted, done=task.advance)
        fitted, head = _fit(counts, targets, counted, wanted)
        task.advance(1)
    logits = multilabel.log_odds(held)
    calibration, thresholds = calibrated(logits, truth, counted, multilabel.best_thresholds(truth, held))
    figures = judged_out_of_fold(truth, held, fold, tuple(classes)) | honest(logits, truth, counted, fold)
    model = TextModel(
        classes=tuple(classes),
        thresholds=thresholds,
        ngrams=wanted.ngrams,
        tfidf=fitted,
        weight=head.weight,
        bias=head.bias,
        calibration=calibration,
        about={
            "settings": {**asdict(wanted), "seed": seed},
            "n": len(sentences),
            "steps": head.steps,
            "metrics": {"out_of_fold": figures},
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return LearnedText(model, held)


def held_out(
    counts: NgramCounts,
    targets: Floats,
    fold: NDArray[np.int64],
    *,
    counted: NDArray[np.bool_] | None = None,
    settings: TextSettings,
    done: Callable[[int], None] = lambda _fits: None,
) -> NDArray[np.float32]:
    """What heads say of each sentence (n, k) that come from the sentences of the other folds; ``fold`` (n,)."""
    held = np.zeros(targets.shape, np.float32)
    for part in range(int(fold.max()) + 1):
        others, mine = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        told = None if counted is None else counted[others]
        fitted, head = _fit(counts.take(others), targets[others], told, settings)
        held[mine] = head.probabilities(fitted.matrix(counts.take(mine)))
        done(1)
    return held


def readable(media: Sequence[bytes | Path]) -> tuple[list[str], list[int], dict[int, str]]:
    """The sentences of ``media`` that can be read, their positions, and why the others cannot be, by position."""
    sentences, left_out = read_sentences(media)
    kept = [i for i in range(len(media)) if i not in left_out]
    return [sentences[i] for i in kept], kept, left_out


def learn_media(
    media: Sequence[bytes | Path],
    shares: Floats,
    classes: Sequence[str],
    *,
    supported: NDArray[np.bool_],
    groups: Sequence[str | None],
    config: TrainingConfig,
    progress: Progress,
) -> OwnLearnt:
    """:func:`learn` from files of one sentence each and distributions of votes; see :class:`Learner`."""
    sentences, kept, left_out = readable(media)
    settings = settings_of(config)
    learnt = learn(
        sentences,
        targets_of(shares[kept]),
        classes,
        groups=[groups[i] for i in kept],
        counted=supported[kept],
        settings=settings,
        seed=config.seed,
        progress=progress,
    )
    return OwnLearnt(
        model=learnt.model,
        backbone="ngrams",
        settings=learnt.model.about["settings"],
        steps=learnt.model.about["steps"],
        penalty=1 / settings.strength,
        left_out=left_out,
    )


def settings_of(config: TrainingConfig) -> TextSettings:
    """What the section training asks for: ``weight_decay`` is the penalty of the heads.

    Raises :class:`ConfigError` where that is 0.
    """
    if config.weight_decay is None:
        return TextSettings()
    return TextSettings(strength=strength_of(config.weight_decay))


def strength_of(penalty: float) -> float:
    """The strength of heads with this ``penalty``. Raises :class:`ConfigError` for none at all."""
    if penalty <= 0:
        raise ConfigError(
            f"training.weight_decay is {penalty:g}; heads of sentences need a penalty above 0.",
            hint="Leave it out, or: --set training.weight_decay=3",
        )
    return 1 / penalty


def search_space(config: TrainingConfig) -> SearchSpace:  # noqa: ARG001 - the same whatever is set
    """What may be tried: the penalty of the heads."""
    return {"training.weight_decay": Between(0.5, 10.0, log=True)}


def folds(n: int, most: int, *, groups: Sequence[str | None] | None, seed: int) -> NDArray[np.int64]:
    """The fold (n,) of each sentence, at most ``most`` of about one size; a group is in one fold.

    Raises :class:`DataError` where fewer than two sentences or groups are there.
    """
    if groups is None:
        unit = np.arange(n)
    else:
        numbers: dict[str, int] = {}
        unit = np.array(
            [numbers.setdefault(f"{i}" if g is None else f"g{g}", len(numbers)) for i, g in enumerate(groups)]
        )
    units = int(unit.max()) + 1 if n else 0
    if units < 2:
        raise DataError(
            f"{n:,} labelled sentences of {units} {'group' if groups else 'sentences'} are too few to learn from.",
            hint="Label more sentences; those of one group cannot judge each other.",
        )
    order = np.random.default_rng([seed, units]).permutation(units)
    found: NDArray[np.int64] = (order % min(most, units))[unit]
    return found


def judged_out_of_fold(
    truth: NDArray[np.bool_], held: Floats, fold: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    """What held-out judgements are worth, each fold by thresholds of the others, so that no fold judges its own."""
    said = np.zeros(truth.shape, bool)
    for part in range(int(fold.max()) + 1):
        mine = fold == part
        said[mine] = multilabel.labels(held[mine], multilabel.best_thresholds(truth[~mine], held[~mine]))
    return multilabel.summary(truth, said, held, classes)


def _fit(
    counts: NgramCounts, targets: Floats, counted: NDArray[np.bool_] | None, settings: TextSettings
) -> tuple[tfidf.Tfidf, SparseHead]:
    fitted = tfidf.fit(counts, bits=settings.ngrams.bits, least=settings.least)
    if not len(fitted.buckets):
        raise DataError(
            f"No word or run of letters occurs in {settings.least} of {counts.n:,} sentences.",
            hint="Label more sentences.",
        )
    matrix = fitted.matrix(counts)
    scale = sparse_logistic.contrast(matrix, targets, floor=settings.floor)
    return fitted, sparse_logistic.solve(
        matrix, targets, strength=settings.strength, scale=scale, counted=counted, tolerance=settings.tolerance
    )
