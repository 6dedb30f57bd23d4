"""Tables that say where clips begin and end in recordings: each row a clip, each bad row a line of the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.modalities.audio.reading import load
from emolab.workspace import Workspace
from tests.datasets.test_collect_sounds import run, stored
from tests.support.sounds import movie, sound_file, voice

pytest.importorskip("webrtcvad")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "voices", classes=("happiness", "anger"), modality="audio")


def talk(folder: Path, name: str = "talk.wav", seed: int = 0) -> Path:
    """Ten seconds in which somebody speaks all along."""
    (folder / name).write_bytes(sound_file(voice(10, seed=seed)))
    return folder / name


def table(folder: Path, *rows: str, header: str = "file,start,end") -> Path:
    (folder / "clips.csv").write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return folder / "clips.csv"


def test_rows_become_clips_of_the_recording_with_their_place(workspace: Workspace, tmp_path: Path) -> None:
    talk(tmp_path)
    rows = table(tmp_path, "talk.wav,6,8.5", "talk.wav,1,3", "talk.wav,2,7")  # out of order, and two overlap
    done = run(workspace, rows)
    assert (done.report.items, done.report.added, done.report.failed) == (3, 3, 0)
    found = sorted(stored(workspace), key=lambda sample: sample.quality["begin"])
    assert [sample.quality["begin"] for sample in found] == pytest.approx([1, 2, 6], abs=0.3)
    assert [sample.duration for sample in found] == pytest.approx([2, 5, 2.5], abs=0.4)
    assert {sample.group for sample in found} == {"../talk.wav"}
    whole = load(tmp_path / "talk.wav").samples
    for sample in found:
        cut, at = load(workspace.locate(sample.media)).samples, round(sample.quality["begin"] * 16_000)
        assert np.abs(cut - whole[at : at + len(cut)]).max() < 2e-4
    again = run(workspace, rows)
    assert (again.report.added, again.report.skipped, again.report.items) == (0, 1, 1)


def test_each_bad_row_is_counted_and_shown_and_the_others_go_in(workspace: Workspace, tmp_path: Path) -> None:
    talk(tmp_path)
    bad = ["-1,2", "3,3", "5,4", "8,12", "11,12", "nan,2", "1,inf", "one,2", '"0,001",2', "1,601.5", "1,1.00001"]
    rows = table(tmp_path, "talk.wav,1,3", *(f"talk.wav,{row}" for row in bad), ",1,2", "talk.wav,1", "talk.wav,4,6")
    done = run(workspace, rows)
    assert (done.report.added, dict(done.report.kinds)) == (2, {"bad row": len(bad) + 2})
    said = {problem.message for problem in done.report.problems if not problem.taken}
    assert "row 2 begins at -1 s, before its recording" in said
    assert "row 4 ends at 4 s and begins at 5 s" in said
    assert "row 5: beyond the end: the recording ends at 10.00 s" in said
    assert "row 6: beyond the end: the recording ends at 10.00 s" in said
    assert 'row 7 has "nan" where a number of seconds belongs' in said
    assert 'row 10 has "0,001" where a number of seconds belongs' in said
    assert "row 11 is 600 s long; a clip may last 600 s" in said
    assert "row 12: it holds no samples" in said
    assert "row 13 names no file" in said
    assert "row 14 has 2 columns, expected 3" in said
    assert done.log is not None
    assert "row 14 has 2 columns" in done.log.read_text(encoding="utf-8")


def test_a_run_again_takes_only_what_is_new_in_the_table(workspace: Workspace, tmp_path: Path) -> None:
    talk(tmp_path)
    run(workspace, table(tmp_path, "talk.wav,1,3"))
    done = run(workspace, table(tmp_path, "talk.wav,1,3", "talk.wav,5,7"))
    assert (done.report.added, done.report.skipped) == (1, 1)


def test_who_speaks_is_a_column_and_an_option_goes_before_it(workspace: Workspace, tmp_path: Path) -> None:
    talk(tmp_path)
    talk(tmp_path, "more.wav", seed=1)
    rows = ("talk.wav,1,3,ann", "talk.wav,4,6,bob", "more.wav,1,3,ann", "more.wav,5,7,")
    run(workspace, table(tmp_path, *rows, header="file,begin,stop,speaker"))
    assert sorted(str(sample.group) for sample in stored(workspace)) == ["../more.wav", "ann", "ann", "bob"]
    other = Workspace.init(tmp_path / "other", classes=("happiness", "anger"), modality="audio")
    run(other, tmp_path / "clips.csv", group_by=r"(\w+)\.wav$")
    assert sorted(str(sample.group) for sample in stored(other)) == ["more", "more", "talk", "talk"]


def test_times_are_on_the_clock_of_a_video(workspace: Workspace, tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "film.mkv").write_bytes(movie(voice(6, 48_000), format="matroska", delay=1.5, picture=True))
    done = run(workspace, table(tmp_path, "film.mkv,2,4", "film.mkv,0.5,2"))
    assert (done.report.added, dict(done.report.kinds)) == (1, {"bad row": 1})
    assert "row 2: before the beginning: the sound begins at 1.5" in str(done.report.problems)
    found = stored(workspace)[0]
    assert found.quality["begin"] == pytest.approx(2, abs=0.3)
    whole, cut = load(tmp_path / "film.mkv").samples, load(workspace.locate(found.media)).samples
    at = round((found.quality["begin"] - 1.5) * 16_000)
    assert max(np.abs(cut - whole[k : k + len(cut)]).max() < 2e-4 for k in range(at - 200, at + 200))


def test_a_recording_that_is_missing_or_silent_is_one_line(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "quiet.wav").write_bytes(sound_file(np.zeros(160_000, np.float32)))
    (tmp_path / "photo.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    rows = ("gone.wav,1,2", "gone.wav,3,4", "quiet.wav,1,2", "photo.wav,1,2")
    done = run(workspace, table(tmp_path, *rows))
    assert (done.report.added, dict(done.report.kinds)) == (0, {"unreadable": 1, "nothing in it": 1, "not a sound": 1})


@pytest.mark.parametrize("text", ["", "path,label\na.wav,happy\n", "file,start\na.wav,1\n", "\x00\x01\x02"])
def test_what_is_no_table_of_clips_is_said(workspace: Workspace, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_bytes(text.encode())
    done = run(workspace, tmp_path / "x.csv")
    assert (done.report.added, dict(done.report.kinds)) == (0, {"no table of clips": 1})
    assert done.report.items == 1


def test_tables_in_a_folder_are_passed_over(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    talk(folder)
    table(folder, "talk.wav,1,3")
    done = run(workspace, folder)
    assert dict(done.ignored) == {".csv": 1}
