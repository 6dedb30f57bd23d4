"""The looks at windows that nobody has looked at: tests, estimated accuracy, and what of it is an alarm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm

from emolab.catalog.storage.engine import now as moment
from emolab.loop.operate.monitor import look_record
from emolab.loop.operate.monitor.look_record import (
    ACCURACY_LEVEL,
    DRIFT_LEVEL,
    LookedWindow,
    LookEstimate,
    LookRecord,
)
from emolab.loop.operate.monitor.look_words import named, p_words
from emolab.loop.operate.monitor.seen_windows import answers_by_others, notes_of, observed
from emolab.modalities.modality import open_modality
from emolab.monitoring import power
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.drift_look import SPANS, Watch
from emolab.monitoring.estimation import AccuracyEstimate, AccuracyEstimator
from emolab.monitoring.thresholds import level_of_look
from emolab.monitoring.windows import LOOKS
from emolab.words import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.loop.operate.monitor.seen_windows import FinishedWindow
    from emolab.loop.operate.monitor.watch_reference import WatchReference
    from emolab.loop.operate.monitor.watched_model import WatchedModel
    from emolab.monitoring.drift_look import DriftTest
    from emolab.monitoring.reference import Observations
    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: Judged samples after weighting below which an estimate says little.
FEW_JUDGED = 30


@dataclass(frozen=True, kw_only=True)
class LookTaker:
    """Takes the looks of one watch, in order of time."""

    workspace: Workspace
    watched: WatchedModel
    reference: WatchReference

    def take(
        self, looked: Sequence[LookRecord], finished: Sequence[FinishedWindow], progress: Progress
    ) -> list[LookRecord]:
        """Look at each window after the newest that was ``looked`` at; what was seen is on the disk when this returns.

        ``finished`` are all windows of the watch, oldest first.
        """
        newest = looked[-1].window.begin if looked else ""
        due = [i for i, window in enumerate(finished) if window.begin.isoformat() > newest]
        if not due:
            return []
        watch = Watch(self.reference.seen, looks=LOOKS[self.reference.every], level=DRIFT_LEVEL)
        estimator = _estimator(self.reference)
        seen: dict[int, tuple[Observations, tuple[str, ...]]] = {}
        done: list[LookRecord] = []
        with progress.task("Looking at windows", len(due), unit="windows") as task:
            for i in due:
                for j in range(max(0, i + 1 - max(SPANS)), i + 1):
                    if j not in seen:
                        seen[j] = self._seen(finished[j])
                for j in [j for j in seen if j <= i - max(SPANS)]:
                    del seen[j]
                span = [seen[j] for j in sorted(seen)]
                record = self._look(watch, estimator, finished[i], span, [*looked, *done])
                look_record.append(self.workspace, record)
                done.append(record)
                task.advance(1)
        return done

    def _seen(self, window: FinishedWindow) -> tuple[Observations, tuple[str, ...]]:
        """What the model saw in ``window``, with the annotators' columns, and what is to be known of it."""
        from emolab.loop.operate.monitor.annotator_columns import annotator_columns

        found, notes = observed(self.watched.log, window.begin, window.end)
        agreement, seconds = annotator_columns(self.workspace, window.begin.isoformat(), window.end.isoformat())
        return replace(found, agreement=agreement, seconds=seconds), notes

    def _look(
        self,
        watch: Watch,
        estimator: AccuracyEstimator | None,
        window: FinishedWindow,
        parts: Sequence[tuple[Observations, tuple[str, ...]]],
        before: Sequence[LookRecord],
    ) -> LookRecord:
        """One look, with its alarms."""
        (seen, broken), model = parts[-1], self.watched.id
        look = watch.look([part for part, _ in parts])
        estimate = estimator.estimate(seen) if estimator is not None and len(seen) else None
        alarms = [_drift_alarm(model, window.name, test, before) for test in _surest(look.alarms)]
        alarms += self._accuracy_alarm(estimate, window.name, before)
        others = answers_by_others(self.watched.log.parent, model, window)
        notes = [*notes_of(window, others), *broken]
        if estimate is not None and estimate.judged < FEW_JUDGED:
            few = f"the estimate rests on about {estimate.judged:.0f} judged samples: what is seen is unlike them"
            notes.append(f"{few}, so an audit says more")
        return LookRecord(
            model=model,
            at=moment(),
            window=LookedWindow(
                begin=window.begin.isoformat(), end=window.end.isoformat(), name=window.name, n=window.n
            ),
            level=look.level,
            tests=look.tests,
            left_out=watch.left_out,
            estimate=None if estimate is None else _kept(estimate),
            alarms=tuple(alarm.to_dict() for alarm in alarms),
            power=power_words(self.workspace, self.reference),
            notes=tuple(notes),
            seen=columns_seen(seen),
        )  # fmt: skip

    def _accuracy_alarm(
        self, estimate: AccuracyEstimate | None, window: str, before: Sequence[LookRecord]
    ) -> list[Alarm]:
        """The alarm that the accuracy is surely lower than when the model was judged by more than the setting."""
        judged, drop = self.reference.accuracy, self.workspace.config.monitor.accuracy_drop
        if estimate is None or judged is None:
            return []
        error = math.hypot(estimate.error, math.sqrt(judged * (1 - judged) / len(self.reference.truth)))
        p = float(norm.cdf((estimate.accuracy - (judged - drop)) / error)) if error > 0 else 1.0
        if p > level_of_look(ACCURACY_LEVEL, LOOKS[self.reference.every]):
            return []
        key, model = f"accuracy:{self.watched.id}", self.watched.id
        low, high = estimate.interval
        ask = f"emolab monitor {short(model)} --audit {self.workspace.config.monitor.audit}"
        return [
            Alarm(
                key=key,
                model=model,
                title=f"Model {short(model)} is probably right less often: {estimate.accuracy:.0%}, not {judged:.0%}",
                words=(
                    f"In {window} its accuracy is estimated at {estimate.accuracy:.1%} ({low:.1%} to {high:.1%}); "
                    f"it was {judged:.1%} when it was judged.\n{since(key, window, before)}\n"
                    f"Have a sample of it labelled: {ask}"
                ),
                window=window,
                detail={"accuracy": estimate.accuracy, "low": low, "high": high, "judged": judged, "p": p},
            )
        ]


def power_words(workspace: Workspace, reference: WatchReference) -> str:
    """How small a drop would be seen how soon, with the audits of the settings; empty without judged samples."""
    if reference.accuracy is None:
        return ""
    return power.words(
        per_week=workspace.config.monitor.audit,
        drop=workspace.config.monitor.accuracy_drop or 0.05,
        accuracy=reference.accuracy,
        judged=len(reference.truth),
        noun=open_modality(workspace.config.project.modality).noun,
    )


def columns_seen(seen: Observations) -> dict[str, Any]:
    """What a page draws of a window or of the reference; empty of an empty one."""
    if not len(seen):
        return {}
    answers = seen.answers()
    return {
        "classes": dict(zip(seen.classes, np.round(answers.mean(axis=0), 5).tolist(), strict=True)),
        "labels": round(float(answers.sum(axis=1).mean()), 5) if seen.thresholds else None,
        "confidence": round(float(seen.probs.max(axis=1).mean()), 5),
        "quality": {name: round(float(np.median(column)), 5) for name, column in seen.quality.items()},
        "agreement": round(float(seen.agreement.mean()), 5) if len(seen.agreement) else None,
        "seconds": round(float(np.median(seen.seconds)), 3) if len(seen.seconds) else None,
    }


def since(key: str, window: str, before: Sequence[LookRecord]) -> str:
    """Since when the alarm ``key`` has gone on without a quiet look between."""
    first = window
    for look in reversed(before):
        if all(alarm["key"] != key for alarm in look.alarms):
            break
        first = look.window.name
    return "It is the first look that shows it." if first == window else f"It goes on since {first}."


def _kept(estimate: AccuracyEstimate) -> LookEstimate:
    low, high = estimate.interval
    return LookEstimate(accuracy=estimate.accuracy, low=low, high=high, n=estimate.n)


def _estimator(reference: WatchReference) -> AccuracyEstimator | None:
    return None if reference.judged is None else AccuracyEstimator(reference.judged, reference.truth)


def _surest(alarms: Sequence[DriftTest]) -> list[DriftTest]:
    """Of each detector the surest alarm."""
    found: dict[str, DriftTest] = {}
    for test in alarms:
        found.setdefault(test.detector, test)
    return list(found.values())


def _drift_alarm(model: str, window: str, test: DriftTest, before: Sequence[LookRecord]) -> Alarm:
    key, what = f"drift:{model}:{test.detector}", named(test.detector)
    span = "" if test.windows == 1 else f", taken together with the {test.windows - 1} before,"
    moved = f"; {'; '.join(test.moved)}" if test.moved else ""
    return Alarm(
        key=key,
        model=model,
        title=f"What model {short(model)} sees has changed: {what}",
        words=(
            f"In {window}{span} {what}: not as in the reference{moved} ({p_words(test.p)}).\n"
            f"{since(key, window, before)}\n"
            "Look at the report (emolab monitor), then have such samples labelled: emolab suggest --from-drift"
        ),
        window=window,
        detail={"detector": test.detector, "statistic": test.statistic, "p": test.p, "windows": test.windows,
                "n": test.n, "moved": list(test.moved)},
    )  # fmt: skip
