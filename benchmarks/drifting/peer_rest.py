"""evidently and river over streams, in an environment of their own: python peer_rest.py IN.npz OUT.npz"""

# mypy: ignore-errors

import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.legacy.metrics.data_drift.embedding_drift_methods import mmd, model
from peer_streams import answer
from river.drift import ADWIN, KSWIN, PageHinkley

warnings.filterwarnings("ignore")
#: What each detector is tried with, from the most to the least sensitive.
DELTAS = 10.0 ** -np.arange(1, 11)
THRESHOLDS = np.array([5.0, 10, 15, 20, 30, 40, 60, 90])


def main(given: str, out: str) -> None:
    """Figures of evidently on embeddings and on columns, and of river on columns."""
    held = np.load(given)
    probs, embeddings = held["probs"], held["embeddings"]
    columns = np.concatenate([probs.max(axis=1, keepdims=True), probs, held["quality"]], axis=1).astype(np.float64)
    scaled = (columns - columns.mean(axis=0)) / (columns.std(axis=0) + 1e-9)
    k = probs.shape[1]

    def by_embeddings(method, rows, windows):
        for seen in windows:  # they add a column to what they are given
            yield method(pd.DataFrame(embeddings[seen]), pd.DataFrame(embeddings[rows]))[0]

    def by_columns(test, rows, windows):
        for seen in windows:
            yield max(by_column(columns[rows, j], columns[seen, j], test) for j in range(columns.shape[1]))

    def streaming(run, chosen, rows, windows):
        flat, n = windows.ravel(), windows.shape[1]
        figures = np.zeros(len(windows))
        for j in chosen:
            for at, figure in run(scaled[rows, j], scaled[flat, j]):
                figures[at // n] = max(figures[at // n], figure)
        yield from figures

    everything = range(scaled.shape[1])
    answer(
        held,
        out,
        {
            "evidently embeddings, model": partial(by_embeddings, model()),
            "evidently embeddings, mmd": partial(by_embeddings, mmd()),
            "evidently columns, ks": partial(by_columns, "ks"),
            "evidently columns, wasserstein": partial(by_columns, "wasserstein"),
            "river ADWIN": partial(streaming, adwin, everything),
            "river PageHinkley": partial(streaming, page_hinkley, everything),
            # a test at every sample: of confidence and quality alone
            "river KSWIN": partial(streaming, kswin, [j for j in everything if j == 0 or j > k]),
        },
    )


def by_column(there, here, test):
    """A figure of evidently's test of one column."""
    found = get_stattest(pd.Series(there), pd.Series(here), ColumnType.Numerical, test)
    score = found(pd.Series(there), pd.Series(here), ColumnType.Numerical, 0.05).drift_score
    return -np.log(max(score, 1e-300)) if test == "ks" else score


def adwin(there, here):
    """Where it fires first, for each delta: (sample of the stream, minus the logarithm of delta)."""
    for delta in DELTAS:
        fired = first(ADWIN(delta=delta), there, here)
        if fired is None:
            return
        yield fired, -np.log(delta)


def page_hinkley(there, here):
    """The same for each threshold."""
    for threshold in THRESHOLDS:
        fired = first(PageHinkley(threshold=threshold, delta=0.05), there, here)
        if fired is None:
            return
        yield fired, threshold


def first(detector, there, here):
    """The sample of the stream at which it sees a change first."""
    for value in there:
        detector.update(value)
    for at, value in enumerate(here):
        detector.update(value)
        if detector.drift_detected:
            return at
    return None


def kswin(there, here):
    """Its p-value at every tenth sample, as a figure."""
    detector = KSWIN(alpha=1e-12, window_size=300, stat_size=100, seed=0)
    for value in there[-299:]:
        detector.update(value)
    for at, value in enumerate(here):
        if at % 10 == 9:
            detector.update(value)
            yield at, -np.log(max(detector.p_value, 1e-300))
        else:
            detector.window.append(value)  # as update does, without the test


if __name__ == "__main__":
    main(*sys.argv[1:])
