"""Votes as tasks of Label Studio's JSON: each vote an annotation that its page shows.

What an annotation has no place for (pseudonym, round, origin and so on) lies in the task's ``meta``, which Label Studio
keeps. There each vote has the number that its annotation has as ``id``; Label Studio hands it back as ``import_id``.
So what somebody changed or added there is read from the annotation, and everything else from ``meta``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from emolab.errors import DataError
from emolab.labeling.answers import parse
from emolab.labeling.answers.votes_from_answers import seconds
from emolab.labeling.form import controls
from emolab.labeling.label_studio.tasks import UID
from emolab.records import SKIPPED, Sample

_META = "emolab_votes"
#: What Label Studio stores for the buttons of meta labels -> the meta label.
_STORED = {stored: label for label, stored in controls.META_BUTTONS.items()}


def studio_tasks(table: Iterable[Mapping[str, Any]], samples: Mapping[str, Sample]) -> list[dict[str, Any]]:
    """One task for each sample that has rows, in the order of its first; ``samples`` by id."""
    tasks: dict[str, dict[str, Any]] = {}
    for row in table:
        sample = samples[row["sample"]]
        task = tasks.get(sample.id)
        if task is None:
            data = {sample.modality: sample.media, UID: sample.id}
            task = tasks[sample.id] = {"data": data, "meta": {_META: []}, "annotations": []}
        number = len(task["annotations"]) + 1
        task["annotations"].append(_annotation(row, number, sample.modality))
        task["meta"][_META].append({"id": number, **{name: value for name, value in row.items() if name != "sample"}})
    return list(tasks.values())


def studio_rows(
    tasks: Iterable[Any], *, person: Callable[[str], str], annotator: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each annotation as a row with its place; ``person`` makes a pseudonym of an address.

    ``annotator`` is who gave the answers whose task and annotation do not say it. Raises :class:`DataError`
    where neither the file nor ``annotator`` says who answered.
    """
    for number, task in enumerate(tasks, 1):
        place = f"Task {number}"
        data = task.get("data") if isinstance(task, Mapping) else None
        if not isinstance(data, Mapping) or not isinstance(data.get(UID), str):
            raise DataError(f'{place} has no sample: its data has no "{UID}", which tasks of emolab have.')
        modality = next((name for name in data if name != UID), "")
        meta = task.get("meta")
        kept = meta.get(_META) if isinstance(meta, Mapping) else None
        votes = {one["id"]: one for one in kept or () if isinstance(one, Mapping) and isinstance(one.get("id"), int)}
        for index, annotation in enumerate(task.get("annotations") or (), 1):
            where = f"{place}, annotation {index}"
            if not isinstance(annotation, Mapping):
                raise DataError(f"{where} is no object.")
            row = dict(votes.get(annotation.get("import_id", annotation.get("id")), ()))
            row.pop("id", None)
            answered = _answered(row, annotation, modality)
            if not row:
                answered["annotator"] = _who(annotation, where, person, annotator)
            yield where, {**answered, "sample": data[UID]}


def _annotation(row: Mapping[str, Any], number: int, modality: str) -> dict[str, Any]:
    """A vote as Label Studio holds it; what its form has no question for is left to the task's meta."""
    result = _result(row, modality)
    made = {"id": number, "result": result, "was_cancelled": row["rejected"] == SKIPPED, "ground_truth": False}
    return made if row["lead_time"] is None else {**made, "lead_time": row["lead_time"]}


def _result(row: Mapping[str, Any], modality: str) -> list[dict[str, object]]:
    """The answer of a vote as Label Studio holds it."""
    if row.get("label") is None:
        return []
    sure = row.get("confidence")
    steps = sure * controls.CONFIDENCE_STEPS if isinstance(sure, int | float) else None
    stars = int(steps) if steps is not None and steps == int(steps) else None
    more: dict[str, Any] = {"second": row.get("second"), "confidence": stars, "also": row.get("also") or []}
    return controls.answer(row["label"], modality=modality, **more)


def _answered(row: Mapping[str, Any], annotation: Mapping[str, Any], modality: str) -> dict[str, Any]:
    """``row``, what the file says of the vote besides, with what the annotation itself says.

    A vote that the ledger refused for another reason than a skip stays refused while its answer is the same.
    """
    said = parse.read(annotation.get("result") or ())
    skipped = bool(annotation.get("was_cancelled"))
    chosen = [] if skipped else [_STORED.get(word, word) for word in said.labels]
    label, also = (chosen[0] if chosen else None), chosen[1:]
    if not row:
        found = {"label": label, "also": also, "second": said.second, "confidence": said.confidence}
        time, moment = annotation.get("lead_time"), annotation.get("created_at")
        found |= {"lead_time": seconds(time) if isinstance(time, int | float) else None, "cast_at": moment or None}
        return {**found, "extra": dict(said.extra) or None, "rejected": SKIPPED if skipped else None}
    if skipped != (row.get("rejected") == SKIPPED):
        return {**row, "label": label, "also": also, "rejected": SKIPPED if skipped else None}
    wrote = parse.read(_result(row, modality))
    if skipped or ({*said.labels}, said.second, said.confidence) == ({*wrote.labels}, wrote.second, wrote.confidence):
        return dict(row)
    sure = row.get("confidence") if wrote.confidence is None and said.confidence is None else said.confidence
    again = None if {*said.labels} != {*wrote.labels} else row.get("rejected")
    return {**row, "label": label, "also": also, "second": said.second, "confidence": sure, "rejected": again}


def _who(annotation: Mapping[str, Any], where: str, person: Callable[[str], str], annotator: str | None) -> str:
    """The pseudonym of whoever gave an answer that emolab did not write."""
    by = annotation.get("completed_by")
    email = by.get("email") if isinstance(by, Mapping) else None
    if isinstance(email, str) and email:
        return person(email)
    if annotator is None:
        raise DataError(
            f"{where} names nobody by address.",
            hint='Name who gave these answers with --annotator NAME, or read the project itself: "emolab label pull".',
        )
    return annotator
