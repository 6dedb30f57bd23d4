"""What voice16's record of learned clips recognises, and what it takes for learned by mistake.

Recall: clips of RAVDESS speech that it learned from, trimmed, quieter and encoded again. Mistakes: the second takes of
all clips, asked of a record of the first takes (the same person says the same sentence in the same way), and voices
that emolab makes. Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from emolab.datasets.voted_dataset import read
from emolab.demonstration.voices.made_voices import make_voices
from emolab.modalities.audio.reading import RATE, load
from emolab.taxonomy import PRESETS
from emolab.training.learned import fingerprints, learned_images
from emolab.training.networks import bundled

#: Learned clips tried in each way, made voices; those of the quick run.
CLIPS, MADE = 400, 400
QUICK = (40, 40)


def encoded(samples: NDArray[np.float32], form: str = "FLAC", subtype: str | None = None, rate: int = RATE) -> bytes:
    """``samples`` (n,) as a file."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=form, subtype=subtype)
    return out.getvalue()


def telephone(samples: NDArray[np.float32]) -> bytes:
    """At 8 kHz."""
    import soxr

    return encoded(soxr.resample(samples, RATE, 8_000), rate=8_000)


WAYS: dict[str, Callable[[NDArray[np.float32]], bytes]] = {
    "WAV": lambda samples: encoded(samples, "WAV"),
    "the first 6 ms cut off": lambda samples: encoded(samples[100:]),
    "0.3 s cut off at both ends": lambda samples: encoded(samples[4_800:-4_800]),
    "20 dB quieter": lambda samples: encoded(0.1 * samples),
    "MP3": lambda samples: encoded(samples, "MP3", "MPEG_LAYER_III"),
    "Ogg Vorbis": lambda samples: encoded(samples, "OGG", "VORBIS"),
    "Ogg Opus": lambda samples: encoded(samples, "OGG", "OPUS"),
    "a telephone (8 kHz)": telephone,
}


def run(quick: bool) -> list[Result]:
    """Shares of learned clips that are recognised and of others that are taken for them, in per cent."""
    n, made = QUICK if quick else (CLIPS, MADE)
    record = learned_images.read(bundled.ROOT / "voice16" / learned_images.FILE, of="voice16")
    folder = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).parents[2] / "shared") / "data"
    crowd = read(f"ravdess:{folder / 'ravdess_speech_16k.zip'}", PRESETS["ekman7"])
    rng = np.random.default_rng(0)
    order = rng.permutation(len(crowd.media))[:n]
    sounds = [load(crowd.media[row]).samples for row in order.tolist()]
    rows = [
        share(f"recognised: {name}", record.has(fingerprints.of_media([way(sound) for sound in sounds])))
        for name, way in WAYS.items()
    ]
    rows.append(second_takes(crowd.names, crowd.media, 2 * n if quick else len(crowd.media)))
    voices = [voice.data for voice in make_voices(made, rng)]
    rows.append(share("taken for learned: made voices", record.has(fingerprints.of_media(voices))))
    return rows


def second_takes(names: list[str], media: list[bytes | Path], most: int) -> Result:
    """Of the second takes, those that a record of the first takes has; at most ``most`` clips are looked at."""
    takes = np.array([Path(name).stem.split("-")[5] for name in names])[:most]
    prints = fingerprints.of_media(media[:most])
    record = learned_images.Learned().with_images(prints[takes == "01"], "first takes")
    return share("taken for learned: second takes of one person", record.has(prints[takes == "02"]))


def share(name: str, hits: NDArray[np.bool_]) -> Result:
    """One row."""
    return Result(name, 100 * float(hits.mean()), "%", n=len(hits), note=f"{int(hits.sum()):,}")


if __name__ == "__main__":
    main(run)
