"""The audit of a window: few of its samples go to the team, and tell how accurate the model really was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError
from emolab.loop.given import check_given
from emolab.progress import SILENT
from emolab.results import Result
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from emolab.catalog.campaign.rounds import Round
    from emolab.labeling.sync.push import PushReport
    from emolab.loop.operate.monitor.look_record import LookAudit, LookRecord
    from emolab.loop.operate.monitor.watch_reference import WatchReference
    from emolab.loop.operate.monitor.watched_model import WatchedModel
    from emolab.monitoring.audit import RealizedAccuracy
    from emolab.monitoring.reference import Observations
    from emolab.progress import Progress
    from emolab.records import Sample, Suggestion
    from emolab.workspace import Workspace

#: The strategy of a round that is an audit, and the key of its settings.
AUDIT = "audit"
#: Why nobody is asked about a sample.
BELOW = "below the bar of [labeling] (size, blur, contrast, voice)"


@dataclass(frozen=True, kw_only=True)
class AuditRound(Result):
    """The ``round`` that audits ``window`` of ``model`` (id): ``n`` of the ``population`` samples that came in then.

    ``learned`` more are left out, because the model has learned from them or from a picture like them, and ``unfit``
    ones, which people are not asked about. ``new``: it was drawn now. ``push`` is how it went to the team, ``None``
    where ``cycle.push`` is off.
    """

    model: str
    window: str
    round: int
    n: int
    population: int
    learned: int
    unfit: int
    new: bool
    push: PushReport | None = None


def audit(
    workspace: Workspace, model: str = "champion", *, n: int | None = None, progress: Progress = SILENT
) -> AuditRound:
    """Have ``n`` [monitor.audit] samples labelled that came in during the newest window, drawn to tell its accuracy.

    They are drawn from strata of confidence and go to the team like a round of suggestions; nobody is shown a guess.
    Once per window: again it sends what was drawn. `emolab monitor` tells the accuracy when the votes are in. Raises
    :class:`DataError` where no window was looked at, or where no sample of it is in the workspace.
    """
    from emolab.catalog.campaign import rounds
    from emolab.loop.operate.monitor import look_record, watch_reference
    from emolab.loop.operate.monitor.watched_model import watched_model

    check_given({"monitor.audit": n})
    watched = watched_model(workspace, model)
    look, reference = look_record.latest(workspace, watched.id), watch_reference.kept(workspace, watched.id)
    if look is None or reference is None:
        raise DataError(
            f"No window of model {short(watched.id)} has been looked at yet.",
            hint=f"Look at one: emolab monitor {model}",
        )
    with workspace.lock("suggest"), workspace.catalog() as catalog:
        with catalog.connect() as conn:
            made = _of(conn, watched.id).get(look.window.name)
        new = made is None
        if made is None:
            n = n or workspace.config.monitor.audit
            drawn = _drawn(workspace, watched, reference, look, n=n, progress=progress)
            by = None if watched.record is None else watched.id
            with catalog.begin() as tx:
                made = rounds.create(tx, drawn[0], strategy=AUDIT, model=by, seed=0, settings=drawn[1])
    return AuditRound(
        model=watched.id,
        window=look.window.name,
        round=made.number,
        n=made.n,
        population=made.settings["candidates"],
        learned=made.settings[AUDIT]["learned"],
        unfit=made.settings[AUDIT].get("unfit", 0),
        new=new,
        push=_send(workspace, progress),
    )


def _of(conn: Connection, model: str) -> dict[str, Round]:
    """The audits of a model, by the name of their window: a day may begin with a week."""
    from emolab.catalog.campaign import rounds

    found = [one for one in rounds.list_all(conn) if one.strategy == AUDIT and AUDIT in one.settings]
    return {one.settings[AUDIT]["window"]: one for one in found if one.settings[AUDIT]["model"] == model}


def _drawn(
    workspace: Workspace,
    watched: WatchedModel,
    reference: WatchReference,
    look: LookRecord,
    *,
    n: int,
    progress: Progress,
) -> tuple[list[Suggestion], dict[str, Any]]:
    """The suggestions of an audit, in an order that tells nothing, and what its accuracy is reckoned from later."""
    import numpy as np

    from emolab.catalog.campaign import rounds
    from emolab.loop.operate.monitor.sample_columns import sample_columns
    from emolab.monitoring.audit import STRATA, plan
    from emolab.records import Suggestion

    found, learned, below = _population(workspace, watched, look, progress)
    columns, rows = sample_columns(workspace, watched.served(workspace, progress), found, progress=progress)
    if not len(columns):
        raise DataError(f"None of the {many(len(found), 'sample')} that came in can be read.")
    sure = columns.probs.max(axis=1)
    rng = np.random.default_rng([0, int(look.window.begin[:10].replace("-", ""))])
    planned = plan(sure, n, rng)
    order = rng.permutation(planned.rows)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        number = rounds.next_number(conn)
    suggestions = [
        Suggestion(
            sample_id=found[int(rows[row])].id, score=1 - float(sure[row]), reason=f"audit of {look.window.name}",
            strategy=AUDIT, round=number, rank=rank,
        )
        for rank, row in enumerate(order.tolist())
    ]  # fmt: skip
    kept = {
        "model": watched.id,
        "begin": look.window.begin,
        "window": look.window.name,
        "learned": learned,
        "unfit": below,
        "sizes": np.bincount(planned.strata, minlength=STRATA).tolist(),
        "strata": planned.strata[order].tolist(),
        "said": [watched.classes[i] for i in columns.probs[order].argmax(axis=1)],
        "several": bool(watched.thresholds),
        "estimate": _estimate(reference, columns),
    }
    told = {"n": n, "candidates": len(columns), "revotes": 0, "note": f"the audit of {look.window.name}", AUDIT: kept}
    return suggestions, told


def _population(
    workspace: Workspace, watched: WatchedModel, look: LookRecord, progress: Progress
) -> tuple[list[Sample], int, int]:
    """The samples that came in during the window and that people would be asked about, without learned ones; how many
    these are, and how many nobody would be asked about.
    """
    from emolab.catalog import pool_columns
    from emolab.loop.label.selection.round_pool import unfit
    from emolab.loop.model.registry.gate_models import learned_from
    from emolab.loop.operate.monitor.arrived_samples import arrived_samples

    found = arrived_samples(workspace, look.window.begin, look.window.end, "label")
    with workspace.catalog() as catalog, catalog.connect() as conn:
        columns = pool_columns.read(conn, workspace.config.labeling.bar)
    below = {columns.ids[i] for i in unfit(columns).nonzero()[0].tolist()}
    came, found, learned = len(found), [one for one in found if one.id not in below], 0
    left = came - len(found)
    if came and not found:
        raise DataError(
            f"Nobody would be asked about the {many(came, 'sample')} that came in in {look.window.name}: {BELOW}.",
            hint="Lower it in emolab.toml (labeling.min_side, max_blur, min_contrast), or see them: emolab inspect",
        )
    if found and watched.record is not None:
        known, _ = learned_from(workspace, watched.record, found, progress)
        found = [one for one, was in zip(found, known.tolist(), strict=True) if not was]
        learned = int(known.sum())
    if learned and not found:
        raise DataError(
            f"The model has learned from all {many(learned, 'sample')} that came in in {look.window.name}.",
            hint="They tell nothing about new ones. Audit a later window.",
        )
    if not found:
        raise DataError(
            f"Of {look.window.name} there is no sample in the workspace to have labelled; the log of its "
            f"{many(look.window.n, 'answer')} keeps numbers alone.",
            hint="Bring in some of what is served while it is served: emolab collect PATH",
        )
    return found, learned, left


def _estimate(reference: WatchReference, columns: Observations) -> dict[str, float] | None:
    """The estimated accuracy of the population itself; ``None`` without judged samples."""
    from emolab.monitoring.estimation import AccuracyEstimator

    if reference.judged is None:
        return None
    return dict(vars(AccuracyEstimator(reference.judged, reference.truth).estimate(columns)))


def _send(workspace: Workspace, progress: Progress) -> PushReport | None:
    from emolab.loop.label.push import push_waiting

    return push_waiting(workspace, progress=progress) if workspace.config.cycle.push else None


def settle(
    workspace: Workspace, watched: WatchedModel, reference: WatchReference, looks: Sequence[LookRecord]
) -> list[str]:
    """Write down what each audit says whose votes are in now; notes about those that wait."""
    from emolab.loop.operate.monitor import look_record
    from emolab.monitoring.audit import agrees
    from emolab.monitoring.estimation import AccuracyEstimate

    with workspace.catalog() as catalog, catalog.connect() as conn:
        audits = _of(conn, watched.id)
    notes = []
    for look in looks:
        made = audits.get(look.window.name)
        if look.audit is not None or made is None:
            continue
        told: Mapping[str, Any] = made.settings[AUDIT]
        found, asked, note = _realized(workspace, made.number, told)
        if found is None:
            notes.append(f"the audit of {look.window.name} {note}")
            continue
        verdict = agrees(AccuracyEstimate(**told["estimate"]), found) if told["estimate"] else None
        audited = look_record.LookAudit(
            accuracy=found.accuracy, low=found.interval.low, high=found.interval.high, n=found.n,
            difference=None if verdict is None else verdict.difference, p=None if verdict is None else verdict.p,
            unlabelled=asked - found.n,
        )  # fmt: skip
        alarms = _alarm(watched.id, reference.every, look, audited)
        look_record.append_audit(workspace, watched.id, look.window.begin, audited, at=_now(), alarms=alarms)
    return notes


def _now() -> str:
    from emolab.catalog.storage.engine import now

    return now()


def _realized(workspace: Workspace, number: int, told: Mapping[str, Any]) -> tuple[RealizedAccuracy | None, int, str]:
    """The accuracy that the votes of the audit tell, and how many samples people were asked about; ``None`` while the
    votes are not in, and what is missing in words."""
    import numpy as np

    from emolab.labeling.labels.current_labels import labels_if_any
    from emolab.loop.operate.monitor.watch_reference import names_of
    from emolab.monitoring.audit import AuditPlan, realized

    asked, done = _answers(workspace, number)
    if len(done) < len(asked):
        return None, len(asked), f"waits for votes: {len(done):,} of {many(len(asked), 'sample')} are answered"
    labels = labels_if_any(workspace)
    named = {} if labels is None else names_of(labels, several=told.get("several", False))
    strata = np.repeat(np.arange(len(told["sizes"])), told["sizes"])
    free = np.cumsum([0, *told["sizes"]]).tolist()
    rows, right = [], []
    for rank, sample in asked.items():
        stratum = told["strata"][rank]
        if sample in named:
            rows.append(free[stratum])
            right.append(told["said"][rank] in named[sample])
            free[stratum] += 1
    chosen = np.array(rows, dtype=np.int64)
    try:
        found = realized(AuditPlan(rows=chosen, strata=strata), np.array(right, dtype=np.bool_), chosen)
        return found, len(asked), ""
    except DataError:
        few = f"{many(len(rows), 'sample')} of {len(asked):,} got a label, and of some strata of confidence none"
        return None, len(asked), f"tells nothing: {few}; the rest was skipped or called unusable"


def _answers(workspace: Workspace, number: int) -> tuple[dict[int, str], set[str]]:
    """The samples of a round by rank, and those that enough people have answered, skipped or called unusable."""
    from collections import Counter

    from emolab.catalog import votes
    from emolab.catalog.campaign import remotes, rounds
    from emolab.catalog.storage.chunks import chunks

    with workspace.catalog() as catalog, catalog.connect() as conn:
        asked = {one.rank: one.sample_id for one in rounds.suggestions(conn, round_number=number)}
        wanted = remotes.usual_overlap(conn) or workspace.config.labeling.wanted.low
        people: Counter[str] = Counter()
        for part in chunks(list(asked.values()), 500):
            for vote in votes.iterate(conn, include_rejected=True, sample_ids=part):
                people[vote.sample_id] += wanted if vote.label is None or vote.rejected else vote.count
    return asked, {sample for sample, n in people.items() if n >= wanted}


def _alarm(model: str, every: str, look: LookRecord, audited: LookAudit) -> tuple[dict[str, Any], ...]:
    """The alarm that the estimate does not agree with the audit, where it surely does not."""
    from emolab.loop.operate.monitor.look_record import AUDIT_LEVEL
    from emolab.monitoring.alerts.alarm import Alarm
    from emolab.monitoring.audit import AuditVerdict
    from emolab.monitoring.thresholds import level_of_look
    from emolab.monitoring.windows import LOOKS

    level = level_of_look(AUDIT_LEVEL, LOOKS[every])
    if audited.p is None or audited.difference is None or audited.p > level:
        return ()
    verdict = AuditVerdict(difference=audited.difference, p=audited.p)
    side = "lower" if audited.difference > 0 else "higher"
    alarm = Alarm(
        key=f"audit:{model}",
        model=model,
        title=f"Model {short(model)} is right {side} than estimated: {audited.accuracy:.0%} of {audited.n} labels",
        words=(
            f"The audit of {look.window.name} finds {audited.accuracy:.1%} ({audited.low:.1%} to {audited.high:.1%}).\n"
            f"{verdict.words(level)}\nTrain with the new labels: emolab train"
        ),
        window=look.window.name,
        detail=dict(vars(audited)),
    )
    return (alarm.to_dict(),)
