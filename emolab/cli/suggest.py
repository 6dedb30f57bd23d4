"""``emolab suggest``: which samples deserve the next votes, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, workspace_command
from emolab.cli.words import many, short

if TYPE_CHECKING:
    from emolab.active_learning.pool import Pool
    from emolab.active_learning.select import Selection
    from emolab.catalog.samples import Pool as Columns
    from emolab.labeling.push import PushReport
    from emolab.progress import Progress
    from emolab.records import Model, Predictions, Suggestion
    from emolab.workspace import Workspace

SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A stored round: its number, what it proposes, and what the model expects of the batch (``None`` without one)."""

    round: int
    strategy: str
    model: Model | None
    seed: int
    suggestions: list[Suggestion]
    composition: dict[str, float] | None
    candidates: int


@click.command(short_help="Propose the samples that deserve the next votes.")
@click.option("-n", "--n", "n", type=click.IntRange(min=1), metavar="N", help="How many samples [100].")
@click.option(
    "--strategy", metavar="NAME", help="random, least_confidence, margin, entropy, coreset or a plugin [margin]."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For strategies that draw.")
@click.option("--push", "send", is_flag=True, help="Send the suggestions to the team at once.")
@workspace_command
def suggest(session: Session, n: int | None, strategy: str | None, seed: int, send: bool) -> None:
    """Choose N samples that nobody has been asked about, and store them as the next round with a reason for each.

    Samples that are labelled, pending, kept for validation or test, or copies of another sample are never proposed.
    The champion model looks at new samples first where the strategy needs it; without any model only random works.
    """
    proposal = propose(session.workspace, n=n, strategy=strategy, seed=seed, progress=session.progress)
    _show(session, proposal)
    report = _push(session, proposal) if send else None
    session.emit(_data(proposal, report))
    if report is None:
        session.next_step("emolab label push --suggestions")


def propose(
    workspace: Workspace,
    *,
    n: int | None = None,
    strategy: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Proposal:
    """Choose and store the next round. Number and strategy default to the workspace's settings.

    The same workspace and seed give the same round. Raises :class:`DataError` when there are not enough samples or no
    model for a strategy that needs one, :class:`UnknownName` for an unknown strategy.
    """
    import zlib

    import numpy as np

    from emolab.active_learning.select import enough, select
    from emolab.active_learning.strategies import needed
    from emolab.catalog import models, rounds, samples
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
        everybody = _pool(columns, None)
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
        asks_model = bool(needed(STRATEGIES.load(chosen)))
        pool = _pool(columns, _predict(workspace, model, progress) if model and asks_model else None)
        rng = np.random.default_rng([seed, number, zlib.crc32(chosen.encode())])
        batch = select(pool, n, strategy=chosen, rng=rng)
        suggestions = [
            Suggestion(
                sample_id=sample, score=float(score), reason=reason, strategy=chosen, round=number, rank=rank
            )
            for rank, (sample, score, reason) in enumerate(
                zip(batch.samples, batch.scores, batch.reasons, strict=True)
            )
        ]  # fmt: skip
        used = model if asks_model else None
        with catalog.begin() as tx:
            rounds.create(
                tx,
                suggestions,
                strategy=chosen,
                model=used.id if used else None,
                seed=seed,
                settings={"n": n, "candidates": len(pool.candidates)},
            )
    return Proposal(
        round=number,
        strategy=chosen,
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


def _pool(columns: Columns, predictions: Predictions | None) -> Pool:
    """The catalog's pool with the model's opinions beside it, row by row."""
    import numpy as np

    from emolab.active_learning.pool import Pool

    probs = embeddings = None
    if predictions is not None:
        probs, embeddings = predictions.probs, predictions.embeddings
        if predictions.samples != columns.ids:
            place = {sample: row for row, sample in enumerate(predictions.samples)}
            rows = np.array([place[sample] for sample in columns.ids], dtype=np.int64)
            probs, embeddings = probs[rows], embeddings[rows]
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
            {"rank": s.rank, "sample": s.sample_id, "score": s.score, "reason": s.reason, "kind": s.kind}
            for s in proposal.suggestions
        ],
        "push": report,
    }
