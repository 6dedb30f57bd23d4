"""Recordings become clips: trimmed, cut between what is said, measured, stored without metadata."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.modalities.audio import flac
from emolab.modalities.audio.reading import RATE, load
from emolab.modalities.audio.segments import Segment, Segmenter
from emolab.modalities.audio.sound_quality import measure
from emolab.modalities.audio.voice import smoothed
from tests.support.sounds import sound_file, voice

pytest.importorskip("webrtcvad")


def silence(seconds: float, level: float = 1e-4) -> NDArray[np.float32]:
    return (level * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def cut(samples: NDArray[np.float32], longest: float = 12.0, block: float = 10.0) -> tuple[list[Segment], Segmenter]:
    made = Segmenter(longest)
    step = round(block * RATE)
    return list(made([samples[at : at + step] for at in range(0, len(samples), step)])), made


def test_silence_at_both_ends_is_trimmed_to_a_tenth_of_a_second() -> None:
    spoken = voice(2)
    (clip,), made = cut(np.concatenate([silence(1), spoken, silence(1.5)]))
    assert clip.begin == pytest.approx(0.9, abs=0.12)
    assert len(clip.samples) / RATE == pytest.approx(2.2, abs=0.25)
    assert (made.clips, made.heard, made.split) == (1, True, False)
    # of the clip nothing was touched
    start = round(clip.begin * RATE)
    whole = flac.sixteen_bits(np.concatenate([silence(1), spoken, silence(1.5)]))
    assert np.array_equal(clip.samples, whole[start : start + len(clip.samples)])


def test_a_laugh_without_voice_stays() -> None:
    noise = 0.2 * np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    (clip,), _ = cut(np.concatenate([silence(1), noise, silence(1)]))
    assert len(clip.samples) / RATE >= 1


def test_a_long_recording_is_cut_where_nobody_speaks() -> None:
    parts = [voice(4, seed=n, tempo=2) for n in range(8)]
    recording = np.concatenate([np.concatenate([part, silence(2)]) for part in parts])
    clips, made = cut(recording)
    assert len(clips) == 8
    assert made.split
    for n, clip in enumerate(clips):
        assert clip.begin == pytest.approx(6 * n, abs=0.4)
        assert 3.5 < len(clip.samples) / RATE < 5
    inside = [sample for clip in clips for sample in range(round(clip.begin * RATE), round(clip.begin * RATE) + 1)]
    assert inside == sorted(inside)


def test_what_is_said_without_a_pause_is_cut_all_the_same() -> None:
    clips, _ = cut(voice(40, tempo=3), longest=5)
    lengths = [len(clip.samples) / RATE for clip in clips]
    assert max(lengths) <= 5
    assert sum(lengths) == pytest.approx(40, abs=2)


def test_a_recording_of_any_length_passes_through_a_window() -> None:
    """Ten minutes in blocks of ten seconds: as many clips as sentences, none twice."""
    sentence = np.concatenate([voice(5, tempo=2), silence(2.5)])
    made = Segmenter(12.0)
    clips = list(made(sentence for _ in range(80)))
    assert len(clips) == pytest.approx(80, abs=2)
    starts = np.array([clip.begin for clip in clips])
    ends = starts + np.array([len(clip.samples) / RATE for clip in clips])
    assert (starts[1:] >= ends[:-1]).all()


def test_digital_silence_and_the_last_bit_make_no_clip() -> None:
    for level in (0.0, 3e-5):
        clips, made = cut(silence(3, level))
        assert clips == []
        assert made.clips == 0


def test_values_beyond_full_scale_are_made_quieter_not_cut() -> None:
    (clip,), made = cut(voice(2) * 30_000)
    assert made.peak > 1_000
    assert np.abs(clip.samples.astype(int)).max() == pytest.approx(32_767, abs=1)
    assert measure(clip.samples)["clipping"] == 0


def test_a_stored_clip_holds_sound_and_nothing_else() -> None:
    samples = flac.sixteen_bits(voice(2))
    data = flac.encode(samples)
    assert data[:5] == b"fLaC\x80"  # the first block of metadata is the last
    assert data[8 + 34 :][:2] == b"\xff\xf8"  # a frame of sound follows
    assert np.array_equal(flac.sixteen_bits(load(data).samples), samples)
    assert flac.encode(samples) == data
    assert load(data).format == "FLAC PCM 16"
    assert hashlib.sha256(data).digest() != hashlib.sha256(flac.encode(samples[:-1])).digest()


def test_comments_of_a_flac_file_are_taken_off() -> None:
    soundfile = pytest.importorskip("soundfile")
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", RATE, 1, "PCM_16", format="FLAC") as file:
        file.title, file.artist = "Ann at home", "Ann"
        file.write(voice(1))
    assert b"Ann" in out.getvalue()
    assert b"Ann" not in flac.stripped(out.getvalue())
    assert np.array_equal(load(flac.stripped(out.getvalue())).samples, load(out.getvalue()).samples)


def test_sixteen_bits_go_through_unchanged() -> None:
    values = np.arange(-32768, 32768, dtype=np.int16)
    assert np.array_equal(flac.sixteen_bits(load(sound_file(values)).samples), values)


@pytest.mark.parametrize("db", [0, 10, 20, 30])
def test_the_signal_to_noise_ratio_is_about_that_which_was_made(db: int) -> None:
    spoken = np.concatenate([np.concatenate([voice(1.0, seed=n, tempo=2), silence(0.6, 0)]) for n in range(4)])
    power = float((spoken[spoken != 0] ** 2).mean())
    noise = np.random.default_rng(0).standard_normal(len(spoken)) * np.sqrt(power / 10 ** (db / 10))
    found = measure(flac.sixteen_bits((spoken + noise).astype(np.float32)))
    assert found["snr"] == pytest.approx(db, abs=4)


def test_loudness_clipping_and_voice() -> None:
    quiet, loud = flac.sixteen_bits(0.1 * voice(2)), flac.sixteen_bits(voice(2))
    assert measure(loud)["loudness"] - measure(quiet)["loudness"] == pytest.approx(20, abs=2)
    assert measure(loud)["clipping"] == 0
    assert measure(flac.sixteen_bits(20 * voice(2)))["clipping"] > 0.2
    assert measure(loud)["voice"] > 0.7
    assert measure(np.zeros(RATE, np.int16)) == {"loudness": -100.0, "clipping": 0.0, "voice": 0.0, "snr": 0.0}


def test_short_pauses_are_closed_and_short_bursts_taken_out() -> None:
    flags = np.array([0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0], dtype=bool)
    assert smoothed(flags, gap=2, burst=2).astype(int).tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
