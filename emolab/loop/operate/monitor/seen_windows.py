"""The finished windows of what a model was asked: from its log, one at a time, however long the log is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from emolab.monitoring import served_log
from emolab.monitoring.reference import Observations
from emolab.monitoring.windows import windows
from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emolab.monitoring.served_log import ServedRows

#: Rows of a window that are looked at; of more so many are drawn, which tell a share to half a point.
MOST = 10_000
#: How far a sum of probabilities may be from 1.
_ROUNDED = 0.01


@dataclass(frozen=True, kw_only=True)
class FinishedWindow:
    """A window that has ended: from ``begin`` until before ``end``, with ``n`` answers in the log."""

    begin: datetime
    end: datetime
    name: str
    n: int


@dataclass(frozen=True, kw_only=True)
class LogSummary:
    """What the log of a model holds: ``finished`` windows, oldest first, empty ones between them too.

    ``running`` is the end of the window that has not ended, ``None`` where the log has nothing of it; ``later`` answers
    have a time that has not come yet; ``lacking`` rows lack a column; ``old`` ones are older than the log goes back.
    """

    finished: tuple[FinishedWindow, ...]
    running: datetime | None
    later: int
    lacking: int
    old: int


def summary(home: Path, *, every: str, now: datetime, days: int) -> LogSummary:
    """What the log in ``home`` holds in windows of ``every``; times more than ``days`` before ``now`` are left out."""
    at, lacking = served_log.moments(home)
    oldest, newest = (now - timedelta(days=days + 7)).timestamp(), (now + timedelta(minutes=1)).timestamp()
    kept = at[(at >= oldest) & (at <= newest)]
    found = windows(kept, every)
    return LogSummary(
        finished=tuple(
            FinishedWindow(begin=each.begin, end=each.end, name=each.name, n=len(each.rows))
            for each in found
            if each.end <= now
        ),
        running=next((each.end for each in found if each.end > now), None),
        later=int((at > newest).sum()),
        lacking=lacking,
        old=int((at < oldest).sum()),
    )


def observed(home: Path, begin: datetime, end: datetime) -> tuple[Observations, tuple[str, ...]]:
    """What the model saw and said in that time, at most :data:`MOST` answers of it, and what is to be known of them."""
    rows = served_log.drawn(home, since=begin.timestamp(), until=end.timestamp(), most=MOST)
    whole = _whole(rows)
    broken = int((~whole).sum())
    hold = many(broken, "answer of the log holds", "answers of the log hold")
    notes = (f"{hold} values that are none: not counted",) if broken else ()
    return (
        Observations(
            classes=rows.shape.classes,
            probs=rows.probs[whole],
            embeddings=rows.embeddings[whole],
            quality={name: rows.quality[whole, i] for i, name in enumerate(rows.shape.quality)},
            thresholds=rows.shape.thresholds,
        ),
        notes,
    )


def answers_by_others(folder: Path, model: str, window: FinishedWindow) -> dict[str, int]:
    """How many answers of ``window`` other models gave that have a log in ``folder``, by their ids."""
    found = {}
    for other in served_log.logged(folder):
        if other != model:
            at, _ = served_log.moments(folder / other)
            n = int(((at >= window.begin.timestamp()) & (at < window.end.timestamp())).sum())
            if n:
                found[other] = n
    return found


def notes_of(window: FinishedWindow, others: Mapping[str, int]) -> tuple[str, ...]:
    """What is to be known of a window before its tests: drawn, too few, shared with other models."""
    from emolab.monitoring.detectors import FEWEST_SEEN

    notes = []
    if window.n > MOST:
        notes.append(f"{MOST:,} of {window.n:,} answers were drawn to be looked at")
    if not window.n:
        notes.append("nothing was asked")
    elif window.n < FEWEST_SEEN:
        few = many(window.n, "answer is", "answers are")
        notes.append(f"{few} too few to be looked at alone; it takes {FEWEST_SEEN}")
    for other, n in others.items():
        notes.append(f"{many(n, 'answer')} of this time came from model {short(other)}: the model was changed")
    return tuple(notes)


def late(looked: Mapping[str, int], finished: Sequence[FinishedWindow]) -> int:
    """How many answers came into windows after they were ``looked`` at (begin -> answers then): by a clock set back."""
    return sum(
        max(0, window.n - looked[window.begin.isoformat()]) for window in finished if window.begin.isoformat() in looked
    )


def gone(looked: Sequence[tuple[datetime, datetime]], finished: Sequence[FinishedWindow]) -> str:
    """What the log has lost since the windows that were ``looked`` at (begin and end, oldest first); "": nothing."""
    due = [window for window in finished if looked and window.begin > looked[-1][0]]
    if not due or finished[0].begin < due[0].begin:
        return ""
    if due[0].begin > looked[-1][1]:
        lost = f"from {looked[-1][1].date()} to {(due[0].begin - timedelta(days=1)).date()}"
        return f"{lost} nothing is left in the log: nobody looked at it before it was deleted"
    return f"the log begins in {due[0].name}: its first days may have been deleted (serve.log_days, serve.log_bytes)"


def day(text: str) -> datetime:
    """The beginning of a day ``YYYY-MM-DD`` in UTC. Raises ``ValueError`` for anything else."""
    return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)


def _whole(rows: ServedRows) -> NDArray[np.bool_]:
    """Which rows (n,) hold numbers that can be what they say."""
    probs = np.asarray(rows.probs, dtype=np.float64)
    finite = [np.isfinite(column).all(axis=1) for column in (probs, rows.embeddings, rows.quality)]
    with np.errstate(invalid="ignore", over="ignore"):
        if rows.shape.thresholds:  # each class by itself; what a crash left empty says none at all
            shares = ((probs >= 0) & (probs <= 1)).all(axis=1) & (probs > 0).any(axis=1)
        else:
            shares = (probs >= 0).all(axis=1) & (np.abs(probs.sum(axis=1) - 1) <= _ROUNDED)
    found: NDArray[np.bool_] = np.logical_and.reduce([*finite, shares])
    return found
