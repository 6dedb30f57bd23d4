"""Silero's network as the one who says where voice is: only where asked for, and said where it is missing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import emolab
from emolab.errors import ConfigError
from emolab.inference.detectors import speech_activity
from emolab.modalities.audio.flac import sixteen_bits
from emolab.modalities.audio.reading.sound import load
from emolab.modalities.audio.voice import FRAME, voiced
from emolab.workspace import Workspace
from tests.support.sounds import sound_file


@pytest.fixture
def silero() -> Path:
    file = speech_activity.installed()
    if file is None:
        pytest.skip("needs silero-vad: pip install --no-deps silero-vad")
    return file


def test_it_finds_speech_and_takes_a_tone_and_noise_for_none(silero: Path, shared_data: Path) -> None:
    del silero
    with zipfile.ZipFile(shared_data / "ravdess_speech_16k.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith("-01-01-01-05.flac")]
        clips = [load(archive.read(name)).samples for name in names]
    assert len(clips) == 8
    quiet = np.zeros(16_000, np.float32)
    for clip in clips:
        found = voiced(sixteen_bits(np.concatenate([quiet, clip, quiet])), "silero")
        assert len(found) == -(-(len(clip) + 32_000) // FRAME)
        assert found[: 16_000 // FRAME].mean() < 0.1
        assert found.sum() * FRAME / 16_000 > 0.5, "every actor says a sentence of more than half a second"
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(48_000)).astype(np.float32)
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 16_000)).astype(np.float32)
    for other in (noise, tone):
        assert voiced(sixteen_bits(other), "silero").mean() < 0.1


def test_long_sound_goes_through_in_parts_as_in_one(silero: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del silero
    sound = np.random.default_rng(1).standard_normal(16_000 * 3).astype(np.float32) * np.float32(0.1)
    whole = speech_activity.speaks(sound)
    monkeypatch.setattr(speech_activity, "TOGETHER", 7)
    np.testing.assert_allclose(speech_activity.speaks(sound), whole, atol=1e-4)
    assert len(speech_activity.speaks(sound[:0])) == 0


def test_where_it_is_missing_that_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_activity, "find_spec", lambda _: None)
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(2).standard_normal(16_000).astype(np.float32) * np.float32(0.1)
    (tmp_path / "in" / "a.wav").write_bytes(sound_file(noise))
    workspace = Workspace.init(tmp_path / "voices", classes=("anger", "fear"), modality="audio")
    with pytest.raises(ConfigError, match="network is not installed") as refused:
        emolab.collect(workspace.with_settings({"collect.voice_activity": "silero"}), tmp_path / "in")
    assert "--no-deps silero-vad" in (refused.value.hint or "")
    assert len(emolab.collect(workspace, tmp_path / "in").to_dict()["problems"]) <= 1
