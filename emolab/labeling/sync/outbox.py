"""Sending tasks through the outbox: write the intent, send, record the answer; look up what nobody answered.

An import either happens as a whole or not at all on the server, but a broken connection does not say which. So a batch
with an unknown outcome is looked up by sample id until its tasks turn up or enough time has passed for a request that
still was on its way; only then is the rest sent again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.catalog import samples
from emolab.catalog.campaign import remotes
from emolab.catalog.storage.chunks import chunks
from emolab.errors import DataError, ServerError
from emolab.labeling.label_studio import retry
from emolab.labeling.label_studio.retry import patiently
from emolab.labeling.sync import reconcile_tasks, task_payload
from emolab.labeling.sync.duplicate_tasks import Settled
from emolab.modalities.disguise import disguised, speaker_of

if TYPE_CHECKING:
    from emolab.catalog.campaign.remotes import ProjectTask
    from emolab.labeling.sync.reconcile_tasks import Link
    from emolab.progress import Task as Bar
    from emolab.records import FormGuess, Sample

TASKS_PER_IMPORT = 500
FILES_PER_UPLOAD = 100
_ATTEMPTS = 5


@dataclass
class Sent:
    """What a push did so far."""

    created: int = 0
    adopted: int = 0
    twins: Settled = field(default_factory=Settled)
    unknown: int = 0  # requests whose outcome had to be looked up
    missing: list[str] = field(default_factory=list)  # samples whose file cannot be read or shown
    guesses: int = 0  # tasks in the queue whose form shows the model's guess
    blind: int = 0  # those with a guess that stays hidden
    scored: set[str] = field(default_factory=set)  # samples that were sent with their place in the queue


@dataclass(frozen=True)
class Order:
    """The place of each sample in the queue, and the guesses that go with forms, shown or hidden."""

    version: str
    scores: Mapping[str, float]
    guesses: Mapping[str, FormGuess]


def send(link: Link, outgoing: Sequence[ProjectTask], order: Order, *, root: Path, sent: Sent, bar: Bar) -> None:
    """Send all ``outgoing`` tasks that the server does not have; the counts go to ``sent``.

    Raises :class:`ServerError` when the server refuses, or stays away for too long. Whatever happens, the outbox says
    what is known, and the next push goes on from there.
    """
    for batch in chunks(outgoing, TASKS_PER_IMPORT):
        with link.catalog.connect() as conn:
            records = samples.by_ids(conn, [task.sample_id for task in batch])
        media = _stage(link, records, root, sent, bar)
        left = [task for task in batch if task.sample_id in media]
        attempt = 0
        while left:
            attempt += 1
            bodies = _bodies(left, records, media, order)
            left = _import(link, left, bodies, sent, last=attempt == _ATTEMPTS)


def settle(link: Link, uncertain: Sequence[ProjectTask], twins: Settled, *, task_number: int) -> list[ProjectTask]:
    """Adopt those of ``uncertain`` tasks that are, or turn up, on the server; return the ones that are not there.

    The slower the server answers just now, the longer it is given.
    """
    left = list(uncertain)
    while left:
        asked = time.monotonic()
        found = reconcile_tasks.find(link, [task.sample_id for task in left], task_number=task_number)
        slowness = time.monotonic() - asked
        if found:
            twins.add(reconcile_tasks.adopt(link, found, overlap=left[0].overlap))
        left = [task for task in left if task.sample_id not in found]
        if not left or time.time() >= settled_at(uncertain, slowness):
            return left
        time.sleep(0.3)
    return left


def settled_at(uncertain: Sequence[ProjectTask], slowness: float) -> float:
    """When a request for these tasks can no longer be on its way (seconds since the epoch)."""
    newest = max((task.sent_at or "" for task in uncertain), default="")
    return _epoch(newest) + max(retry.SETTLE, retry.SLOWER * slowness) if newest else 0.0


def _import(
    link: Link, batch: Sequence[ProjectTask], bodies: Sequence[Mapping[str, object]], sent: Sent, *, last: bool
) -> list[ProjectTask]:
    """Import one batch and return the tasks that have to be sent again (none when all went well)."""
    ids = [task.sample_id for task in batch]
    with link.catalog.begin() as tx:
        remotes.set_state(tx, link.project, ids, "sending")
    try:
        made = link.studio.import_tasks(link.project.project, bodies)
    except ServerError as error:
        if not error.outcome_unknown:
            with link.catalog.begin() as tx:
                remotes.set_state(tx, link.project, ids, "pending")
            if not error.retryable or last:
                raise
            patiently(lambda: link.studio.project(link.project.project))
            return list(batch)
        sent.unknown += 1
        number = patiently(lambda: link.studio.project(link.project.project)).task_number
        with link.catalog.connect() as conn:
            unsure = [t for t in remotes.tasks(conn, link.project, "sending") if t.sample_id in set(ids)]
        left = settle(link, unsure, sent.twins, task_number=number)
        sent.adopted += len(batch) - len(left)
        sent.scored.update(set(ids) - {task.sample_id for task in left})
        if left and last:
            raise
        return left
    with link.catalog.begin() as tx:
        remotes.arrived(tx, link.project, dict(zip(ids, made, strict=True)))
    sent.created += len(made)
    sent.scored.update(ids)
    return []


def _stage(link: Link, records: Sequence[Sample], root: Path, sent: Sent, bar: Bar) -> dict[str, str]:
    """Upload the bytes of samples and return where the server keeps them; staging twice does no harm."""
    media = {sample.id: sample.media for sample in records if "://" in sample.media and not link.secret}
    bar.advance(len(media))
    local = [sample for sample in records if sample.id not in media]
    for part in chunks(local, FILES_PER_UPLOAD):
        files = []
        names = []
        for sample in part:
            try:
                data = (root / sample.media).read_bytes()
                if link.secret is not None:
                    data = disguised(sample.modality, data, secret=link.secret, speaker=speaker_of(sample))
                files.append(task_payload.file_of(sample.id, data, sample.modality))
                names.append(sample.id)
            except (OSError, DataError):
                sent.missing.append(sample.id)
        if files:
            staged = patiently(lambda files=files: link.studio.upload_files(link.project.project, files))  # type: ignore[misc]
            media.update((name, upload.path) for name, upload in zip(names, staged, strict=True))
        bar.advance(len(part))
    return media


def _bodies(
    batch: Sequence[ProjectTask], records: Sequence[Sample], media: Mapping[str, str], order: Order
) -> list[dict[str, Any]]:
    """The tasks as the server wants them, each with its place in the queue."""
    by_id = {record.id: record for record in records}
    made = []
    for task in batch:
        sample = by_id[task.sample_id]
        body = task_payload.task(sample, media[sample.id], round_number=task.round)
        score = order.scores.get(sample.id)
        if score is not None:
            guess = order.guesses.get(sample.id)
            body["predictions"] = [task_payload.prediction(score, order.version, guess=guess, modality=sample.modality)]
        made.append(body)
    return made


def _epoch(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).astimezone(UTC).timestamp()
