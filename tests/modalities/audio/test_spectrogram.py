"""What a network sees of a clip: the same whatever file it came from, however loud, wherever in it the voice is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.modalities.audio.spectrogram import spectrogram
from emolab.modalities.modality import open_modality, recognised
from emolab.modalities.preparing import Preprocessing, Unprepared, decode, prepare
from tests.support.sounds import chatter

soundfile = pytest.importorskip("soundfile", reason="the extra audio is not installed")

RATE = 16_000
WANTED = Preprocessing(64, "sound")


def tone(hertz: float, seconds: float, *, level: float = 0.3) -> NDArray[np.float32]:
    at = np.arange(round(seconds * RATE)) / RATE
    found: NDArray[np.float32] = (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)
    return found


def encoded(
    samples: NDArray[np.float32] | NDArray[np.int16], kind: str = "FLAC", subtype: str = "PCM_16", rate: int = RATE
) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue()


def test_it_has_the_shape_that_the_network_is_made_for() -> None:
    assert decode(encoded(tone(440, 2)), WANTED).shape == WANTED.shape == (64, 256, 1)
    assert decode(encoded(tone(440, 2)), Preprocessing(96, "sound")).shape == (96, 384, 1)
    assert not WANTED.mirrors
    assert (WANTED.modality, WANTED.channels) == ("audio", 1)


def test_low_tones_stand_above_high_ones_at_the_start_of_the_array() -> None:
    low, high = (int(spectrogram(tone(hertz, 1), 64)[:, 128, 0].argmax()) for hertz in (200, 4000))
    assert low < 10
    assert high > 40


def test_the_loudness_of_the_recording_does_not_matter() -> None:
    voice = tone(300, 1.5) + tone(900, 1.5, level=0.1)
    difference = np.abs(spectrogram(voice, 64).astype(int) - spectrogram(voice * np.float32(0.05), 64).astype(int))
    assert difference.max() <= 1


def test_silence_at_the_ends_does_not_matter() -> None:
    voice, pause = tone(300, 1.5), np.zeros(RATE, np.float32)
    alone, paused = spectrogram(voice, 64), spectrogram(np.concatenate([pause, voice, pause]), 64)
    assert abs(int((alone[0] > 0).sum()) - int((paused[0] > 0).sum())) <= 4
    assert np.abs(alone.astype(int) - paused.astype(int)).mean() < 6


def test_of_a_long_clip_the_loudest_four_seconds_are_seen() -> None:
    quiet, loud = tone(250, 5, level=0.02), tone(2000, 4.096)
    seen = spectrogram(np.concatenate([quiet, loud, quiet]), 64)
    assert (seen > 0).all()
    assert (seen[:, 20:-20, 0].argmax(axis=0) > 25).all()  # the high tone everywhere but at the edges


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16")],
)
def test_every_lossless_file_of_a_clip_is_seen_alike(kind: str, subtype: str) -> None:
    voice = np.round((tone(300, 1.2) + tone(1200, 1.2)) * 32767) / 32768
    seen = decode(encoded(voice.astype(np.float32), kind, subtype), WANTED)
    assert np.abs(seen.astype(int) - spectrogram(voice.astype(np.float32), 64).astype(int)).max() <= 1


def test_what_cannot_be_heard_is_refused_in_one_line() -> None:
    for data, why in (
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (encoded(np.zeros(RATE, np.float32)), "silence"),
    ):
        with pytest.raises(Unprepared, match=f"cannot be read as a sound: .*{why}"):
            prepare(data, WANTED)


def test_a_sound_is_recognised_by_how_it_begins() -> None:
    assert recognised([encoded(tone(300, 1))]).name == "audio"
    assert recognised([b"\x89PNG\r\n\x1a\n"]).name == "image"
    assert recognised([]).name == "image"
    assert open_modality("audio").color([]) == "sound"
    assert open_modality("audio").described(WANTED)["range"] == [0, 255]


def test_a_clip_is_recognised_again_in_another_file() -> None:
    from emolab.training.learned.fingerprints import content_keys, of_media

    voice = tone(300, 1.2) * np.linspace(0.2, 1, round(1.2 * RATE), dtype=np.float32) + tone(1500, 1.2, level=0.05)
    steps = np.rint(voice * 20_000).astype(np.int16)
    prints = of_media([encoded(steps), encoded(steps, "WAV"), encoded(tone(500, 1.2))])
    keys = content_keys(prints).tolist()
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_recipe_of_the_documentation_sees_the_same(rate: int, tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "audio.md").read_text(encoding="utf-8")
    code = text.partition("<!-- recipe -->\n```python\n")[2].partition("```")[0]
    there: dict[str, Any] = {}
    exec(code, there)
    for seconds in (1.5, 6.0):
        file = tmp_path / "clip.wav"
        stereo = np.stack([chatter(seconds, rate, seed=1), chatter(seconds, rate, seed=2)], axis=1)
        file.write_bytes(encoded(stereo, "WAV", rate=rate))
        theirs, ours = there["spectrogram"](file).astype(int), decode(file, WANTED).astype(int)
        assert theirs.shape == ours.shape
        assert np.abs(theirs - ours).max() <= 1
        assert (theirs == ours).mean() > 0.99
