"""What is sent of a sample: its file, its task, and the prediction that gives the task its place. Pure: no server.

A task carries the sample's id and nothing that could say where a picture came from: files travel under their content
hash, original names stay in the catalog.
"""

from __future__ import annotations

import hashlib
from typing import Any

from emolab.errors import DataError
from emolab.labeling.answers import parse
from emolab.labeling.form import controls
from emolab.labeling.label_studio.tasks import UID
from emolab.modalities.modality import open_modality
from emolab.records import FormGuess, Sample


def file_of(sample_id: str, data: bytes, modality: str = "image") -> tuple[str, bytes, str]:
    """``(name, bytes, mime)`` to upload: the name is the sample's id and the type that the bytes themselves show.

    Raises :class:`DataError` for bytes that a browser cannot show or play.
    """
    kind = open_modality(modality)
    found = kind.file_type(data)
    if found is None:
        raise DataError(f"Sample {sample_id} is no {kind.shown}, so a browser cannot show it.")
    suffix, mime = found
    return f"{sample_id}.{suffix}", data, mime


def task(sample: Sample, media: str, *, round_number: int | None = None) -> dict[str, Any]:
    """The task for one sample; ``media`` is the address of its bytes on the server."""
    meta = {} if round_number is None else {"emolab_round": round_number}
    return {"data": {sample.modality: media, UID: sample.id}, "meta": meta}


def stays_blind(sample_id: str, share: float) -> bool:
    """Whether this sample is among the ``share`` whose forms show no guess: by its id alone, so on every machine alike.

    The samples of a smaller share are among those of a larger one.

    >>> stays_blind("ab" * 32, 0.0), stays_blind("ab" * 32, 1.0)
    (False, True)
    """
    place = int.from_bytes(hashlib.sha256(f"blind {sample_id}".encode()).digest()[:8], "big")
    return place < share * 2**64


def prediction(
    score: float, version: str, *, guess: FormGuess | None = None, modality: str = "image"
) -> dict[str, Any]:
    """What gives a task its place in the queue (lower ``score`` comes first), with a guess that people see or not.

    A hidden guess marks nothing on the form: its part holds no choice, only what is not shown.
    """
    if guess is None:
        return {"model_version": version, "score": score, "result": []}
    parts = controls.answer(guess.label, modality=modality)
    for part in parts:  # an answer that begins from it carries this for ever, the prediction may be deleted
        mark = parse.MARK if guess.shown else parse.HIDDEN
        part.update(origin=parse.UNCHANGED, meta={mark: guess.label, parse.SHARE: guess.share})
        if not guess.shown:
            part["value"] = {"choices": []}
    return {"model_version": version, "score": score, "result": parts}
