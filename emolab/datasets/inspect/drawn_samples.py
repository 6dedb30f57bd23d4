"""Samples that FiftyOne's App cannot show, such as clips: a picture of each is shown, with a link that opens the file.

FiftyOne shows pictures and videos. Its own server sends any file below ``/media?filepath=``, and its App makes a link
of a text that is an address: so a field with that address plays the clip in another tab of the browser.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import select

from emolab.catalog.storage import schema
from emolab.files import write_bytes
from emolab.modalities.modality import open_modality
from emolab.modalities.problems import Refused
from emolab.progress import SILENT, Progress

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from emolab.workspace import Workspace

#: Width and height of every picture.
SIZE = (512, 256)
#: Where pictures lie in the cache; another number where they are drawn otherwise.
FOLDER = "pictures-1"
#: The fields of the file behind a picture, and of its address on FiftyOne's server.
FILE, LINK = "file", "play"


def folder_of(workspace: Workspace) -> Path | None:
    """Where the pictures of the samples lie; ``None`` where samples are pictures themselves."""
    return workspace.cache / FOLDER if open_modality(workspace.config.project.modality).drawing else None


def picture(folder: Path, uid: str) -> Path:
    """The file of the picture of a sample."""
    return folder / uid[:2] / f"{uid}.png"


def draw(
    workspace: Workspace,
    conn: Connection,
    folder: Path,
    *,
    only: ColumnElement[bool] | None = None,
    progress: Progress = SILENT,
) -> int:
    """Draw the samples that have no picture yet, and drop pictures of samples that are gone; how many were drawn.

    ``only``: samples of which this SQL is true; others have no picture.

    A sample whose file is missing or cannot be read has none; the App shows that it has no picture.
    """
    table = schema.samples.c
    which = [schema.present] if only is None else [schema.present, only]
    present = {uid: media for uid, media in conn.execute(select(table.id, table.media).where(*which))}
    there = {file.stem for file in folder.glob("*/*.png")}
    for uid in there - present.keys():
        picture(folder, uid).unlink(missing_ok=True)
    modality = open_modality(workspace.config.project.modality)
    drawing = modality.drawing
    if drawing is None:
        return 0
    missing = [uid for uid in present if uid not in there]
    drawn = 0
    with progress.task(f"drawing {modality.noun}s", total=len(missing), unit="pictures") as task:
        for uid in missing:
            try:
                data = drawing((workspace.root / present[uid]).read_bytes(), SIZE)
            except (OSError, Refused):
                task.advance(1)
                continue
            file = picture(folder, uid)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(file, data)
            drawn += 1
            task.advance(1)
    return drawn


def link(dataset: Any, address: str) -> None:
    """Give every sample of ``dataset`` the address of its file on the server at ``address``, to click on."""
    if not dataset.has_sample_field(FILE) or not len(dataset):
        return
    files, links = dataset.values([FILE, LINK])
    wanted = [None if file is None else f"{address}/media?filepath={quote(file)}" for file in files]
    if wanted != links:
        dataset.set_values(LINK, wanted)
