"""What a search came to, in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.loop.model.tuning.tune_material import CHOOSING
from emolab.loop.model.tuning.tune_search import AS_THEY_ARE, FRESH_FOLDS, SHARES
from emolab.stats.paired_bootstrap import figures, interval

if TYPE_CHECKING:
    from emolab.loop.model.tuning.tune_material import TuneMaterial
    from emolab.loop.model.tuning.tune_search import TuneSearch

#: Name of a figure here -> in the scores and in the bootstrap.
FIGURES = {"accuracy": "accuracy", "macro_f1": "macro_f1", "log_loss": "nll"}


def compared(search: TuneSearch, winner: int) -> dict[str, dict[str, float]]:
    """The settings as they are and those of ``winner`` on the fresh folds that both were judged on; empty for none.

    Of all samples of these folds together, with the lowest and highest fold, and the difference with its 95 % interval.
    """
    journal, material = search.journal, search.material
    folds = [f for f in FRESH_FOLDS if all(_good(journal.find(t, f, 1.0)) for t in (AS_THEY_ARE, winner))]
    if not folds:
        return {}
    rows = np.concatenate([material.held(fold) for fold in folds])
    old, new = (np.concatenate([search.probs(trial, fold) for fold in folds]) for trial in (AS_THEY_ARE, winner))
    truth = material.data.hard[rows]
    low, high = interval(new, old, truth, material.units[rows])
    before, after = figures(old, truth), figures(new, truth)
    found = {}
    for name, key in FIGURES.items():
        theirs, mine = (
            np.array([journal.done(trial, fold)["figures"][key] for fold in folds]) for trial in (AS_THEY_ARE, winner)
        )
        found[name] = {
            "default": before[key],
            "default_low": float(theirs.min()),
            "default_high": float(theirs.max()),
            "best": after[key],
            "best_low": float(mine.min()),
            "best_high": float(mine.max()),
            "difference": after[key] - before[key],
            "low": low[key],
            "high": high[key],
            "n": float(len(rows)),
            "folds": float(len(folds)),
        }
    return found


def _good(fit: Any) -> bool:
    return fit is not None and fit["loss"] is not None


def samples_of(material: TuneMaterial) -> dict[str, int]:
    """How many training samples and groups there are, how many choose, and how many judge afresh."""
    return {
        "train": len(material.fold),
        "groups": len(np.unique(material.units)),
        "choose": int(sum(len(material.held(fold)) for fold in range(CHOOSING))),
        "judge_afresh": int(sum(len(material.held(fold)) for fold in FRESH_FOLDS)),
    }


def tried(search: TuneSearch) -> list[dict[str, Any]]:
    """Every combination that was tried: those that got furthest first, of those the one with the lowest loss."""
    losses = search.losses()
    rows = []
    for trial in sorted({fit["trial"] for fit in search.journal.fits}):
        fits = [fit for fit in search.journal.fits if fit["trial"] == trial]
        found = losses.get(trial, [])
        loss = found[-1] if found and np.isfinite(found[-1]) else None
        rows.append(
            {
                "trial": trial,
                "settings": dict(search.trials[trial]) if trial < len(search.trials) else {},
                "rung": len(found),
                "share": SHARES[len(found) - 1] if found else 0.0,
                "loss": loss,
                "seconds": round(sum(fit["seconds"] for fit in fits), 1),
                "failed": next((fit["reason"] for fit in fits if "reason" in fit), None),
            }
        )
    return sorted(rows, key=lambda row: (-row["rung"], row["loss"] is None, row["loss"] or 0.0))
