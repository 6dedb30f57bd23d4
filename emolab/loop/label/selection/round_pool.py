"""What a round is chosen from: the pool with the model's opinions, the current labels, and the team's speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from emolab.active_learning.selection.pool import Pool
    from emolab.catalog import Catalog
    from emolab.catalog.pool_columns import PoolColumns
    from emolab.progress import Progress
    from emolab.records import LabelSet, Model, Predictions
    from emolab.votes.picture_bar import Bar
    from emolab.workspace import Workspace

#: Labelled samples that are embedded for the replay of strategies, which uses 1,500 of those with a label.
MOST_REPLAYED = 2_000


@dataclass(frozen=True)
class Known:
    """What the catalog holds that a round depends on."""

    columns: PoolColumns
    model: Model | None
    number: int
    unsent: int
    overlap: int | None  # people per sample in the project, which the settings need not say
    speeds: list[float]  # seconds per answer, one for each person
    no_consent: str = ""  # how many samples are left out for want of consent, in words


def read(catalog: Catalog, bar: Bar, *, consent_required: bool) -> Known:
    """Everything that a round depends on, as the catalog has it now; samples without consent are not in it."""
    from emolab.catalog import activity, models, pool_columns
    from emolab.catalog.campaign import remotes, rounds
    from emolab.catalog.privacy import consents

    with catalog.connect() as conn:
        may = consents.allowed(conn, "label", required=consent_required)
        return Known(
            columns=pool_columns.read(conn, bar, only=may.clause),
            model=models.find(conn, "champion"),
            number=rounds.next_number(conn),
            unsent=rounds.count_unsent(conn),
            speeds=activity.speeds(conn),
            overlap=remotes.usual_overlap(conn),
            no_consent=may.told(),
        )


def require(known: Known, n: int) -> None:
    """Raise :class:`DataError` when there are fewer than ``n`` samples to choose from, with what to do about it."""
    from emolab.active_learning.selection.select import enough
    from emolab.errors import DataError

    everybody = pool_of(known.columns, None, None)
    try:
        enough(everybody, n)
    except DataError as error:
        if not known.unsent or len(everybody.candidates):
            raise
        waiting = many(known.unsent, "suggestion waits", "suggestions wait")
        raise DataError(error.message, hint=f"{waiting} to be sent: emolab label push --suggestions") from None


def affordable(known: Known, seconds: float, each: int) -> int:
    """How many samples the team answers ``each`` times in ``seconds``, one at least and no more than there are."""
    from emolab.errors import DataError

    one = seconds_for(known.speeds, each)
    if one is None:
        raise DataError(
            "How long an answer takes is not known: nobody's answers have been timed yet.",
            hint='Use -n for this round; "emolab label pull" brings the times of the answers.',
        )
    return max(1, min(int(seconds / one), len(pool_of(known.columns, None, None).candidates)))


def seconds_for(speeds: Sequence[float], answers: int) -> float | None:
    """Time for so many answers at the team's median of ``speeds``; ``None`` while nobody's has been measured."""
    from statistics import median

    return answers * median(speeds) if speeds else None


def pool_of(columns: PoolColumns, predictions: Predictions | None, told: LabelSet | None) -> Pool:
    """The catalog's pool with the model's opinions and the current labels beside it, row by row."""
    import numpy as np

    from emolab.active_learning.selection.pool import Pool

    probs = embeddings = targets = None
    excluded = columns.judge | unfit(columns)
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


def unlearned_features(
    workspace: Workspace, model: Model, pool: Pool, progress: Progress
) -> NDArray[np.float16] | None:
    """Features (n, d) of labelled samples by the backbone the model started from; ``None`` if that knew nothing.

    The model's own features have learned the labels by heart, and tell nothing about how to choose labels.
    """
    import numpy as np

    from emolab.active_learning.strategies.auto import JUDGEABLE, teaching
    from emolab.catalog import samples
    from emolab.errors import DataError
    from emolab.loop.model.predicting.pool_predictions import unlearned

    rows = teaching(pool)[:MOST_REPLAYED]
    if len(rows) < JUDGEABLE:
        return None
    ids = [pool.samples[row] for row in rows.tolist()]
    with workspace.catalog() as catalog, catalog.connect() as conn:
        media = {sample.id: workspace.root / sample.media for sample in samples.by_ids(conn, ids)}
    try:
        found, _ = unlearned(workspace, model, ids, media.__getitem__, progress=progress)
    except DataError as error:
        progress.note(f"Strategies are compared on what the model itself has learned: {error.message}")
        return None
    every = np.full((len(pool), found.shape[1]), np.nan, dtype=np.float16)
    every[rows] = found
    return every


def unfit(columns: PoolColumns) -> NDArray[np.bool_]:
    """(n,) samples below the bar that nobody has answered; the others have shown that they can be."""
    unfit: NDArray[np.bool_] = columns.unfit & (columns.votes == 0)
    return unfit
