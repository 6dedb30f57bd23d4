"""The features of sound are librosa's, from one transform; a pure function of samples and config."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.modalities.audio.features import DEFAULT, FrameConfig, SoundFeatures, describe, log_mel, mel_filters
from tests.support.sounds import voice

WIDE = FrameConfig(window=2048, n_fft=2048, hop=512, bands=128)
ODD = FrameConfig(window=300, n_fft=400, hop=160, bands=40, low=50.0, high=3500.0, top_db=None, coefficients=13)


def clip(rate: int, seconds: float) -> NDArray[np.float32]:
    samples = voice(seconds, rate)
    samples[len(samples) // 3 : len(samples) // 2] = 0  # silence is where definitions differ
    return samples


def by_librosa(samples: NDArray[np.float32], rate: int, c: FrameConfig) -> SoundFeatures:
    librosa = pytest.importorskip("librosa")
    frames = {"n_fft": c.n_fft, "hop_length": c.hop, "win_length": c.window}
    mel = librosa.feature.melspectrogram(
        y=samples, sr=rate, n_mels=c.bands, fmin=c.low, fmax=c.high or rate / 2, **frames
    )
    decibels = librosa.power_to_db(mel, top_db=c.top_db)
    return SoundFeatures(
        log_mel=decibels,
        mfcc=librosa.feature.mfcc(S=decibels, n_mfcc=c.coefficients),
        centroid=librosa.feature.spectral_centroid(y=samples, sr=rate, **frames)[0],
        rolloff=librosa.feature.spectral_rolloff(y=samples, sr=rate, roll_percent=c.rolloff, **frames)[0],
        flux=librosa.onset.onset_strength(S=decibels, sr=rate, center=False),
        rms=librosa.feature.rms(y=samples, frame_length=c.n_fft, hop_length=c.hop)[0],
        crossings=librosa.feature.zero_crossing_rate(samples, frame_length=c.n_fft, hop_length=c.hop)[0],
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:n_fft=", "ignore:Empty filters")
@pytest.mark.parametrize("config", [DEFAULT, WIDE, ODD], ids=["default", "wide", "odd"])
@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
@pytest.mark.parametrize("seconds", [0.001, 0.5, 3.3])
def test_every_feature_is_that_of_librosa(config: FrameConfig, rate: int, seconds: float) -> None:
    """Within 1e-4 of the value, or of the unit where the value is smaller: both reckon in float32.

    A coefficient of the MFCC is a sum of large terms; it is held against the largest of its frame.
    """
    samples = clip(rate, seconds)
    ours, theirs = describe(samples, rate, config), by_librosa(samples, rate, config)
    for name, mine in vars_of(ours).items():
        other = vars_of(theirs)[name]
        assert mine.shape == other.shape, name
        assert mine.dtype == np.float32, name
        if name != "rolloff":
            scale = np.abs(other) if name != "mfcc" else np.abs(other).max(axis=0)
            assert (np.abs(mine - other) <= 1e-4 * np.maximum(1, scale)).all(), name
    # the sum that passes 85 % may be rounded to the other side: by one bin, in one frame of a hundred at most
    off = np.abs(ours.rolloff - theirs.rolloff)
    assert off.max() <= 1.001 * rate / config.n_fft
    assert np.count_nonzero(off > 0.01) <= len(off) // 100


def vars_of(features: SoundFeatures) -> dict[str, NDArray[np.float32]]:
    return {name: getattr(features, name) for name in features.__dataclass_fields__}


def test_the_log_mel_of_training_is_the_one_among_all_features() -> None:
    samples = clip(16_000, 1.0)
    assert np.array_equal(log_mel(samples, 16_000), describe(samples, 16_000).log_mel)


def test_a_clip_of_four_seconds_has_a_frame_every_sixteen_milliseconds() -> None:
    found = log_mel(voice(4.096), 16_000)
    assert found.shape == (64, 257)
    assert found.flags.c_contiguous
    assert log_mel(voice(4.0959), 16_000).shape == (64, 256)


def test_the_same_samples_give_the_same_features_in_any_memory() -> None:
    samples = voice(2)
    strided = np.repeat(samples, 2)[::2]
    assert np.array_equal(log_mel(samples, 16_000), log_mel(strided, 16_000))
    assert np.array_equal(describe(samples, 16_000).stacked(), describe(samples, 16_000).stacked())


def test_a_frame_does_not_depend_on_the_block_it_is_transformed_in() -> None:
    samples = voice(20)
    part = samples[: 16_000 * 5]
    whole = log_mel(samples, 16_000, FrameConfig(top_db=None))
    alone = log_mel(part, 16_000, FrameConfig(top_db=None))
    # a product of other rows may be summed in another order
    assert np.abs(whole[:, :300] - alone[:, :300]).max() < 1e-4


def test_silence_has_features_too() -> None:
    found = describe(np.zeros(8_000, np.float32), 16_000)
    assert found.log_mel == pytest.approx(np.full((64, 32), -100), abs=1e-4)
    for row in (found.centroid, found.rolloff, found.flux, found.rms, found.crossings):
        assert not row.any()
    assert describe(np.zeros(0, np.float32), 16_000).log_mel.shape == (64, 1)


def test_a_tone_is_where_it_belongs() -> None:
    t = np.arange(16_000) / 16_000
    found = describe((0.5 * np.sin(2 * np.pi * 1_000 * t)).astype(np.float32), 16_000)
    middle = slice(5, -5)
    assert found.rms[middle] == pytest.approx(0.5 / np.sqrt(2), rel=1e-2)
    assert found.crossings[middle] == pytest.approx(2 * 1_000 / 16_000, abs=2 / 512)
    assert found.centroid[middle] == pytest.approx(1_000, rel=0.01)
    assert found.rolloff[middle] == pytest.approx(1_000, abs=2 * 16_000 / 512)
    heard = mel_filters(16_000)[:, 32].argmax()
    assert (found.log_mel[:, middle].argmax(axis=0) == heard).all()


def test_a_config_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ValueError, match="a window of 600 samples does not fit into n_fft = 512"):
        FrameConfig(window=600)
    with pytest.raises(ValueError, match=r"samples must be \(n,\) float32, not \(3,\) float64"):
        log_mel(np.zeros(3), 16_000)  # type: ignore[arg-type]
