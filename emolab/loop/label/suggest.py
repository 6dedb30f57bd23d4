"""A round of suggestions: the pool with all that is known of it, a strategy, second opinions, and what is stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from emolab.loop.given import check_given, check_one_of
from emolab.loop.label.selection.round_pool import (
    affordable,
    pool_of,
    read,
    require,
    seconds_for,
    unfit,
    unlearned_features,
)
from emolab.progress import SILENT
from emolab.results import Result, Share, Table, plain_data
from emolab.words import lasting, short

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from emolab.active_learning.selection.batch import Limits
    from emolab.active_learning.selection.pool import Pool
    from emolab.active_learning.selection.select import Selection
    from emolab.catalog import Catalog
    from emolab.labeling.sync.push import PushReport
    from emolab.loop.label.selection.round_pool import Known
    from emolab.loop.label.selection.second_opinions import Again
    from emolab.progress import Progress
    from emolab.records import Model, Predictions, Suggestion
    from emolab.workspace import Workspace

#: What second opinions are owed to.
REVOTE = "revote"


@dataclass(frozen=True, kw_only=True)
class Proposal(Result):
    """A stored round: its number, what it proposes, and what the model expects of the batch (``None`` without one).

    ``note`` is what the strategy says of its choice; ``seconds`` the time the team will take, at its own median speed.
    """

    round: int
    strategy: str
    note: str
    seconds: float | None
    model: Model | None
    seed: int
    suggestions: list[Suggestion]
    composition: dict[str, float] | None
    candidates: int
    doubts: Mapping[str, float]  # by sample: the chance, 0..1, that the model's guess or the label so far is wrong
    left_out: int = 0  # samples nobody was asked about that stay below the bar of labeling.faceless, max_blur ...
    push: PushReport | None = None  # how it went to the team, where it was sent at once

    def to_dict(self) -> dict[str, Any]:
        """The round, ready for JSON."""
        return {
            "round": self.round,
            "strategy": self.strategy,
            "model": self.model.id if self.model else None,
            "seed": self.seed,
            "n": len(self.suggestions),
            "candidates": self.candidates,
            "left_out": self.left_out,
            "composition": self.composition,
            "suggestions": [
                {
                    "rank": s.rank,
                    "sample": s.sample_id,
                    "score": s.score,
                    "may_be_wrong": self.doubts.get(s.sample_id),
                    "reason": s.reason,
                    "kind": s.kind,
                    "strategy": s.strategy,
                }
                for s in self.suggestions
            ],
            "note": self.note,
            "seconds": self.seconds,
            "push": plain_data(self.push),
        }

    def tables(self) -> list[Table]:
        """The samples and why they were chosen, and the classes that the model expects among them."""
        by = f" by model {short(self.model.id)}" if self.model else ""
        rows = [
            (s.rank + 1, short(s.sample_id), "again" if s.kind == "revote" else "new",
             Share(self.doubts[s.sample_id]) if s.sample_id in self.doubts else None, s.reason)
            for s in self.suggestions
        ]  # fmt: skip
        title = f"Round {self.round}: {len(rows):,} samples by {self.strategy}{by}"
        about = [("note", self.note), ("time of the team", self.seconds and lasting(self.seconds))]
        expected = sorted((self.composition or {}).items(), key=lambda each: -each[1])
        return [
            Table(title, ("", "sample", "", "may be wrong", "why"), rows),
            *([Table("Expected in this round", ("class", "samples"), expected)] if expected else []),
            *([Table("About it", (), told)] if (told := [row for row in about if row[1]]) else []),
        ]


@dataclass(frozen=True, kw_only=True)
class _RoundPlan:
    """How a round of ``n`` is chosen: what the strategy ``reads`` of a pool, and the share of ``revotes`` at most."""

    n: int
    strategy: str
    reads: Collection[str]
    limits: Limits
    model: Model | None
    revotes: float
    seed: int


def suggest(
    workspace: Workspace,
    *,
    n: int | None = None,
    minutes: float | None = None,
    strategy: str | None = None,
    per_group: int | None = None,
    balance: bool = False,
    revotes: float | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Proposal:
    """Choose and store the next round. What is not given defaults to the workspace's settings.

    ``minutes`` instead of ``n``: as many samples as the team answers in that time, at the speed it has had so far. The
    same workspace and seed give the same round. Raises :class:`DataError` when there are not enough samples, no model
    for a strategy that needs one or no speed to reckon with, :class:`ConfigError` for a number out of range,
    :class:`UnknownName` for an unknown strategy.
    """
    from emolab.active_learning.selection.batch import Limits
    from emolab.active_learning.strategies import needed
    from emolab.plugins import STRATEGIES

    check_one_of(n=n, minutes=minutes)
    check_given({"suggest.n": n, "option.minutes": minutes, "suggest.per_group": per_group, "suggest.revotes": revotes,
                 "training.seed": seed})  # fmt: skip
    settings = workspace.config.suggest
    with workspace.lock("suggest"), workspace.catalog() as catalog:
        known = read(catalog, workspace.config.labeling.bar, consent_required=workspace.config.privacy.consent_required)
        if known.no_consent:
            progress.note(known.no_consent)
        each = known.overlap or workspace.config.labeling.wanted.low
        if n is None:
            n = settings.n if minutes is None else affordable(known, 60 * minutes, each)
        require(known, n)
        chosen = _strategy(strategy, settings.strategy, known.model, progress)
        limits = Limits(per_group=per_group or settings.per_group, balanced=balance or settings.balance)
        reads = needed(STRATEGIES.load(chosen))
        model = known.model if reads or limits.balanced else None
        share = settings.revotes if revotes is None else revotes
        plan = _RoundPlan(n=n, strategy=chosen, reads=reads, limits=limits, model=model, revotes=share, seed=seed)
        pool, again, batch = _choose(workspace, known, plan, progress)
        suggestions = _ranked(batch, again, known.number)
        _store(catalog, plan, suggestions, candidates=len(pool.candidates), revotes=len(again), note=batch.note)
    return Proposal(
        round=known.number,
        strategy=chosen,
        note=batch.note,
        seconds=seconds_for(known.speeds, len(batch.samples) * each + len(again)),
        model=model,
        seed=seed,
        suggestions=suggestions,
        composition=_composition(pool, batch),
        doubts=_doubts(pool, suggestions),
        candidates=len(pool.candidates),
        left_out=int((unfit(known.columns) & ~known.columns.judge & ~known.columns.pending).sum()),
    )


def suggestible(workspace: Workspace) -> int:
    """How many samples a round could hold now."""
    with workspace.catalog() as catalog:
        known = read(catalog, workspace.config.labeling.bar, consent_required=workspace.config.privacy.consent_required)
    return len(pool_of(known.columns, None, None).candidates)


def _choose(
    workspace: Workspace, known: Known, plan: _RoundPlan, progress: Progress
) -> tuple[Pool, list[Again], Selection]:
    """The pool as the model sees it, the answered samples to ask about once more, and the new ones."""
    import zlib

    import numpy as np

    from emolab.active_learning.selection.batch import compose
    from emolab.active_learning.selection.draws import bootstrap_draws
    from emolab.labeling.labels.current_labels import labels_if_any
    from emolab.loop.label.selection.second_opinions import second_opinions

    model, seed = plan.model, plan.seed
    labels = labels_if_any(workspace, progress=progress) if model else None
    pool = pool_of(known.columns, _predict(workspace, model, progress) if model else None, labels)
    rng = np.random.default_rng([seed, known.number, zlib.crc32(plan.strategy.encode())])
    again: list[Again] = []
    if model is not None:
        pool = replace(pool, unlearned=unlearned_features(workspace, model, pool, progress))
        own = np.random.default_rng([seed, known.number])
        again = second_opinions(workspace, pool, plan.n, share=plan.revotes, rng=own, progress=progress)
    if "draws" in plan.reads and pool.targets is not None:
        pool = replace(pool, draws=bootstrap_draws(pool, rng))
    batch = compose(pool, plan.n - len(again), strategy=plan.strategy, rng=rng, limits=plan.limits)
    return pool, again, batch


def _store(
    catalog: Catalog, plan: _RoundPlan, suggestions: list[Suggestion], *, candidates: int, revotes: int, note: str
) -> None:
    """Keep the round with what it was chosen by."""
    from emolab.catalog.campaign import rounds

    told = {"n": plan.n, "candidates": candidates, "revotes": revotes, "note": note}
    with catalog.begin() as tx:
        rounds.create(
            tx,
            suggestions,
            strategy=plan.strategy,
            model=plan.model.id if plan.model else None,
            seed=plan.seed,
            settings={**told, **asdict(plan.limits)},
        )


def _strategy(asked: str | None, default: str, model: Model | None, progress: Progress) -> str:
    """The strategy to use: without a model only one that needs none."""
    from emolab.active_learning.strategies import needed
    from emolab.errors import DataError
    from emolab.plugins import STRATEGIES

    chosen = asked or default
    if model is not None or not needed(STRATEGIES.load(chosen)):
        return chosen
    if asked is not None:
        raise DataError(
            f'The strategy "{asked}" needs a model, and none has been trained yet.',
            hint='Use --strategy random for the first round, then "emolab train".',
        )
    progress.note("No model has been trained yet, so this round is drawn at random.")
    return "random"


def _predict(workspace: Workspace, model: Model, progress: Progress) -> Predictions:
    from emolab.loop.model.predicting.pool_predictions import pool_predictions

    return pool_predictions(workspace, model, progress=progress)


def _ranked(batch: Selection, again: Sequence[Again], number: int) -> list[Suggestion]:
    """One round of both, second opinions at even distances: whoever stops half-way has done a fair part of each."""
    from emolab.records import Suggestion

    n = len(batch.samples) + len(again)
    places = {int((i + 0.5) * n / len(again)) for i in range(len(again))}
    second, new = iter(again), zip(batch.samples, batch.scores, batch.reasons, batch.strategies, strict=True)
    made = []
    for rank in range(n):
        kind = "revote" if rank in places else "new"
        sample, score, reason, by = (*next(second), REVOTE) if kind == "revote" else next(new)
        made.append(
            Suggestion(
                sample_id=sample, score=float(score), reason=reason, strategy=by, round=number, rank=rank, kind=kind
            )
        )  # fmt: skip
    return made


def _doubts(pool: Pool, suggestions: Sequence[Suggestion]) -> dict[str, float]:
    """How likely it is that the answer one would give now is wrong: the model's guess, or the label of a revote.

    Scores of strategies mean something else each; this is on one scale. A sample that nothing is known of is left out.
    """
    import numpy as np

    found = {s.sample_id: s.score for s in suggestions if s.kind == "revote"}
    if pool.probs is not None:
        place = {sample: row for row, sample in enumerate(pool.samples)}
        new = [s.sample_id for s in suggestions if s.kind == "new"]
        best = np.asarray(pool.probs[[place[sample] for sample in new]]).max(axis=1) if new else np.empty(0)
        found |= {sample: 1 - float(p) for sample, p in zip(new, best, strict=True) if np.isfinite(p)}
    return found


def _composition(pool: Pool, batch: Selection) -> dict[str, float] | None:
    if batch.composition is None:
        return None
    return {name: float(share) for name, share in zip(pool.classes, batch.composition, strict=True)}
