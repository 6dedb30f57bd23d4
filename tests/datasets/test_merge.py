"""Merging: votes of a named annotator, copies and leaks reported, runs that repeat, stop and go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emolab.catalog import samples, tallies, votes
from emolab.datasets.merge.conflicts import winner
from emolab.datasets.merge.merge import merge
from emolab.datasets.merge.report import MergeReport
from emolab.errors import DataError, UnknownName
from emolab.records import Sample, Vote
from emolab.taxonomy import PRESETS
from emolab.workspace import Workspace
from tests.support.pictures import pack, png, put

Cli = Callable[..., subprocess.CompletedProcess[str]]


def stored(workspace: Workspace) -> tuple[list[Sample], list[Vote]]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return list(samples.iterate(conn)), list(votes.iterate(conn))


def said(workspace: Workspace) -> list[tuple[str, str | None, int]]:
    return sorted((v.annotator, v.label, v.count) for v in stored(workspace)[1])


def ferplus_row(name: str, *counts: int) -> str:
    return f'{name},"(0, 0, 48, 48)",{",".join(map(str, counts))}\n'


#: Votes: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, NF.
FERPLUS = {
    "FER2013Train/label.csv": ferplus_row("fer1.png", 1, 8, 0, 0, 0, 0, 0, 0, 1, 0)
    + ferplus_row("fer2.png", 1, 7, 0, 2, 0, 0, 0, 0, 0, 0)
    + ferplus_row("fer3.png", 6, 0, 0, 4, 0, 0, 0, 0, 0, 0)
    + ferplus_row("fer4.png", 2, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    + ferplus_row("fer5.png", 0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
    "FER2013Valid/label.csv": ferplus_row("fer6.png", 0, 10, 0, 0, 0, 0, 0, 0, 0, 0),
    "FER2013Train/fer1.png": png(1),
    "FER2013Train/fer2.png": png(1),
    "FER2013Train/fer3.png": png(2),
    "FER2013Train/fer4.png": png(2),
    "FER2013Train/fer5.png": png(3),
    "FER2013Valid/fer6.png": png(1),
}


@pytest.fixture
def eight(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "eight", classes=PRESETS["ferplus8"])


def test_counts_stay_votes_of_the_dataset_and_meta_answers_never_become_classes(
    eight: Workspace, tmp_path: Path
) -> None:
    report = merge(eight, "ferplus", pack(tmp_path / "fer.zip", FERPLUS))
    assert (report.read, report.added, report.known, report.duplicates, report.unreadable) == (6, 3, 0, 3, 0)
    assert report.meta == {"unknown": 1, "no_face": 10}
    with eight.catalog() as catalog, catalog.connect() as conn:
        table = tallies.table(conn, eight.config.project.classes)
        assert samples.supported(conn) == {"ferplus": PRESETS["ferplus8"]}
    assert table.annotators == ["reader:ferplus"]
    assert table.weight.sum() == 60 - 11
    assert {sample.source for sample in stored(eight)[0]} == {"ferplus"}
    assert [(row.source, row.label, row.votes, row.images) for row in report.labels] == [
        ("neutral", "neutral", 10, 1),
        ("happiness", "happiness", 25, 3),
        ("sadness", "sadness", 14, 1),
        ("unknown", "unknown", 1, 0),
        ("NF", "no_face", 10, 1),
    ]
    assert report.notes == {"votes from FER2013Train/label.csv": 5, "votes from FER2013Valid/label.csv": 1}


def test_copies_keep_all_votes_and_conflicts_and_leaks_are_counted(eight: Workspace, tmp_path: Path) -> None:
    report = merge(eight, "ferplus", put(tmp_path / "fer", FERPLUS))
    assert report.copies == {
        "images": 2,
        "surplus": 3,
        "largest": 3,
        "conflicts": {
            "images": 2,
            "majority": 1,
            "pairs": [{"labels": ["neutral", "sadness"], "images": 1}],
        },
        "leaks": [{"splits": "train + valid", "kept_in": "valid", "images": 1}],
    }
    found, ledger = stored(eight)
    by_sample = Counter({s.id: sum(v.count for v in ledger if v.sample_id == s.id) for s in found})
    assert sorted(by_sample.values()) == [10, 20, 30]
    assert {s.split for s in found if by_sample[s.id] == 30} == {"valid"}
    assert report.splits == {"train": 2, "valid": 1}


@pytest.mark.slow
def test_a_second_run_adds_nothing_and_tells_the_same(eight: Workspace, tmp_path: Path) -> None:
    path = put(tmp_path / "fer", FERPLUS)
    first = merge(eight, "ferplus", path)
    before = stored(eight)
    second = merge(eight, "ferplus", path)
    assert stored(eight) == before
    assert (second.added, second.known, second.duplicates, second.new_votes) == (0, 3, 3, 0)
    assert (second.copies, second.labels, second.splits) == (first.copies, first.labels, first.splits)


def test_another_root_of_the_same_dataset_is_the_same_dataset(eight: Workspace, tmp_path: Path) -> None:
    put(tmp_path / "outer/fer", FERPLUS)
    merge(eight, "ferplus", tmp_path / "outer")
    before = stored(eight)
    assert merge(eight, "ferplus", tmp_path / "outer/fer/FER2013Train").new_votes == 0
    assert stored(eight) == before


def test_a_dry_run_reports_the_same_and_writes_nothing(eight: Workspace, tmp_path: Path) -> None:
    path = put(tmp_path / "fer", FERPLUS)
    dry = merge(eight, "ferplus", path, dry_run=True)
    assert stored(eight) == ([], [])
    assert not list(eight.media.rglob("*.png"))
    real = merge(eight, "ferplus", path)
    for name in ("read", "added", "known", "duplicates", "labels", "copies", "meta", "notes", "supported"):
        assert getattr(dry, name) == getattr(real, name), name


def test_an_image_that_was_collected_before_gets_the_votes_and_keeps_its_source(
    workspace: Workspace, tmp_path: Path
) -> None:
    merge(workspace, "image_folder", put(tmp_path / "mine", {"happy/a.png": png(1), "sad/b.png": png(2)}))
    report = merge(workspace, "image_folder", put(tmp_path / "theirs", {"test/happy/x.png": png(1)}))
    assert (report.added, report.known) == (0, 1)
    assert said(workspace) == [
        ("reader:mine", "happiness", 1), ("reader:mine", "sadness", 1), ("reader:theirs", "happiness", 1),
    ]  # fmt: skip
    assert {s.source for s in stored(workspace)[0]} == {"mine"}
    assert Counter(s.split for s in stored(workspace)[0])["test"] == 1
    assert report.copies["leaks"][0]["kept_in"] == "test"
    assert report.others == {"images": 1, "agree": 1}


def test_a_changed_map_moves_votes_and_keeps_the_old_ones_as_withdrawn(workspace: Workspace, tmp_path: Path) -> None:
    path = put(tmp_path / "set", {"calm/a.png": png(1), "happy/b.png": png(2)})
    merge(workspace, "image_folder", path, rules={"calm": "neutral"})
    assert said(workspace) == [("reader:set", "happiness", 1), ("reader:set", "neutral", 1)]
    report = merge(workspace, "image_folder", path, rules={"calm": "drop", "bored": "unknown"})
    assert said(workspace) == [("reader:set", "happiness", 1)]
    assert (report.withdrawn, report.unused_rules) == (1, ["bored"])
    assert [row.label for row in report.labels if row.source == "calm"] == [None]


def test_labels_without_meaning_stop_the_merge_before_anything_is_written(workspace: Workspace, tmp_path: Path) -> None:
    path = put(tmp_path / "set", {"happy/a.png": png(1), "Ahegao/b.png": png(2)})
    with pytest.raises(DataError, match='1 label of the dataset is no class of this project: "Ahegao"'):
        merge(workspace, "image_folder", path)
    assert stored(workspace) == ([], [])


def test_samples_without_a_split_get_one_by_group(workspace: Workspace, tmp_path: Path) -> None:
    files = {f"{label}/s{i % 10}_{i}.png": png(i) for i in range(60) for label in [("happy", "sad")[i // 5 % 2]]}
    report = merge(workspace, "image_folder", put(tmp_path / "set", files), options={"group": r"(s\d)_"})
    assert sum(report.assigned.values()) == 60
    assert report.assigned["valid"] == pytest.approx(12, abs=1)
    by_group: dict[str | None, set[str | None]] = {}
    for sample in stored(workspace)[0]:
        by_group.setdefault(sample.group, set()).add(sample.split)
    assert len(by_group) == 10
    assert all(len(found) == 1 for found in by_group.values())
    assert all(name and name.startswith("set:s") for name in by_group)


def test_one_split_for_everything(workspace: Workspace, tmp_path: Path) -> None:
    path = put(tmp_path / "set", {"train/happy/a.png": png(1), "train/sad/b.png": png(2)})
    assert merge(workspace, "image_folder", path, split="test").splits == {"test": 2}
    with pytest.raises(UnknownName, match=r'Unknown split "tset"\. Did you mean "test"'):
        merge(workspace, "image_folder", path, split="tset")


def test_unreadable_images_are_reported_and_the_rest_goes_through(workspace: Workspace, tmp_path: Path) -> None:
    path = put(tmp_path / "set", {"happy/a.png": png(1), "sad/broken.png": png(2)[:60], "sad/empty.png": b""})
    report = merge(workspace, "image_folder", path)
    assert (report.read, report.added, report.unreadable) == (3, 1, 2)
    assert sorted(problem.path for problem in report.problems) == ["sad/broken.png", "sad/empty.png"]


def test_a_damaged_member_of_a_zip_is_one_line_of_the_report(workspace: Workspace, tmp_path: Path) -> None:
    path = pack(tmp_path / "set.zip", {"happy/a.png": png(1), "sad/b.png": png(2), "sad/c.png": png(3)})
    data = path.read_bytes()
    path.write_bytes(data.replace(png(2)[40:80], bytes(40)))
    report = merge(workspace, "image_folder", path)
    assert (report.read, report.added, report.unreadable) == (3, 2, 1)
    assert [str(problem) for problem in report.problems] == [
        "sad/b.png: damaged: cannot be unpacked: Bad CRC-32 for file 'sad/b.png'"
    ]


def test_annotators_of_a_table_are_told_apart(workspace: Workspace, tmp_path: Path) -> None:
    table = "path,label,annotator\na.png,happy,ann\na.png,sad,bob\na.png,happy,\n"
    report = merge(workspace, "csv", put(tmp_path / "votes", {"t.csv": table, "a.png": png(1)}))
    assert (report.added, report.duplicates) == (1, 2)
    assert said(workspace) == [
        ("reader:votes", "happiness", 1), ("reader:votes:ann", "happiness", 1), ("reader:votes:bob", "sadness", 1),
    ]  # fmt: skip


def test_a_name_that_cannot_be_part_of_an_origin_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    path = put(tmp_path / "set", {"happy/a.png": png(1), "sad/b.png": png(2)})
    with pytest.raises(DataError, match='"a:b" cannot name a source'):
        merge(workspace, "image_folder", path, name="a:b")
    assert merge(workspace, "image_folder", path, name="pilot-1").name == "pilot-1"
    assert {v.annotator for v in stored(workspace)[1]} == {"reader:pilot-1"}


def test_the_winner_needs_to_be_alone() -> None:
    assert winner({"a": 3, "b": 2}) == "a"
    assert winner({"a": 2, "b": 2, "c": 1}) is None
    assert winner({}) is None


@pytest.mark.slow
def test_killed_at_any_moment_the_next_run_completes_it(workspace: Workspace, tmp_path: Path) -> None:
    files = {f"{('happy', 'sad')[i % 2]}/{i}.png": png(i) for i in range(1500)}
    path = pack(tmp_path / "set.zip", files)
    code = (
        "import sys; from pathlib import Path; from emolab.workspace import Workspace;"
        "from emolab.datasets.merge.merge import merge;"
        "print('go', flush=True); merge(Workspace.open(Path(sys.argv[1])), 'image_folder', Path(sys.argv[2]))"
    )
    for delay in (0.05, 0.3, 0.6):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(workspace.root), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        deadline = time.monotonic() + delay
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL) if child.poll() is None else None
        child.wait()
        child.stdout.close()
        with workspace.catalog() as catalog:
            assert catalog.problems() == []
        found, ledger = stored(workspace)
        assert {v.sample_id for v in ledger} == {s.id for s in found}, "a sample and its vote are one transaction"
    report = merge(workspace, "image_folder", path)
    found, ledger = stored(workspace)
    assert report.added + report.known == len(found) == len(ledger) == 1500
    assert Counter(v.label for v in ledger) == {"happiness": 750, "sadness": 750}
    assert Counter(s.split for s in found) == {"train": 1200, "valid": 300}


@pytest.mark.slow
def test_the_command_prints_tables_json_and_an_exit_code(workspace: Workspace, tmp_path: Path, run_cli: Cli) -> None:
    path = put(tmp_path / "set", {"happy/a.png": png(1), "sad/b.png": png(2), "sad/broken.png": b"x"})
    shown = run_cli("merge", "image_folder", str(path), cwd=workspace.root)
    assert shown.returncode == 1, shown.stderr
    assert shown.stdout == ""
    for text in ("set from", "source label", "becomes", "happiness", "sad/broken.png", "never shows neutral",
                 "emolab label aggregate"):  # fmt: skip
        assert text in shown.stderr
    data: dict[str, Any] = json.loads(run_cli("merge", "image_folder", str(path), "--json", cwd=workspace.root).stdout)
    assert (data["read"], data["known"], data["unreadable"]) == (3, 2, 1)
    assert set(data) == {*MergeReport.__slots__, "learned", "repaired"} - {"images", "noun"}, "no ids"
    wrong = run_cli("merge", "image_folder", str(path), "-o", "group", cwd=workspace.root)
    assert (wrong.returncode, "is not KEY=VALUE" in wrong.stderr) == (2, True)


def test_the_command_takes_a_map_and_reader_options(workspace: Workspace, tmp_path: Path, run_cli: Cli) -> None:
    put(tmp_path, {"map.toml": '"Ahegao" = "drop"\n', "t.csv": "path,Happy,Ahegao\na.png,3,1\n", "a.png": png(1)})
    done = run_cli("merge", "csv", str(tmp_path / "t.csv"), "--map", str(tmp_path / "map.toml"), "-o",
                   "votes=Happy,Ahegao", "--name", "tiny", "--split", "test", cwd=workspace.root)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert said(workspace) == [("reader:tiny", "happiness", 3)]
    assert [s.split for s in stored(workspace)[0]] == ["test"]


@pytest.mark.shared
@pytest.mark.slow
def test_fer_plus_as_published_has_the_documented_copies_and_leaks(eight: Workspace, shared_data: Path) -> None:
    valid = merge(eight, "ferplus", shared_data / "ferplus_valid.zip")
    assert (valid.read, valid.added, valid.duplicates) == (3579, 3553, 26)
    train = merge(eight, "ferplus", shared_data / "ferplus_train.zip")
    assert (train.read, train.added, train.known, train.duplicates) == (28558, 27065, 269, 1224)
    assert (train.copies["images"], train.copies["largest"]) == (1032, 6)
    assert train.copies["leaks"] == [{"splits": "train + valid", "kept_in": "valid", "images": 269}]
    assert {row.source: row.images for row in train.labels} == {
        "neutral": 9360, "happiness": 7408, "surprise": 3368, "sadness": 3418, "anger": 2395, "disgust": 175,
        "fear": 651, "contempt": 165, "unknown": 171, "NF": 2,
    }  # fmt: skip
    assert train.splits == {"train": 27065, "valid": 3553}
