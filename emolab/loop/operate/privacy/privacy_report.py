"""What is held about a person, as one folder: a page, the same as JSON, and the files themselves (GDPR, Article 15)."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.loop.operate.privacy.report_folder import DATA, MEDIA, PAGE, PrivacyReport, cell, new_folder
from emolab.progress import SILENT
from emolab.words import short

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.progress import Progress
    from emolab.workspace import Workspace

#: What no search for ids can read, and what it holds.
UNREAD = {
    "fiftyone": "FiftyOne's database is packed: it holds a document for each sample that emolab inspect has shown.",
    "models": "A model's weights, and the filters of what it has learned, come from every sample it was trained on.",
}
#: Ids that are looked for together.
_TOGETHER = 200
#: Bytes that are read at once, and of the longest form of an id.
_PIECE, _LONGEST = 8 << 20, 64


def privacy_report(
    workspace: Workspace,
    *,
    subject: str | None = None,
    annotator: str | None = None,
    to: str | Path,
    progress: Progress = SILENT,
) -> PrivacyReport:
    """Write what is held about ``subject`` (the group of its samples) into the new folder ``to``.

    Every row of the catalog about its samples, its consents, the events that name it, copies of its files, each file
    below ``.emolab`` that holds one of its ids, and the snapshots and models with its samples. Of an ``annotator``
    (pseudonym, nickname, e-mail address or name in the app): votes and answers, accounts, links and events. Raises
    :class:`DataError` for somebody of whom nothing is known, and for a folder that is there already.
    """
    from emolab.errors import DataError

    if (subject is None) == (annotator is None):
        raise DataError("A report is about a subject or about an annotator: one of them.")
    if annotator is not None:
        from emolab.loop.operate.privacy.annotator_report import annotator_report

        return annotator_report(workspace, annotator, new_folder(to))
    return _of_subject(workspace, str(subject), new_folder(to), progress)


def _of_subject(workspace: Workspace, subject: str, folder: Path, progress: Progress) -> PrivacyReport:
    from emolab.catalog.privacy import held_rows, subjects
    from emolab.errors import DataError

    with workspace.catalog() as catalog, catalog.connect() as conn:
        subjects.check(conn, subject)
        ids = held_rows.samples_of(conn, subject)
        consents = held_rows.consents_about(conn, subject, ids)
        rows = held_rows.rows_about(conn, ids)
        rows |= {"consents": consents, "events": held_rows.events_about(conn, subject, ids)}
        snapshots, models = _learned(workspace, conn, set(ids))
    predictions = _predictions(workspace, ids)
    files = naming_files(workspace, ids, progress=progress)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        (part / MEDIA).mkdir(parents=True)
        missing = _copy(workspace, rows.get("samples", []), part / MEDIA)
        told = {
            "subject": subject, "samples": ids, "catalog": rows, "files": files, "snapshots": snapshots,
            "models": models, "predictions": predictions, "missing": missing, "not_searched": UNREAD,
            "recipients": _recipients(rows),
        }  # fmt: skip
        (part / DATA).write_text(json.dumps(told, indent=1), encoding="utf-8")
        (part / PAGE).write_text(_page(told), encoding="utf-8")
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise DataError(f"{folder} cannot be written: {error.strerror}.") from error
    return PrivacyReport(
        subject=subject, folder=folder, ids=ids, rows={name: len(found) for name, found in rows.items()}, files=files,
        models=models, predictions={name: len(found) for name, found in predictions.items()}, missing=missing,
        unread=UNREAD,
    )  # fmt: skip


def naming_files(workspace: Workspace, ids: Sequence[str], *, progress: Progress = SILENT) -> list[str]:
    """Files below ``.emolab``, by path, that hold one of the sample ``ids``, as text or as 32 bytes, or are named so.

    Every byte is read, but for files of the media folder, which are named by their content. SQLite's journals count.
    """
    patterns = [re.compile(b"|".join(_forms(ids[at : at + _TOGETHER]))) for at in range(0, len(ids), _TOGETHER)]
    from emolab.loop.operate.forgetting.holder import every_file

    every, found = list(every_file(workspace)), []
    with progress.task("looking through files", total=len(every), unit="files") as task:
        for file in every:
            name = file.relative_to(workspace.root).as_posix()
            if any(each.search(os.fsencode(name)) for each in patterns) or _holds(file, workspace, patterns):
                found.append(name)
            task.advance(1)
    return found


def _forms(ids: Sequence[str]) -> Iterator[bytes]:
    for each in ids:
        yield re.escape(each.encode())
        yield re.escape(bytes.fromhex(each))


def _holds(file: Path, workspace: Workspace, patterns: Sequence[re.Pattern[bytes]]) -> bool:
    if file.is_relative_to(workspace.media):
        return False
    try:
        with file.open("rb") as stream:
            tail = b""
            while piece := stream.read(_PIECE):
                if any(each.search(tail + piece) for each in patterns):
                    return True
                tail = piece[-_LONGEST:]
    except FileNotFoundError:  # journals of databases come and go
        return False
    return False


def _learned(workspace: Workspace, conn: Connection, ids: set[str]) -> tuple[list[str], list[str]]:
    """The snapshots that hold one of ``ids``, and the models that were made of such a snapshot or of such a model."""
    from sqlalchemy import select

    from emolab.catalog import models
    from emolab.catalog.storage import schema
    from emolab.provenance import snapshots

    table = schema.snapshots.c
    kept = {row.id: workspace.root / row.path for row in conn.execute(select(table.id, table.path))}
    with_them = [name for name, at in kept.items() if at.is_dir() and not ids.isdisjoint(snapshots.read(at).ids)]
    found: list[str] = []
    for model in models.list_all(conn):  # oldest first, so parents come before what was made of them
        if model.snapshot in with_them or model.parent in found:
            found.append(model.id)
    return with_them, found


def _copy(workspace: Workspace, rows: Sequence[Mapping[str, Any]], to: Path) -> list[str]:
    """Copy the files of the samples; the ids of those whose file is not there."""
    missing = []
    for row in rows:
        file = workspace.locate(str(row["media"]))
        if file.is_file():
            shutil.copyfile(file, to / file.name)
        else:
            missing.append(str(row["id"]))
    return missing


def _recipients(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Who has got something of the samples, in words."""
    n = len({row["sample"] for row in rows.get("remote_tasks", []) if row.get("state") != "deleted"})
    return [f"Label Studio, where people answer: {n} samples"] if n else []


def _page(told: Mapping[str, Any]) -> str:
    from emolab.pages.html import Section, facts, page, paragraph, table

    rows, subject = told["catalog"], told["subject"]
    sources = sorted({str(row["source"]) for row in rows.get("samples", [])})
    pairs = {
        "Samples": str(len(told["samples"])),
        "From": ", ".join(sources),
        "Snapshots with them": str(len(told["snapshots"])),
        "Models that learned from them": str(len(told["models"])),
        "Passed on to": "; ".join(told["recipients"]) or "nobody, as far as the catalog knows",
        "Samples whose file is missing": str(len(told["missing"])),
    }
    about = f"The files themselves are in the folder {MEDIA}; {DATA} holds everything on this page as data."
    sections = [Section(title="In short", body=facts(pairs) + paragraph(about))]
    for name, found in rows.items():
        if found:
            cells = [[cell(value) for value in row.values()] for row in found]
            sections.append(Section(title=f"Catalog: {name}", body=table(list(found[0]), cells)))
    for model, said in told["predictions"].items():
        cells = [[sample, cell(shares)] for sample, shares in said.items()]
        sections.append(Section(title=f"What model {short(model)} said", body=table(["sample", "shares"], cells)))
    sections.append(Section(title="Files that name a sample", body=table(["file"], [[file] for file in told["files"]])))
    sections.append(Section(title="Not searched", body="".join(map(paragraph, told["not_searched"].values()))))
    return page(f"What is held about {subject}", sections)


def _predictions(workspace: Workspace, ids: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """By model and sample: the share of each class, as far as it was kept."""
    from emolab.inference import prediction_store

    made = {}
    for folder in sorted(workspace.predictions_folder.glob("*")):
        known, classes, probs = prediction_store.pick(folder, ids)
        if known:
            made[folder.name] = {
                sample: dict(zip(classes, map(float, row), strict=True))
                for sample, row in zip(known, probs, strict=True)
            }
    return made
