"""Face, voice and words of one film together, against the best of them alone, on films that the benchmark makes.

Each film shows a drawn face that speaks with a made voice and says a made sentence, all of one known emotion out of
seven; each channel is unclear by its own chance (`benchmarks/filming/films.py`). The films go the whole way of
`emolab predict VIDEO`. Each channel has a logistic model of its own, taught on other parts: of features of face48, of
the spectrogram, of n-grams. Weights are fitted on validation parts. The best channel is the best one on the very films
that are judged. With real people the errors of the channels go together more, and less is to be gained.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.filming.films import EMOTIONS, RATE, WORDS, Part, film, labelled, parts, still
from benchmarks.harness import Result, main
from emolab.config import Config, TrainingConfig
from emolab.inference.served_model import ServedModel
from emolab.loop.model.film.film_models import FilmModels
from emolab.loop.model.film.predict_film import watch_film
from emolab.loop.model.open_model import open_model
from emolab.modalities.preparing import Preprocessing, decode_many
from emolab.modalities.text.learn import learn_media
from emolab.progress import SILENT
from emolab.serving.live.face_stream import FaceStream, finder_for, stream_rules
from emolab.stats.fusion import Fuser, common_name, exclusive
from emolab.stats.logistic import Solution, solve

CHANNELS = ("face", "voice", "words")
#: Parts to learn from, to fit weights on, and films to judge; how often all of it is made again.
FULL, QUICK = (210, 70, 70), (105, 35, 14)
SEEDS = 3
HEARD = Preprocessing(32, "sound")


@dataclass
class Taught:
    """A model of a channel: `features` of what it is shown, and a logistic `head`."""

    id: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    features: Any
    head: Solution
    conformal: Mapping[str, Any] = field(default_factory=dict)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities (n, k)."""
        return self.head.probabilities(self.features(pixels)).astype(np.float32)


def run(quick: bool) -> list[Result]:
    """Teach, judge and count, for each seed."""
    sizes = QUICK if quick else FULL
    judged = [_judged(seed, sizes) for seed in range(1 if quick else SEEDS)]
    rows = []
    for name in judged[0][0]:
        values = [found[name] for found, _ in judged]
        unit = "points" if name.startswith("better") else "%"
        told = "; ".join(" ".join(f"{key} {weight:.2f}" for key, weight in fitted.items()) for _, fitted in judged)
        note = f"weights: {told}" if "weights of" in name else ""
        spread = (min(values), max(values))
        rows.append(
            Result(name, float(np.mean(values)), unit, n=sizes[2] * len(judged), seeds=len(judged), spread=spread,
                   note=note)
        )  # fmt: skip
    return rows


def _judged(seed: int, sizes: tuple[int, int, int]) -> tuple[dict[str, float], dict[str, float]]:
    """The figures of one seed, in percent, and the weights that were fitted."""
    made = parts(sum(sizes), 1000 * seed)
    learn, valid, judge = made[: sizes[0]], made[sizes[0] : -sizes[2]], made[-sizes[2] :]
    models = taught(learn)
    fuser = models.fuser()
    weights = fuser.fit_weights(shown(models, valid), [part.emotion for part in valid])
    said, truth = seen(models, judge), labelled(judge)
    right: dict[str, float] = {}
    for name in CHANNELS:
        alone = Fuser([channel for channel in fuser.channels if channel.name == name])
        right[f"{name} alone"] = _right(alone, {name: said[name]}, truth)
    best = max(right.values())
    right["together, equal weights"] = _right(fuser, said, truth)
    right["together, weights of validation parts"] = _right(fuser, said, truth, weights)
    for name in CHANNELS:
        two = {other: rows for other, rows in said.items() if other != name}
        right[f"together, without {name}"] = _right(fuser, two, truth)
    right["better than the best channel, equal weights"] = right["together, equal weights"] - best
    right["better than the best channel, fitted weights"] = right["together, weights of validation parts"] - best
    return right, weights


def _right(
    fuser: Fuser,
    said: Mapping[str, NDArray[np.float64]],
    truth: NDArray[np.int64],
    weights: Mapping[str, float] | None = None,
) -> float:
    """The percentage of films told right; where no channel says anything it is wrong."""
    spoken = np.any([np.isfinite(rows).all(axis=1) for rows in said.values()], axis=0)
    kept = {name: rows[spoken] for name, rows in said.items()}
    answers = fuser.fuse_all(kept, int(spoken.sum()), weights).argmax(axis=1)
    names = [common_name(emotion, fuser.classes) for emotion in EMOTIONS]
    right = sum(fuser.classes[a] == names[t] for a, t in zip(answers, truth[spoken], strict=True))
    return float(100 * right / len(truth))


def taught(learn: Sequence[Part]) -> FilmModels:
    """Return models of the three channels."""
    truth = labelled(learn)
    shares = np.eye(len(EMOTIONS))[truth]
    base = open_model(None, "face48", threads=1)
    crops, found = faces(base, learn)
    by_face = Taught(
        "1" * 64, EMOTIONS, base.preprocessing, lambda pixels: base.probabilities_and_features(pixels)[1],
        solve(base.probabilities_and_features(crops)[1], shares[found])[0],
    )  # fmt: skip
    heard = decode_many([part.clip for part in learn], HEARD)
    by_voice = Taught("2" * 64, EMOTIONS, HEARD, pooled, solve(pooled(heard), shares)[0])
    by_words = learn_media(
        [part.sentence.encode() for part in learn],
        shares,
        WORDS,
        supported=np.ones(shares.shape, bool),
        groups=[None] * len(learn),
        config=TrainingConfig(),
        progress=SILENT,
    ).model
    return FilmModels(face=by_face, voice=by_voice, words=by_words)


def faces(base: ServedModel, made: Sequence[Part]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the faces (n, 48, 48, 1) that are found in stills of `made`, and in which of them."""
    looking = Config().collect
    crops, found = [], []
    for place, part in enumerate(made):
        stream = FaceStream(base, finder_for(looking), stream_rules(looking, detect_every=0.0))
        look = [stream.look(number / RATE, still(part.picture, number)) for number in range(3)][-1]
        if len(look.crops):  # a face counts from its second look on
            crops.append(look.crops[0])
            found.append(place)
    return np.stack(crops), np.array(found)


def pooled(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Means, spreads and changes of the bands (n, 3 * 32) of spectrograms, where there is sound."""
    there: NDArray[np.bool_] = np.any(pixels[..., 0] > 0, axis=1, keepdims=True)
    n = np.maximum(there.sum(axis=2), 2)
    values = pixels[..., 0] / 255
    mean = (values * there).sum(axis=2) / n
    spread = np.sqrt(((values - mean[:, :, None]) ** 2 * there).sum(axis=2) / n)
    change = (np.abs(np.diff(values, axis=2)) * there[:, :, 1:]).sum(axis=2) / n
    return np.concatenate([mean, spread, change], axis=1)


def shown(models: FilmModels, made: Sequence[Part]) -> dict[str, NDArray[np.float64]]:
    """What each channel says of parts by themselves, (n, k); a face that is not found says nothing (NaN)."""
    base = open_model(None, "face48", threads=1)
    crops, found = faces(base, made)
    assert models.face is not None and models.voice is not None and models.words is not None
    by_face = np.full((len(made), len(EMOTIONS)), np.nan)
    by_face[found] = models.face.probabilities(crops)
    heard = models.voice.probabilities(decode_many([part.clip for part in made], HEARD))
    read = exclusive(models.words.answers([part.sentence.encode() for part in made])[0])
    return {"face": by_face, "voice": heard.astype(np.float64), "words": read}


def seen(models: FilmModels, judge: Sequence[Part]) -> dict[str, NDArray[np.float64]]:
    """What each channel says of the films of `judge`, (n, k), by the whole way; NaN where it says nothing."""
    said = {name: np.full((len(judge), len(EMOTIONS)), np.nan) for name in CHANNELS}
    with tempfile.TemporaryDirectory() as folder:
        for place, part in enumerate(judge):
            path = Path(folder) / f"film{place:04d}.mp4"
            film(path, part)
            done = watch_film(path, replace(models, transcript=path.with_suffix(".jsonl")), Config())
            turn = next(turn for turn in done.turns if turn["text"])
            for name in CHANNELS:
                if turn["said"][name] is not None:
                    said[name][place] = list(turn["said"][name]["probs"].values())
            path.unlink()
    return said


if __name__ == "__main__":
    main(run)
