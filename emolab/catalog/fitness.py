"""Which samples are worth a person's time: a face or voice, and not a copy of one that was asked about.

An annotator who is shown a cat, a blur or the same face five times loses patience, and the votes teach nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Case, case, false

from emolab.catalog.storage import schema

if TYPE_CHECKING:
    from emolab.votes.picture_bar import Bar

FACELESS = "no face found"
BLURRED = "too blurred"
FLAT = "nearly one colour"
SMALL = "too small"
VOICELESS = "hardly any voice"
COPY = "near copy of another sample"
#: For each reason the setting that lets such samples through.
SETTINGS = {
    FACELESS: "faceless=true",
    BLURRED: "max_blur=1",
    FLAT: "min_contrast=0",
    SMALL: "min_side=0",
    VOICELESS: "min_voice=0",
}


def unfit(bar: Bar) -> Case[str]:
    """SQL for the reason why a row of ``samples`` stays below ``bar``; null for one that does not.

    What was not measured (samples from before there was a measure) is no reason.
    """
    quality = schema.samples.c.quality
    faces = quality["faces"].as_float() == 0 if not bar.faceless else false()
    return case(
        (faces, FACELESS),
        (quality["size"].as_float() < bar.min_side, SMALL),
        (quality["contrast"].as_float() < bar.min_contrast, FLAT),
        (quality["blur"].as_float() > bar.max_blur, BLURRED),
        (quality["voice"].as_float() < bar.min_voice, VOICELESS),
        else_=None,
    )
