"""``emolab live`` with a model of voices: files, a microphone, and what does not go together."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emolab.loop.operate.live import live as live_step
from tests.support.hearing import FakeVoiceModel, fake_portaudio
from tests.support.sounds import sound_file, voice

pytest.importorskip("webrtcvad")
pytest.importorskip("soxr")
RunCli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> FakeVoiceModel:
    model = FakeVoiceModel()
    monkeypatch.setattr(live_step, "_opened", lambda *_args, **_how: model)
    return model


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(sound_file(np.concatenate([voice(5.0), np.zeros(16_000 * 6, np.float32)])))
    return path


@pytest.mark.usefixtures("listener")
def test_a_file_is_heard_window_by_window(talk: Path, tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli("live", str(talk), "any.onnx", "--timeline", "t.csv", "--json", cwd=tmp_path, check=True)
    told = json.loads(done.stdout)
    assert (told["windows"], told["dropped"], told["heard"]) == (8, 0, 11.0)
    assert 0 < told["voiced"] < 8 and sum(told["labels"].values()) == told["voiced"]
    assert sum(told["probs"].values()) == pytest.approx(1, abs=1e-4)
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [row["note"] for row in rows].count("no voice") == 8 - told["voiced"]
    assert {row["label"] for row in rows if row["note"]} == {""}
    plain = run_cli("live", str(talk), "any.onnx", "--window", "2", "--hop", "3", "--timeline", "t.jsonl", cwd=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [line["end"] for line in lines] == [2.0, 5.0, 8.0, 11.0]
    assert re.search(r"0\.0 to 2\.0 s +\d+ ms .* (high|low) \d+%", plain.stderr)
    assert re.search(r"9\.0 to 11\.0 s .* no voice", plain.stderr)
    assert re.search(r"4 windows of 11\.0 s of sound, \d with a voice; answered after: median \d+ ms", plain.stderr)


@pytest.mark.usefixtures("listener")
def test_a_microphone_is_heard_for_some_seconds(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_portaudio(voice(6.0, 48_000)))
    done = run_cli(
        "live", "--microphone", "default", "any.onnx", "--seconds", "0.3", "--json", cwd=tmp_path, check=True
    )
    told = json.loads(done.stdout)
    assert told["source"] == "microphone default"
    assert (told["windows"], told["dropped"]) == (1, 1)  # all six seconds came at once: the newest window counts
    assert told["heard"] == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("0", "any.onnx"), "0, a camera, says nothing to a model of voices."),
        (("rtsp://a/1", "any.onnx"), "rtsp://a/1, a camera, says nothing to a model of voices."),
        (("--browser", "any.onnx"), "The camera of a page says nothing to a model of voices."),
        (("talk.wav", "any.onnx", "--smooth", "1"), "--smooth can be given for faces only"),
        (("talk.wav", "any.onnx", "--record", "r.mp4"), "--record can be given for faces only"),
        (("no.wav", "any.onnx"), "There is no no.wav."),
        (("--microphone", "--browser"), "--microphone excludes --browser and --headless"),
    ],
)
@pytest.mark.usefixtures("listener", "talk")
def test_what_is_made_for_pictures_is_refused(
    arguments: tuple[str, ...], said: str, tmp_path: Path, run_cli: RunCli
) -> None:
    done = run_cli("live", *arguments, cwd=tmp_path)
    assert done.returncode != 0 and said in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--microphone", "default", "face48"),
            "--microphone is for models of voices, and this one answers about im",
        ),
        (("talk.wav", "face48", "--window", "3"), "--window can be given for voices only"),
        (("talk.wav", "face48"), "talk.wav is not a video: there is no picture in it."),
    ],
)
@pytest.mark.usefixtures("talk")
def test_a_model_of_faces_does_not_listen(
    arguments: tuple[str, ...], said: str, tmp_path: Path, run_cli: RunCli
) -> None:
    pytest.importorskip("onnxruntime")
    done = run_cli("live", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and said in " ".join(done.stderr.split())


def test_the_model_that_comes_with_emolab_is_taken_by_what_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    from emolab.errors import ConfigError
    from emolab.loop.operate.live.live_voice import model_for_source
    from emolab.training.networks import bundled

    monkeypatch.setattr(bundled, "names", lambda: ("face48", "voice16"))
    assert model_for_source(None, "talk.flac", microphone=False) == "voice16"
    assert model_for_source(None, None, microphone=True) == "voice16"
    assert (
        model_for_source(None, "talk.mp4", microphone=False)
        == model_for_source(None, None, microphone=False)
        == "face48"
    )
    monkeypatch.setattr(bundled, "names", lambda: ("face48",))
    with pytest.raises(ConfigError, match=r"There is no model of voices here\.") as caught:
        model_for_source(None, "talk.flac", microphone=False)
    assert "emolab live talk.flac MODEL" in str(caught.value.hint)
