"""A search under way: what is tried next, whether there is time for it, and what is known so far."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DamagedMedia, EmolabError
from emolab.files import write_bytes
from emolab.loop.model.tuning.tune_material import CHOOSING, FRESH
from emolab.loop.model.tuning.tune_trials import try_out, whole_share
from emolab.progress import Wordless
from emolab.stats.halving import Move, best, next_move

if TYPE_CHECKING:
    from emolab.loop.model.tuning.tune_journal import TuneClock, TuneJournal
    from emolab.loop.model.tuning.tune_material import TuneMaterial
    from emolab.progress import Progress, Task
    from emolab.workspace import Workspace

#: Share of the work on each rung, and on how many of the folds that choose.
SHARES, FOLDS = (1 / 9, 1 / 3, 1.0), (1, 2, CHOOSING)
#: Until which part of the time something may begin, and must be expected to end: settings, and bringing the best up.
#: The rest judges the best ones afresh.
PARTS = {False: (0.5, 0.6), True: (0.6, 0.7)}
#: The settings as they are.
AS_THEY_ARE = 0
#: The folds that judge what was chosen.
FRESH_FOLDS = range(CHOOSING, CHOOSING + FRESH)


@dataclass
class TuneSearch:
    """``trials`` are settings by number, the first one none: as they are. Of those beyond the first ``most`` none is
    begun. ``budget`` is in seconds.
    """

    workspace: Workspace
    material: TuneMaterial
    trials: Sequence[Mapping[str, Any]]
    most: int
    journal: TuneJournal
    clock: TuneClock
    budget: float
    progress: Progress

    def choose(self) -> None:
        """Try settings until the time or the settings run out, and leave enough to judge the best ones afresh."""
        closing = False
        with self.progress.task("Trying settings", unit="trainings") as task:
            while True:
                drawn = min(self.most, len(self.trials))
                move = next_move(self.losses(), rungs=len(SHARES), drawn=drawn, closing=closing)
                if move is None:
                    return
                if self.has_time(move, closing=closing):
                    self.go(move, task)
                elif closing:
                    return
                else:
                    closing = True

    def judge(self) -> int | None:
        """Judge the best settings beside those as they are, on folds that chose nothing; the best one's number.

        ``None`` where the settings as they are won, or nothing was tried in full.
        """
        winner = self.winner()
        if winner is None or winner == AS_THEY_ARE:
            return None
        with self.progress.task("Judging the best settings afresh", 2 * FRESH, unit="trainings") as task:
            for fold in FRESH_FOLDS:
                pair = [(trial, fold, 1.0) for trial in (AS_THEY_ARE, winner)]
                left = [fit for fit in pair if self.journal.find(*fit) is None]
                if left and self.clock.used + (self.seconds(left) or 0.0) > self.budget:
                    break
                for fit in pair:
                    self.fit(*fit)
                    task.advance()
        return winner

    def winner(self) -> int | None:
        """The settings with the lowest loss among those tried in full."""
        return best(self.losses(), rungs=len(SHARES))

    def losses(self) -> dict[int, list[float]]:
        """Mean loss of each trial by rung, as far as it got."""
        found: dict[int, list[float]] = {}
        for trial in sorted({fit["trial"] for fit in self.journal.fits}):
            means: list[float] = []
            for rung in range(len(SHARES)):
                fits = [self.journal.find(*key) for key in self.keys(Move(trial, rung))]
                lost = [math.inf if fit["loss"] is None else float(fit["loss"]) for fit in fits if fit is not None]
                if len(lost) < len(fits) and math.inf not in lost:
                    break
                means.append(sum(lost) / len(lost))
            if means:
                found[trial] = means
        return found

    def keys(self, move: Move) -> list[tuple[int, int, float]]:
        """The trainings that a move consists of: trial, fold, share."""
        share = 1.0 if whole_share(self.workspace, self.trials[move.trial]) else SHARES[move.rung]
        return [(move.trial, fold, share) for fold in range(FOLDS[move.rung])]

    def go(self, move: Move, task: Task) -> None:
        """Make the trainings of ``move`` that were not made before."""
        for key in self.keys(move):
            task.describe(f"Trying settings: {move.trial} of {len(self.trials) - 1}, rung {move.rung + 1}")
            if self.fit(*key)["loss"] is None:
                return
            task.advance()

    def fit(self, trial: int, fold: int, share: float) -> Mapping[str, Any]:
        """What comes of one training, from the journal where it was made before."""
        from emolab.loop.model.tuning.tune_scores import score

        known = self.journal.find(trial, fold, share)
        if known is not None:
            return known
        began = self.clock.used
        told: dict[str, Any] = {"trial": trial, "fold": fold, "share": share, "loss": None}
        try:
            logits = try_out(
                self.workspace,
                self.trials[trial],
                self.material,
                fold=fold,
                share=share,
                folder=self.journal.folder / "run",
                progress=Wordless(self.progress),
            )
            scored = score(self.material, fold, logits)
            if not math.isfinite(scored.loss):
                raise EmolabError("The model's answers on held-out samples are no numbers.")
        except DamagedMedia:
            raise
        except EmolabError as error:
            if trial == AS_THEY_ARE:
                raise
            told["reason"] = error.message
        else:
            if fold in FRESH_FOLDS:
                self._keep(trial, fold, scored.probs)
            told |= {"loss": scored.loss, "figures": scored.figures}
        self.journal.write({**told, "seconds": round(self.clock.used - began, 3)})
        return told

    def has_time(self, move: Move, *, closing: bool) -> bool:
        """Whether ``move`` may begin: in its part of the time and, where it is known how long it takes, with enough."""
        known = self.seconds(self.keys(move))
        begins, ends = PARTS[closing]
        if closing and self.winner() is None:  # without one that went all the way there is nothing to judge
            begins, ends = 1.0, 1.0
        return self.clock.used < begins * self.budget and self.clock.used + (known or 0.0) <= ends * self.budget

    def seconds(self, keys: Sequence[tuple[int, int, float]]) -> float | None:
        """What trainings will take that were not made before; ``None`` where none was made yet to go by."""
        found = 0.0
        for key in keys:
            if self.journal.find(*key) is None:
                trial, fold, share = key
                pace = self._pace(trial, share)
                if pace is None:
                    return None
                found += pace * len(self.material.learned(fold))
        return found

    def _pace(self, trial: int, share: float) -> float | None:
        """Seconds for one sample learned from with that share of the work: of the same settings, or of all.

        The very first training, which prepared what all others use, counts only until there is another, and only for
        more work than its own. Where none had that share, the next smaller one tells: so many times the work takes so
        many times as long, or less.
        """
        made = [fit for fit in self.journal.fits if fit["loss"] is not None]
        good = made[1:] or [fit for fit in made if fit["share"] < share]
        own = [fit for fit in good if fit["trial"] == trial] or good
        if not own:
            return None
        near = min((float(fit["share"]) for fit in own), key=lambda held: (held > share, abs(held - share)))
        paces = [
            float(fit["seconds"]) / max(1, len(self.material.learned(int(fit["fold"]))))
            for fit in own
            if fit["share"] == near
        ]
        return float(np.median(paces)) * share / near

    def probs(self, trial: int, fold: int) -> NDArray[np.float32]:
        """What the settings ``trial`` say (h, k) of the samples that judge in the fresh ``fold``."""
        found: NDArray[np.float32] = np.load(self.journal.folder / f"fresh-{trial}-{fold}.npy", allow_pickle=False)
        return found

    def _keep(self, trial: int, fold: int, probs: NDArray[np.float32]) -> None:
        content = io.BytesIO()
        np.save(content, probs, allow_pickle=False)
        write_bytes(self.journal.folder / f"fresh-{trial}-{fold}.npy", content.getvalue())
