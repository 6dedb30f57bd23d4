"""`emolab status` as a person reads it: right numbers of nouns, ids of one length, no words of the code."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emolab.catalog import models, samples, votes
from emolab.catalog.campaign import remotes, rounds
from emolab.catalog.registry import model_events
from emolab.catalog.registry.replay import CONTAINS_FORGOTTEN
from emolab.catalog.storage.engine import now
from emolab.cli.common import Session
from emolab.cli.status import _health
from emolab.errors import EmolabError
from emolab.labeling.labels.aggregate import aggregate
from emolab.loop.operate import status as step
from emolab.loop.operate.status import LabelState, TrainingState, status
from emolab.records import Model, Sample, Suggestion, Vote
from emolab.training.runs import run_folders
from emolab.words import many, short
from emolab.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]
MODEL = "0123456789abcdef"
LABELS = LabelState(
    version="v", method="soft", n=1, created_at=now(), per_class={"happiness": 1}, made_by="soft", min_votes=1,
    prior=0.0, outdated=None, settings_say=None, installed=True,
)  # fmt: skip


def one_of_everything(workspace: Workspace, *, suggested: bool = True) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=letter * 64, media=f"media/{letter}.png") for letter in "ab"])
        votes.append(tx, [Vote(sample_id="a" * 64, annotator="ann", label="happiness", origin="o1")])
        votes.append(tx, [Vote(sample_id="a" * 64, annotator="ann", label="no_face", origin="o2")])
        models.add(
            tx,
            Model(
                id=MODEL,
                path="models/m",
                classes=("happiness", "sadness", "neutral"),
                config={"backbone": "hog"},
                snapshot="s" * 16,
                metrics={"valid": {"n": 80, "accuracy": 0.625, "macro_f1": 0.5, "ece": 0.04}},
                parent=None,
                created_at="2026-01-01T00:00:00Z",
            ),
        )
        models.set_alias(tx, "champion", MODEL)
        if suggested:
            one = Suggestion(sample_id="b" * 64, score=1, reason="why", strategy="margin", round=1, rank=0)
            rounds.create(tx, [one], strategy="margin", model=None, seed=0, settings={})


@pytest.mark.parametrize("columns", ["80", "120"])
def test_one_of_everything_is_said_in_the_singular(workspace: Workspace, run_cli: Run, columns: str) -> None:
    one_of_everything(workspace)
    shown = run_cli("status", cwd=workspace.root, env={"COLUMNS": columns}).stderr
    words = " ".join(shown.split())
    for text in ("1 vote 1 annotator, 1 unknown / no face answer", "1 model champion", "1 round 1 suggestion not sent"):
        assert text in words, shown
    for wrong in ("1 votes", "1 models", "1 rounds", "1 suggestions", "meta", "merge"):
        assert wrong not in words, shown
    assert max(map(len, shown.splitlines()[1:])) <= int(columns)


def test_the_champion_is_named_as_models_list_names_it_with_its_scores(workspace: Workspace, run_cli: Run) -> None:
    one_of_everything(workspace)
    shown = run_cli("status", cwd=workspace.root).stderr
    assert "champion 0123456789, accuracy 0.625, macro-F1 0.500, ECE 0.040" in shown
    assert MODEL[:11] not in shown


def test_numbers_and_ids_are_worded_in_one_place() -> None:
    assert [many(1, "person", "people"), many(2, "person", "people")] == ["1 person", "2 people"]
    assert many(1234, "vote") == "1,234 votes"
    assert short("0123456789abcdef") == "0123456789"


def test_the_next_command_is_never_broken_in_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    command = "emolab train --set training.backbone=tiny --set training.weights=pretrained"
    Session().next_step(command)
    assert f"next: {command}\n" in capsys.readouterr().err


def stopped_run(workspace: Workspace, *, epoch: int, epochs: int) -> Path:
    folder = run_folders.root(workspace) / "0123456789abcdef"
    run_folders.state(folder, step=7 * epoch, epoch=epoch).mkdir(parents=True)
    (folder / run_folders.PLAN).write_text(f'{{"epochs": {epochs}}}', encoding="utf-8")
    return folder


def test_a_training_that_was_stopped_is_said_with_the_command_that_goes_on(workspace: Workspace, run_cli: Run) -> None:
    one_of_everything(workspace)
    assert '"training": null' in run_cli("status", "--json", cwd=workspace.root).stdout
    stopped_run(workspace, epoch=12, epochs=40)
    shown = run_cli("status", cwd=workspace.root).stderr
    assert "stopped after epoch 12 of 40" in shown
    with workspace.lock("train"):
        assert "one at work" in run_cli("status", cwd=workspace.root).stderr


def test_a_run_older_than_the_newest_model_or_damaged_is_not_mentioned(workspace: Workspace) -> None:
    folder = stopped_run(workspace, epoch=12, epochs=40)
    assert status(workspace).training == TrainingState(running=False, epoch=12, epochs=40)
    assert status(workspace).next == "emolab collect PATH"
    for path in (folder, *run_folders.states(folder)):
        os.utime(path, (0, 0))
    one_of_everything(workspace)
    assert status(workspace).training is None
    os.utime(folder)
    assert status(workspace).to_dict()["training"] == {"running": False, "epoch": 12, "epochs": 40}
    (folder / f"{run_folders.PREFIX}copy").mkdir()  # somebody's backup
    assert status(workspace).training is None
    (folder / f"{run_folders.PREFIX}copy").rmdir()
    (folder / run_folders.PLAN).write_text("{", encoding="utf-8")
    assert status(workspace).training is None


def test_while_a_training_is_at_work_status_says_only_that_and_disturbs_nothing(workspace: Workspace) -> None:
    stopped_run(workspace, epoch=12, epochs=40)
    with workspace.lock("train"):
        assert status(workspace).to_dict()["training"] == {"running": True}
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            workspace.busy("train")

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(100):
            with workspace.lock("train"):
                pass
    finally:
        looking.set()
        watcher.join()


def test_a_second_holder_of_a_lock_is_still_refused(workspace: Workspace) -> None:
    with (
        workspace.lock("train"),
        pytest.raises(EmolabError, match='is busy with "train"'),
        workspace.lock("train"),
    ):
        pass


@pytest.mark.parametrize(("running", "command"), [(False, "emolab train --resume"), (True, "emolab status")])
def test_a_stopped_training_goes_on_before_a_new_one_begins(workspace: Workspace, running: bool, command: str) -> None:
    state = status(workspace)
    state = replace(
        state,
        samples=5,
        votes={**state.votes, "active": 5},
        labels=LABELS,
        training=TrainingState(running=running, epoch=3, epochs=8),
    )
    assert state.next == command


def test_the_data_of_status_keeps_its_names_and_their_order(workspace: Workspace, run_cli: Run) -> None:
    one_of_everything(workspace)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, [Vote(sample_id="b" * 64, annotator="ann", label="happiness", origin="o4")])
    aggregate(workspace)
    told = json.loads(run_cli("status", "--json", cwd=workspace.root).stdout)
    assert told == json.loads(json.dumps(status(workspace).to_dict()))
    assert list(told) == [
        "workspace", "project", "classes", "healthy", "problems", "checked", "miscounts", "samples", "sources",
        "splits", "answered", "waiting", "unfinished", "votes", "annotators", "labels", "models", "champion",
        "untrained", "rounds", "unsent", "push", "training", "advice", "app",
        "next",
    ]  # fmt: skip
    assert list(told["labels"]) == [
        "version", "method", "n", "created_at", "per_class", "made_by", "min_votes", "prior", "outdated",
        "settings_say", "installed",
    ]  # fmt: skip
    assert told["champion"] == {
        "id": MODEL,
        "metrics": {"accuracy": 0.625, "macro_f1": 0.5, "ece": 0.04},
        "replace": None,
    }


def test_a_champion_that_learned_from_the_forgotten_is_told_until_it_is_replaced(
    workspace: Workspace, run_cli: Run
) -> None:
    one_of_everything(workspace)

    def told() -> str:
        return " ".join(run_cli("status", cwd=workspace.root).stderr.split())

    assert "forgotten" not in told()
    with workspace.catalog() as catalog, catalog.begin() as tx:
        model_events.record(tx, "flagged", MODEL, reason="test", detail={"flag": CONTAINS_FORGOTTEN})
    said = "the champion learned from samples that were forgotten since; to replace it: "
    assert f"{said}emolab train" in told()
    with workspace.catalog() as catalog, catalog.begin() as tx:
        old = models.get(tx, MODEL)
        models.add(tx, replace(old, id="f" * 64, parent=MODEL))
        models.set_alias(tx, "candidate", "f" * 64)
    assert f"{said}emolab models promote candidate" in told()
    assert status(workspace).champion is not None
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.set_alias(tx, "champion", "f" * 64)
    assert "forgotten" not in told()


def test_wrong_counts_are_found_by_check_and_put_right_by_repair(workspace: Workspace, run_cli: Run) -> None:
    one_of_everything(workspace)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        tx.exec_driver_sql("UPDATE sample_counts SET n = 12 WHERE answered")
    checked = run_cli("status", "--check", "--json", cwd=workspace.root)
    wrong = "the count of samples (source collected, split none, answered yes, removed no) is 12, and there are 1"
    told = json.loads(checked.stdout)
    assert (checked.returncode, told["healthy"], told["miscounts"]) == (1, False, [wrong])
    assert told["next"] == "emolab status --repair"
    shown = " ".join(run_cli("status", "--check", cwd=workspace.root).stderr.split())
    assert f"✗ {wrong} ✗ not healthy; count everything again with: emolab status --repair" in shown
    shown = " ".join(run_cli("status", "--repair", cwd=workspace.root).stderr.split())
    assert f"✓ put right: {wrong}" in shown
    assert "✓ healthy" in shown
    assert status(workspace, check=True).miscounts == []
    assert "put right" not in run_cli("status", "--repair", cwd=workspace.root).stderr


def test_a_large_catalog_is_read_through_only_when_asked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status(workspace).checked
    monkeypatch.setattr(step, "ALWAYS_CHECKED", 0)
    assert not status(workspace).checked
    assert status(workspace, check=True).checked
    assert _health(status(workspace)).endswith("read through by: emolab status --check)[/]")


def test_labels_newer_than_every_model_are_to_be_trained_on(workspace: Workspace) -> None:
    one_of_everything(workspace, suggested=False)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, [Vote(sample_id="b" * 64, annotator="ann", label="happiness", origin="o4")])
    aggregate(workspace)
    assert status(workspace).next == "emolab train"
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, replace(models.get(tx, MODEL), id="f" * 16, created_at=now()))
    assert status(workspace).next == "emolab suggest -n 100 --push"
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(tx, [Vote(sample_id="b" * 64, annotator="bob", label="sadness", origin="o3")])
    labels = status(workspace).labels
    assert labels is not None
    assert labels.outdated
    assert status(workspace).next == "emolab train"


def test_a_sample_that_lacks_one_person_is_counted(workspace: Workspace, run_cli: Run) -> None:
    one_of_everything(workspace)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        project = remotes.add_project(tx, server="s", project=1, title="faces")
        remotes.adopt(tx, project, {"a" * 64: 1, "b" * 64: 2}, overlap=3)
        assert remotes.usual_overlap(tx) == 3
        newer = remotes.add_project(tx, server="s", project=2, title="more")
        remotes.adopt(tx, newer, {"a" * 64: 3}, overlap=4)
        assert remotes.usual_overlap(tx) == 4
        remotes.set_gone(tx, newer)
        assert remotes.usual_overlap(tx) == 3
    found = status(workspace)
    assert (found.waiting, found.unfinished) == (1, 1)
    assert "1 waiting for an answer, 1 for one more person" in " ".join(
        run_cli("status", cwd=workspace.root).stderr.split()
    )
