"""Folders, zips, recordings and videos of voices become samples of a workspace for clips."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emolab.catalog import samples
from emolab.catalog.campaign.unsent import unsent
from emolab.datasets.collect.collect import Collected, CollectRequest, collect
from emolab.datasets.merge.merge import merge
from emolab.datasets.remove import remove
from emolab.modalities.audio.reading import load
from emolab.records import Sample
from emolab.workspace import Workspace
from tests.support.sounds import chatter, movie, sound_file, voice

pytest.importorskip("webrtcvad")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "voices", classes=("happiness", "anger"), modality="audio")


def run(workspace: Workspace, *paths: Path, **wanted: object) -> Collected:
    with workspace.catalog() as catalog:
        request = CollectRequest(paths=[str(path) for path in paths], **wanted)  # type: ignore[arg-type]
        return collect(workspace, catalog, request)


def stored(workspace: Workspace) -> list[Sample]:
    with workspace.catalog() as catalog, catalog.connect() as connection:
        return sorted(samples.iterate(connection), key=lambda sample: sample.name or "")


def test_clips_of_a_folder_and_a_zip_by_speaker(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for number, name in enumerate(("ann", "bob")):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.wav").write_bytes(sound_file(voice(2, 44_100, seed=number), 44_100))
        (folder / name / "note.txt").write_text("said in the kitchen")
        (folder / name / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("cho/b.flac", sound_file(voice(2, seed=3), format="FLAC"))
    done = run(workspace, folder, tmp_path / "more.zip", group_by=r"/(ann|bob|cho)/")
    assert (done.report.added, done.report.failed) == (3, 0)
    assert dict(done.ignored) == {".txt": 2, ".jpg": 2}
    found = stored(workspace)
    assert [sample.group for sample in found] == ["ann", "bob", "cho"]
    for sample in found:
        assert (sample.modality, sample.width, sample.height, sample.phash) == ("audio", None, None, None)
        assert sample.media.endswith(f"{sample.id}.flac")
        assert sample.duration == pytest.approx(2, abs=0.2)
        assert set(sample.quality) == {"loudness", "clipping", "voice", "snr", "begin"}
        sound = load(workspace.locate(sample.media))
        assert (sound.rate, sound.channels, sound.format) == (16_000, 1, "FLAC PCM 16")
        assert sound.seconds == pytest.approx(sample.duration or 0, abs=1e-3)
    assert run(workspace, folder, group_by=r"/(ann|bob|cho)/").report.skipped == 2


def test_a_long_recording_is_a_group_of_its_own(workspace: Workspace, tmp_path: Path) -> None:
    gap = np.zeros(32_000, np.float32)
    recording = np.concatenate([np.concatenate([voice(4, seed=n, tempo=2), gap]) for n in range(4)])
    (tmp_path / "talk.wav").write_bytes(sound_file(recording))
    assert run(workspace, tmp_path / "talk.wav").report.added == 4
    found = stored(workspace)
    assert {sample.group for sample in found} == {"../talk.wav"}
    assert len({sample.parent for sample in found}) == 1
    assert [round(sample.quality["begin"] / 6) for sample in sorted(found, key=lambda s: s.quality["begin"])] == [
        0,
        1,
        2,
        3,
    ]
    assert all(f"@{sample.quality['begin']:.2f}s" in (sample.name or "") for sample in found)


def test_the_sound_of_a_video_keeps_its_place_on_the_clock(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "talk.mkv").write_bytes(movie(voice(2, 48_000), format="matroska", picture=True, delay=0.5))
    assert run(workspace, tmp_path / "talk.mkv").report.added == 1
    (sample,) = stored(workspace)
    assert sample.quality["begin"] == pytest.approx(0.5, abs=0.15)
    assert (sample.name or "").endswith(f"talk.mkv@{sample.quality['begin']:.2f}s")


def test_what_cannot_be_heard_is_listed_and_the_rest_go_through(workspace: Workspace, tmp_path: Path) -> None:
    for name, data in {
        "a.wav": sound_file(voice(2)),
        "b.wav": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "c.wav": sound_file(np.zeros(16_000, np.float32)),
        "d.wav": sound_file(voice(2))[:20_000],
        "e.wav": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        "f.wav": sound_file(voice(2, seed=5), format="FLAC"),
        "g.wav": sound_file(20_000 * voice(2, seed=6), subtype="FLOAT"),
    }.items():
        (tmp_path / name).write_bytes(data)
    done = run(workspace, *sorted(tmp_path.glob("*.wav")))
    assert done.report.added == 3
    assert dict(done.report.kinds) == {"not a sound": 2, "nothing in it": 1, "truncated": 1}
    assert {problem.message for problem in done.report.problems} == {
        "a PNG picture",
        "1.0 s of digital silence",
        "ends at 0.6 s of 2.0 s",
        "a git-lfs pointer, not the sound itself; fetch it with: git lfs pull",
        "the name says WAV, the content is FLAC; taken as FLAC",
        *(problem.message for problem in done.report.problems if problem.kind == "level"),
    }
    assert dict(done.report.notes) == {"wrong extension": 1, "level": 1}


def test_too_large_a_file_is_refused_before_it_is_read(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(sound_file(voice(2)))
    done = run(workspace.with_settings({"collect.max_bytes": 1000}), tmp_path / "a.wav")
    assert [problem.message for problem in done.report.problems] == [
        "64,044 bytes; the limit is 1,000 (collect.max_bytes)"
    ]


def test_copies_of_a_clip_have_one_representative(workspace: Workspace, tmp_path: Path) -> None:
    one, other = chatter(3, 48_000, seed=1), chatter(3, 48_000, seed=2)
    (tmp_path / "a.wav").write_bytes(sound_file(one, 48_000))
    (tmp_path / "b.mp3").write_bytes(sound_file(0.3 * one, 48_000, format="MP3", subtype="MPEG_LAYER_III"))
    (tmp_path / "c.ogg").write_bytes(sound_file(one[20_000:-15_000], 48_000, format="OGG", subtype="VORBIS"))
    (tmp_path / "d.wav").write_bytes(sound_file(other, 48_000))
    done = run(workspace, tmp_path)
    assert done.near is not None
    assert (done.near.groups, done.near.surplus, done.near.largest) == (1, 2, 3)
    found = {Path(sample.name or "").name: sample for sample in stored(workspace)}
    assert found["d.wav"].representative is None
    assert len({found[name].representative for name in ("a.wav", "b.mp3", "c.ogg")}) == 1


def test_a_clip_in_which_nobody_speaks_is_not_sent(workspace: Workspace, tmp_path: Path) -> None:
    noise = 0.02 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    noise[8_000:] *= np.linspace(1, 0.2, 24_000, dtype=np.float32)
    (tmp_path / "noise.wav").write_bytes(sound_file(noise))
    (tmp_path / "voice.wav").write_bytes(sound_file(voice(2)))
    run(workspace, tmp_path)
    quiet, spoken = stored(workspace)
    assert (quiet.quality["voice"] < 0.05) and (spoken.quality["voice"] > 0.5)
    bar = workspace.config.labeling.bar
    with workspace.catalog() as catalog, catalog.connect() as connection:
        assert unsent(connection, None, bar).ids == [spoken.id]
        assert len(unsent(connection, None, replace(bar, min_voice=0.0)).ids) == 2


def test_a_removed_recording_is_gone_and_its_copies_are_grouped_again(workspace: Workspace, tmp_path: Path) -> None:
    one = chatter(3, seed=1)
    for name, samples_ in {"a": one, "b": 0.2 * one}.items():
        (tmp_path / f"{name}.wav").write_bytes(sound_file(samples_))
        run(workspace, tmp_path / f"{name}.wav", name=name)
    assert len({sample.representative for sample in stored(workspace)}) == 1
    removed = remove(workspace, sources=["a"])
    assert len(removed.plan.samples) == 1
    with workspace.catalog() as catalog, catalog.connect() as connection:
        assert samples.count(connection) == 1


def test_a_table_of_paths_and_speakers_is_merged(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("a.wav", "b.flac"):
        kind = "WAV" if name.endswith("wav") else "FLAC"
        (tmp_path / name).write_bytes(sound_file(voice(2, seed=len(name)), format=kind))
    (tmp_path / "labels.csv").write_text("path,label,speaker\na.wav,happy,ann\nb.flac,angry,bob\n")
    report = merge(workspace, "csv", tmp_path, options={"group": "speaker"}, name="own")
    assert (report.added, report.unreadable) == (2, 0)
    assert {sample.group for sample in stored(workspace)} == {"own:ann", "own:bob"}


def test_folders_named_after_emotions_are_merged(workspace: Workspace, tmp_path: Path) -> None:
    for number, name in enumerate(("happy/a.wav", "happy/b.wav", "angry/c.ogg")):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(sound_file(voice(2, seed=number)))
    report = merge(workspace, "image_folder", tmp_path / "set")
    assert report.added == 3
