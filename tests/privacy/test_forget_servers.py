"""Forgetting on real servers: Label Studio, embedded or somebody else's, and FiftyOne with its database."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

import emolab
from emolab.errors import EmolabError, ServerError
from emolab.labeling.label_studio.accounts import Browser, create_annotator
from emolab.labeling.label_studio.client import Studio, connect
from emolab.labeling.server.daemon import free_port
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.workspace import Workspace
from tests.support.held_people import EACH, PEOPLE, Needle, files, needles, people, traces_left
from tests.support.servers import LabelStudioServer

ANSWER = [{"from_name": "emotion", "to_name": "image", "type": "choices", "value": {"choices": ["sadness"]}}]


@pytest.fixture
def collected(workspace: Workspace, tmp_path: Path) -> Workspace:
    emolab.collect(workspace, [files(tmp_path / "photos", "image")], faces="off", group_by=r"/([a-z]+)-shot")
    return workspace


def answer(studio: Studio, project: int) -> None:
    """One answer to every other task, and a draft."""
    for page in studio.pages(project, [], include="id,data"):
        for task in page[::2]:
            body = {"result": ANSWER, "lead_time": 2.0}
            studio.http.call("POST", f"/api/tasks/{task.id}/annotations/", json=body)


def tables(server: EmbeddedServer) -> dict[str, int]:
    with closing(sqlite3.connect(server.folder / "data" / "label_studio.sqlite3")) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("task", "task_completion", "data_import_fileupload")
        }


@pytest.mark.labelstudio
@pytest.mark.slow
@pytest.mark.parametrize("up", [True, False])
def test_the_embedded_server_keeps_nothing_whether_it_runs_or_not(
    collected: Workspace, embedded: EmbeddedServer, *, up: bool
) -> None:
    running = embedded.start(port=free_port()).server
    before = tables(embedded)
    pushed = emolab.push(collected, everything=True)
    with connect(running.url, embedded.token()) as admin:
        answer(admin, pushed.number or 0)
    emolab.pull(collected)
    if not up:
        embedded.stop()
    wanted = needles(collected, PEOPLE[0])
    held = traces_left(collected.root, wanted)
    assert any(name.startswith(".emolab/studio/data/media/upload") for name in held)
    assert any(name.startswith(".emolab/studio/data/label_studio.sqlite3") for name in held)
    done = emolab.forget(collected, subjects=PEOPLE[0])
    assert traces_left(collected.root, wanted) == {}
    assert done.holders["labelling server"] == (2 * EACH, f"{EACH} tasks, {EACH} files")
    assert (embedded.running() is not None) == up and done.unreached == []
    left = {name: n - before[name] for name, n in tables(embedded).items()}
    assert (left["task"], left["data_import_fileupload"]) == (2 * EACH, 2 * EACH)
    url = embedded.start(port=running.port).server.url
    with connect(url, embedded.token()) as admin:
        assert admin.project(pushed.number or 0).task_number == 2 * EACH
    assert emolab.pull(collected).withdrawn == 0


@pytest.mark.labelstudio
@pytest.mark.slow
def test_an_annotators_account_loses_its_person_and_the_next_pull_changes_nothing(
    collected: Workspace, embedded: EmbeddedServer
) -> None:
    running = embedded.start(port=free_port()).server
    pushed = emolab.push(collected, everything=True)
    email, password = "mirabelle.quince@team.example", "pw-mirabelle-quince-1"
    with connect(running.url, embedded.token()) as admin:
        token = create_annotator(admin, email, password)
        with connect(running.url, token) as mirabelle:
            answer(mirabelle, pushed.number or 0)
    new = emolab.pull(collected).new
    wanted = [Needle("name", text) for text in (b"mirabelle", b"quince", token.encode())]
    assert traces_left(collected.root, wanted)
    done = emolab.forget(collected, annotators=email)
    assert (
        done.holders["annotators"][1] == f"1 annotator, whose {new} votes stay without the person, 1 account, 0 links"
    )
    assert traces_left(collected.root, wanted) == {} and done.unreached == []
    with Browser(running.url) as browser:
        assert not browser.log_in(email, password)
    with pytest.raises(ServerError), connect(running.url, token) as mirabelle:
        mirabelle.project(pushed.number or 0)
    again = emolab.pull(collected, reconcile=True)
    assert (again.new, again.edited, again.withdrawn, again.people) == (0, 0, 0, 0)


@pytest.mark.labelstudio
def test_on_somebody_elses_server_tasks_go_and_files_are_named(
    collected: Workspace, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOLAB_STUDIO_TOKEN", label_studio.token)
    there = collected.with_settings({"labeling.url": label_studio.url})
    pushed = emolab.push(there, everything=True)
    ids = [sample for sample, who in people(there).items() if who == PEOPLE[0]]
    try:
        done = emolab.forget(there, subjects=PEOPLE[0])
        with label_studio.client() as admin:
            assert admin.project(pushed.number or 0).task_number == 2 * EACH
            assert not any(sample in each.path for each in admin.file_uploads(pushed.number or 0) for sample in ids)
            again = admin.import_tasks(pushed.number or 0, [{"data": {"image": "/x.png", "emolab_uid": ids[0]}}])
        back = emolab.pull(there, reconcile=True)
        assert (back.forgotten, back.foreign, back.new, len(again)) == (1, 0, 0, 1)
        named = [line.partition(": rm ")[2] for line in done.to_do]
        media = label_studio.server.folder / "data" / "media"
        assert sorted(path for path in named if (media / path).is_file()) == sorted(named) and len(named) == EACH
        assert done.unreached[0].startswith(f"{EACH} uploaded files and deleted pages of the database of Label Studio")
        assert done.certificate is not None
        text = done.certificate.read_text(encoding="utf-8")
        assert "its API deletes no file" in text and not any(sample in text for sample in ids)
        for path in named:
            (media / path).unlink()
    finally:
        with label_studio.client() as admin:
            admin.delete_project(pushed.number or 0)


def test_a_server_that_cannot_be_reached_is_said_with_its_tasks(collected: Workspace) -> None:
    from emolab.catalog.campaign import remotes
    from emolab.catalog.campaign.remotes import TaskRequest

    ids = [sample for sample, who in people(collected).items() if who == PEOPLE[0]]
    with collected.catalog() as catalog, catalog.begin() as tx:
        project = remotes.add_project(tx, server="elsewhere", project=7, title="faces")
        remotes.want(tx, project, [TaskRequest(each, None, 1) for each in ids])
        remotes.arrived(tx, project, {each: 100 + n for n, each in enumerate(ids)})
    done = emolab.forget(collected, subjects=PEOPLE[0])
    assert done.unreached[0].startswith(f"{EACH} tasks on a Label Studio that could not be reached (project 7)")
    first = f"In project 7, delete task 100, and of its media folder upload/7/*-{ids[0]}.*"
    assert first in done.to_do and len(done.to_do) == EACH


@pytest.fixture
def fiftyone() -> None:
    """It is installed. Not imported: that would bind this process to a database of its own, and later tests with it."""
    if find_spec("fiftyone") is None:
        pytest.skip("needs emolab[data]")


@pytest.fixture
def shown(collected: Workspace, fiftyone: None) -> Iterator[Workspace]:
    """The workspace, after its dataset was written to FiftyOne by a process that has ended."""
    inspect(collected)
    yield collected


def inspect(workspace: Workspace, **environment: str) -> None:
    command = [sys.executable, "-m", "emolab", "-w", str(workspace.root), "inspect", "--no-app"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr


@pytest.mark.fiftyone
@pytest.mark.slow
def test_fiftyones_database_is_dropped_and_made_again_without(shown: Workspace) -> None:
    wanted = needles(shown, PEOPLE[0])
    assert list((shown.fiftyone / "db").glob("*.wt"))
    done = emolab.forget(shown, subjects=PEOPLE[0])
    assert done.holders["FiftyOne"] == (1, "its database, which emolab inspect makes again")
    assert traces_left(shown.root, wanted) == {} and not (shown.fiftyone / "db").exists()
    inspect(shown)
    assert traces_left(shown.root, wanted) == {}


@pytest.mark.fiftyone
def test_while_fiftyone_is_open_forgetting_stops_and_goes_on_later(collected: Workspace) -> None:
    fcntl = pytest.importorskip("fcntl")
    (collected.fiftyone / "db").mkdir(parents=True)
    (collected.fiftyone / "db" / "collection.wt").write_bytes(b"packed")
    with (collected.fiftyone / "users.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        with pytest.raises(EmolabError, match="FiftyOne is open on this workspace") as stopped:
            emolab.forget(collected, subjects=PEOPLE[0])
        assert "emolab inspect --pull" in str(stopped.value.hint)
    assert emolab.forget(collected).continued
    assert not (collected.fiftyone / "db").exists()


@pytest.mark.fiftyone
@pytest.mark.slow
def test_on_a_mongodb_of_ones_own_documents_are_deleted(collected: Workspace, tmp_path: Path, fiftyone: None) -> None:
    from pymongo import MongoClient

    from emolab.datasets.inspect import mongod

    address = mongod.database(tmp_path / "mongo")
    here = {mongod.URI: address}
    inspect(collected, **here)
    command = [sys.executable, "-m", "emolab", "-w", str(collected.root), "forget", "--subject", PEOPLE[0], "--yes"]
    ids = [sample for sample, who in people(collected).items() if who == PEOPLE[0]]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **here})
    assert done.returncode == 0, done.stderr
    assert "4 documents deleted on the MongoDB of FIFTYONE_DATABASE_URI" in " ".join(done.stderr.split())
    with MongoClient(address) as client:
        text = [
            str(row) for name in client["fiftyone"].list_collection_names() for row in client["fiftyone"][name].find()
        ]
    assert sum("uid" in row for row in text) >= 2 * EACH
    assert not any(sample in row for row in text for sample in ids)
