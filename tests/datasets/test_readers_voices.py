"""The datasets of voices: their names, votes, speakers, and what is wrong with their files."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from emolab.catalog import samples
from emolab.datasets.merge.merge import merge
from emolab.datasets.readers.reader import as_reader
from emolab.datasets.readers.source import Damaged
from emolab.errors import DataError, UnknownName
from emolab.plugins import READERS
from emolab.records import Record
from emolab.workspace import Workspace
from tests.support.sounds import chatter, sound_file

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:6d8d\nsize 68524\n"
HEADER = '"","A","D","F","H","N","S","fileName","numResponses"\n'


def files(root: Path, *names: str, data: bytes = b"sound") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def read(name: str, path: Path, **options: str) -> list[Record]:
    reader = as_reader(READERS.load(name))
    found = list(reader(path, options))
    survey = reader.survey(path, options)
    assert survey.records == len(found)
    assert survey.labels == sum((Counter(record.votes) for record in found), Counter())
    return found


def said(records: list[Record]) -> list[tuple[str, str, str | None]]:
    return [(record.key, next(iter(record.votes)), record.group) for record in records]


def test_ravdess_says_emotion_and_actor_by_numbers(tmp_path: Path) -> None:
    files(tmp_path, "A/Actor_01/03-01-02-01-01-01-01.wav", "A/Actor_02/03-02-06-02-01-01-02.wav", "A/readme.txt")
    assert said(read("ravdess", tmp_path)) == [
        ("03-01-02-01-01-01-01", "calm", "Actor_01"),
        ("03-02-06-02-01-01-02", "fearful", "Actor_02"),
    ]
    assert said(read("ravdess", tmp_path, calm="neutral", channel="speech")) == [
        ("03-01-02-01-01-01-01", "neutral", "Actor_01")
    ]
    assert [record.key for record in read("ravdess", tmp_path, calm="drop")] == ["03-02-06-02-01-01-02"]
    with pytest.raises(UnknownName, match='Unknown way with calm "gone"'):
        read("ravdess", tmp_path, calm="gone")


def test_ravdess_takes_an_utterance_once(tmp_path: Path) -> None:
    """The zip of one site holds the corpus twice; the videos hold the sound of the sound files."""
    name = "03-01-05-01-02-01-18"
    files(
        tmp_path,
        f"Actor_18/{name}.wav",
        f"all/Actor_18/{name}.wav",
        f"video/01{name[2:]}.mp4",
        f"video/02{name[2:]}.mp4",
    )
    assert [record.key for record in read("ravdess", tmp_path)] == [name]
    files(tmp_path / "only", f"01{name[2:]}.mp4")
    assert [record.key for record in read("ravdess", tmp_path / "only")] == [f"01{name[2:]}"]


def test_tess_has_two_speakers_and_one_wrong_name(tmp_path: Path) -> None:
    files(
        tmp_path,
        "OAF_Fear/OAF_back_fear.wav",
        "OAF_neutral/OA_bite_neutral.wav",
        "YAF_pleasant_surprised/YAF_back_ps.wav",
    )
    assert said(read("tess", tmp_path)) == [
        ("OAF_back_fear", "fear", "OAF"),
        ("OA_bite_neutral", "neutral", "OAF"),
        ("YAF_back_ps", "ps", "YAF"),
    ]


def test_savee_in_folders_or_flat(tmp_path: Path) -> None:
    files(
        tmp_path, "a/AudioData/DC/a01.wav", "a/AudioData/KL/sa15.wav", "b/JE_su02.wav", "b/JK_n30.wav", "b/XX_n30.wav"
    )
    assert said(read("savee", tmp_path / "a")) == [("DC_a01", "anger", "DC"), ("KL_sa15", "sadness", "KL")]
    assert said(read("savee", tmp_path / "b")) == [("JE_su02", "surprise", "JE"), ("JK_n30", "neutral", "JK")]


def crema(root: Path, data: bytes = b"sound") -> Path:
    names = ("1001_DFA_ANG_XX", "1002_IEO_HAP_LO", "1076_MTI_SAD_XX")
    files(root, *(f"AudioWAV/{name}.wav" for name in names), data=data)
    rows = (
        '"100001",7,1,0,0,2,0,"1001_DFA_ANG_XX",10\n"200001",9,0,0,0,0,1,"1001_DFA_ANG_XX",10\n'
        '"100002",0,0,0,3,6,0,"1002_IEO_HAP_LO",9\n"100003",x,0,0,3,6,0,"1076_MTI_SAD_XX",9\n'
    )
    (root / "processedResults").mkdir()
    (root / "processedResults" / "tabulatedVotes.csv").write_text(HEADER + rows)
    return root


def test_cremad_has_the_votes_of_those_who_heard_or_saw(tmp_path: Path) -> None:
    crema(tmp_path)
    fault, first, second, bad = read("cremad", tmp_path)
    assert (first.key, first.group, dict(first.votes)) == (
        "1001_DFA_ANG_XX", "1001", {"anger": 7, "disgust": 1, "neutral": 2}
    )  # fmt: skip
    assert dict(second.votes) == {"happiness": 3, "neutral": 6}
    assert isinstance(fault.media, Damaged)
    assert fault.media.reason == "row 4 of tabulatedVotes.csv has something else than whole numbers as counts"
    assert isinstance(bad.media, Damaged)
    assert (bad.media.kind, bad.media.reason) == ("known bad clip", "CREMA-D says that it holds no sound")
    assert dict(read("cremad", tmp_path, sense="face")[1].votes) == {"anger": 9, "sadness": 1}


def test_cremad_intended_is_a_perspective_of_its_own(tmp_path: Path) -> None:
    assert said(read("cremad_intended", crema(tmp_path)))[:2] == [
        ("1001_DFA_ANG_XX", "anger", "1001"),
        ("1002_IEO_HAP_LO", "happiness", "1002"),
    ]
    perspectives = {
        name: as_reader(READERS.load(name)).perspective for name in ("cremad", "cremad_intended", "ravdess")
    }
    assert perspectives == {"cremad": "perceived", "cremad_intended": "intended", "ravdess": "intended"}


def test_pointers_of_git_lfs_are_explained(tmp_path: Path) -> None:
    crema(tmp_path, data=POINTER)
    with pytest.raises(DataError, match="are pointers of git-lfs, not the sound itself") as caught:
        read("cremad", tmp_path)
    assert caught.value.hint == "Fetch it in the clone with: git lfs pull"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    files(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    with pytest.raises(DataError, match=r"has no tabulatedVotes\.csv"):
        read("cremad", tmp_path)
    for name in ("ravdess", "tess", "savee"):
        with pytest.raises(DataError, match=f"holds no clips of {name.upper()}"):
            read(name, tmp_path)


def test_a_merged_clip_is_one_sample_however_long(tmp_path: Path) -> None:
    """A label belongs to the whole of a file, so nothing is cut; actors become groups, whom a split keeps together."""
    workspace = Workspace.init(tmp_path / "voices", classes=("neutral", "calm", "anger"), modality="audio")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for actor in range(1, 5):
            for emotion in (1, 2, 5):
                data = sound_file(chatter(20 if actor == 1 else 2, seed=10 * actor + emotion), format="FLAC")
                archive.writestr(f"Actor_{actor:02d}/03-01-{emotion:02d}-01-01-01-{actor:02d}.flac", data)
    report = merge(workspace, "ravdess", tmp_path / "set.zip")
    assert (report.added, report.unreadable) == (12, 0)
    with workspace.catalog() as catalog, catalog.connect() as connection:
        found = list(samples.iterate(connection))
    assert {sample.group for sample in found} == {f"ravdess:Actor_{actor:02d}" for actor in range(1, 5)}
    assert max(sample.duration or 0 for sample in found) > 19
    assert len({(sample.group, sample.split) for sample in found}) == 4


@pytest.mark.slow
@pytest.mark.shared
def test_every_clip_of_ravdess_is_read(shared_data: Path) -> None:
    found = read("ravdess", shared_data / "ravdess_speech_16k.zip")
    assert Counter(next(iter(record.votes)) for record in found) == {
        "neutral": 80, **dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 160)
    }  # fmt: skip
    assert Counter(record.group for record in found) == {f"Actor_{n:02d}": 60 for n in range(1, 21)}


@pytest.mark.slow
@pytest.mark.shared
def test_every_vote_of_cremad_is_counted(shared_data: Path, tmp_path: Path) -> None:
    """7,442 clips heard: the table of the publishers, with empty files where the sound would be."""
    with zipfile.ZipFile(shared_data / "cremad_votes.zip") as archive:
        archive.extract("processedResults/tabulatedVotes.csv", tmp_path)
        names = archive.read("SentenceFilenames.csv").decode().split('"')[5::2]
    files(tmp_path, *(f"AudioWAV/{name}.wav" for name in names))
    reader = as_reader(READERS.load("cremad"))
    total = {sense: reader.survey(tmp_path, {"sense": sense}) for sense in ("voice", "face", "both")}
    assert {found.records for found in total.values()} == {7442}
    assert sum(found.labels.total() for found in total.values()) == 212_000
    heard = read("cremad", tmp_path)
    intended = {record.key: next(iter(record.votes)) for record in read("cremad_intended", tmp_path)}
    agreeing = sum(record.votes.get(intended[record.key], 0) for record in heard)
    assert agreeing / total["voice"].labels.total() == pytest.approx(0.400, abs=0.002)
