"""Who speaks in the files that a model normalised by speaker is asked about, and what their clips are normalised by."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from emolab.modalities.preparing import Preprocessing
    from emolab.progress import Progress
    from emolab.serving.given import Media

#: Clips that are read at once.
PART = 64


def tables_by_name(
    pictures: Sequence[tuple[str, Media]],
    wanted: Preprocessing,
    group_by: str | None,
    *,
    max_bytes: int,
    progress: Progress,
) -> dict[str, NDArray[np.uint8]] | None:
    """The table (bands, 256) of each of ``pictures`` (name, media) by its name; ``None`` for a model without.

    ``group_by`` says who speaks, as for ``emolab collect``. Raises :class:`ConfigError` where it is given or left out
    against the model, and :class:`DataError` where a speaker is not known or has a single clip.
    """
    from emolab.errors import ConfigError
    from emolab.serving.given import as_bytes

    if wanted.normalised_by is None:
        if group_by is not None:
            raise ConfigError("--group-by is for models normalised by speaker; this one is not.", hint="Leave it out.")
        return None
    if group_by is None:
        raise ConfigError(
            f"This model is normalised by {wanted.normalised_by}, and nobody said who speaks in which file.",
            hint=r"Say it: --group-by folder, or a table (speakers.csv), or a pattern ('Actor_(\d+)').",
        )
    speakers = _speakers(pictures, group_by)
    counts = Counter(speakers)
    single = next((row for row, speaker in enumerate(speakers) if counts[speaker] == 1), None)
    if single is not None:
        raise ConfigError(
            f"{pictures[single][0]} is the only clip of speaker {speakers[single]}, and this model is normalised by "
            f"{wanted.normalised_by}: it needs several clips of each.",
            hint="Give more clips of this speaker, or use a model trained with --set training.normalise=none",
        )
    media = [partial(as_bytes, given, limit=max_bytes) for _, given in pictures]
    found = tables_of(media, speakers, wanted, progress=progress)
    return {name: table for (name, _), table in zip(pictures, found, strict=True)}


def tables_of(
    media: Sequence[Callable[[], bytes | Path]],
    speakers: Sequence[str | None],
    wanted: Preprocessing,
    *,
    progress: Progress,
) -> list[NDArray[np.uint8]]:
    """The table (bands, 256) of each of ``media`` (n), by all of them that have the same one of ``speakers`` (n).

    What cannot be read is left out of it. Nothing but counts is held in memory. Raises :class:`DataError` where a
    speaker is ``None``.
    """
    import numpy as np

    from emolab.errors import DataError
    from emolab.files import TooLarge
    from emolab.modalities.preparing import prepare
    from emolab.modalities.problems import Refused
    from emolab.modalities.speaker_levels import VALUES, counted, table

    nobody = sum(speaker is None for speaker in speakers)
    if nobody:
        raise DataError(
            f"Of {nobody:,} of {len(speakers):,} clips it is not known who speaks, and this model is normalised by "
            f"{wanted.normalised_by}.",
            hint="Name the speaker of every clip, or use a model trained with --set training.normalise=none",
        )

    def looked(item: Callable[[], bytes | Path]) -> NDArray[np.int64] | None:
        try:
            return counted(prepare(item(), wanted.plain).pixels[None])
        except (DataError, OSError, Refused, TooLarge):
            return None

    counts = {name: np.zeros((wanted.shape[0], VALUES), dtype=np.int64) for name in dict.fromkeys(speakers)}
    with progress.task("Listening to each speaker", len(media), unit="clips") as task, ThreadPoolExecutor() as pool:
        for start in range(0, len(media), PART):
            found = pool.map(looked, media[start : start + PART])
            for name, one in zip(speakers[start : start + PART], found, strict=True):
                if one is not None:
                    counts[name] += one
            task.advance(len(media[start : start + PART]))
    made = {name: table(found) for name, found in counts.items()}
    return [made[name] for name in speakers]


def _speakers(pictures: Sequence[tuple[str, Media]], group_by: str) -> list[str | None]:
    """The speaker of each of ``pictures``; ``None`` where ``group_by`` finds none.

    Raises :class:`DataError` where a row of a table fits two of them.
    """
    from emolab.datasets.collect.grouping import open_grouping
    from emolab.errors import DataError
    from emolab.modalities.problems import Refused

    grouping = open_grouping(group_by, Path.cwd())
    try:  # bytes and arrays lie in no folder and have no path
        return [grouping.group(name) if isinstance(of, Path) or callable(of) else None for name, of in pictures]
    except Refused as refused:
        raise DataError(f"It is not clear who speaks: {refused.message}.", hint="Correct the table.") from refused
