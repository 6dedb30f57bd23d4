"""The voice of a video: stretches of speech, each with what a model of voices says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.modalities.problems import Refused
    from emolab.serving.predictor import Model

#: Seconds of voice below which a stretch is left out.
LEAST = 0.5


@dataclass(frozen=True, kw_only=True)
class VoiceStretch:
    """Somebody speaks from second ``begin`` to ``end`` of the picture; ``probs`` (k,) are the model's."""

    begin: float
    end: float
    probs: NDArray[np.float32]


def voice_stretches(video: Path, model: Model | None, notes: list[str]) -> Iterator[VoiceStretch]:
    """The stretches of speech in the sound of ``video``, at most as long as a network sees (4.1 s), as they come.

    Without a ``model`` its sound is read no further than to see that there is some. Memory stays the same for a video
    of any length. Raises :class:`DataError` where there is no sound, or it is damaged.
    """
    import numpy as np

    from emolab.modalities.audio.reading import RATE
    from emolab.modalities.audio.reading.sound import opened
    from emolab.modalities.audio.segments import Segmenter
    from emolab.modalities.audio.spectrogram import picture
    from emolab.modalities.audio.voice import FRAME
    from emolab.modalities.problems import Refused
    from emolab.serving.hearing.sound_windows import SEEN

    cut = Segmenter(SEEN)
    given = 0
    try:
        with opened(video) as sound:
            if model is None:
                return
            late = sound.source.offset - sound.source.picture
            for segment in cut(sound):
                if float(segment.heard.sum()) * FRAME / RATE < LEAST:
                    continue
                given += 1
                pixels = picture((segment.samples / np.float32(32768)).astype(np.float32), model.preprocessing)
                begin = late + segment.begin
                end = begin + len(segment.samples) / RATE
                yield VoiceStretch(begin=max(0.0, begin), end=max(0.0, end), probs=model.probabilities(pixels[None])[0])
            notes += sound.notes
    except Refused as refused:
        raise _refused(video, refused) from refused
    if not given:
        notes.append("no voice is heard in it")


def _refused(video: Path, refused: Refused) -> DataError:
    """What is said of sound that cannot be read: whether there is none, or why, and how to go on."""
    if refused.kind == "no sound":
        return DataError(
            f"{video} has no sound, so there is no voice in it.",
            hint="Judge the rest of it: --voice none",
        )
    return DataError(
        f"The sound of {video} cannot be read: {refused.kind}: {refused.message}.", hint="Leave it out: --voice none"
    )
