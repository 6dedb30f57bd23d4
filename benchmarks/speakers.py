"""Speakers that nobody wrote down, guessed by a speaker encoder: how often one is divided, and two are joined.

All clips of RAVDESS speech, acted in eight emotions, without their names, as `emolab collect --guess-speakers` groups
them. The limit is chosen on actors 1 to 10: the highest at which at most 2 % of the pairs of clips of one actor lie in
two groups, because a voice on both sides of a split is a leak and two people in one group are none. Actors 11 to 20
judge it. A false split is a pair of clips of one actor in two groups; a false merge is a pair of two actors in one.
"Calm voices" are the clips asked for as neutral and calm. Needs the test data pack (EMOLAB_TEST_DATA or ../shared) and
the file pretrained.pt of resemblyzer, whose code is not used; without them there is nothing to measure.
"""

from __future__ import annotations

import re
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from benchmarks.speech import ravdess
from emolab.datasets.splits.guessed_voices import LIMIT, VoiceGroups
from emolab.modalities.audio.reading.sound import load
from emolab.training.networks.speaker_encoder import SpeakerEncoder

#: The share of false splits that the chosen limit may have.
ALLOWED = 0.02
LIMITS = np.round(np.arange(0.4, 0.801, 0.02), 2)
QUICK = 15  # clips of each actor


def published() -> SpeakerEncoder | None:
    """The encoder with resemblyzer's weights, on one thread; ``None``, with a word on stderr, without them."""
    spec = find_spec("resemblyzer")
    weights = Path(spec.origin or "").with_name("pretrained.pt") if spec else None
    if weights is None or not weights.is_file():
        print("resemblyzer is not installed: nothing to measure. pip install --no-deps resemblyzer", file=sys.stderr)
        return None
    torch.set_num_threads(1)
    return SpeakerEncoder(weights)


def run(quick: bool) -> list[Result]:
    """Choose on ten actors, judge on ten others; quick: fifteen clips of each, with the product's own limit."""
    encoder = published()
    if encoder is None:
        return []
    heard, actor, emotion = clips(encoder, QUICK if quick else None)
    first = actor <= 10
    chosen = LIMIT if quick else choose(heard[first], actor[first])
    results = [Result("limit, mean cosine", chosen, "", n=int(first.sum()), note=f"emolab's own is {LIMIT}")]
    for name, limit in (("", chosen), ("0.1 stricter: ", chosen + 0.1)):
        results += judged(name, heard[~first], actor[~first], limit)
    calm = ~first & (emotion <= 2)
    for name, limit in (("calm voices: ", chosen), ("calm voices, 0.1 stricter: ", chosen + 0.1)):
        results += judged(name, heard[calm], actor[calm], limit)
    return results


def clips(
    encoder: SpeakerEncoder, most: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Encodings (n, 256) of clips in an order drawn once, with the number of the actor and of the emotion (n,)."""
    found: dict[int, list[tuple[str, int]]] = {}
    with zipfile.ZipFile(ravdess()) as files:
        for name in sorted(files.namelist()):
            if match := re.search(r"03-01-(\d\d)-\d\d-\d\d-\d\d-(\d\d)\.flac$", name):
                found.setdefault(int(match[2]), []).append((name, int(match[1])))
        drawn = np.random.default_rng(0)
        chosen = [
            (actor, *own[place])
            for actor, own in sorted(found.items())
            for place in drawn.permutation(len(own))[:most].tolist()
        ]
        chosen = [chosen[place] for place in drawn.permutation(len(chosen)).tolist()]
        heard = np.stack([encoder.encode(load(files.read(name)).samples) for _, name, _ in chosen])
    return heard, np.array([actor for actor, _, _ in chosen]), np.array([emotion for _, _, emotion in chosen])


def choose(heard: NDArray[np.float32], actor: NDArray[np.int64]) -> float:
    """The highest of the limits with few enough false splits."""
    fit = [limit for limit in LIMITS if rates(VoiceGroups(float(limit)).place(heard), actor)[0] <= ALLOWED]
    return float(max(fit, default=LIMITS[0]))


def rates(groups: list[str], actor: NDArray[np.int64]) -> tuple[float, float]:
    """Shares of false splits and of false merges."""
    number = np.unique(groups, return_inverse=True)[1]
    upper = np.triu_indices(len(number), 1)
    one_voice = (actor[:, None] == actor)[upper]
    together = (number[:, None] == number)[upper]
    return float((~together)[one_voice].mean()), float(together[~one_voice].mean())


def judged(name: str, heard: NDArray[np.float32], actor: NDArray[np.int64], limit: float) -> list[Result]:
    """The figures of one limit."""
    groups = VoiceGroups(limit).place(heard)
    split, merged = rates(groups, actor)
    number = np.unique(groups, return_inverse=True)[1]
    whole = sum(len(set(number[actor == one].tolist())) == 1 for one in set(actor.tolist()))
    n, people = len(actor), len(set(actor.tolist()))
    return [
        Result(f"{name}false splits", 100 * split, "%", n=n, note="pairs of clips of one actor"),
        Result(f"{name}false merges", 100 * merged, "%", n=n, note="pairs of clips of two actors"),
        Result(f"{name}groups", len(set(groups)), "", n=n, note=f"of {people} actors"),
        Result(f"{name}actors in one group", whole, f"of {people}", n=n),
    ]


if __name__ == "__main__":
    main(run)
