"""``emolab predict`` with a video: the faces over time, a timeline, a page."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support import films

pytest.importorskip("av")
pytest.importorskip("cv2")
pytest.importorskip("onnxruntime")
RunCli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody, and from 1 s on somebody else too."""
    return films.write(
        tmp_path_factory.mktemp("films") / "talk.mp4",
        lambda at: [(0, 20 + 10 * at, 120, 200), *([(2, 380, 150, 200)] if at >= 1 else [])],
        seconds=2.0,
        rate=10,
    )


@pytest.mark.slow
def test_the_faces_of_a_video_with_timeline_and_page(talk: Path, tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli(
        "predict", "face48", str(talk), "--json", "--timeline", "t.csv", "--report", "r.html", cwd=tmp_path, check=True
    )
    told = json.loads(done.stdout)
    assert [face["track"] for face in told["faces"]] == [1, 2]
    assert told["faces"][0]["label"] == "happiness"
    assert (told["frames"], told["damaged"], told["notes"]) == (20, 0, [])
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert len(rows) == told["rows"] == 19 + 9
    page = (tmp_path / "r.html").read_text()
    assert "Face 2" in page and "data:image/jpeg;base64" in page and "http" not in page.replace("http-equiv", "")


@pytest.mark.slow
def test_a_video_on_standard_output_and_in_words(talk: Path, tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli("predict", "face48", str(talk), "--csv", cwd=tmp_path, check=True)
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 28
    assert "2.0 s, 20 frames, 0 cuts" in done.stderr


@pytest.mark.slow
def test_a_damaged_video_ends_well_and_says_what_is_missing(tmp_path: Path, run_cli: RunCli) -> None:
    film = films.write(tmp_path / "a.avi", films.one, seconds=4.0, rate=10)
    data = bytearray(film.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data) // 3, len(data) // 2, 40):
        data[place] = rng.integers(256)
    film.write_bytes(data)
    done = run_cli("predict", "face48", "a.avi", "--json", cwd=tmp_path, check=True)
    told = json.loads(done.stdout)
    assert told["damaged"] > 0
    assert any("damaged frames left out" in note for note in told["notes"])
    assert told["faces"][-1]["last"] > 3.5


def test_what_makes_no_sense_for_a_video_is_refused(talk: Path, tmp_path: Path, run_cli: RunCli) -> None:
    both = run_cli("predict", "face48", str(talk), "a.png", cwd=tmp_path)
    assert (both.returncode, "Give one video, and nothing else with it." in both.stderr) == (2, True)
    drawn = run_cli("predict", "face48", str(talk), "--draw", "out", cwd=tmp_path)
    assert "--draw can be given for images only" in drawn.stderr
    form = run_cli("predict", "face48", str(talk), "--timeline", "t.txt", cwd=tmp_path)
    assert "t.txt says no form of a timeline." in form.stderr
    (tmp_path / "b.mp4").write_bytes(b"junk")
    junk = run_cli("predict", "face48", "b.mp4", cwd=tmp_path)
    assert "b.mp4 is not a video that can be read" in junk.stderr
    images = run_cli("predict", "face48", "a.png", "--report", "r.html", cwd=tmp_path)
    assert "--timeline and --report are for a video." in images.stderr


@pytest.mark.slow
def test_no_heavy_package_is_loaded_for_a_video(talk: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom emolab.cli.main import run\n"
        f"assert run(['predict', 'face48', {str(talk)!r}, '--json']) == 0\n"
        "print([m for m in ('torch', 'pandas', 'sklearn', 'fiftyone') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("[]")


@pytest.mark.slow
def test_a_video_without_anybody_is_a_result(tmp_path: Path, run_cli: RunCli) -> None:
    films.write(tmp_path / "room.mp4", films.nobody, seconds=1.0, rate=10)
    done = run_cli("predict", "face48", "room.mp4", "--json", "--report", "r.html", cwd=tmp_path, check=True)
    told = json.loads(done.stdout)
    assert (told["frames"], told["faces"], told["rows"]) == (10, [], 0)
    assert "No face was found in any frame." in (tmp_path / "r.html").read_text()


@pytest.mark.slow
def test_times_of_a_variable_rate_are_those_in_the_file(tmp_path: Path, run_cli: RunCli) -> None:
    times = [0.0, 0.05, 0.4, 0.45, 0.5, 1.3, 1.35, 1.4]
    films.write(tmp_path / "a.mkv", films.one, times=times)
    run_cli("predict", "face48", "a.mkv", "--timeline", "t.jsonl", "--json", cwd=tmp_path, check=True)
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [row["seconds"] for row in rows] == times[1:]
    assert {row["track"] for row in rows} == {1}


def test_a_model_of_voices_is_told_how_a_video_is_heard() -> None:
    from types import SimpleNamespace

    from emolab.errors import ConfigError
    from emolab.loop.model.predict_video import _check_faces
    from emolab.modalities.preparing import Preprocessing

    _check_faces(SimpleNamespace(preprocessing=Preprocessing(48, "gray")), "talk.mp4")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="answers about voices") as caught:
        _check_faces(SimpleNamespace(preprocessing=Preprocessing(64, "sound")), "talk.mp4")  # type: ignore[arg-type]
    assert caught.value.hint == "Judge its voice too: emolab predict talk.mp4 --voice MODEL"
