"""Made voices: a small data set that emolab makes itself, for the demo and for tests. No download, no real person.

Every clip is a few syllables without words by a speaker with an own pitch, throat and pace, in a manner of speaking
loosely after Scherer 2003, "Vocal communication of emotion" (table 2). A manner may be weak or mixed with another one;
then people disagree about it, and the clip carries the distribution of their answers. Some clips are near copies of
another one. The same generator state gives the same bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from emolab.demonstration.kinds.demo_kind import MadeSample
from emolab.demonstration.lots import in_lots
from emolab.demonstration.mixtures import answers, mixture
from emolab.demonstration.voices.vocal_tract import VOWELS, Manner, Speaker, Utterance, synthesise
from emolab.taxonomy import PRESETS

if TYPE_CHECKING:
    from numpy.random import Generator

CLASSES = PRESETS["ekman7"]
#: How often each emotion occurs: as uneven as in real collections.
_PRIOR = {
    "neutral": 0.26,
    "happiness": 0.18,
    "surprise": 0.11,
    "sadness": 0.16,
    "anger": 0.14,
    "disgust": 0.07,
    "fear": 0.08,
}
#: Emotions that people mix up by ear: both aroused, or both quiet.
_NEAR = {
    "neutral": ("sadness", "disgust", "happiness"),
    "happiness": ("surprise", "anger", "neutral"),
    "surprise": ("happiness", "fear"),
    "sadness": ("neutral", "fear", "disgust"),
    "anger": ("disgust", "happiness", "fear"),
    "disgust": ("anger", "neutral", "sadness"),
    "fear": ("surprise", "sadness", "anger"),
}
_MANNERS = {
    "neutral": Manner(),
    "happiness": Manner(pitch=4.0, span=3.6, slope=0.0, rise=0.5, pace=1.12, bright=4, smile=0.09, accent=4.5),
    "surprise": Manner(pitch=4.5, span=3.0, slope=3.0, rise=6.0, pace=0.98, bright=3, breath=0.06, attack=0.03),
    "sadness": Manner(pitch=-1.5, span=0.7, slope=-3.0, rise=-1.0, pace=0.7, bright=-8, breath=0.16, accent=1.5,
                      attack=0.09),
    "anger": Manner(pitch=2.5, span=2.6, slope=-2.0, rise=-2.0, pace=1.2, bright=10, rough=0.022, accent=7.0,
                    attack=0.015),
    "disgust": Manner(pitch=-2.0, span=1.8, slope=-3.5, rise=-2.5, pace=0.82, bright=1, rough=0.03, smile=-0.05,
                      accent=5.0, attack=0.04),
    "fear": Manner(pitch=5.5, span=1.4, slope=1.0, pace=1.3, bright=1, tremor=0.5, rough=0.014, breath=0.12,
                   accent=2.0),
}  # fmt: skip
_COPIES = 0.05


def make_voices(n: int, rng: Generator, *, jobs: int = 1) -> Iterator[MadeSample]:
    """``n`` clips of about ``n / 12`` speakers with the six emotions of Ekman and neutral, streamed.

    ``jobs`` processes make them; how many there are changes no byte.
    """
    planned: deque[tuple[str, dict[str, float]]] = deque()

    def remembered() -> Iterator[Utterance]:
        for utterance, who, said in _plan(n, rng):
            planned.append((who, said))
            yield utterance

    for number, data in enumerate(in_lots(speak, remembered(), jobs=jobs)):
        who, said = planned.popleft()
        yield MadeSample(data=data, name=f"voice{number:05d}.flac", person=who, answers=said)


def speak(wanted: Utterance) -> bytes:
    """The clip as FLAC."""
    from emolab.modalities.audio.flac import encode, sixteen_bits

    return encode(sixteen_bits(synthesise(wanted)))


def _plan(n: int, rng: Generator) -> Iterator[tuple[Utterance, str, dict[str, float]]]:
    """Everything that is random about ``n`` clips, in their order: what, who says it, and what people answer."""
    people = [_speaker(rng) for _ in range(max(4, n // 12))]
    names, prior = list(_PRIOR), np.array(list(_PRIOR.values()))
    latest: tuple[Utterance, str, dict[str, float]] | None = None
    for _ in range(n):
        if latest is not None and rng.random() < _COPIES:
            utterance, who, said = latest
            yield replace(utterance, level=utterance.level - float(rng.uniform(2, 6))), who, said
            continue
        number = int(rng.integers(len(people)))
        weights = mixture(names[int(rng.choice(len(names), p=prior / prior.sum()))], _NEAR, rng)
        latest = (_utterance(people[number], weights, rng), f"speaker{number:04d}", answers(weights, CLASSES))
        yield latest


def _utterance(speaker: Speaker, weights: dict[str, float], rng: Generator) -> Utterance:
    hard = rng.random() < 0.15
    vowels = list(VOWELS)
    return Utterance(
        speaker=replace(speaker, pitch=speaker.pitch * float(rng.lognormal(0, 0.04))),
        manner=_manner(weights, rng),
        vowels=tuple(vowels[int(rng.integers(len(vowels)))] for _ in range(int(rng.integers(5, 9)))),
        snr=float(rng.uniform(6, 15) if hard else rng.uniform(18, 40)),
        level=float(rng.uniform(-32, -16)),
        seed=int(rng.integers(2**31)),
    )


def _manner(weights: dict[str, float], rng: Generator) -> Manner:
    """The mixture of the manners, said a little differently each time."""
    force = float(rng.uniform(0.8, 1.25))  # nobody is always equally moved
    values = {}
    for name, usual in vars(Manner()).items():
        wanted = sum(share * getattr(_MANNERS[key], name) for key, share in weights.items())
        values[name] = usual + force * (wanted - usual)
    values["pitch"] += float(rng.normal(0, 0.6))
    values["slope"] += float(rng.normal(0, 1.0))
    values["bright"] += float(rng.normal(0, 1.5))
    values["pace"] *= float(rng.lognormal(0, 0.06))
    values["breath"] = max(0.0, values["breath"] + float(rng.normal(0, 0.02)))
    return Manner(**values)


def _speaker(rng: Generator) -> Speaker:
    high = bool(rng.random() < 0.5)
    return Speaker(
        pitch=float(rng.uniform(165, 230) if high else rng.uniform(90, 140)),
        scale=float(rng.uniform(1.1, 1.22) if high else rng.uniform(0.94, 1.06)),
        pace=float(rng.uniform(0.88, 1.14)),
        breath=float(rng.uniform(0, 0.06)),
    )
