"""Drawn faces: a small data set that emolab makes itself, for the demo and for tests. No download, no real person.

Every face is drawn from *action values* (brows, lids, mouth, nose), loosely after the action units of FACS (Ekman and
Friesen 1978), on a person with an own head, skin, hair, light and pose. An expression may be weak or mixed with
another one; then people disagree about it, and the face carries the distribution of their answers. Some pictures
show no face, some are near copies of another frame, as in a real collection. The same generator state gives the same
bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from emolab.demonstration.face_drawing import Action, Person
from emolab.demonstration.mixtures import answers, mixture
from emolab.demonstration.pictures import Scene, Sketch, pictures, sketch
from emolab.taxonomy import PRESETS

if TYPE_CHECKING:
    from numpy.random import Generator

#: How often each expression occurs: as uneven as in real collections.
_PRIOR = {
    "neutral": 0.24,
    "happiness": 0.21,
    "surprise": 0.14,
    "sadness": 0.13,
    "anger": 0.11,
    "disgust": 0.06,
    "fear": 0.07,
    "contempt": 0.04,
}
#: Expressions that real people mix up, hence the partners of an ambiguous face.
_NEAR = {
    "neutral": ("sadness", "contempt", "anger"),
    "happiness": ("contempt", "surprise", "neutral"),
    "surprise": ("fear", "happiness"),
    "sadness": ("neutral", "fear", "disgust"),
    "anger": ("disgust", "neutral", "contempt"),
    "disgust": ("anger", "sadness"),
    "fear": ("surprise", "sadness"),
    "contempt": ("neutral", "happiness", "disgust"),
}
_NO_FACE, _COPIES = 0.02, 0.05


_ACTIONS = {
    "neutral": Action(),
    "happiness": Action(outer=0.15, lids=-0.3, smile=1.0, open=0.3, wide=0.5, cheeks=1.0),
    "surprise": Action(inner=1.0, outer=1.0, lids=0.9, open=1.0, wide=-0.5),
    "sadness": Action(inner=0.9, outer=-0.5, lids=-0.35, smile=-0.9, wide=-0.1),
    "anger": Action(inner=-1.0, outer=0.4, lids=-0.1, smile=-0.35, press=1.0, wide=0.1),
    "disgust": Action(inner=-0.6, outer=-0.1, lids=-0.55, smile=-0.5, open=0.15, sneer=1.0),
    "fear": Action(inner=1.0, outer=0.35, lids=0.8, smile=-0.35, open=0.4, wide=0.8),
    "contempt": Action(lids=-0.2, lopsided=1.0, press=0.3, outer=0.1),
}


@dataclass(frozen=True)
class DrawnFace:
    """One picture: ``png`` bytes, a file ``name``, the ``person`` drawn, and ``answers``: class or meta label to the
    share of people who would give it (sums to 1)."""

    png: bytes
    name: str
    person: str
    answers: Mapping[str, float]


def draw_faces(n: int, rng: Generator, *, jobs: int = 1) -> Iterator[DrawnFace]:
    """``n`` pictures of about ``n / 8`` persons with the eight expressions of FER+, streamed.

    ``jobs`` processes draw them; how many there are changes no byte.
    """
    planned: deque[_Planned] = deque()

    def remembered() -> Iterator[Sketch]:
        for each in _plan(n, rng):
            planned.append(each)
            yield each.sketch

    for number, png in enumerate(pictures(remembered(), jobs=jobs)):
        face = planned.popleft()
        yield DrawnFace(png, f"face{number:05d}.png", face.person, face.answers)


@dataclass(frozen=True, eq=False)
class _Planned:
    sketch: Sketch
    person: str
    answers: Mapping[str, float]


def _plan(n: int, rng: Generator) -> Iterator[_Planned]:
    """Everything that is random about ``n`` pictures, in the order of the pictures."""
    people = [_person(rng) for _ in range(max(3, n // 8))]
    names, prior = list(_PRIOR), np.array(list(_PRIOR.values()))
    latest: tuple[Person, Action, Scene, str, dict[str, float]] | None = None
    for _ in range(n):
        chance = rng.random()
        if chance < _NO_FACE:
            room = replace(_scene(rng), noise=4.0, blur=0.4)
            yield _Planned(sketch(room, None, Action(), rng), "", {"no_face": 1.0})
            continue
        if latest is not None and chance < _NO_FACE + _COPIES:
            person, action, scene, who, said = latest
            scene = replace(scene, yaw=scene.yaw + rng.normal(0, 0.004), roll=scene.roll + rng.normal(0, 0.4))
        else:
            number = int(rng.integers(len(people)))
            person, who, scene = people[number], f"person{number:04d}", _scene(rng)
            expression = names[int(rng.choice(len(names), p=prior / prior.sum()))]
            action, said = _expression(expression, rng)
        latest = (person, action, scene, who, said)
        yield _Planned(sketch(scene, person, action, rng), who, said)


def _expression(name: str, rng: Generator) -> tuple[Action, dict[str, float]]:
    """Muscles of one face that shows ``name``, maybe weakly or mixed, and what people would answer."""
    weights = mixture(name, _NEAR, rng)
    values = {
        field: sum(w * getattr(_ACTIONS[key], field) for key, w in weights.items()) + float(rng.normal(0, 0.05))
        for field in Action.__dataclass_fields__
    }
    return Action(**values), answers(weights, PRESETS["ferplus8"])


def _person(rng: Generator) -> Person:
    skins = ((255, 224, 196), (241, 194, 155), (224, 172, 125), (198, 134, 90), (141, 85, 54), (96, 60, 44))
    hairs = ((36, 28, 26), (78, 50, 32), (140, 96, 48), (208, 172, 104), (160, 66, 38), (150, 150, 154))
    irises = ((70, 45, 28), (92, 64, 40), (70, 104, 70), (74, 112, 150), (44, 34, 30))
    style = int(rng.integers(4))
    return Person(
        skin=_vary(skins[int(rng.integers(6))], rng, 8),
        hair=_vary(hairs[int(rng.integers(6))], rng, 10),
        shirt=_vary((int(rng.integers(40, 220)), int(rng.integers(40, 220)), int(rng.integers(40, 220))), rng, 4),
        iris=irises[int(rng.integers(5))],
        style=style,
        width=float(rng.uniform(0.27, 0.32)),
        height=float(rng.uniform(0.36, 0.41)),
        eye=float(rng.uniform(0.9, 1.12)),
        gap=float(rng.uniform(0.92, 1.08)),
        nose=float(rng.uniform(0.85, 1.2)),
        brow=float(rng.uniform(0.8, 1.4)),
        glasses=bool(rng.random() < 0.15),
        beard=style in (0, 2) and bool(rng.random() < 0.3),
    )


def _scene(rng: Generator) -> Scene:
    hard = rng.random() < 0.15
    tint = 0.55 * rng.integers(60, 225, 3) + 0.45 * rng.integers(90, 210)
    return Scene(
        yaw=float(rng.normal(0, 0.02)),
        pitch=float(rng.normal(0, 0.01)),
        roll=float(rng.normal(0, 3)),
        light=float(rng.uniform(0, 2 * np.pi)),
        strength=float(rng.uniform(0.05, 0.5 if hard else 0.3)),
        back=(int(tint[0]), int(tint[1]), int(tint[2])),
        noise=float(rng.uniform(6, 14) if hard else rng.uniform(0, 4)),
        blur=float(rng.uniform(0.6, 1.2) if hard else rng.uniform(0, 0.35)),
    )


def _vary(colour: tuple[int, int, int], rng: Generator, by: float) -> tuple[int, int, int]:
    lighter = rng.normal(0, by)
    red, green, blue = (int(np.clip(value + lighter + rng.normal(0, by / 4), 0, 255)) for value in colour)
    return red, green, blue
