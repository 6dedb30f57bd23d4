"""A round of suggestions: the pool with all that is known of it, a strategy, second opinions, and what is stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from emolab.progress import SILENT
from emolab.results import Result, plain_data
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from emolab.active_learning.selection.pool import Pool
    from emolab.active_learning.selection.select import Selection
    from emolab.catalog import Catalog
    from emolab.catalog.activity import Activity
    from emolab.catalog.samples import PoolColumns
    from emolab.labeling.sync.push import PushReport
    from emolab.loop.label.second_opinions import Again
    from emolab.progress import Progress
    from emolab.records import LabelSet, Model, Predictions, Suggestion
    from emolab.votes.picture_bar import Bar
    from emolab.workspace import Workspace

#: Labelled samples that are embedded for the replay of strategies, which uses 1,500 of those with a label.
MOST_REPLAYED = 2_000
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


@dataclass(frozen=True)
class _Known:
    """What the catalog holds that a round depends on."""

    columns: PoolColumns
    model: Model | None
    number: int
    unsent: int
    overlap: int | None  # people per sample in the project, which the settings need not say
    people: list[Activity]


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
    for a strategy that needs one or no speed to reckon with, :class:`UnknownName` for an unknown strategy.
    """
    import zlib

    import numpy as np

    from emolab.active_learning.selection.batch import Limits, compose
    from emolab.active_learning.selection.draws import bootstrap_draws
    from emolab.active_learning.strategies import needed
    from emolab.catalog.campaign import rounds
    from emolab.labeling.labels.current_labels import labels_if_any
    from emolab.loop.label.second_opinions import second_opinions
    from emolab.plugins import STRATEGIES

    settings = workspace.config.suggest
    with workspace.lock("suggest"), workspace.catalog() as catalog:
        known = _read(catalog, workspace.config.labeling.bar)
        each = known.overlap or workspace.config.labeling.wanted.low
        n = n or (settings.n if minutes is None else _affordable(known, 60 * minutes, each))
        _require(known, n)
        chosen = _strategy(strategy, settings.strategy, known.model, progress)
        reads = needed(STRATEGIES.load(chosen))
        limits = Limits(per_group=per_group or settings.per_group, balanced=balance or settings.balance)
        model = known.model if reads or limits.balanced else None
        labels = labels_if_any(workspace, progress=progress) if model else None
        pool = _pool(known.columns, _predict(workspace, model, progress) if model else None, labels)
        rng = np.random.default_rng([seed, known.number, zlib.crc32(chosen.encode())])
        again: list[Again] = []
        if model is not None:
            pool = replace(pool, unlearned=_unlearned(workspace, model, pool, progress))
            share = settings.revotes if revotes is None else revotes
            again = second_opinions(workspace, pool, n, share=share, rng=np.random.default_rng([seed, known.number]))
        if "draws" in reads and pool.targets is not None:
            pool = replace(pool, draws=bootstrap_draws(pool, rng))
        batch = compose(pool, n - len(again), strategy=chosen, rng=rng, limits=limits)
        suggestions = _ranked(batch, again, known.number)
        told = {"n": n, "candidates": len(pool.candidates), "revotes": len(again), "note": batch.note}
        with catalog.begin() as tx:
            rounds.create(
                tx,
                suggestions,
                strategy=chosen,
                model=model.id if model else None,
                seed=seed,
                settings={**told, **asdict(limits)},
            )
    return Proposal(
        round=known.number,
        strategy=chosen,
        note=batch.note,
        seconds=_seconds(known.people, len(batch.samples) * each + len(again)),
        model=model,
        seed=seed,
        suggestions=suggestions,
        composition=_composition(pool, batch),
        doubts=_doubts(pool, suggestions),
        candidates=len(pool.candidates),
        left_out=int((_unfit(known.columns) & ~known.columns.judge & ~known.columns.pending).sum()),
    )


def _read(catalog: Catalog, bar: Bar) -> _Known:
    from emolab.catalog import activity, models, samples
    from emolab.catalog.campaign import remotes, rounds

    with catalog.connect() as conn:
        return _Known(
            columns=samples.pool(conn, bar),
            model=models.find(conn, "champion"),
            number=rounds.next_number(conn),
            unsent=len(rounds.suggestions(conn, unsent=True)),
            people=activity.annotators(conn),
            overlap=remotes.usual_overlap(conn),
        )


def _require(known: _Known, n: int) -> None:
    """Raise :class:`DataError` when there are fewer than ``n`` samples to choose from, with what to do about it."""
    from emolab.active_learning.selection.select import enough
    from emolab.errors import DataError

    everybody = _pool(known.columns, None, None)
    try:
        enough(everybody, n)
    except DataError as error:
        if not known.unsent or len(everybody.candidates):
            raise
        waiting = many(known.unsent, "suggestion waits", "suggestions wait")
        raise DataError(error.message, hint=f"{waiting} to be sent: emolab label push --suggestions") from None


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
    from emolab.errors import MissingExtra

    try:
        from emolab.training.predict import predict_pool
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    return predict_pool(workspace, model, progress=progress)


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


def _unlearned(workspace: Workspace, model: Model, pool: Pool, progress: Progress) -> NDArray[np.float16] | None:
    """Features (n, d) of labelled samples by the backbone the model started from; ``None`` if that knew nothing.

    The model's own features have learned the labels by heart, and tell nothing about how to choose labels.
    """
    import numpy as np

    from emolab.active_learning.strategies.auto import JUDGEABLE, teaching
    from emolab.catalog import samples
    from emolab.errors import DataError
    from emolab.training.inputs.initial_features import frozen

    rows = teaching(pool)[:MOST_REPLAYED]
    if len(rows) < JUDGEABLE:
        return None
    ids = [pool.samples[row] for row in rows.tolist()]
    with workspace.catalog() as catalog, catalog.connect() as conn:
        media = {sample.id: workspace.root / sample.media for sample in samples.by_ids(conn, ids)}
    try:
        found, _ = frozen(workspace, model, ids, media.__getitem__, progress=progress)
    except DataError as error:
        progress.note(f"Strategies are compared on what the model itself has learned: {error.message}")
        return None
    every = np.full((len(pool), found.shape[1]), np.nan, dtype=np.float16)
    every[rows] = found
    return every


def _seconds(people: Sequence[Activity], answers: int) -> float | None:
    """Time for so many answers at the team's median speed; ``None`` while nobody's has been measured."""
    from statistics import median

    speeds = [person.seconds for person in people if person.kind == "person" and person.seconds is not None]
    return answers * median(speeds) if speeds else None


def _affordable(known: _Known, seconds: float, each: int) -> int:
    """How many samples the team answers ``each`` times in ``seconds``, one at least and no more than there are."""
    from emolab.errors import DataError

    one = _seconds(known.people, each)
    if one is None:
        raise DataError(
            "How long an answer takes is not known: nobody's answers have been timed yet.",
            hint='Use -n for this round; "emolab label pull" brings the times of the answers.',
        )
    return max(1, min(int(seconds / one), len(_pool(known.columns, None, None).candidates)))


def _pool(columns: PoolColumns, predictions: Predictions | None, told: LabelSet | None) -> Pool:
    """The catalog's pool with the model's opinions and the current labels beside it, row by row."""
    import numpy as np

    from emolab.active_learning.selection.pool import Pool

    probs = embeddings = targets = None
    excluded = columns.judge | _unfit(columns)
    if predictions is not None:
        probs, embeddings = predictions.probs, predictions.embeddings
        if predictions.samples != columns.ids:
            place = {sample: row for row, sample in enumerate(predictions.samples)}
            rows = np.array([place.get(sample, -1) for sample in columns.ids], dtype=np.int64)
            probs, embeddings = probs[rows], embeddings[rows]
            probs[rows < 0], embeddings[rows < 0] = np.nan, np.nan
            excluded = excluded | (rows < 0)  # nobody could see what is in a damaged file
        if told is not None and set(told.classes) == set(predictions.classes):
            targets = np.full(probs.shape, np.nan, dtype=np.float32)
            place = {sample: row for row, sample in enumerate(columns.ids)}
            order = [told.classes.index(name) for name in predictions.classes]
            kept = [row for row, sample in enumerate(told.samples) if sample in place]  # others came in meanwhile
            targets[[place[told.samples[row]] for row in kept]] = told.probs[kept][:, order]
    return Pool(
        samples=columns.ids,
        labelled=columns.votes > 0,
        pending=columns.pending,
        excluded=excluded,
        duplicate=columns.duplicate,
        votes=columns.votes,
        group=columns.group,
        probs=probs,
        embeddings=embeddings,
        targets=targets,
        classes=predictions.classes if predictions else (),
    )


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


def _unfit(columns: PoolColumns) -> NDArray[np.bool_]:
    """(n,) samples below the bar that nobody has answered; the others have shown that they can be."""
    unfit: NDArray[np.bool_] = columns.unfit & (columns.votes == 0)
    return unfit


def _composition(pool: Pool, batch: Selection) -> dict[str, float] | None:
    if batch.composition is None:
        return None
    return {name: float(share) for name, share in zip(pool.classes, batch.composition, strict=True)}
