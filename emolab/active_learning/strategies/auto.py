"""The default: whichever strategy does best when replayed on this project's own labels, and a tenth at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.selection.replay import FEWEST, LEFT, RoundReplay, left_to_ask, neighbour_purity, replay
from emolab.active_learning.strategies import needs
from emolab.plugins import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: What is tried out, safest first.
CONTESTANTS = ("uherding", "cluster_margin", "margin", "badge", "maxherding", "typiclust", "random")
#: What is used where the replay cannot tell the strategies apart, and from how many labelled samples per class on the
#: second one: what covers the pool helps early, what the model doubts later.
PRIOR, LATER, MANY = "uherding", "margin", 250
#: Share of every batch that is drawn at random.
SLICE = 0.1
#: Neighbour purity from which clusters are believed to be classes, and from which coverage is worth anything.
CLUSTERS, COVERAGE = 0.5, 0.2
#: Labelled samples from which the purity of neighbourhoods says something.
JUDGEABLE = 20


@needs("probs", "embeddings")
def select(pool: Pool, n: int, rng: np.random.Generator) -> Picks:
    """``n`` candidates: a tenth drawn at random, the rest by the strategy that earned it; ``note`` says which and why.

    1. With fewer than 90 labelled samples a cold start: ``typiclust`` where the nearest neighbours of a labelled sample
       nearly always share its class, ``maxherding`` where they often do; else, and below 20, ``uherding``, which also
       is the answer where labels are of one class or of too few people and videos to be divided.
    2. With more, :func:`~emolab.active_learning.selection.replay.replay` runs small campaigns over the labelled
       samples. The strategy with the highest macro-F1 wins, if it beats random by more than a standard error; else
       ``uherding``, which did well or no harm in published comparisons, or ``margin`` from 250 labelled samples per
       class on.
    3. The random tenth is spread over the batch. Its labels are an unbiased sample of what is not labelled yet: they
       measure the model, feed the stopping advice and keep the other strategies honest.
    """
    chosen, note = choose(pool, rng)
    drawn = min(n, max(1, round(SLICE * n))) if n > 1 else int(rng.random() < SLICE)
    if chosen == "random":
        drawn = n
    draws = rng.random(len(pool.candidates))
    by_chance = np.argsort(-draws, kind="stable")[:drawn]
    rows, scores = pool.candidates[by_chance], draws[by_chance]
    if drawn == n:
        return Picks(rows, scores, ["drawn at random"] * n, note, ["random"] * n)
    waiting = pool.pending.copy()
    waiting[rows] = True
    rest = Picks(*STRATEGIES.load(chosen)(pool.with_pending(waiting), n - drawn, rng))
    return _spread(Picks(rows, scores, ["drawn at random, to measure the model"] * drawn), rest, chosen, note)


def choose(pool: Pool, rng: np.random.Generator) -> tuple[str, str]:
    """The name of the strategy for ``pool``, and why in a sentence."""
    rows, features, targets = evidence(pool)
    if len(rows) < JUDGEABLE:
        return PRIOR, f"{PRIOR}: {len(rows)} labelled samples are too few to tell strategies apart"
    if len(np.unique(targets.argmax(axis=1))) < 2:
        return PRIOR, f"{PRIOR}: the {len(rows):,} labelled samples are all of one class, so strategies cannot differ"
    if len(rows) < FEWEST:
        return _cold(features, targets)
    unit = units(pool, rows)
    if left_to_ask(unit) < LEFT:
        few = len(np.unique(unit))
        whose = "one person or video" if few == 1 else f"{few:,} people or videos"
        return PRIOR, f"{PRIOR}: {len(rows):,} labelled samples of {whose} cannot be divided fairly"
    otherwise = LATER if len(rows) >= MANY * targets.shape[1] else PRIOR
    return verdict(replay(features, targets, unit, CONTESTANTS, rng), otherwise)


def verdict(found: RoundReplay, otherwise: str = PRIOR) -> tuple[str, str]:
    """The strategy that a replay speaks for (``otherwise`` if for none), and why in a sentence."""
    gains, errors = found.gains(), found.errors()
    best = int(gains.argmax())
    about = f"{found.areas.shape[1]} replays on {found.n:,} labelled samples"
    others = ", ".join(
        f"{found.strategies[i]} {gains[i]:+.1f}" for i in np.argsort(-gains, kind="stable") if i != best
    )  # fmt: skip
    told = f"{found.strategies[best]} {gains[best]:+.1f} ± {errors[best]:.1f} points of macro-F1 against random"
    if gains[best] > errors[best] and gains[best] > 0:
        return found.strategies[best], f"{found.strategies[best]}: in {about} {told} ({others})"
    return otherwise, f"{otherwise}: {about} cannot tell the strategies apart (best: {told})"


def _cold(features: Floats, targets: Floats) -> tuple[str, str]:
    purity = neighbour_purity(features, targets.argmax(axis=1))
    name = "typiclust" if purity >= CLUSTERS else "maxherding" if purity >= COVERAGE else PRIOR
    why = {
        "typiclust": "neighbours share their class, so typical samples of new clusters teach most",
        "maxherding": "neighbours often share their class, so covering the pool is worth more than chance",
        PRIOR: "neighbours seldom share their class, so no cold start by clusters can be trusted",
    }[name]
    return name, f"{name}: {len(features)} labelled samples, neighbour purity {purity:.2f} (0 is chance, 1 all); {why}"


def teaching(pool: Pool) -> NDArray[np.int64]:
    """Rows whose labels may teach, by sample id: labelled, with a target, not kept for validation."""
    if pool.targets is None:
        return np.empty(0, dtype=np.int64)
    free = pool.labelled if pool.excluded is None else pool.labelled & ~pool.excluded
    rows = pool.order[free[pool.order]]
    return np.asarray(rows[np.isfinite(pool.targets[rows]).all(axis=1)])


def evidence(pool: Pool) -> tuple[NDArray[np.int64], Floats, Floats]:
    """What can teach and judge, by sample id: rows (m,), features (m, d) and targets (m, k).

    The features are those of a backbone that has not learned from these labels, where there is one.
    """
    features = pool.embeddings if pool.unlearned is None else pool.unlearned
    rows = teaching(pool)
    if pool.targets is None or features is None:
        return rows[:0], np.empty((0, 0)), np.empty((0, 0))
    rows = rows[np.isfinite(features[rows]).all(axis=1)]
    return rows, np.asarray(features[rows], dtype=np.float64), np.asarray(pool.targets[rows], dtype=np.float64)


def units(pool: Pool, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers (m,) that rows of one duplicate group or one subject share."""
    unit = np.arange(len(pool), dtype=np.int64) if pool.duplicate is None else pool.duplicate.astype(np.int64)
    if pool.group is not None:
        unit = np.where(pool.group >= 0, len(pool) + pool.group.astype(np.int64), unit)
    return unit[rows]


def _spread(drawn: Picks, rest: Picks, chosen: str, note: str) -> Picks:
    """Both, the random ones at even distances, so that a batch that is labelled in part has its share of them."""
    few = len(drawn.rows)
    n = few + len(rest.rows)
    random = np.zeros(n, dtype=bool)
    random[((np.arange(few) + 0.5) * n / max(few, 1)).astype(np.int64)] = True
    rows, scores = np.empty(n, dtype=np.int64), np.empty(n)
    rows[random], rows[~random] = drawn.rows, rest.rows
    scores[random], scores[~random] = drawn.scores, rest.scores
    told = [iter(rest.reasons or [f"{chosen} score {score:.3f}" for score in rest.scores]), iter(drawn.reasons)]
    reasons: Sequence[str] = [next(told[int(at)]) for at in random]
    return Picks(rows, scores, reasons, note, ["random" if at else chosen for at in random])
