"""`emolab suggest --from-drift`: the unlabelled samples that look most like what moved, as the next round."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from emolab.errors import DataError
from emolab.loop.given import check_given
from emolab.loop.label.suggest import Proposal
from emolab.progress import SILENT
from emolab.words import many, short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.loop.operate.monitor.look_record import LookRecord
    from emolab.monitoring.reference import Observations
    from emolab.progress import Progress
    from emolab.records import Model
    from emolab.workspace import Workspace

#: The strategy of such a round.
FROM_DRIFT = "from_drift"
#: Standard deviations of the reference towards what moved from which a sample looks like it.
LEAST = 1.0


def suggest_from_drift(workspace: Workspace, *, n: int | None = None, progress: Progress = SILENT) -> Proposal:
    """Choose and store a round of at most ``n`` [suggest.n] samples that look like what moved in the newest alarm.

    A linear classifier between the reference and the windows of that alarm scores every unlabelled sample by the same
    model's embeddings. Raises :class:`DataError` where no look has an alarm, or no sample looks like it.
    """
    import numpy as np

    from emolab.catalog.campaign import rounds
    from emolab.loop.label.selection.round_pool import pool_of, read, seconds_for, unfit
    from emolab.loop.model.predicting.pool_predictions import pool_predictions
    from emolab.loop.operate.monitor.audit_round import BELOW
    from emolab.records import Suggestion

    check_given({"suggest.n": n})
    model, look = _newest_alarm(workspace)
    reference, window = _sides(workspace, model, look)
    with workspace.lock("suggest"), workspace.catalog() as catalog:
        known = read(catalog, workspace.config.labeling.bar, consent_required=workspace.config.privacy.consent_required)
        if known.no_consent:
            progress.note(known.no_consent)
        pool = pool_of(known.columns, pool_predictions(workspace, model, progress=progress), None)
        rows, away = _ranked(pool.candidates, pool.embeddings, reference, window)
        chosen = rows[: n or workspace.config.suggest.n]
        if not len(chosen):
            below = int((unfit(known.columns) & ~known.columns.judge & ~known.columns.pending).sum())
            free = many(len(pool.candidates), "free sample")
            more = f" {many(below, 'more is', 'more are')} {BELOW}." if below else ""
            raise DataError(
                f"None of {free} looks like what moved in {look.window.name}.{more}",
                hint="Bring in some of what is served: emolab collect PATH",
            )
        suggestions = [
            Suggestion(
                sample_id=pool.samples[row], score=float(score), round=known.number, rank=rank, strategy=FROM_DRIFT,
                reason=f"like what moved in {look.window.name} ({score:+.1f} SD)",
            )
            for rank, (row, score) in enumerate(zip(chosen.tolist(), away.tolist(), strict=False))
        ]  # fmt: skip
        note = f"what moved in {look.window.name}; {many(len(rows), 'sample')} look like it"
        told = {"n": len(chosen), "candidates": len(pool.candidates), "revotes": 0, "note": note,
                "drift": {"model": model.id, "begin": look.window.begin}}  # fmt: skip
        with catalog.begin() as tx:
            rounds.create(tx, suggestions, strategy=FROM_DRIFT, model=model.id, seed=0, settings=told)
        each = known.overlap or workspace.config.labeling.wanted.low
        sure = np.asarray(pool.probs)[chosen].max(axis=1)
        return Proposal(
            round=known.number, strategy=FROM_DRIFT, note=note, seconds=seconds_for(known.speeds, len(chosen) * each),
            model=model, seed=0, suggestions=suggestions, composition=None, candidates=len(pool.candidates),
            doubts={pool.samples[row]: 1 - float(p) for row, p in zip(chosen.tolist(), sure.tolist(), strict=True)},
            left_out=int((unfit(known.columns) & ~known.columns.judge & ~known.columns.pending).sum()),
        )  # fmt: skip


def _newest_alarm(workspace: Workspace) -> tuple[Model, LookRecord]:
    """The newest look with an alarm at a model of the workspace whose log is there, and the model."""
    from emolab.catalog import models
    from emolab.loop.operate.monitor import look_record

    with workspace.catalog() as catalog, catalog.connect() as conn:
        known = models.list_all(conn)
    looks = [(look, model) for model in known for look in look_record.read(workspace, model.id)]
    raised = [
        (look, model)
        for look, model in looks
        if any(str(alarm["key"]).startswith(("drift:", "accuracy:")) for alarm in look.alarms)
    ]
    if not raised:
        what = "No look has an alarm" if looks else "Nobody has looked at what the model is asked"
        raise DataError(
            f"{what}, so there is nothing that moved.",
            hint="Look first: emolab monitor; or choose as usual: emolab suggest",
        )
    look, model = max(raised, key=lambda each: (each[0].window.begin, each[0].at))
    return model, look


def _sides(workspace: Workspace, model: Model, look: LookRecord) -> tuple[Observations, Observations]:
    """The reference, and what was seen in the windows that raised the alarm."""
    from emolab.loop.operate.monitor import watch_reference
    from emolab.loop.operate.monitor.seen_windows import observed
    from emolab.loop.operate.served_columns import FOLDER

    reference = watch_reference.kept(workspace, model.id)
    begin, end = datetime.fromisoformat(look.window.begin), datetime.fromisoformat(look.window.end)
    spans = [test.windows for test in sorted(look.tests, key=lambda test: test.p) if test.alarm]
    begin -= (end - begin) * (spans[0] - 1 if spans else 0)
    log = workspace.state / FOLDER / model.id
    if reference is None or not log.is_dir():
        raise DataError(
            f"The log or the reference of model {short(model.id)} is gone.", hint="Look again: emolab monitor"
        )
    window, _ = observed(log, begin, end)
    if not len(window):
        raise DataError(
            f"Of {look.window.name} nothing is left in the log.", hint="Look at newer windows: emolab monitor"
        )
    return reference.seen, window


def _ranked(
    candidates: NDArray[np.int64],
    embeddings: NDArray[np.floating] | None,
    reference: Observations,
    window: Observations,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Those of ``candidates`` that look like the window, most like it first, and how far they lie on its side."""
    import numpy as np

    from emolab.monitoring.detectors.domain_classifier import loudness

    given = np.asarray(embeddings, dtype=np.float64)[candidates]
    away = loudness(reference, window, given)
    order = np.argsort(-away, kind="stable")
    order = order[away[order] >= LEAST]
    return candidates[order], away[order]
