"""What is said in a video: captions of a file, or written down by a local whisper, each judged by a model of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.loop.model.film.film_models import FilmModels
    from emolab.modalities.own_models import OwnModel
    from emolab.modalities.text.captions import Caption
    from emolab.progress import Progress

#: A caption with what a model of words says of it.
Judged = tuple["Caption", "NDArray[np.float64] | None"]


def judged_captions(
    video: Path, models: FilmModels, notes: list[str], *, masking: bool, progress: Progress
) -> list[Judged]:
    """The captions of ``video`` in the order of time, each with a distribution (k,) over the model's classes.

    The model reads them as it learned: with ``masking`` without names, addresses and numbers. What cannot be judged is
    shown without an answer. Raises :class:`DataError` for a file that is no transcript.
    """
    from emolab.modalities.text.captions import read_captions

    if models.transcript is not None:
        captions = read_captions(models.transcript)
    elif models.transcriber:
        captions = _written_down(video, models, notes, progress)
    else:
        return []
    if models.words is None:
        return [(caption, None) for caption in captions]
    judged = _judged(captions, models.words, masking)
    silent = sum(probs is None for _, probs in judged)
    if silent:
        notes.append(f"{silent:,} captions say nothing to the model of words")
    return judged


def _judged(captions: Sequence[Caption], model: OwnModel, masking: bool) -> list[Judged]:
    from emolab.modalities.problems import Refused
    from emolab.modalities.text.sentence import store_form
    from emolab.stats.fusion import exclusive

    texts: list[bytes] = []
    for caption in captions:
        try:
            texts.append(store_form(caption.text, masking=masking).data)
        except Refused:
            texts.append(b"")
    probs, errors = model.answers(texts)
    shares = exclusive(probs)
    return [(caption, None if i in errors else shares[i]) for i, caption in enumerate(captions)]


def _written_down(video: Path, models: FilmModels, notes: list[str], progress: Progress) -> list[Caption]:
    """What whisper hears in ``video``, on the clock of the picture; nothing where nobody speaks.

    Raises :class:`DataError` for a video whose sound cannot be read.
    """
    from emolab.errors import DataError
    from emolab.modalities.audio.reading.sound import opened
    from emolab.modalities.problems import Problem, Refused
    from emolab.modalities.text.captions import Caption
    from emolab.modalities.text.transcripts.transcribing import transcribed
    from emolab.modalities.text.transcripts.whisper_folder import Transcriber

    whisper = Transcriber(models.transcriber, language=models.spoken)
    problems: list[Problem] = []
    captions: list[Caption] = []
    try:
        with opened(video) as sound:
            early = sound.source.picture
        with progress.task("Writing down what is said"):
            for heard in transcribed(video, whisper, problems):
                begin, end = max(0.0, heard.begin - early), max(0.0, heard.end - early)
                captions.append(Caption(begin=begin, end=end, text=heard.text))
    except Refused as refused:
        if refused.kind != "nothing in it":
            raise DataError(f"The sound of {video} cannot be read: {refused.kind}: {refused.message}.") from refused
    notes += [f"{kind}: {n:,} times while writing down" for kind, n in Counter(each.kind for each in problems).items()]
    notes.append("the words are written down by a machine, which mishears")
    return captions
