"""Sentences: made ones, or those of a data set."""

from __future__ import annotations

from emolab.demonstration.kinds.demo_kind import DemoKind
from emolab.demonstration.sentences.made_sentences import CLASSES, make_sentences

SENTENCES = DemoKind(
    modality="text",
    noun="sentence",
    title="made sentences",
    making="Writing",
    made="wrote",
    make=make_sentences,
    classes=CLASSES,
    stand_in="",
)
