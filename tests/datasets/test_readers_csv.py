"""Tables: columns by name, counts, several annotators, folders, zips, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.datasets.readers.csv import read
from emolab.datasets.readers.source import Damaged
from emolab.errors import ConfigError, DataError, UnknownName
from tests.support.pictures import pack, png, put


def test_columns_found_by_their_usual_names(tmp_path: Path) -> None:
    table = "path,label,split,group,annotator\nimg/a.png,happy,Training,s1,ann\nimg/b.png,sad,val,s2,bob\n"
    put(tmp_path, {"table.csv": table, "img/a.png": png(1), "img/b.png": png(2)})
    found = list(read(tmp_path / "table.csv", {}))
    assert [(r.key, r.votes, r.split, r.group, r.annotator) for r in found] == [
        ("img/a.png#1", {"happy": 1}, "train", "s1", "ann"),
        ("img/b.png#2", {"sad": 1}, "valid", "s2", "bob"),
    ]
    assert [r.media for r in found] == [tmp_path / "img/a.png", tmp_path / "img/b.png"]
    assert read.survey(tmp_path, {}).labels == {"happy": 1, "sad": 1}


def test_columns_named_by_options(tmp_path: Path) -> None:
    put(tmp_path, {"list.tsv": "file\temotion\tsubject\na.png\thappy\t7\n", "faces/a.png": png(1)})
    options = {"path": "file", "label": "emotion", "group": "subject", "root": "faces"}
    (record,) = read(tmp_path / "list.tsv", options)
    assert (record.media, record.votes, record.group) == (tmp_path / "faces/a.png", {"happy": 1}, "7")


@pytest.mark.parametrize("machine", ["home/dev", "test/data", "mnt/training set/x"])
def test_folders_of_the_machine_in_whole_paths_name_no_split(tmp_path: Path, machine: str) -> None:
    """Only those below what the table lies in do: a set below /home/dev was a validation set altogether."""
    there = tmp_path / machine
    put(there, {"a.png": png(1), "lists/one/b.png": png(2), "train/c.png": png(3), "val/d.png": png(4)})
    for home in (there, there / "lists"):
        home.mkdir(exist_ok=True)
        for names, wanted in (
            (("a.png", "lists/one/b.png"), [None, None]),
            (("train/c.png", "val/d.png"), ["train", "valid"]),
        ):
            rows = "".join(f"{there / name},happy\n" for name in names)
            put(home, {"t.csv": f"path,label\n{rows}"})
            assert [record.split for record in read(home / "t.csv", {})] == wanted


def test_folders_of_relative_paths_name_splits_as_before(tmp_path: Path) -> None:
    put(tmp_path / "dev", {"dev/a.png": png(1), "t.csv": "path,label\ndev/a.png,happy\n../dev/dev/a.png,sad\n"})
    with pytest.raises(DataError, match="no split in its path"):  # two folders of that name: it is not clear
        list(read(tmp_path / "dev" / "t.csv", {}))
    put(tmp_path / "dev", {"t.csv": "path,label\ndev/a.png,happy\n"})
    assert [record.split for record in read(tmp_path / "dev" / "t.csv", {})] == ["valid"]


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ("text,label,split,group,annotator\n{},joy,Training,s1,ann\n{},anger,val,s2,bob\n", {}),
        ("Sentence;label;split;group;annotator\n{};joy;train;s1;ann\n{};anger;valid;s2;bob\n", {}),
        ("id,said,label,split,group,annotator\n7,{},joy,train,s1,ann\n8,{},anger,dev,s2,bob\n", {"sentence": "said"}),
        (
            "name,text,label,split,group,annotator\nAnn,{},joy,train,s1,ann\nB,{},anger,dev,s2,bob\n",
            {"sentence": "text"},
        ),
    ],
)
def test_the_rows_may_be_sentences(tmp_path: Path, table: str, options: dict[str, str]) -> None:
    put(tmp_path, {"t.csv": table.format('"So glad, ""Ann""!"', '"sad\nat train/home"')})
    for place in (tmp_path / "t.csv", tmp_path):
        found = list(read(place, options))
        assert [(r.media, r.votes, r.split, r.group, r.annotator) for r in found] == [
            (b'So glad, "Ann"!', {"joy": 1}, "train", "s1", "ann"),
            (b"sad\nat train/home", {"anger": 1}, "valid", "s2", "bob"),
        ]
        assert [r.key for r in found] == ["t.csv#1", "t.csv#2"], "no sentence stands in a key: it may hold names"
        assert read.survey(place, options).labels == {"joy": 1, "anger": 1}


def test_sentences_with_counts_and_of_published_splits(tmp_path: Path) -> None:
    put(tmp_path, {"train.csv": "text,joy,anger\nso glad,7,3\n,1,0\n", "test.csv": "text,joy,anger\nno!,0,10\n"})
    found = list(read(tmp_path, {"votes": "joy,anger"}))
    assert {r.media: (dict(r.votes), r.split) for r in found if not isinstance(r.media, Damaged)} == {
        b"so glad": ({"joy": 7, "anger": 3}, "train"),
        b"no!": ({"anger": 10}, "test"),
    }
    assert [r.media.reason for r in found if isinstance(r.media, Damaged)] == ["has no sentence"]


def test_a_table_that_may_name_files_is_not_taken_for_sentences(tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": "file,text,label\na.wav,so glad,joy\n"})
    with pytest.raises(UnknownName, match="path") as caught:
        list(read(tmp_path / "t.csv", {}))
    assert "--option sentence=COLUMN" in str(caught.value.hint)
    assert [r.media for r in read(tmp_path / "t.csv", {"path": "file"})] == [tmp_path / "a.wav"]


@pytest.mark.parametrize("option", ["path", "root", "group_by"])
def test_what_is_about_paths_is_refused_beside_sentences(tmp_path: Path, option: str) -> None:
    put(tmp_path, {"t.csv": "text,label\nso glad,joy\n"})
    with pytest.raises(ConfigError, match=f"no paths, which {option} is about"):
        list(read(tmp_path / "t.csv", {"sentence": "text", option: "folder"}))


def test_columns_of_counts_become_votes(tmp_path: Path) -> None:
    put(tmp_path, {"votes.csv": "path,happy,sad,angry\na.png,7,3,0\nb.png,,10,\n"})
    found = [dict(r.votes) for r in read(tmp_path / "votes.csv", {"votes": "happy,sad, angry"})]
    assert found == [{"happy": 7, "sad": 3}, {"sad": 10}]


def test_a_zip_holds_table_and_images(tmp_path: Path) -> None:
    archive = pack(tmp_path / "set.zip", {"set/data.csv": "\ufeffpath,label\na.png,happy\n", "set/a.png": png(1)})
    (record,) = read(archive, {})
    assert (record.media, record.votes) == (png(1), {"happy": 1})
    broken = pack(tmp_path / "broken.zip", {"data.csv": "path,label\na.png,happy\n"})
    (record,) = read(broken, {})
    assert isinstance(record.media, Damaged)
    assert record.media.reason == "it is not in broken.zip"


def test_a_table_inside_a_folder_cannot_reach_out_of_it(tmp_path: Path) -> None:
    put(tmp_path, {"set/t.csv": "path,label\n../secret.png,happy\n/etc/hosts,sad\n", "secret.png": png(1)})
    found = [r.media for r in read(tmp_path / "set", {})]
    assert [media.reason for media in found if isinstance(media, Damaged)] == ["it lies outside of set"] * 2


def test_a_group_can_come_from_the_path(tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": "path,label\nactor_07/a.png,happy\n"})
    assert [r.group for r in read(tmp_path / "t.csv", {"group_by": r"actor_(\d+)"})] == ["07"]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("file,label\na,b\n", {}, 'Unknown column of t.csv "path"'),
        ("path,lable\na,b\n", {}, 'Did you mean "lable"?'),
        ("path,label\na,b,c\n", {}, "Row 1 of t.csv has 3 columns, expected 2"),
        (
            "path,label,split\na,b,holdout\n",
            {},
            'The column split of t.csv holds what names no split: "holdout" (1 row)',
        ),
        ("path,happy\na,x\n", {"votes": "happy"}, '"x" as count of happy'),
        ("path,label\n,b\n", {}, "Row 1 of t.csv names no file"),
        ("path,label\na,b\n", {"delimiter": "--"}, 'delimiter="--" is not one character'),
        ("path,label\na,b\n", {"split": "fold"}, 'Unknown column of t.csv "fold"'),
    ],
)
def test_a_table_that_does_not_fit_is_an_error(
    tmp_path: Path, table: str, options: dict[str, str], message: str
) -> None:
    put(tmp_path, {"t.csv": table})
    with pytest.raises((DataError, UnknownName)) as caught:
        list(read(tmp_path / "t.csv", options))
    assert message in str(caught.value)


def test_text_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": "path,label\nä.png,happy\n".encode("latin-1")})
    with pytest.raises(DataError, match="is not a table in UTF-8"):
        list(read(tmp_path / "t.csv", {}))


def test_several_tables_need_a_name_and_a_missing_file_says_so(tmp_path: Path) -> None:
    put(tmp_path / "two", {"a.csv": "path,label\n", "b.csv": "path,label\nx.png,happy\n"})
    with pytest.raises(DataError, match=r"holds 2 tables\. Name one: --option table=a\.csv"):
        list(read(tmp_path / "two", {}))
    assert len(list(read(tmp_path / "two", {"table": "b.csv"}))) == 1
    with pytest.raises(DataError, match="cannot be read: No such file"):
        list(read(tmp_path / "none.csv", {}))


def test_a_git_lfs_pointer_is_recognised(tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"})
    with pytest.raises(DataError, match=r"t\.csv is a git-lfs pointer.*git lfs pull"):
        list(read(tmp_path, {}))
