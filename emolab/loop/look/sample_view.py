"""All that is known of one sample: its picture, votes, label and predictions side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.records import Model, Sample
    from emolab.workspace import Workspace

#: Models whose predictions are shown, the newest ones.
MODELS = 6


@dataclass(frozen=True, kw_only=True)
class SampleView(Result):
    """One ``sample`` with its ``votes`` as they came, ``label`` and ``predictions`` (shares by class), and ``rounds``.

    ``label`` is ``None`` without one. A vote is called by its annotator's nickname where there is one, and says why it
    does not count where it does not.
    """

    sample: Sample
    label: Mapping[str, Any] | None
    votes: Sequence[Mapping[str, Any]]
    predictions: Sequence[Mapping[str, Any]]
    rounds: Sequence[Mapping[str, Any]]
    classes: Sequence[str]


def sample_view(workspace: Workspace, sample_id: str) -> SampleView:
    """All that is known of the sample with this id. Raises :class:`DataError` without one that may be shown."""
    from emolab.catalog import labels, models, nicknames, samples, votes
    from emolab.catalog.campaign import rounds

    with workspace.catalog() as catalog, catalog.connect() as conn:
        _require_consent(workspace, conn, sample_id)
        sample = samples.by_ids(conn, [sample_id])[0]
        held = labels.of(conn, sample.id)
        called = nicknames.by_pseudonym(conn)
        said = list(votes.iterate(conn, include_rejected=True, sample_id=sample.id))
        known = models.list_all(conn)[::-1]
        proposed = rounds.of_sample(conn, sample.id)
    label = None
    if held is not None and held.samples:
        label = {
            "label": held.classes[int(held.hard[0])],
            "agreement": float(held.agreement[0]),
            "votes": int(held.votes[0]),
            "shares": _shares(held.classes, held.probs[0].tolist()),
        }
    return SampleView(
        sample=sample,
        label=label,
        votes=[
            {
                "annotator": called.get(vote.annotator, vote.annotator), "said": vote.label, "also": vote.also,
                "people": vote.count, "confidence": vote.confidence, "second": vote.second, "seconds": vote.lead_time,
                "at": vote.cast_at, "rejected": vote.rejected, "shown": vote.shown, "round": vote.round,
            }
            for vote in said
        ],
        predictions=_predictions(workspace, known, sample.id),
        rounds=[{"round": s.round, "rank": s.rank, "reason": s.reason, "strategy": s.strategy} for s in proposed],
        classes=workspace.config.project.classes,
    )  # fmt: skip


def media_of(workspace: Workspace, sample_id: str) -> Sample:
    """The sample with exactly this id, which tells where its picture is. Raises :class:`DataError`."""
    from emolab.catalog import samples

    with workspace.catalog() as catalog, catalog.connect() as conn:
        _require_consent(workspace, conn, sample_id)
        return samples.by_ids(conn, [sample_id])[0]


def _require_consent(workspace: Workspace, conn: Connection, sample_id: str) -> None:
    """Raise :class:`DataError` for a sample that may not be shown."""
    from emolab.catalog.privacy import consents
    from emolab.errors import DataError

    may = consents.allowed(conn, "show", required=workspace.config.privacy.consent_required, sample=sample_id)
    if why := may.barred.get(sample_id):
        raise DataError(f"Sample {sample_id[:12]} is not shown: {why}.", hint="See the register: emolab consent list")


def _predictions(workspace: Workspace, known: Sequence[Model], sample_id: str) -> list[dict[str, Any]]:
    """What the champion and the newest models said of the sample, as far as it was kept; the champion comes first."""
    from emolab.inference import prediction_store

    found = []
    for model in sorted(known, key=lambda each: "champion" not in each.aliases)[:MODELS]:
        ids, classes, probs = prediction_store.pick(workspace.predictions_folder / model.id, [sample_id])
        if ids:
            shares = _shares(classes, probs[0].tolist())
            found.append({"model": model.id, "aliases": list(model.aliases), "shares": shares})
    return found


def _shares(classes: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(classes, values, strict=True)}
