"""Samples to tasks, and answers back to votes. Pure: no server, no catalog.

A task carries the sample's id and nothing that could say where a picture came from: files travel under their content
hash, original names stay in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from emolab.errors import DataError
from emolab.labeling import form
from emolab.labeling.studio_records import RemoteAnnotation
from emolab.records import Sample, Vote
from emolab.taxonomy import META, resolve

UID = "emolab_uid"
SKIPPED = "skipped"
EMPTY = "no answer given"
COPIED = "taken over from a prediction"
SUPERSEDED = "replaced by a later answer of the same annotator"
_LONGEST = 64  # characters of a label that the ledger keeps

_MIME = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "bmp": "image/bmp", "webp": "image/webp"}
_MAGIC = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpg"), (b"GIF8", "gif"), (b"BM", "bmp"))


def file_of(sample_id: str, data: bytes) -> tuple[str, bytes, str]:
    """``(name, bytes, mime)`` to upload: the name is the sample's id and the type that the bytes themselves show.

    Raises :class:`DataError` for bytes that are no image a browser can show.
    """
    kind = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    if kind is None and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "webp"
    if kind is None:
        raise DataError(f"Sample {sample_id} is no PNG, JPEG, GIF, BMP or WebP image, so a browser cannot show it.")
    return f"{sample_id}.{kind}", data, _MIME[kind]


def task(sample: Sample, media: str, *, round_number: int | None = None) -> dict[str, Any]:
    """The task for one sample; ``media`` is the address of its bytes on the server."""
    meta = {} if round_number is None else {"emolab_round": round_number}
    return {"data": {sample.modality: media, UID: sample.id}, "meta": meta}


def prediction(score: float, version: str, *, guess: str | None = None, modality: str = "image") -> dict[str, Any]:
    """What gives a task its place in the queue (lower ``score`` comes first), with a visible guess or none."""
    result = [] if guess is None else form.answer(guess, modality=modality)
    return {"model_version": version, "score": score, "result": result}


def vote(
    answer: RemoteAnnotation,
    *,
    sample_id: str,
    annotator: str,
    origin: str,
    classes: Sequence[str],
    round_number: int | None = None,
) -> Vote:
    """One answer as a vote. What cannot be counted is kept, with the reason in ``rejected``."""
    said = _read(answer.result)
    label = said["label"]
    meaning = None if label is None else resolve(label, classes)
    second = None if said["second"] is None else resolve(said["second"], classes)
    rejected = None
    if answer.was_cancelled:
        meaning, rejected = None, SKIPPED
    elif label is None:
        rejected = EMPTY
    elif meaning is None:
        meaning, rejected = label[:_LONGEST], f'"{label[:_LONGEST]}" is no class of this project'
    elif answer.parent_prediction is not None:
        rejected = COPIED
    return Vote(
        sample_id=sample_id,
        annotator=annotator,
        label=meaning,
        origin=origin,
        lead_time=answer.lead_time,
        round=round_number,
        confidence=said["confidence"],
        second=None if second in META else second,
        cast_at=answer.created_at or None,
        rejected=rejected,
    )


def votes(
    answers: Sequence[RemoteAnnotation],
    *,
    sample_id: str,
    annotator_of: Callable[[RemoteAnnotation], str],
    origin_of: Callable[[RemoteAnnotation], str],
    classes: Sequence[str],
    round_number: int | None = None,
) -> list[Vote]:
    """All answers about one sample as votes: of several by one annotator the last one counts, the others are kept."""
    made: list[Vote] = []
    last: dict[str, int] = {}
    for answer in sorted(answers, key=lambda a: (a.created_at, a.id)):
        one = vote(
            answer,
            sample_id=sample_id,
            annotator=annotator_of(answer),
            origin=origin_of(answer),
            classes=classes,
            round_number=round_number,
        )
        if one.rejected is None:
            earlier = last.get(one.annotator)
            if earlier is not None:
                made[earlier] = replace(made[earlier], rejected=SUPERSEDED)
            last[one.annotator] = len(made)
        made.append(one)
    return made


def _read(result: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """What a result says: ``label``, ``second``, ``confidence`` (0 to 1), each ``None`` where it is not given."""
    said: dict[str, Any] = {"label": None, "second": None, "confidence": None}
    for part in result:
        value = part.get("value")
        value = value if isinstance(value, Mapping) else {}
        chosen = value.get("choices")
        name = part.get("from_name")
        if name == form.CONFIDENCE and isinstance(value.get("rating"), int | float):
            said["confidence"] = min(1.0, max(0.0, float(value["rating"]) / form.CONFIDENCE_STEPS))
        elif isinstance(chosen, list) and chosen:
            said["second" if name == form.SECOND else "label"] = str(chosen[0])
    return said
