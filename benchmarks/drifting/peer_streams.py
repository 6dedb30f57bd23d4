"""How a peer answers about streams: figures that are larger the more it believes in a change, one a window.

Quiet streams come first and are answered whole. They give the threshold; a stream with a change is answered until a
window from the change on passes it, because nothing after that counts.
"""

# mypy: ignore-errors

import sys

import numpy as np


def answer(held, out, methods):
    """Write to ``out`` the figures (s, w) of each of ``methods``, generators of (reference rows, windows)."""
    reference, windows, quiet, before = held["reference"], held["windows"], int(held["quiet"]), int(held["before"])
    found = {}
    for name, method in methods.items():
        figures = np.zeros(windows.shape[:2])
        threshold = np.inf
        for s, rows in enumerate(reference):
            if s == quiet:
                threshold = np.quantile(figures[:quiet].max(axis=1), 1 - float(held["level"]), method="higher")
            for w, figure in enumerate(method(rows, windows[s])):
                figures[s, w] = figure
                if w >= before and figure > threshold:
                    break
            print(name, s, file=sys.stderr, flush=True)
        found[name] = figures
    np.savez(out, **found)
