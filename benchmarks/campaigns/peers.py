"""Strategies of scikit-activeml in the shape of ours: they see the same embeddings and the same probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emolab.active_learning.selection.pool import Picks, Pool
from emolab.active_learning.strategies import needs
from emolab.plugins import STRATEGIES

#: Name here -> (class of skactiveml.pool, its options, whether it asks the classifier).
PEERS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "peer_coreset": ("CoreSet", {}, False),
    "peer_badge": ("Badge", {}, True),
    "peer_typiclust": ("TypiClust", {}, False),
    "peer_maxherding": ("MaxHerding", {}, False),
    "peer_falcun": ("Falcun", {}, True),
}


def register() -> list[str]:
    """Make the peers known as strategies of this process; their names."""
    known: Any = STRATEGIES.builtins
    known.update({name: f"benchmarks.campaigns.peers:{name}" for name in PEERS})
    return list(PEERS)


def __getattr__(name: str) -> Callable[[Pool, int, np.random.Generator], Picks]:
    """The strategy behind a name of :data:`PEERS`."""
    if name not in PEERS:
        raise AttributeError(name)

    @needs("probs", "embeddings")
    def strategy(pool: Pool, n: int, rng: np.random.Generator) -> Picks:
        return _ask(name, pool, n, rng)

    return strategy


def _ask(name: str, pool: Pool, n: int, rng: np.random.Generator) -> Picks:
    import skactiveml.pool

    kind, options, with_classifier = PEERS[name]
    assert pool.embeddings is not None and pool.targets is not None and pool.probs is not None
    told = pool.labelled & np.isfinite(pool.targets).all(axis=1)
    rows = np.concatenate([np.flatnonzero(told), pool.candidates])
    points = np.asarray(pool.embeddings[rows], dtype=np.float64)
    labels = np.full(len(rows), np.nan)
    labels[: int(told.sum())] = pool.targets[told].argmax(axis=1)
    query = getattr(skactiveml.pool, kind)(random_state=int(rng.integers(2**31)), **options)
    extra: dict[str, Any] = {}
    if with_classifier:
        extra = {"clf": _known(points, np.asarray(pool.probs[rows]), labels), "fit_clf": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = query.query(points, labels, batch_size=n, **extra)
    return Picks(rows[np.asarray(chosen)], np.linspace(1, 0, n))


def _known(points: NDArray[np.float64], probs: NDArray[np.float64], labels: NDArray[np.float64]) -> Any:
    """A classifier of scikit-activeml that knows what our head says of each of ``points``."""
    from skactiveml.base import SkactivemlClassifier

    said = {point.tobytes(): answer for point, answer in zip(points, probs, strict=True)}

    class Known(SkactivemlClassifier):  # type: ignore[misc]
        """Answers from a table."""

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: N803
            self._validate_data(X, y, sample_weight)
            return self

        def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
            return np.stack([said[np.ascontiguousarray(point, dtype=np.float64).tobytes()] for point in X])

    return Known(classes=list(range(probs.shape[1]))).fit(points, labels)
