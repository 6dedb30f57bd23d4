"""Made sentences: a small data set that emolab makes itself, for the demo and for tests. No download, no real person.

Every sentence is by a writer with habits: how they begin, end and mark what they say. It names something that happened,
which tells nothing, and says how that felt, in words of one emotion or of two. Some words belong to several emotions,
and the weak ones say little. People disagree about such sentences, which carry the distribution of their answers. The
same generator state gives the same sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emolab.demonstration.kinds.demo_kind import MadeSample
from emolab.demonstration.mixtures import answers, mixture
from emolab.taxonomy import PRESETS

if TYPE_CHECKING:
    from numpy.random import Generator

CLASSES = PRESETS["ekman7"]
#: How often each emotion occurs: as uneven as in real collections.
_PRIOR = {
    "neutral": 0.26,
    "happiness": 0.2,
    "surprise": 0.11,
    "sadness": 0.14,
    "anger": 0.15,
    "disgust": 0.07,
    "fear": 0.07,
}
#: Emotions that people mix up when they read.
_NEAR = {
    "neutral": ("sadness", "happiness", "surprise"),
    "happiness": ("surprise", "neutral"),
    "surprise": ("happiness", "fear", "anger"),
    "sadness": ("neutral", "fear", "anger"),
    "anger": ("disgust", "sadness", "surprise"),
    "disgust": ("anger", "fear", "sadness"),
    "fear": ("sadness", "surprise"),
}
#: What says an emotion; each is used about as often as the others of its line.
_SAID = {
    "neutral": (
        "it was on the list anyway|that is how it works here|it went as planned|nothing else to report|"
        "it takes about an hour|we can do it again next week|there is a note on the door|it is the same as before|"
        "the rest is in the file|they open at nine|I will bring the form|it is the second one on the left|"
        "somebody has to do it|I have seen it before|that is all I know|it is next to the station"
    ),
    "happiness": (
        "I am so glad about it|it made my whole week|I could hug everybody|what a lovely surprise it was|"
        "we laughed until we cried|I love how it turned out|I am proud of all of us|best thing in a long time|"
        "it could not be nicer|I keep smiling about it|thank you so much for it|that was pure joy|"
        "I am grateful for every bit|this is wonderful news|we danced in the kitchen|such a good feeling"
    ),
    "surprise": (
        "I did not see that coming|wait, what|I cannot believe it|who would have thought|out of nowhere, really|"
        "my jaw dropped|since when is that a thing|I had to read it twice|that is not what I expected at all|"
        "no way that happened|it came as a complete surprise|I am still stunned|how is that even possible|"
        "I would never have guessed|it turned out to be the opposite|suddenly everything was different"
    ),
    "sadness": (
        "I miss how it used to be|it breaks my heart|I cried the whole way home|I feel so empty now|"
        "nothing helps at the moment|I wish it had ended otherwise|it hurts more every day|we lost it for good|"
        "I am sorry that it is over|I just feel alone with it|there is no point any more|it was a sad goodbye|"
        "I cannot stop thinking of what we had|everything feels heavy|I let everybody down|tears came again"
    ),
    "anger": (
        "I am sick of this|how dare they|this makes me furious|who do they think they are|I want my money back|"
        "stop wasting my time|it is an outrage|they lied to my face|I have had enough of it|nobody even apologised|"
        "that is so unfair|I could scream|they never listen|what an insult|I hate being treated like that|"
        "they should be ashamed of themselves"
    ),
    "disgust": (
        "it was revolting|I felt sick just looking at it|that is so gross|it smelled of something rotten|"
        "I would not touch it with a stick|it makes my skin crawl|how can anybody eat that|it was slimy all over|"
        "I had to look away|what a filthy mess|it turned my stomach|I nearly threw up|absolutely vile|"
        "there was mould on everything|people like that repel me|I need to wash my hands"
    ),
    "fear": (
        "I am scared of what comes next|my hands are still shaking|I could not sleep all night|please let it be fine|"
        "I am terrified of it|what if it happens again|it gave me the creeps|I am worried sick|my heart was racing|"
        "I did not dare to move|I have a bad feeling about this|it is a nightmare|I panicked and ran|"
        "I keep looking over my shoulder|I dread that day|it could all go wrong"
    ),
}
#: Words that several emotions share, so that they alone tell little.
_SHARED = {
    "happiness": "cannot believe it|so much|finally|really|what a day",
    "surprise": "cannot believe it|really|what a day|all of a sudden",
    "sadness": "so much|again|finally|what a day",
    "anger": "again|cannot believe it|really|so much|what a day",
    "disgust": "again|really|so much",
    "fear": "all of a sudden|again|so much",
    "neutral": "again|finally|as usual",
}
_EVENTS = (
    "the bus was late|they changed the plan|we met at the bakery|the letter came|the phone rang at six|"
    "the new neighbours moved in|my brother called|the class was cancelled|they painted the hall|"
    "the match ended two to one|I opened the box|the shop closed early|my boss wrote back|we ate at the new place|"
    "the dog came home|they moved the meeting|the lights went out|we found the old photos|the train stopped|"
    "the results are in|it rained on the tent|my flat was inspected|the choir sang|the cake was for us|"
    "the doctor had time|they sold the car|the lift is broken|we walked to the lake|the kitchen was left like that|"
    "a stranger waited outside|the test was today|they played our song|the package was open|my team was picked|"
    "the landlord came by|we cleaned the garage|the film was on|the exam is tomorrow|the garden is done"
)
_OPENERS = ("", "", "", "so ", "well, ", "honestly, ", "ok, ", "today ", "you know, ", "this morning ", "yesterday ")
_LINKS = (", and ", ". ", " - ", ", ", " and ", "; ")
_ENDS = (".", ".", "!", "", "...", "!!", " :)", " lol", ", you know.")


@dataclass(frozen=True)
class _Writer:
    """How somebody writes: where in the lists of beginnings, links and endings they choose from; ``loud``: capitals."""

    name: str
    opener: int
    link: int
    end: int
    loud: float


def make_sentences(n: int, rng: Generator, *, jobs: int = 1) -> Iterator[MadeSample]:  # noqa: ARG001 - quick enough
    """``n`` sentences, no two alike, of about ``n / 12`` writers with the six emotions of Ekman and neutral."""
    writers = [_writer(number, rng) for number in range(max(4, n // 12))]
    names, prior = list(_PRIOR), np.array(list(_PRIOR.values()))
    known: set[str] = set()
    while len(known) < n:
        writer = writers[int(rng.integers(len(writers)))]
        weights = mixture(names[int(rng.choice(len(names), p=prior / prior.sum()))], _NEAR, rng)
        text = _sentence(writer, weights, rng)
        if text in known:
            continue
        known.add(text)
        name = f"sentence{len(known) - 1:05d}.txt"
        yield MadeSample(data=text.encode(), name=name, person=writer.name, answers=answers(weights, CLASSES))


def _writer(number: int, rng: Generator) -> _Writer:
    opener, link, end = (int(rng.integers(len(each))) for each in (_OPENERS, _LINKS, _ENDS))
    return _Writer(f"writer{number:04d}", opener, link, end, loud=float(rng.uniform(0, 0.15)))


def _sentence(writer: _Writer, weights: dict[str, float], rng: Generator) -> str:
    """What happened and how it felt: the strongest emotion, and the second one as often as it weighs."""
    first, *others = sorted(weights, key=lambda name: -weights[name])
    parts = [_one(_EVENTS, rng)]
    if rng.random() < 0.35:
        parts.append(_one(_SHARED[first], rng))
    parts.append(_one(_SAID[first], rng))
    parts += [_one(_SAID[name], rng) for name in others if rng.random() < 2 * weights[name]]
    if rng.random() < 0.5:
        parts[1:] = parts[:0:-1]
    link = _habit(_LINKS, writer.link, rng)
    text = _habit(_OPENERS, writer.opener, rng) + link.join(parts) + _habit(_ENDS, writer.end, rng)
    text = text[:1].upper() + text[1:] if rng.random() < 0.7 else text
    return text.upper() if rng.random() < writer.loud else text


def _one(choices: str, rng: Generator) -> str:
    found = choices.split("|")
    return found[int(rng.integers(len(found)))]


def _habit(choices: tuple[str, ...], own: int, rng: Generator) -> str:
    """A writer's own way two times of three, else any."""
    return choices[own if rng.random() < 2 / 3 else int(rng.integers(len(choices)))]
