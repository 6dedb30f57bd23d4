"""What advice is made from: labelled samples with features and votes, and who may judge; or what is missing for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from emolab.records import HOLDOUT
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.active_learning.advice.learning_curve import Labelled
    from emolab.progress import Progress
    from emolab.records import LabelSet, Model, Sample, VoteTable
    from emolab.training.inputs.initial_features import Known
    from emolab.workspace import Workspace


class Lacking(NamedTuple):
    """What is missing, in words, and the command that brings it."""

    sentence: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Material:
    """``rows`` (n,) of the labels as ``data``, the votes ``counts`` (n, k) behind them, those of the ``team`` (m, k).

    ``judge`` is ``random`` or ``valid``, the kind of samples that judge. A new sample costs ``votes_per_sample`` of the
    people, and one more to learn from ``votes_per_label``, for some go to validation.
    """

    rows: NDArray[np.int64]
    data: Labelled
    counts: NDArray[np.float64]
    team: NDArray[np.float64]
    judge: str
    votes_per_sample: float
    votes_per_label: float


def gather(workspace: Workspace, model: Model, labels: LabelSet, progress: Progress) -> Material | Lacking:
    """Labelled samples of train and valid with features that have not seen their labels; the test split stays out.

    Samples drawn at random judge where there are 40, else the valid split; those of a balanced round are no random
    sample, for the model's opinion took part in the draw. Raises :class:`DataError` where the
    champion's backbone knows nothing but these labels.
    """
    from dataclasses import replace

    import numpy as np

    from emolab.active_learning.advice import ceiling
    from emolab.active_learning.advice.advice import FEWEST
    from emolab.active_learning.advice.ceiling import pairs
    from emolab.active_learning.advice.learning_curve import Labelled
    from emolab.catalog import samples, tallies
    from emolab.datasets.splits import assign
    from emolab.votes import table as tally

    if set(model.classes) != set(labels.classes):
        return Lacking("The champion was trained for other classes than the labels have now.", "emolab train")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = samples.by_ids(conn, labels.samples)
        drawn = _drawn_at_random(conn)
        table = _one_label_each(tallies.table(conn, labels.classes))
    teach = np.array([sample.split in (None, "train") for sample in found])
    random = np.array([sample.id in drawn and sample.split not in ("test", HOLDOUT) for sample in found])
    valid = np.array([sample.split == "valid" for sample in found])
    lacking = _lacking(int(teach.sum()), int(random.sum()), int(valid.sum()))
    if lacking is not None:
        return lacking
    judge, kind = (random, "random") if random.sum() >= FEWEST else (valid, "valid")
    features, known = _features(workspace, replace(model, classes=labels.classes), found, progress)
    unit = assign.connect(
        labels.samples,
        [sample.group for sample in found],
        [sample.parent for sample in found],
        [sample.representative or sample.id for sample in found],
    )
    rows = np.flatnonzero(teach | judge)
    place = {sample: row for row, sample in enumerate(table.samples)}
    own = _own(workspace, table)
    each = float(own.sum() / len(own)) if len(own) else float(workspace.config.labeling.wanted.low)
    return Material(
        rows=rows,
        data=Labelled(
            features=features[rows],
            targets=labels.probs[rows],
            hard=labels.hard[rows].astype(np.int64),
            teach=teach[rows],
            judge=judge[rows],
            unit=unit[rows],
            known=known,
        ),
        counts=tally.counts(table)[[place[labels.samples[row]] for row in rows]],
        team=own if len(pairs(own)) >= ceiling.FEWEST else tally.counts(table),
        judge=kind,
        votes_per_sample=each,
        votes_per_label=each / assign.SHARES["train"],
    )


def _one_label_each(votes: VoteTable) -> VoteTable:
    """The same votes. Raises :class:`DataError` where an answer holds several labels."""
    from emolab.votes import table as tally

    tally.one_each(votes, "Advice (emolab suggest --advise)", "Ask for a round instead: emolab suggest")
    return votes


def _drawn_at_random(conn: Connection) -> set[str]:
    """Samples that rounds drew at random; a balanced round is no random draw, for the model's opinion took part."""
    from emolab.catalog.campaign import rounds

    balanced = {each.number for each in rounds.list_all(conn) if each.settings.get("balanced")}
    return {s.sample_id for s in rounds.suggestions(conn) if s.strategy == "random" and s.round not in balanced}


def _lacking(teach: int, drawn: int, valid: int) -> Lacking | None:
    """What there is too little of, ``None`` where there is enough."""
    from emolab.active_learning.advice.advice import FEWEST

    too_early = "Too early to say what further votes buy:"
    if max(drawn, valid) < FEWEST:
        return Lacking(
            f"{too_early} {many(valid, 'labelled sample')} of the validation split can judge and {drawn:,} drawn at "
            f"random, {FEWEST} of either are needed.",
            f"emolab suggest --strategy random -n {FEWEST - drawn} --push",
        )
    if teach < FEWEST:
        return Lacking(
            f"{too_early} {many(teach, 'labelled sample')} can be learnt from, {FEWEST} are needed.",
            f"emolab suggest -n {FEWEST - teach} --push",
        )
    return None


def _own(workspace: Workspace, table: VoteTable) -> NDArray[np.float64]:
    """Votes (m, k) of the people, sample by sample; those of merged datasets are nobody's here."""
    from emolab.catalog import tallies
    from emolab.votes import table as tally

    with workspace.catalog() as catalog, catalog.connect() as conn:
        people = set(table.annotators) - tallies.datasets(conn)
    own = tally.counts(tally.of(table, people))
    voted: NDArray[np.float64] = own[own.sum(axis=1) > 0]
    return voted


def _features(
    workspace: Workspace, model: Model, found: Sequence[Sample], progress: Progress
) -> tuple[NDArray[np.float32], Known | None]:
    from emolab.errors import DamagedMedia
    from emolab.loop.model.predicting.pool_predictions import unlearned

    media = {sample.id: workspace.root / sample.media for sample in found}
    try:
        return unlearned(workspace, model, list(media), media.__getitem__, progress=progress)
    except DamagedMedia as error:
        raise DamagedMedia(
            error.files,
            len(media),
            hint="Collect or merge the originals again, which repairs their files: emolab collect PATH. "
            "Advice leaves no labelled sample out.",
        ) from None
