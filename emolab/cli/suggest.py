"""``emolab suggest``: which samples deserve the next votes, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, workspace_command
from emolab.cli.words import lasting, many, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from emolab.active_learning.pool import Pool
    from emolab.active_learning.select import Selection
    from emolab.catalog.activity import Activity
    from emolab.catalog.samples import Pool as Columns
    from emolab.labeling.push import PushReport
    from emolab.progress import Progress
    from emolab.records import LabelSet, Model, Predictions, Suggestion
    from emolab.workspace import Workspace

SHOWN = 12
#: Labelled samples that are embedded for the replay of strategies, which uses 1,500 of those with a label.
MOST_REPLAYED = 2_000


@dataclass(frozen=True, kw_only=True)
class Proposal:
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


@click.command(short_help="Propose the samples that deserve the next votes.")
@click.option("-n", "--n", "n", type=click.IntRange(min=1), metavar="N", help="How many samples [100].")
@click.option("--strategy", metavar="NAME", help="A strategy or a plugin: see docs/selection.md [auto].")
@click.option("--per-group", type=click.IntRange(min=1), metavar="N", help="At most N of one subject or video.")
@click.option("--balance", is_flag=True, help="As many of every class, as far as the model can tell.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For strategies that draw.")
@click.option("--push", "send", is_flag=True, help="Send the suggestions to the team at once.")
@click.option("--advise", "advice", is_flag=True, help="Only say whether further votes are worth it; makes no round.")
@workspace_command
def suggest(
    session: Session,
    *,
    n: int | None,
    strategy: str | None,
    per_group: int | None,
    balance: bool,
    seed: int,
    send: bool,
    advice: bool,
) -> None:
    """Choose N samples that nobody has been asked about, and store them as the next round with a reason for each.

    Samples that are labelled, pending, kept for validation or test, or copies of another sample are never proposed.
    The champion model looks at new samples first where the strategy needs it; without any model only random works.
    """
    if advice:
        _advise(session, alone=not (n or strategy or per_group or balance or send))
        return
    proposal = propose(
        session.workspace,
        n=n,
        strategy=strategy,
        per_group=per_group,
        balance=balance,
        seed=seed,
        progress=session.progress,
    )
    _show(session, proposal)
    report = _push(session, proposal) if send else None
    session.emit(_data(proposal, report))
    if report is None:
        session.next_step("emolab label push --suggestions")


def _advise(session: Session, *, alone: bool) -> None:
    from emolab.cli.advise import advise
    from emolab.cli.advise_show import show

    if not alone:
        raise click.UsageError("--advise makes no round, so it stands alone: emolab suggest --advise")
    found = advise(session.workspace, session.progress)
    session.emit(found)
    show(session, found)


def propose(
    workspace: Workspace,
    *,
    n: int | None = None,
    strategy: str | None = None,
    per_group: int | None = None,
    balance: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Proposal:
    """Choose and store the next round. What is not given defaults to the workspace's settings.

    The same workspace and seed give the same round. Raises :class:`DataError` when there are not enough samples or no
    model for a strategy that needs one, :class:`UnknownName` for an unknown strategy.
    """
    import zlib

    import numpy as np

    from emolab.active_learning.batch import Limits, compose
    from emolab.active_learning.draws import bootstrap_draws
    from emolab.active_learning.select import enough
    from emolab.active_learning.strategies import needed
    from emolab.catalog import activity, labels, models, rounds, samples
    from emolab.errors import DataError
    from emolab.progress import SILENT
    from emolab.records import Suggestion
    from emolab.registry import STRATEGIES

    progress = progress or SILENT
    n = n or workspace.config.suggest.n
    with workspace.lock("suggest"), workspace.catalog() as catalog:
        with catalog.connect() as conn:
            columns = samples.pool(conn)
            model = models.find(conn, "champion")
            number = rounds.next_number(conn)
            unsent = len(rounds.suggestions(conn, unsent=True))
            told = labels.current(conn)
            people = activity.annotators(conn)
        everybody = _pool(columns, None, None)
        try:
            enough(everybody, n)
        except DataError as error:
            if not unsent or len(everybody.candidates):
                raise
            hint = f"{many(unsent, 'suggestion waits', 'suggestions wait')} to be sent: emolab label push --suggestions"
            raise DataError(error.message, hint=hint) from None
        chosen = strategy or workspace.config.suggest.strategy
        if needed(STRATEGIES.load(chosen)) and model is None:
            if strategy is not None:
                raise DataError(
                    f'The strategy "{strategy}" needs a model, and none has been trained yet.',
                    hint='Use --strategy random for the first round, then "emolab train".',
                )
            progress.note("No model has been trained yet, so this round is drawn at random.")
            chosen = "random"
        settings = workspace.config.suggest
        limits = Limits(per_group=per_group or settings.per_group, balanced=balance or settings.balance)
        asks_model = bool(needed(STRATEGIES.load(chosen))) or limits.balanced
        pool = _pool(columns, _predict(workspace, model, progress) if model and asks_model else None, told)
        if chosen == "auto" and model is not None:
            pool = replace(pool, unlearned=_unlearned(workspace, model, pool, progress))
        rng = np.random.default_rng([seed, number, zlib.crc32(chosen.encode())])
        if "draws" in needed(STRATEGIES.load(chosen)) and pool.targets is not None:
            pool = replace(pool, draws=bootstrap_draws(pool, rng))
        batch = compose(pool, n, strategy=chosen, rng=rng, limits=limits)
        suggestions = [
            Suggestion(sample_id=sample, score=float(score), reason=reason, strategy=by, round=number, rank=rank)
            for rank, (sample, score, reason, by) in enumerate(
                zip(batch.samples, batch.scores, batch.reasons, batch.strategies, strict=True)
            )
        ]
        used = model if asks_model else None
        with catalog.begin() as tx:
            rounds.create(
                tx,
                suggestions,
                strategy=chosen,
                model=used.id if used else None,
                seed=seed,
                settings={"n": n, "candidates": len(pool.candidates), "note": batch.note, **asdict(limits)},
            )
    return Proposal(
        round=number,
        strategy=chosen,
        note=batch.note,
        seconds=_seconds(people, n * workspace.config.labeling.overlap),
        model=used,
        seed=seed,
        suggestions=suggestions,
        composition=_composition(pool, batch),
        candidates=len(pool.candidates),
    )


def _predict(workspace: Workspace, model: Model, progress: Progress) -> Predictions:
    from emolab.errors import MissingExtra

    try:
        from emolab.training.predict import predict_pool
    except ImportError as error:
        raise MissingExtra("PyTorch", "train") from error
    return predict_pool(workspace, model, progress=progress)


def _unlearned(workspace: Workspace, model: Model, pool: Pool, progress: Progress) -> NDArray[np.float16] | None:
    """Features (n, d) of labelled samples by the backbone the model started from; ``None`` if that knew nothing.

    The model's own features have learned the labels by heart, and tell nothing about how to choose labels.
    """
    import numpy as np

    from emolab.active_learning.strategies.auto import JUDGEABLE, teaching
    from emolab.catalog import samples
    from emolab.errors import DataError
    from emolab.training.frozen import frozen

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


def _pool(columns: Columns, predictions: Predictions | None, told: LabelSet | None) -> Pool:
    """The catalog's pool with the model's opinions and the current labels beside it, row by row."""
    import numpy as np

    from emolab.active_learning.pool import Pool

    probs = embeddings = targets = None
    if predictions is not None:
        probs, embeddings = predictions.probs, predictions.embeddings
        if predictions.samples != columns.ids:
            place = {sample: row for row, sample in enumerate(predictions.samples)}
            rows = np.array([place[sample] for sample in columns.ids], dtype=np.int64)
            probs, embeddings = probs[rows], embeddings[rows]
        if told is not None and set(told.classes) == set(predictions.classes):
            targets = np.full(probs.shape, np.nan, dtype=np.float32)
            place = {sample: row for row, sample in enumerate(columns.ids)}
            order = [told.classes.index(name) for name in predictions.classes]
            targets[[place[sample] for sample in told.samples]] = told.probs[:, order]
    return Pool(
        samples=columns.ids,
        labelled=columns.votes > 0,
        pending=columns.pending,
        excluded=columns.judge,
        duplicate=columns.duplicate,
        votes=columns.votes,
        group=columns.group,
        probs=probs,
        embeddings=embeddings,
        targets=targets,
        classes=predictions.classes if predictions else (),
    )


def _composition(pool: Pool, batch: Selection) -> dict[str, float] | None:
    if batch.composition is None:
        return None
    return {name: float(share) for name, share in zip(pool.classes, batch.composition, strict=True)}


def _push(session: Session, proposal: Proposal) -> PushReport:
    from emolab.labeling.address import open_studio
    from emolab.labeling.push import push

    visible = session.workspace.config.labeling.show_predictions
    guesses = _guesses(session.workspace, proposal) if visible else {}
    with open_studio(session.workspace) as studio:
        report = push(session.workspace, studio, suggestions=True, guesses=guesses, progress=session.progress)
    tasks = many(report.created + report.adopted + report.resumed, "task waits", "tasks wait")
    session.say(f"[green]✓[/] {tasks} for the team in “{report.project}” · {report.url}")
    session.next_step("emolab label pull, once people have answered")
    return report


def _guesses(workspace: Workspace, proposal: Proposal) -> dict[str, str]:
    """The model's class for every proposed sample; none where the round was chosen without a model."""
    from emolab import predictions

    if proposal.model is None:
        return {}
    ids = [suggestion.sample_id for suggestion in proposal.suggestions]
    stored = predictions.read(workspace.predictions / proposal.model.id, ids)
    return {sample: stored.classes[c] for sample, c in zip(ids, stored.probs.argmax(axis=1), strict=True)}


def _show(session: Session, proposal: Proposal) -> None:
    from emolab.cli.common import bar

    count = len(proposal.suggestions)
    by = f" by model {short(proposal.model.id)}" if proposal.model else ""
    session.table(
        [("", "right"), "sample", ("score", "right"), "why"],
        [(s.rank + 1, short(s.sample_id), f"{s.score:.3f}", s.reason) for s in proposal.suggestions[:SHOWN]],
        title=f"Round {proposal.round}: {count:,} of {proposal.candidates:,} samples, {proposal.strategy}{by}",
    )
    if proposal.note:
        session.say(f"[dim]{proposal.note[0].upper()}{proposal.note[1:]}.[/]")
    if proposal.seconds is not None:
        session.say(f"[dim]About {lasting(proposal.seconds)} of the team's time, at the speed it has had so far.[/]")
    if count > SHOWN:
        session.say(f"[dim]and {count - SHOWN:,} more; --json lists all of them.[/]\n")
    if proposal.composition:
        largest = max(proposal.composition.values()) or 1.0
        session.table(
            ["class", ("expected", "right"), ""],
            [
                (name, f"{expected:.1f}", bar(expected / largest, 24))
                for name, expected in proposal.composition.items()
            ],
            title="What the model expects in this batch",
        )  # fmt: skip


def _data(proposal: Proposal, report: PushReport | None) -> dict[str, Any]:
    return {
        "round": proposal.round,
        "strategy": proposal.strategy,
        "model": proposal.model.id if proposal.model else None,
        "seed": proposal.seed,
        "n": len(proposal.suggestions),
        "candidates": proposal.candidates,
        "composition": proposal.composition,
        "suggestions": [
            {
                "rank": s.rank,
                "sample": s.sample_id,
                "score": s.score,
                "reason": s.reason,
                "kind": s.kind,
                "strategy": s.strategy,
            }
            for s in proposal.suggestions
        ],
        "note": proposal.note,
        "seconds": proposal.seconds,
        "push": report,
    }
