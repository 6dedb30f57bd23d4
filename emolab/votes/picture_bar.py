"""What a picture or clip must have to be worth a person's time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What a sample must have to be sent or suggested; the measures are those of ``emolab collect``.

    ``faceless``: also pictures in which the detector found no face. ``max_blur``: 0 sharp .. 1 blurred.
    ``min_contrast``: standard deviation of grey, 0..1. ``min_side``: shorter side in pixels. ``min_voice``:
    share of a clip in which somebody speaks, 0..1. What a sample was not measured for keeps it from nobody.
    """

    faceless: bool = False
    max_blur: float = 1.0
    min_contrast: float = 0.0
    min_side: int = 0
    min_voice: float = 0.0
