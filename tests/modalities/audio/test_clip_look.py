"""A clip that a model has learned is known again however it comes, and another one is not taken for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.modalities.audio.clip_look import clip_look
from emolab.modalities.audio.reading import RATE, load
from emolab.training.learned import fingerprints, learned_images
from emolab.training.learned.learned_images import Learned
from emolab.training.networks import bundled
from tests.support.sounds import chatter, sound_file

soxr = pytest.importorskip("soxr")

#: What may happen to a clip, and the share that is recognised at least.
COPIES: dict[str, tuple[Callable[[NDArray[np.float32]], bytes], float]] = {
    "FLAC": (lambda clip: sound_file(clip, format="FLAC"), 1.0),
    "6 ms cut off": (lambda clip: sound_file(clip[100:]), 0.97),
    "0.25 s of silence cut off": (lambda clip: sound_file(clip[4_000:]), 0.97),
    "silence around it": (lambda clip: sound_file(np.pad(clip, (7_777, 3_333))), 0.97),
    "20 dB quieter": (lambda clip: sound_file(0.1 * clip), 0.97),
    "MP3": (lambda clip: sound_file(clip, format="MP3", subtype="MPEG_LAYER_III"), 0.95),
    "Ogg Vorbis": (lambda clip: sound_file(clip, format="OGG", subtype="VORBIS"), 0.9),
    "Ogg Opus": (lambda clip: sound_file(clip, format="OGG", subtype="OPUS"), 0.9),
    "a telephone": (lambda clip: sound_file(soxr.resample(clip, RATE, 8_000), 8_000), 0.97),
}


@pytest.fixture(scope="module")
def spoken(shared_data: Path) -> list[NDArray[np.float32]]:
    """40 clips of two actors that voice16 has learned, a second take among them for each first one."""
    import io
    import zipfile

    import soundfile

    with zipfile.ZipFile(shared_data / "ravdess_speech_16k.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(("Actor_03/", "Actor_04/")))[:80:2]
        return [soundfile.read(io.BytesIO(archive.read(name)), dtype="float32")[0] for name in names]


@pytest.mark.shared
@pytest.mark.parametrize("way", COPIES)
def test_voice16_knows_what_it_has_learned_however_it_comes(spoken: list[NDArray[np.float32]], way: str) -> None:
    record = learned_images.read(bundled.ROOT / "voice16" / learned_images.FILE, of="voice16")
    copy, share = COPIES[way]
    assert record.has(fingerprints.of_media([copy(clip) for clip in spoken])).mean() >= share


@pytest.mark.parametrize("way", ["6 ms cut off", "silence around it", "20 dB quieter", "MP3", "a telephone"])
def test_a_clip_is_known_again_in_a_record_of_a_workspace(way: str) -> None:
    clips = [chatter(2 + 0.1 * seed, seed=seed) for seed in range(24)]
    record = Learned().with_images(fingerprints.of_media([sound_file(clip) for clip in clips]), "clips")
    assert record.has(fingerprints.of_media([COPIES[way][0](clip) for clip in clips])).mean() >= 0.9


def test_other_clips_are_not_taken_for_learned_ones() -> None:
    first = Learned().with_images(fingerprints.of_media([sound_file(chatter(3, seed=n)) for n in range(40)]), "clips")
    others = fingerprints.of_media([sound_file(chatter(3, seed=n)) for n in range(100, 180)])
    assert first.has(others).sum() <= 1


def test_a_very_short_clip_is_looked_at_as_a_network_sees_it() -> None:
    assert not clip_look(chatter(0.8, seed=1)).any()
    assert clip_look(chatter(2, seed=1)).any()
    keys = fingerprints.content_keys(fingerprints.of_media([sound_file(chatter(0.8, seed=n)) for n in (1, 2)])).tolist()
    assert keys[0] != keys[1]


def test_of_a_long_clip_the_loudest_part_is_looked_at() -> None:
    loud, quiet = chatter(4, seed=1), 0.003 * chatter(6, seed=2)
    alone = clip_look(np.concatenate([np.zeros(2_000, np.float32), loud, np.zeros(2_000, np.float32)]))
    within = clip_look(np.concatenate([quiet, loud, quiet]))
    assert np.abs(alone.astype(int) - within.astype(int)).mean() < 5


def test_what_no_voice_can_sound_like_is_told_apart_all_the_same() -> None:
    """Nothing between 300 and 3,400 Hz."""
    hum = [np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE).astype(np.float32) / 2 for hz in (6_000, 7_000)]
    keys = fingerprints.content_keys(fingerprints.of_media([sound_file(each) for each in hum])).tolist()
    assert keys[0] != keys[1]
    assert clip_look(load(sound_file(hum[0])).samples).shape == (32, 64)
