"""A disguised voice: another pitch, the same tempo, pauses and stress; and a shift of its own for each speaker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import emolab
from emolab.catalog import samples, settings
from emolab.errors import ConfigError, DataError
from emolab.labeling.sync.outbox import Sent, _stage
from emolab.labeling.sync.reconcile_tasks import Link
from emolab.modalities.audio.pitch_shift import shifted, shifted_clip
from emolab.modalities.audio.reading.sound import load
from emolab.modalities.disguise import LEAST, MOST, disguised, ratio_of
from emolab.progress import SILENT
from emolab.workspace import Workspace
from tests.support.pictures import png
from tests.support.sounds import sound_file, voice

RATE = 16_000


def melody(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The pitch (Hz) of every 32 ms by autocorrelation, NaN where there is none to speak of."""
    found = []
    for begin in range(0, len(samples) - 1024, 512):
        frame = samples[begin : begin + 1024].astype(np.float64)
        frame -= frame.mean()
        power = np.fft.irfft(np.abs(np.fft.rfft(frame, 4096)) ** 2)[:1024]
        if power[0] < 1e-3:
            found.append(math.nan)
            continue
        power = power / power[0] / (1 - np.arange(1024) / 1100)
        low, high = RATE // 450, RATE // 65
        best = low + int(np.argmax(power[low:high]))
        left, middle, right = power[best - 1 : best + 2]
        peak = best + 0.5 * (left - right) / (left - 2 * middle + right)
        found.append(RATE / peak if power[best] > 0.5 else math.nan)
    return np.array(found)


def loudness(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The loudness of every 32 ms."""
    return np.sqrt((samples[: len(samples) // 512 * 512].reshape(-1, 512).astype(np.float64) ** 2).mean(axis=1))


@pytest.mark.parametrize("semitones", [-4.5, -2.0, 2.0, 4.5])
def test_pitch_moves_by_the_ratio_and_all_else_stays(semitones: float) -> None:
    ratio = 2 ** (semitones / 12)
    sound = voice(3.0, pitch=150.0)
    made = shifted(sound, ratio)
    assert len(made) == len(sound)
    assert np.abs(made).max() <= 1
    before, after = melody(sound), melody(made)
    both = np.isfinite(before) & np.isfinite(after)
    assert both.sum() > 20
    moved = 12 * np.log2(after[both] / before[both])
    assert float(np.median(moved)) == pytest.approx(semitones, abs=0.2)
    right = np.abs(moved - semitones) < 0.7
    assert right.mean() > 0.85
    assert np.corrcoef(np.log(before[both][right]), np.log(after[both][right]))[0, 1] > 0.9, (
        "the melody keeps its shape"
    )
    assert np.corrcoef(loudness(sound), loudness(made))[0, 1] > 0.98


def test_real_speech_keeps_its_tempo_and_stress(shared_data: Path) -> None:
    import zipfile

    with zipfile.ZipFile(shared_data / "ravdess_speech_16k.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(("-01-01-01-03.flac", "-02-01-01-04.flac"))]
        clips = [archive.read(name) for name in names]
    assert len(clips) > 8
    shares = []
    for number, clip in enumerate(clips):
        ratio = 2 ** ((3 if number % 2 else -3) / 12)
        sound, made = load(clip).samples, load(shifted_clip(clip, ratio)).samples
        assert len(made) == len(sound)
        assert np.corrcoef(loudness(sound), loudness(made))[0, 1] > 0.95
        before, after = melody(sound), melody(made)
        both = np.isfinite(before) & np.isfinite(after)
        moved = 12 * np.log2(after[both] / before[both])
        assert float(np.median(moved)) == pytest.approx(12 * math.log2(ratio), abs=0.5)
        shares.append(float((np.abs(moved - 12 * math.log2(ratio)) < 0.7).mean()))
    assert np.median(shares) > 0.85, "frames whose pitch moved as it should; the rest is creak and breath"


def test_silence_and_a_moment_of_sound_are_no_trouble() -> None:
    assert not shifted(np.zeros(4000, np.float32), 1.2).any()
    assert len(shifted(voice(0.03), 0.8)) == 480


def test_each_speaker_has_a_shift_of_its_own_that_needs_the_secret() -> None:
    found = [ratio_of(b"secret", f"speaker {i}") for i in range(400)]
    semitones = np.array([12 * math.log2(ratio) for ratio in found])
    assert np.all((np.abs(semitones) >= LEAST) & (np.abs(semitones) <= MOST))
    assert 150 < (semitones > 0).sum() < 250
    assert len({round(each, 3) for each in semitones.tolist()}) > 300
    assert ratio_of(b"secret", "speaker 1") == found[1]
    assert ratio_of(b"another", "speaker 1") != found[1]


def test_pictures_have_no_voice_and_what_is_damaged_is_said() -> None:
    with pytest.raises(ConfigError, match="samples are images"):
        disguised("image", png(1), secret=b"s", speaker="ann")
    with pytest.raises(DataError, match="cannot be disguised"):
        disguised("audio", b"no sound", secret=b"s", speaker="ann")


@dataclass
class Server:
    """A Label Studio that keeps what it is sent."""

    files: dict[str, bytes] = field(default_factory=dict)

    def upload_files(self, _: int, files: Sequence[tuple[str, bytes, str]]) -> list[Any]:
        """Keep them."""
        self.files.update({name: data for name, data, _ in files})
        return [type("Upload", (), {"path": f"/data/{name}"}) for name, _, _ in files]


def test_annotators_get_other_bytes_under_the_same_id(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for number in range(4):
        file = folder / f"Actor_{number // 2}" / f"{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sound_file(voice(1.5, pitch=140.0 + 10 * number, seed=number)))
    workspace = Workspace.init(tmp_path / "voices", classes=("anger", "fear"), modality="audio")
    emolab.collect(workspace, folder, group_by=r"Actor_(\d)")
    with workspace.catalog() as catalog:
        with catalog.begin() as tx:
            secret, records = settings.secret(tx), list(samples.iterate(tx))
        sent = {}
        for key in (None, secret, secret):
            server = Server()
            link = Link(catalog, server, type("P", (), {"project": 1}), key)  # type: ignore[arg-type]
            done = Sent()
            _stage(link, records, workspace.root, done, SILENT.task("x"))
            assert not done.missing
            sent[key, len(sent)] = server.files
    plain, first, second = sent.values()
    assert plain.keys() == first.keys() == {f"{record.id}.flac" for record in records}
    assert first == second, "the same shift every time"
    assert all(plain[name] != first[name] for name in plain)
    assert all(len(load(plain[name]).samples) == len(load(first[name]).samples) for name in plain)
