"""Windows slide over a stream of sound; those with a voice are answered, and no other is guessed about."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emolab.errors import ConfigError, DataError, EmolabError, MissingExtra
from emolab.modalities.audio.spectrogram import spectrogram
from emolab.modalities.preparing import Preprocessing
from emolab.serving.hearing import sound_sources
from emolab.serving.hearing.sound_sources import FileSource, MicrophoneSource, SoundBlock
from emolab.serving.hearing.sound_windows import SEEN, SoundWindows, WindowRules
from emolab.serving.hearing.voice_stream import VoiceStream, WindowAnswer, window_row
from tests.support.hearing import Blocks, FakeVoiceModel, fake_portaudio
from tests.support.sounds import movie, voice

pytest.importorskip("webrtcvad")
pytest.importorskip("soxr")
RATE = 16_000


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def answered(stream: VoiceStream, source: object) -> list[WindowAnswer]:
    return [answer for answer in stream.answers(source) if answer is not None]  # type: ignore[arg-type]


def test_windows_are_those_of_the_stream_however_it_comes_in() -> None:
    sound = voice(10.3)
    found = []
    for size in (len(sound), 700, 48_000):
        windows = SoundWindows(WindowRules())
        made = [w for at in range(0, len(sound), size) for w in windows.add(sound[at : at + size])]
        rest = windows.rest()
        assert rest is not None
        found.append([*made, rest])
    ends = [round(window.end, 3) for window in found[0]]
    assert ends == [4.096, 5.096, 6.096, 7.096, 8.096, 9.096, 10.096, 10.3]
    for made in found:
        assert [round(w.begin, 3) for w in made] == [round(end - SEEN, 3) for end in ends]
        for window in made:
            begin = round(window.begin * RATE)
            assert np.array_equal(window.samples, sound[begin : begin + len(window.samples)])
            assert len(window.samples) == 65_536
    assert [w.voice for w in found[0]] == [w.voice for w in found[1]] == [w.voice for w in found[2]]


def test_a_short_file_is_one_window_and_a_longer_hop_leaves_out_what_is_between() -> None:
    windows = SoundWindows(WindowRules())
    assert not list(windows.add(voice(1.0)))
    rest = windows.rest()
    assert rest is not None and (rest.begin, rest.end) == (0.0, 1.0)
    assert SoundWindows(WindowRules()).rest() is None
    sparse = SoundWindows(WindowRules(window=1.0, hop=3.0))
    sound = voice(9.0)
    made = [window for at in range(0, len(sound), 1000) for window in sparse.add(sound[at : at + 1000])]
    assert [(w.begin, w.end) for w in made] == [(0.0, 1.0), (3.0, 4.0), (6.0, 7.0)]
    assert all(np.array_equal(w.samples, sound[round(w.begin * RATE) : round(w.end * RATE)]) for w in made)


def test_a_window_without_a_voice_is_never_guessed_about() -> None:
    model = FakeVoiceModel()
    stream = VoiceStream(model)
    warmed = model.asked
    found = answered(stream, Blocks(np.concatenate([voice(4.0), silence(9.0), voice(4.0, seed=2)])))
    spoken = [answer.probs is not None for answer in found]
    assert [answer.voice >= 0.5 for answer in found] == spoken
    assert spoken[0] and spoken[-1] and spoken.count(False) >= 4
    assert model.asked - warmed == sum(spoken)
    quiet = window_row(found[spoken.index(False)])
    assert (quiet["label"], quiet["probs"], quiet["note"]) == (None, None, "no voice")


def test_a_window_gets_the_answer_that_its_clip_gets() -> None:
    model = FakeVoiceModel()
    sound = voice(6.0)
    found = answered(VoiceStream(model), Blocks(sound))
    for answer in found:
        part = sound[round(answer.begin * RATE) : round(answer.end * RATE)]
        assert answer.probs is not None
        assert np.array_equal(answer.probs, model.probabilities(spectrogram(part, 32)[None])[0])


def test_a_model_made_of_whisper_hears_its_own_picture_of_a_window() -> None:
    model = FakeVoiceModel(preprocessing=Preprocessing(80, "whisper"))
    assert answered(VoiceStream(model), Blocks(voice(5.0)))
    assert model.shapes == {(80, 400, 1)}


def test_of_a_live_source_the_newest_window_counts_and_the_others_are_counted() -> None:
    live = VoiceStream(FakeVoiceModel(), WindowRules(window=1.0, hop=0.5))
    found = answered(live, Blocks(voice(6.0), size=32_000, live=True))
    assert [answer.end for answer in found] == [2.0, 4.0, 6.0]
    assert live.dropped == 2 + 3 + 3
    patient = VoiceStream(FakeVoiceModel(), WindowRules(window=1.0, hop=0.5))
    assert len(answered(patient, Blocks(voice(6.0), size=32_000))) == 11 and patient.dropped == 0


def test_memory_does_not_grow_with_a_recording(tmp_path: Path) -> None:
    import soundfile

    def peak(seconds: int) -> int:
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(seconds // 10):
                file.write(voice(10.0))
        stream = VoiceStream(FakeVoiceModel())
        n = 0
        tracemalloc.start()
        for answer in stream.answers(FileSource(str(path))):
            n += answer is not None
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert n == seconds - 3
        return held

    assert peak(400) < 1.3 * peak(100)


def test_the_sound_of_a_video_is_heard_on_the_clock_of_the_video(tmp_path: Path) -> None:
    pytest.importorskip("av")
    film = tmp_path / "late.mkv"
    film.write_bytes(movie(voice(5.0, 48_000), format="matroska", codec="flac", delay=2.0, picture=True))
    found = answered(VoiceStream(FakeVoiceModel()), FileSource(str(film)))
    assert found[0].begin == pytest.approx(2.0, abs=0.05)


def test_what_is_no_sound_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "note.wav").write_text("hello")
    with pytest.raises(DataError, match=r'note\.wav cannot be heard: not a sound: a text, not a sound: "hello"'):
        list(FileSource(str(tmp_path / "note.wav")))
    with pytest.raises(ConfigError, match="Listening is for models of voices, and this one answers about images"):
        VoiceStream(SimpleNamespace(preprocessing=Preprocessing(48, "gray")))  # type: ignore[arg-type]


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def plug(*given: object, **how: object) -> None:
        monkeypatch.setitem(sys.modules, "sounddevice", fake_portaudio(*given, **how))  # type: ignore[arg-type]

    return plug


def some(source: Iterator[SoundBlock], seconds: float) -> np.ndarray:
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        parts.append(next(source).samples)
    return np.concatenate(parts)


def test_a_microphone_is_heard_at_sixteen_kilohertz(plugged: Callable[..., None]) -> None:
    from tests.support.sounds import lag

    plugged(voice(3.0, 48_000), lost_at=4)
    source = MicrophoneSource()
    heard = some(iter(source), 2.9)
    late, alike = lag(heard, voice(3.0))
    assert abs(late) < 160 and alike > 0.99
    found = MicrophoneSource("built")
    stream = iter(found)
    next(stream), next(stream)
    assert found.notes == ["1 times sound was lost, because this machine was busy"]


def test_a_microphone_that_is_not_there_is_said_in_one_line(
    plugged: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged(voice(1.0), devices=())
    with pytest.raises(EmolabError, match=r"^There is no microphone at this machine\."):
        next(iter(MicrophoneSource()))
    plugged(voice(1.0), devices=("Webcam", "Headset"))
    with pytest.raises(EmolabError, match=r'There is no microphone "Lamp"\. Microphones here: 0: Webcam, 1: Headset\.'):
        next(iter(MicrophoneSource("Lamp")))
    with pytest.raises(EmolabError, match='There is no microphone "7"'):
        next(iter(MicrophoneSource("7")))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtra, match="sounddevice is not installed"):
        next(iter(MicrophoneSource()))


def test_a_microphone_that_falls_silent_for_good_is_told(
    plugged: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged(voice(0.2, 48_000))
    monkeypatch.setattr(sound_sources, "_LOST", 0.3)
    with pytest.raises(EmolabError, match=r"Microphone built-in sends no more sound\."):
        for _ in MicrophoneSource():
            pass


@pytest.mark.slow
def test_listening_loads_no_pytorch() -> None:
    script = (
        "import sys\n"
        "import emolab.loop.operate.live.live_voice, emolab.serving.hearing.voice_stream\n"
        "from tests.support.hearing import Blocks, FakeVoiceModel\n"
        "from tests.support.sounds import voice\n"
        "n = sum(a is not None for a in emolab.serving.hearing.voice_stream.VoiceStream(FakeVoiceModel())"
        ".answers(Blocks(voice(5.0))))\n"
        "import json; print(json.dumps([n, 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [2, False]
