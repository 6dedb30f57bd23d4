"""Voices that nobody named get a group by what they sound like, so that no split divides them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from emolab.errors import ConfigError
from emolab.modalities.modality import open_modality
from emolab.progress import SILENT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.catalog import Catalog
    from emolab.datasets.splits.guessed_voices import GuessedSpeakers
    from emolab.progress import Progress
    from emolab.workspace import Workspace

    Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]

#: Clips by which a group of an earlier run is known again. No encoding of a voice is kept on disk.
KNOWN_BY = 20


def open_encoder(workspace: Workspace) -> Encode:
    """The encoder that the settings name. Raises :class:`ConfigError` where they name none, or no voices are kept."""
    if not open_modality(workspace.config.project.modality).speakers:
        raise ConfigError(
            "Speakers are guessed by their voices, and this workspace keeps none.",
            hint="Make a workspace of voices: emolab init voices --modality audio",
        )
    file = workspace.config.collect.speaker_encoder
    if not file:
        raise ConfigError(
            "No speaker encoder is set (collect.speaker_encoder), and none comes with emolab.",
            hint="Name a local file: --set collect.speaker_encoder=PATH/pretrained.pt (of the package resemblyzer)",
        )
    from emolab.training.networks.speaker_encoder import SpeakerEncoder

    return SpeakerEncoder(file).encode


def guess_speakers(
    workspace: Workspace,
    catalog: Catalog,
    encode: Encode,
    *,
    stopped: Callable[[], bool] = lambda: False,
    progress: Progress = SILENT,
) -> GuessedSpeakers:
    """Give every clip without a group one by its voice; a group that is known is never changed.

    Clips join the guesses of earlier runs where they sound alike. ``stopped`` is asked before each clip; those that
    were not heard are left for the next run.
    """
    import numpy as np

    from emolab.catalog import samples
    from emolab.datasets.splits.guessed_voices import BLOCK, VoiceGroups, is_guessed, summed

    with catalog.connect() as conn:
        without = [(each.id, each.media) for each in samples.iterate(conn) if each.group is None]
        guessed: dict[str, list[str]] = defaultdict(list)
        for each in samples.iterate(conn):
            if is_guessed(each.group) and len(guessed[str(each.group)]) < KNOWN_BY:
                guessed[str(each.group)].append(each.media)
    groups, unread = VoiceGroups(workspace.config.collect.speaker_limit), 0
    placed: dict[str, str] = {}
    if not without:
        return summed(guessed, (), 0)
    total = len(without) + sum(map(len, guessed.values()))
    with progress.task("Hearing who speaks", total, unit="clips") as task:

        def heard(media: str) -> NDArray[np.float32] | None:
            task.advance(1)
            return _encoded(workspace, media, encode)

        for name, media in sorted(guessed.items()):
            found = [each for each in map(heard, media) if each is not None]
            groups.add(name, np.stack(found) if found else np.zeros((1, 256), np.float32))
        for begin in range(0, len(without), BLOCK):
            part = [(name, heard(media)) for name, media in without[begin : begin + BLOCK] if not stopped()]
            usable = [(name, each) for name, each in part if each is not None]
            unread += len(part) - len(usable)
            if usable:
                names = groups.place(np.stack([each for _, each in usable]))
                placed.update(zip((name for name, _ in usable), names, strict=True))
    with catalog.begin() as tx:
        _set(tx, placed)
    return summed(guessed, placed.values(), unread)


def _encoded(workspace: Workspace, media: str, encode: Encode) -> NDArray[np.float32] | None:
    from emolab.modalities.audio.reading import load
    from emolab.modalities.problems import Refused

    try:
        return encode(load(workspace.locate(media)).samples)
    except Refused:
        return None


def _set(tx: Connection, placed: dict[str, str]) -> None:
    from emolab.catalog import samples

    samples.set_guessed_groups(tx, placed)
