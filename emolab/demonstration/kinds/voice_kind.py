"""Voices: made ones, or clips of a data set."""

from __future__ import annotations

from emolab.demonstration.kinds.demo_kind import DemoKind
from emolab.demonstration.voices.made_voices import CLASSES, make_voices

VOICES = DemoKind(
    modality="audio",
    noun="clip",
    title="made voices",
    making="Making",
    made="made",
    make=make_voices,
    classes=CLASSES,
    stand_in="bands",
    alike=False,  # voice16 knows what people sound like; of vowels from a formula it tells little
    plays=True,
)
