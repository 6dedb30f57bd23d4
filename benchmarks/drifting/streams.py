"""Streams of windows in which something planted begins to change, and streams in which nothing does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.drifting.material import Material

#: Windows before the change, and from it on.
QUIET, CHANGED = 4, 12
#: Of the samples that a change reaches, the share in each window after it began. A class that is new, or a mistaken
#: order, reaches all there are; faces of a new class make up a tenth.
REACHED = {
    "new camera": 0.3,
    "darker room": 0.3,
    "mirrored input": 1.0,
    "another compression": 0.3,
    "new class": 0.1,
    "class-order bug": 0.15,
    "other people": 1.0,
}
NOTHING = "nothing"
#: The class that is new: surprise.
NEW_CLASS = 2


@dataclass(frozen=True)
class Streams:
    """Rows of the stacked arrays of a material: ``reference`` (s, n) and ``windows`` (s, w, m); ``drift`` (s,) names
    what changes."""

    reference: NDArray[np.int64]
    windows: NDArray[np.int64]
    drift: tuple[str, ...]


def with_order_bug(given: Material) -> Material:
    """The same with one more kind, in which the columns of the probabilities are in an alphabetical order."""
    n, order = len(given), np.argsort(given.classes)
    return Material(
        classes=given.classes,
        kinds=(*given.kinds, "class-order bug"),
        probs=np.concatenate([given.probs, given.probs[:n][:, order]]),
        embeddings=np.concatenate([given.embeddings, given.embeddings[:n]]),
        quality=np.concatenate([given.quality, given.quality[:n]]),
        columns=given.columns,
        truth=given.truth,
        group=given.group,
    )


def of_faces(given: Material, drifts: dict[str, int], *, half: int, seed: int, reference: int, window: int) -> Streams:
    """``drifts``: how many streams of each kind, from one ``half`` of the faces (0 or 1)."""
    rng = np.random.default_rng((seed, half))
    pool = np.arange(half, len(given), 2)
    made = [_faces(given, pool, drift, rng, reference, window) for drift, count in drifts.items() for _ in range(count)]
    names = tuple(drift for drift, count in drifts.items() for _ in range(count))
    return Streams(np.stack([one[0] for one in made]), np.stack([one[1] for one in made]), names)


def _faces(
    given: Material, pool: NDArray[np.int64], drift: str, rng: np.random.Generator, n: int, m: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    total = n + (QUIET + CHANGED) * m
    fresh = np.empty(0, dtype=np.int64)
    if drift == "new class":
        is_new = given.truth[pool] == NEW_CLASS
        fresh, pool = rng.permutation(pool[is_new]), pool[~is_new]
    rows = rng.permutation(pool)[:total]
    held, windows = rows[:n], rows[n:].reshape(-1, m).copy()
    if drift == NOTHING:
        return held, windows
    reached = rng.random(windows.shape) < REACHED[drift]
    reached[:QUIET] = False
    if drift == "new class":
        windows[reached] = fresh[np.arange(reached.sum()) % len(fresh)]
    else:
        windows[reached] += given.kinds.index(drift) * len(given)
    return held, windows


def of_voices(given: Material, drifts: dict[str, int], *, seed: int, reference: int, window: int) -> Streams:
    """Streams of "other people" or of nothing: seven actors drawn for the reference, others from the change on."""
    rng = np.random.default_rng(seed)
    held, windows = [], []
    names = tuple(drift for drift, count in drifts.items() for _ in range(count))
    for drift in names:
        actors = rng.permutation(np.unique(given.group))
        known = rng.permutation(np.flatnonzero(np.isin(given.group, actors[:8])))
        other = rng.permutation(np.flatnonzero(np.isin(given.group, actors[8:])))
        quiet = known[reference : reference + QUIET * window]
        if drift == NOTHING:
            rows = rng.permutation(len(given))[: reference + (QUIET + CHANGED) * window]
            known, later = rows, rows[reference:]
        else:
            later = np.concatenate([quiet, other[: CHANGED * window]])
        held.append(known[:reference])
        windows.append(later.reshape(QUIET + CHANGED, window))
    return Streams(np.stack(held), np.stack(windows), names)
