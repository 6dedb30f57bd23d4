"""Nobody is judged on voices that were learned, unless it was asked for; then every report says so."""

from __future__ import annotations

from pathlib import Path

import pytest

import emolab
from emolab.errors import DataError
from emolab.workspace import Workspace
from tests.support.calling import emolab as command
from tests.support.sounds import chatter, sound_file

QUICK = {"size": 32, "epochs": 1, "batch": 4, "threads": 1, "precision": "float32", "tensorboard": False}


def clips(folder: Path, header: str, *rows: str) -> Path:
    """A table of clips, which are made, in ``folder``; the rows follow the path of each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, row in enumerate(rows):
        (folder / f"{number}.wav").write_bytes(sound_file(chatter(1.0, seed=number)))
        lines.append(f"{number}.wav,{row}")
    (folder / "clips.csv").write_text("\n".join([f"path,{header}", *lines]) + "\n")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.init(tmp_path / "voices", classes=("anger", "fear"), modality="audio")
    return made.with_settings({f"training.{name}": value for name, value in QUICK.items()})


BOTH = ("anger,ann,train", "fear,ann,test", "anger,bob,train", "fear,bob,train", "anger,cem,test", "fear,dan,train")


def test_a_column_of_speakers_that_nothing_uses_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    folder = clips(tmp_path / "set", "label,Speaker ID", "anger,ann", "fear,ann", "anger,bob", "fear,bob")
    with pytest.raises(DataError, match='column "Speaker ID"') as refused:
        emolab.merge(workspace, "csv", folder)
    assert '-o "group=Speaker ID"' in (refused.value.hint or "")
    assert len(workspace.samples()) == 0, "refused before anything is written"
    emolab.merge(workspace, "csv", folder, options={"group": "Speaker ID"})
    assert {*workspace.samples()["group"]} == {"set:ann", "set:bob"}


@pytest.mark.parametrize("column", ["narrator", "voice", "User", "author_name", "Singer-ID", "username"])
def test_whatever_a_column_of_speakers_is_called(workspace: Workspace, tmp_path: Path, column: str) -> None:
    folder = clips(tmp_path / "set", f"label,{column}", "anger,ann", "fear,ann", "anger,bob", "fear,bob")
    with pytest.raises(DataError, match=f'column "{column}"') as refused:
        emolab.merge(workspace, "csv", folder)
    assert f'-o "annotator={column}"' in (refused.value.hint or "")


def test_a_recording_is_no_speaker(workspace: Workspace, tmp_path: Path) -> None:
    folder = clips(tmp_path / "set", "label,group,speaker", "anger,take 1,ann", "fear,take 2,ann")
    with pytest.raises(DataError, match='column "speaker"'):
        emolab.merge(workspace, "csv", folder)
    emolab.merge(workspace, "csv", folder, options={"group": "group"})
    assert {*workspace.samples()["group"]} == {"set:take 1", "set:take 2"}


def test_a_published_split_of_one_speaker_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    folder = clips(tmp_path / "set", "label,group,split", *BOTH)
    with pytest.raises(DataError, match=r"1 speaker is on both sides of the splits of .*: ann"):
        emolab.merge(workspace, "csv", folder)
    assert len(workspace.samples()) == 0
    emolab.merge(workspace, "csv", folder, options={"split": ""})
    found = workspace.samples()
    assert all(len({*part}) == 1 for _, part in found.groupby("group")["split"])


def test_two_merges_that_divide_a_speaker_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    first = clips(tmp_path / "one", "label,group", "anger,ann", "fear,bob")
    second = clips(tmp_path / "two", "label,group", "anger,x", "fear,y", "anger,ann", "fear,cem")
    emolab.merge(workspace, "csv", first, name="set", split="train")
    with pytest.raises(DataError, match=r"1 speaker is on both sides .*: ann"):
        emolab.merge(workspace, "csv", second, name="set", split="test")
    emolab.merge(workspace, "csv", second, name="set", split="test", allow_speaker_leak=True)


def test_a_split_by_hand_that_divides_a_speaker_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    folder = clips(tmp_path / "set", "label,group", "anger,ann", "fear,ann", "anger,bob", "fear,bob")
    emolab.merge(workspace, "csv", folder, split="train")
    one = next(iter(workspace.samples().query("group == 'set:ann'").index))
    with pytest.raises(DataError, match="set:ann"):
        emolab.set_split(workspace, "test", ids=one)
    emolab.set_split(workspace, "test", groups="set:ann")
    with pytest.raises(DataError, match="set:bob"):
        emolab.set_split(workspace, "test", ids=next(iter(workspace.samples().query("group == 'set:bob'").index)))


def test_training_refuses_divided_speakers_and_says_what_was_let_be(workspace: Workspace, tmp_path: Path) -> None:
    folder = clips(
        tmp_path / "set", "label,group", *(f"{'anger' if i % 2 else 'fear'},{'abcdef'[i // 4]}" for i in range(24))
    )
    emolab.merge(workspace, "csv", folder, split="train")
    mine = [*workspace.samples().query("group == 'set:a'").index]
    with workspace.catalog() as catalog, catalog.begin() as tx:  # as an emolab before this rule left it
        from emolab.catalog import samples

        samples.set_splits(tx, {mine[0]: "valid", mine[1]: "valid"})
    with pytest.raises(DataError, match=r"1 speaker is on both sides of train and validation or test: set:a"):
        emolab.train(workspace)
    refused = command("-w", workspace.root, "train")
    assert refused.code == 1
    assert "emolab split repair --groups" in refused.err
    done = emolab.train(workspace, allow_speaker_leak=True)
    leak = done.to_dict()["speakers"]
    assert (leak["divided"], leak["samples"]) == (1, 2)
    told = "Speaker leak: 1 speaker (or other group) is both trained and validated on, with 2 of the"
    assert told in done.report.read_text(encoding="utf-8")
    text = str(emolab.card("champion", workspace=workspace))
    assert told in text
    assert "none is both trained and validated on" not in text
    assert told in " ".join(command("-w", workspace.root, "evaluate", "champion", "--on", "valid").err.split())


def test_a_column_let_be_is_told_of_every_model(workspace: Workspace, tmp_path: Path) -> None:
    folder = clips(tmp_path / "set", "label,speaker", *(f"{'anger' if i % 2 else 'fear'},{i % 5}" for i in range(20)))
    emolab.merge(workspace, "csv", folder, allow_speaker_leak=True)
    done = emolab.train(workspace)
    told = "Speaker leak: set came in with --allow-speaker-leak"
    assert told in done.report.read_text(encoding="utf-8")
    assert told in str(emolab.card("champion", workspace=workspace))


def test_a_simulation_asks_about_other_speakers_than_judge(tmp_path: Path) -> None:
    from emolab.loop.label.simulation.sides import divide

    folder = clips(tmp_path / "set", "label,group,split", *BOTH)
    with pytest.raises(DataError, match=r"1 speaker is on both sides of csv:.* and its judge: ann"):
        divide(f"csv:{folder}", None, ("anger", "fear"))
    sides = divide(f"csv:{folder}", None, ("anger", "fear"), allow_speaker_leak=True)
    assert "1 speaker asked about also judge: a speaker leak" in sides.protocol
    drawn = divide(f"csv:{folder}", None, ("anger", "fear"), options={"split": ""})
    groups = {drawn.pool.groups[row] for row in drawn.asked.tolist()}
    assert not groups & {drawn.judge.groups[row] for row in drawn.judges.tolist()}
    (folder / "clips.csv").write_text((folder / "clips.csv").read_text().replace("group", "talker"))
    with pytest.raises(DataError, match='column "talker"'):
        divide(f"csv:{folder}", None, ("anger", "fear"), options={"split": ""})


def test_faces_keep_the_splits_of_their_dataset(tmp_path: Path) -> None:
    """A group of images is a video as often as a person: published splits stay, and the card tells the truth."""
    from tests.support.pictures import png, put

    workspace = Workspace.init(tmp_path / "faces", classes=("anger", "fear"))
    rows = "".join(
        f"{i}.png,{'anger' if i % 2 else 'fear'},{'train' if i < 6 else 'valid'},s{i % 4}\n" for i in range(8)
    )
    put(tmp_path, {"set/t.csv": f"path,label,split,group\n{rows}", **{f"set/{i}.png": png(i) for i in range(8)}})
    assert emolab.merge(workspace, "csv", tmp_path / "set", near=False).report.added == 8
