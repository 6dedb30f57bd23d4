"""Votes of a file beside those of the ledger: known ones, withdrawn ones, contradictions, and what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emolab.catalog import samples, votes
from emolab.errors import DataError
from emolab.labeling.form import controls
from emolab.loop.label.aggregate import aggregate
from emolab.loop.label.exchange.export_votes import export_votes
from emolab.loop.label.exchange.import_votes import import_votes
from emolab.records import Sample
from emolab.workspace import Workspace
from tests.support.voting import vote

A, B = "a" * 64, "b" * 64
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def faces(workspace: Workspace) -> Workspace:
    vote(workspace, {A: {"ann": "happiness", "bob": "sadness"}, B: {"ann": "neutral"}})
    return workspace


def said(workspace: Workspace) -> list[tuple[str, str, str | None]]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return sorted((v.sample_id[0], v.annotator, v.label) for v in votes.iterate(conn))


def table(folder: Path, *rows: str, head: str = "sample,annotator,label") -> Path:
    file = folder / "given.csv"
    file.write_text("\n".join((head, *rows)) + "\n")
    return file


def test_a_table_of_ones_own_adds_votes_once_and_renames_labels(faces: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path, f"{A},cem,Happy", f"{B},cem,neutral", f"{B},cem,neutral")
    done = import_votes(faces, file)
    assert (done.new, done.known, done.renamed) == (2, 1, {"Happy -> happiness": 1})
    assert (import_votes(faces, file).new, len(said(faces))) == (0, 5)


def test_the_same_answer_that_came_another_way_is_known_and_another_one_is_refused(
    faces: Workspace, tmp_path: Path
) -> None:
    assert import_votes(faces, table(tmp_path, f"{A},ann,happiness")).known == 1
    file = table(tmp_path, f"{A},ann,sadness", f"{B},bob,neutral")
    before = said(faces)
    with pytest.raises(DataError, match=r"1 of 2 votes contradict the ledger, the first is Line 2; nothing was added"):
        import_votes(faces, file)
    assert said(faces) == before
    done = import_votes(faces, file, replace=True)
    assert (done.new, done.changed) == (2, 1)
    assert said(faces) == [
        ("a", "ann", "sadness"),
        ("a", "bob", "sadness"),
        ("b", "ann", "neutral"),
        ("b", "bob", "neutral"),
    ]


def test_a_withdrawn_vote_stays_withdrawn_and_an_old_file_takes_nothing_back(faces: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    export_votes(faces, file)
    with faces.catalog() as catalog, catalog.begin() as tx:
        votes.withdraw(tx, ["test:bbbb:ann"], "gone")
    import_votes(faces, table(tmp_path, f"{A},bob,neutral"), replace=True)
    done = import_votes(faces, file)
    assert (done.new, done.known, done.withdrawn) == (0, 1, 2)
    assert said(faces) == [("a", "ann", "happiness"), ("a", "bob", "neutral")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((f"{A},cem,grin", f"{B},cem,grin", f"{B},dea,smirk"),
         r'3 votes of 2 labels are no class of this project: "grin" 2, "smirk" 1; nothing was added'),
        ((f"{'c' * 64},cem,neutral", f"{A},cem,neutral"),
         r"1 of 2 votes are about 1 samples that are not in this workspace, the first is cccccccccccccccc"),
        ((f"{A},cem,neutral", f"{A},cem,sadness"), "Line 2 and line 3 are two answers of one person about one sample"),
        ((f"{A},cem,",), "Line 2 has no label"),
        ((f"{A},,neutral",), "Line 2 names no annotator"),
        ((f"{A},cem",), "Line 2 has 2 cells; the first line names 3 columns"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_whole(
    faces: Workspace, tmp_path: Path, rows: tuple[str, ...], message: str
) -> None:
    before = said(faces)
    with pytest.raises(DataError, match=message):
        import_votes(faces, table(tmp_path, *rows))
    assert said(faces) == before


@pytest.mark.parametrize(
    ("column", "value"),
    [("count", "0"), ("count", "1.5"), ("confidence", "2"), ("lead_time", "nan"), ("round", "x"), ("extra", "[1]"),
     ("perspective", "theirs"), ("kind", "robot")],
)  # fmt: skip
def test_a_value_that_cannot_be_one_is_named(faces: Workspace, tmp_path: Path, column: str, value: str) -> None:
    file = table(tmp_path, f"{A},cem,neutral,{value}", head=f"sample,annotator,label,{column}")
    with pytest.raises(DataError, match=f"Line 2.*{value.replace('[', '.').replace(']', '.')}"):
        import_votes(faces, file)


def test_what_was_changed_and_added_in_label_studio_is_read_from_the_annotations(
    faces: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.json"
    export_votes(faces, file, format="studio")
    tasks = json.loads(file.read_text())
    for task in tasks:  # as Label Studio hands them out: ids of its own, the file's as import_id
        for annotation in task["annotations"]:
            annotation.update(id=annotation["id"] + 500, import_id=annotation["id"])
    first = tasks[0]["annotations"]
    first[0]["result"][0]["value"]["choices"] = ["neutral"]
    first.append({**first[1], "id": 2, "import_id": None, "completed_by": {"email": "dea@lab.example"}})
    file.write_text(json.dumps(tasks))
    with pytest.raises(DataError, match="1 of 4 votes contradict the ledger, the first is Task 1, annotation 1"):
        import_votes(faces, file)
    assert import_votes(faces, file, replace=True).new == 2
    found = said(faces)
    assert ("a", "ann", "neutral") in found and len(found) == 4
    assert not any("dea" in who for _, who, _ in found)
    first[2]["completed_by"] = 3
    file.write_text(json.dumps(tasks))
    with pytest.raises(DataError, match="Task 1, annotation 3 names nobody by address"):
        import_votes(faces, file)


def test_a_second_choice_and_doubt_that_were_changed_in_label_studio_are_read(faces: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    export_votes(faces, file, format="studio")
    tasks = json.loads(file.read_text())
    one = tasks[0]["annotations"][0]
    label = one["result"][0]["value"]["choices"][0]
    one["result"] = controls.answer(label, modality="image", second="neutral", confidence=2)
    file.write_text(json.dumps(tasks))
    assert import_votes(faces, file, replace=True).new == 1
    with faces.catalog() as catalog, catalog.connect() as conn:
        (changed,) = [vote for vote in votes.iterate(conn) if vote.second]
    assert (changed.label, changed.second) == (label, "neutral")
    assert changed.confidence == 2 / controls.CONFIDENCE_STEPS


def test_labels_leave_as_a_folder_and_come_back_by_what_is_in_the_files(workspace: Workspace, tmp_path: Path) -> None:
    ids = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("one", "two", "three")}
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=i, media=f"media/{i}.png") for i in ids.values()])
    (workspace.root / "media").mkdir()
    for name, i in ids.items():
        (workspace.root / f"media/{i}.png").write_bytes(name.encode())
    vote(workspace, {ids["one"]: {"ann": "happiness"}, ids["two"]: {"ann": "sadness", "bob": "sadness"}})
    folder = tmp_path / "labelled"
    with pytest.raises(DataError, match="There are no labels"):
        export_votes(workspace, folder, format="folder")
    aggregate(workspace, min_votes=1)
    heard: list[str] = []
    done = export_votes(workspace, folder, format="folder", agree=heard.extend)
    assert (done.votes, heard) == (2, done.losses)
    assert "3 votes with annotators" in heard[0]
    (folder / "happiness" / f"{ids['one']}.png").rename(folder / "happiness" / "renamed.png")
    back = import_votes(workspace, folder, annotator="folder")
    assert (back.format, back.new, import_votes(workspace, folder, annotator="folder").new) == ("folder", 2, 0)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert votes.annotator_kinds(conn)["folder"] == "dataset"
    with pytest.raises(DataError, match="is there already"):
        export_votes(workspace, folder, format="folder")
    (folder / "sadness" / "other.png").write_bytes(b"never seen")
    with pytest.raises(DataError, match="1 of 3 votes are about 1 samples that are not in this workspace"):
        import_votes(workspace, folder, annotator="folder")


def test_the_commands_say_what_stays_out_and_what_came_in(faces: Workspace, run_cli: Run) -> None:
    sizeless = run_cli("label", "export", "votes.json", "--format", "coco", cwd=faces.root)
    assert "COCO holds pictures: 2 of 2 samples have no width and height" in sizeless.stderr
    run_cli("label", "export", "votes.json", "--format", "studio", cwd=faces.root, check=True)
    with faces.catalog() as catalog, catalog.begin() as tx:
        votes.withdraw(tx, ["test:bbbb:ann"], "gone")
    done = run_cli("label", "import", "votes.json", "--annotator", "cem", cwd=faces.root, check=True)
    assert "0 votes added (2 known, 1 withdrawn here before)" in done.stderr
    assert "needs a FILE" in run_cli("label", "export", "--format", "coco", cwd=faces.root).stderr


def test_an_answer_of_several_labels_comes_in_where_the_project_takes_such(faces: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path, f'{B},cem,sadness,"[""neutral""]"', head="sample,annotator,label,also")
    with pytest.raises(DataError, match="1 votes hold several labels at once"):
        import_votes(faces, file)
    assert import_votes(faces.with_settings({"labeling.several": True}), file).new == 1
    with faces.catalog() as catalog, catalog.connect() as conn:
        assert [v.labels for v in votes.iterate(conn) if v.annotator == "cem"] == [("sadness", "neutral")]
