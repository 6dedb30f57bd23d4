"""What is measured of clips leaves the workspace as one table, and is measured once."""

from __future__ import annotations

import csv
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import emolab
from emolab.errors import ConfigError, DamagedMedia, DataError, MissingExtra
from emolab.loop.data.features import COLUMNS, SUFFIXES, Features
from emolab.modalities.audio import features as sound
from emolab.modalities.audio.reading.sound import load
from emolab.training.inputs import row_store
from emolab.workspace import Workspace
from tests.support.calling import emolab as command
from tests.support.sounds import chatter, sound_file

CLIPS = 7
#: What some numbers of one clip are by version of the summary: whoever changes them needs a new version.
KNOWN = {
    1: {"mfcc_1_mean": 120.07, "centroid_p90": 1960.5, "rms_sd": 0.017429, "log_mel_9_p10": -27.162, "flux_sd": 1.0687}
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(CLIPS):
        (folder / f"{number}.wav").write_bytes(sound_file(chatter(0.6 + number / 5, seed=number)))
    rows = [f"{number}.wav,{('anger', 'fear')[number % 2]},{'abcdefg'[number]}" for number in range(CLIPS)]
    (folder / "clips.csv").write_text("\n".join(["path,label,group", *rows]) + "\n")
    made = Workspace.init(tmp_path / "voices", classes=("anger", "fear"), modality="audio")
    emolab.merge(made, "csv", folder, split="train")
    return made


def read(file: Path) -> tuple[list[str], dict[str, list[float]]]:
    """The names of the numbers and, by sample, the numbers in a table of any format."""
    if file.suffix == ".npz":
        kept = np.load(file)
        return kept["names"].tolist(), dict(zip(kept["samples"].tolist(), kept["values"].tolist(), strict=True))
    if file.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        table = parquet.read_table(file)
        rows = [[row[name] for name in table.column_names] for row in table.to_pylist()]
        head = table.column_names
    else:
        with file.open(encoding="utf-8", newline="") as stream:
            head, *rows = list(csv.reader(stream))
    assert tuple(head[: len(COLUMNS)]) == COLUMNS
    return head[len(COLUMNS) :], {row[0]: [float(each) for each in row[len(COLUMNS) :]] for row in rows}


def test_the_numbers_are_statistics_of_the_features_of_each_clip(workspace: Workspace) -> None:
    found = emolab.features(workspace)
    assert found.values.shape == (CLIPS, len(found.names)) == (CLIPS, (64 + 20 + 5) * len(sound.STATISTICS))
    at = {name: column for column, name in enumerate(found.names)}
    for row, values in zip(found.rows, found.values, strict=True):
        heard = sound.describe(load(workspace.locate(str(row[1]))).samples, 16_000)
        for name, series in (("mfcc_3", heard.mfcc[3]), ("log_mel_63", heard.log_mel[63]), ("centroid", heard.centroid),
                             ("rolloff", heard.rolloff), ("flux", heard.flux), ("rms", heard.rms),
                             ("crossings", heard.crossings)):  # fmt: skip
            wanted = [series.mean(), series.std(), *np.quantile(series, (0.1, 0.9))]
            there = [values[at[f"{name}_{each}"]] for each in ("mean", "sd", "p10", "p90")]
            assert np.allclose(there, wanted, rtol=1e-5, atol=1e-6), name


def test_a_change_of_a_number_needs_another_version() -> None:
    found = dict(zip(sound.summary_names(), sound.summary(sound.describe(chatter(2.0, seed=3), 16_000)), strict=True))
    for name, value in KNOWN[sound.SUMMARY].items():
        assert found[name] == pytest.approx(value, rel=2e-3), name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_the_same(workspace: Workspace, tmp_path: Path, suffix: str) -> None:
    emolab.aggregate(workspace)
    done = command("-w", workspace.root, "features", "--out", tmp_path / f"table{suffix}")
    assert done.code == 0, done.err
    assert f"{CLIPS} clips, 356 numbers each" in done.err
    found = emolab.features(workspace)
    names, rows = read(tmp_path / f"table{suffix}")
    assert tuple(names) == found.names
    assert [*rows] == [row[0] for row in found.rows]
    assert np.allclose([*rows.values()], found.values, rtol=1e-6)
    assert {row[2:] for row in found.rows} >= {("anger", "train", "set:a"), ("fear", "train", "set:b")}
    assert not [*tmp_path.glob(".*.part")]


def test_what_was_measured_is_not_measured_again(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = emolab.features(workspace)
    assert (first.measured, first.notes) == (
        CLIPS,
        ("No labels stand beside them: emolab label aggregate makes them of the votes.",),
    )
    (tmp_path / "more.wav").write_bytes(sound_file(chatter(2.0, seed=50)))
    emolab.collect(workspace, tmp_path / "more.wav")
    heard = []
    whole = sound.describe
    monkeypatch.setattr("emolab.modalities.audio.clips.describe", lambda *a: heard.append(len(a[0])) or whole(*a))
    second = emolab.features(workspace)
    assert (second.measured, len(heard), len(second.rows)) == (1, 1, CLIPS + 1)
    assert np.array_equal(second.values[:CLIPS], first.values)
    store = next(workspace.cache.glob("measures-*"))
    (store / row_store.KEYS).write_text((store / row_store.KEYS).read_text()[:-40])  # as a process that was killed
    assert np.array_equal(emolab.features(workspace).values, second.values)
    assert len(heard) == 2


def test_all_cores_measure(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    together, whole, seen = threading.Barrier(3), sound.describe, set()

    def measured(*given: object) -> sound.SoundFeatures:
        if len(seen) < 3 and threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            together.wait(60)
        return whole(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("emolab.modalities.audio.clips.describe", measured)
    assert emolab.features(workspace).measured == CLIPS
    assert len(seen) == 3


def test_damaged_files_stop_it_or_are_counted(workspace: Workspace) -> None:
    rows = emolab.features(workspace).rows
    for store in workspace.cache.glob("measures-*"):
        row_store.drop(store, [str(row[0]) for row in rows])
    workspace.locate(str(rows[2][1])).write_bytes(b"RIFF, once")
    workspace.locate(str(rows[4][1])).unlink()
    with pytest.raises(DamagedMedia, match=r"2 of 7"):
        emolab.features(workspace)
    found = emolab.features(workspace.with_settings({"training.damaged": "leave_out"}))
    assert {*found.damaged} == {rows[2][0], rows[4][0]}
    assert [row[0] for row in found.rows] == [row[0] for n, row in enumerate(rows) if n not in (2, 4)]
    assert found.values.shape[0] == CLIPS - 2
    assert found.measured == 0, "the others were kept before it stopped"


def test_who_may_not_be_exported_is_left_out_and_counted(workspace: Workspace) -> None:
    emolab.add_consent(workspace, subjects="set:b", text="I agree.")
    emolab.end_consent(workspace, subjects="set:b")
    found = emolab.features(workspace)
    assert "set:b" not in {row[4] for row in found.rows}
    assert len(found.rows) == CLIPS - 1
    assert found.notes[0] == "1 sample left out of the export: 1 consent withdrawn."


def test_a_forgotten_clip_has_no_row_on_disk(workspace: Workspace) -> None:
    found = emolab.features(workspace)
    gone = str(found.rows[1][0])
    store = next(workspace.cache.glob("measures-*"))
    assert found.values[1].tobytes() in (store / "measures.f32").read_bytes()
    mine = found.values[1].copy()
    del found
    emolab.forget(workspace, ids=[gone])
    assert mine.tobytes() not in (store / "measures.f32").read_bytes()
    assert gone not in (store / row_store.KEYS).read_text()
    assert emolab.features(workspace).measured == 0


def test_what_cannot_be_done_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = Workspace.init(tmp_path / "faces", classes=("anger", "fear"))
    with pytest.raises(ConfigError, match="is for clips of sound; this is a workspace of images"):
        emolab.features(faces)
    voices = Workspace.init(tmp_path / "voices", classes=("anger", "fear"), modality="audio")
    with pytest.raises(ConfigError, match=r"table\.xlsx says no format"):
        emolab.features(voices, tmp_path / "table.xlsx")
    with pytest.raises(DataError, match="no samples to measure"):
        emolab.features(voices, tmp_path / "table.csv")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pyarrow is not installed"):
        emolab.features(voices, tmp_path / "table.parquet")


def test_a_table_that_cannot_be_written_leaves_the_old_one(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        emolab.features(workspace, tmp_path / "file" / "table.csv")
    with pytest.raises(DataError, match="absent is no folder"):
        emolab.features(workspace, tmp_path / "absent" / "table.csv")
    assert not [*workspace.cache.glob("measures-*")], "said before anything is measured"
    (tmp_path / "table.npz").write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DataError, match=r"table\.npz cannot be written: No space left on device"):
        emolab.features(workspace, tmp_path / "table.npz")
    assert (tmp_path / "table.npz").read_text() == "old"
    assert not [*tmp_path.glob(".*.part")]


def test_json_says_how_much_and_where(workspace: Workspace, tmp_path: Path) -> None:
    done = command("-w", workspace.root, "features", "--out", tmp_path / "a.csv", "--json")
    told = json.loads(done.out)
    assert {each: told[each] for each in ("n", "numbers", "measured", "damaged", "file")} == {
        "n": CLIPS, "numbers": 356, "measured": CLIPS, "damaged": {}, "file": str(tmp_path / "a.csv")
    }  # fmt: skip
    assert issubclass(Features, emolab.results.Result)
