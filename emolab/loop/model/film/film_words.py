"""What is said in a video: the captions of a file, each judged by a model of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.loop.model.film.film_models import FilmModels
    from emolab.modalities.own_models import OwnModel
    from emolab.modalities.text.captions import Caption

#: A caption with what a model of words says of it.
Judged = tuple["Caption", "NDArray[np.float64] | None"]


def judged_captions(models: FilmModels, notes: list[str], *, masking: bool) -> list[Judged]:
    """The captions of the transcript in the order of time, each with a distribution (k,) over the model's classes.

    The model reads them as it learned: with ``masking`` without names, addresses and numbers. What cannot be judged is
    shown without an answer. Raises :class:`DataError` for a file that is no transcript.
    """
    from emolab.modalities.text.captions import read_captions

    if models.transcript is None:
        return []
    captions = read_captions(models.transcript)
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
