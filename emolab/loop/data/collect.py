"""Images, archives, videos or a camera become samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.loop.given import check_given
from emolab.progress import SILENT

if TYPE_CHECKING:
    from emolab.datasets.collect.collect import Collected
    from emolab.progress import Progress
    from emolab.workspace import Workspace


def collect(
    workspace: Workspace,
    paths: str | Path | Sequence[str | Path] = (),
    *,
    camera: int | str | None = None,
    limit: int | None = None,
    faces: str | None = None,
    every: float | None = None,
    transcriber: str | Path | None = None,
    group_by: str | None = None,
    consent: str | None = None,
    name: str | None = None,
    guess_speakers: bool = False,
    dry_run: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    progress: Progress = SILENT,
) -> Collected:
    """Bring in what lies at ``paths`` (files, folders, zips, videos, patterns), or the pictures of a ``camera``.

    ``faces``, ``every`` (seconds between two frames) and ``transcriber`` (the folder of a whisper model that makes
    sentences of what is said in recordings) default to the settings. ``group_by`` says what a split never divides:
    ``folder``, a table (a path that ends in .csv or .tsv) or a regular expression. ``guess_speakers``
    gives clips without a group one by their voice (setting ``collect.speaker_encoder``). ``stopped`` is asked between
    two inputs. What cannot be read is listed in the result. Raises :class:`DataError` where there is nothing at any
    path.
    """
    from emolab.datasets.collect.collect import CollectRequest
    from emolab.datasets.collect.collect import collect as run
    from emolab.loop.data.guess_speakers import guess_speakers as guess
    from emolab.loop.data.guess_speakers import open_encoder

    check_given({"option.count": limit})
    whisper = None if transcriber is None else str(transcriber)
    settings = {"collect.faces": faces, "collect.every": every, "collect.transcriber": whisper}
    workspace = workspace.with_settings(settings)
    encode = open_encoder(workspace) if guess_speakers else None
    given = [paths] if isinstance(paths, str | Path) else paths
    about = "collected" if name is None else name
    with workspace.lock("collect"), workspace.catalog() as catalog, catalog.recording("collect", about):
        wanted = CollectRequest(
            paths=[str(path) for path in given],
            camera=camera,
            limit=limit,
            group_by=group_by,
            consent=consent,
            name=name,
            dry_run=dry_run,
            stopped=stopped,
        )
        done = run(workspace, catalog, wanted, progress=progress)
        if encode is None or dry_run or done.stopped:
            return done
        return replace(done, guessed=guess(workspace, catalog, encode, stopped=stopped, progress=progress))


def sendable(workspace: Workspace) -> int:
    """How many samples nobody has been asked about and that are worth asking about, near copies once."""
    from emolab.catalog.campaign.unsent import unsent

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return len(unsent(conn, None, workspace.config.labeling.bar).ids)
