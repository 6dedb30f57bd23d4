"""``emolab label status`` and ``emolab label aggregate`` as a person and a script see them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from sqlalchemy import insert

from emolab.catalog import samples, votes
from emolab.catalog.campaign import answers, remotes, rounds
from emolab.catalog.storage import schema
from emolab.records import Sample, Suggestion, Vote
from emolab.workspace import Workspace
from tests.labeling.test_aggregate import fill

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_status_of_a_new_workspace_says_what_to_do(workspace: Workspace, run_cli: Run) -> None:
    done = run_cli("label", "status", cwd=workspace.root)
    assert done.returncode == 0 and done.stdout == ""
    assert "Nothing has been suggested or sent to the team yet." in done.stderr
    assert "next: emolab label push" in done.stderr


def test_status_shows_agreement_classes_and_annotators(workspace: Workspace, run_cli: Run) -> None:
    fill(workspace)
    shown = run_cli("label", "status", cwd=workspace.root).stderr
    assert "Krippendorff's alpha" in shown and "95 % interval" in shown
    for word in (
        "happiness",
        "ann",
        "others agree",
        "2 with 3",
        "happiness → sadness 100%",
        "next: emolab label aggregate",
    ):
        assert word in " ".join(shown.split()), shown


def test_status_as_json_is_complete_and_has_no_nan(workspace: Workspace, run_cli: Run) -> None:
    fill(workspace)
    done = run_cli("label", "status", "--json", cwd=workspace.root, check=True)
    assert "NaN" not in done.stdout
    found = json.loads(done.stdout)
    assert found["agreement"]["samples"] == 2
    assert found["votes"] == {**found["votes"], "active": 7, "meta": 3, "skipped": 1}
    ann = next(each for each in found["annotators"] if each["name"] == "ann")
    assert (ann["votes"], ann["meta"], ann["skips"], ann["shared"]) == (3, 1, 1, 2)
    assert ann["agreement"] == 0.75
    assert [each["class"] for each in found["per_class"]] == ["happiness", "sadness", "neutral"]


def test_unsent_suggestions_are_the_next_thing_to_do(workspace: Workspace, run_cli: Run) -> None:
    fill(workspace)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        one = Suggestion(sample_id="e" * 64, score=1, reason="why", strategy="margin", round=1, rank=0)
        rounds.create(tx, [one], strategy="margin", model=None, seed=0, settings={})
    shown = run_cli("label", "status", cwd=workspace.root).stderr
    assert "0 of 1" in shown
    assert "next: emolab label push --suggestions" in shown


def voted_on_by_a_team_and_a_dataset(workspace: Workspace) -> list[str]:
    """Two people, one more than asked for on a sample sent by hand, and FER+ on samples of its own."""
    names = ["ann-6labnntd", "ann-ajtgfb56"]
    with workspace.catalog() as catalog, catalog.begin() as tx:
        ids = [letter * 64 for letter in "abcd"]
        samples.add(tx, [Sample(id=sample, media=f"media/{sample}.png") for sample in ids])
        said = {"a": ("happiness", "happiness"), "b": ("sadness", "neutral")}
        votes.append(
            tx,
            [
                Vote(sample_id=s * 64, annotator=name, label=label, origin=f"studio:s:1:{s}{name}")
                for s, labels in said.items()
                for name, label in zip(names, labels, strict=True)
            ],
        )
        of_the_set = [
            Vote(sample_id=s * 64, annotator="reader:ferplus", label="neutral", count=5, origin=f"reader:ferplus:{s}")
            for s in "acd"
        ]
        votes.append(tx, of_the_set, kind="dataset")
        answers.add_people(tx, "s", {2: names[0], 3: names[1]}, votes.annotator_keys(tx, names))
        project = remotes.add_project(tx, server="s", project=1, title="emolab faces")
        tx.execute(
            insert(schema.remote_tasks),
            [
                {"project": project.pk, "sample": key, "task": key, "state": "open", "overlap": 1, "rank": key}
                for key in samples.keys(tx, ids[:2]).values()
            ],
        )
    return names


def test_the_teams_agreement_stands_apart_from_that_of_datasets(workspace: Workspace, run_cli: Run) -> None:
    voted_on_by_a_team_and_a_dataset(workspace)
    found = json.loads(run_cli("label", "status", "--json", cwd=workspace.root, check=True).stdout)
    assert (found["agreement"]["samples"], found["agreement_of_datasets"]["samples"]) == (2, 3)
    assert found["agreement"]["alpha"] == pytest.approx(0.4)
    assert sum(each["votes"] for each in found["per_class"]) == 4
    shown = run_cli("label", "status", cwd=workspace.root).stderr
    assert "Agreement of the team: Krippendorff's alpha 0.400" in shown
    assert "2 samples with two or more votes" in shown
    plain = (
        "Agreement of the datasets: 3 samples with two or more votes, too few or all alike, so no figure for it yet."
    )
    assert plain in " ".join(shown.split()), "all of its votes are of one class"
    assert "undefined" not in shown


def test_votes_beyond_what_was_asked_for_are_shown_and_a_push_by_hand_is_called_so(
    workspace: Workspace, run_cli: Run
) -> None:
    voted_on_by_a_team_and_a_dataset(workspace)
    shown = run_cli("label", "status", cwd=workspace.root).stderr
    assert "2 of 2, +2" in shown, "the data set's votes are nothing that was asked for"
    assert "+2 more than asked for: they count like all others." in shown
    assert "by hand" in shown


@pytest.mark.parametrize("columns", ["80", "120"])
def test_pseudonyms_are_whole_and_explained_at_any_width(workspace: Workspace, run_cli: Run, columns: str) -> None:
    names = voted_on_by_a_team_and_a_dataset(workspace)
    shown = run_cli("label", "status", cwd=workspace.root, env={"COLUMNS": columns}).stderr
    assert all(name in shown for name in [*names, "reader:ferplus"]), shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= int(columns)
    assert "neutral → sadness 50%" in shown
    assert "Names stay with Label Studio, emolab keeps pseudonyms." in shown
    assert "/api/users" in shown


def test_aggregate_shows_classes_and_what_was_left_out(workspace: Workspace, run_cli: Run) -> None:
    fill(workspace)
    done = run_cli("label", "aggregate", "--min-votes", "2", cwd=workspace.root, check=True)
    shown = " ".join(done.stderr.split())
    assert "2 labels by hybrid" in shown
    assert "1 sample is left out: too few votes." in shown
    assert "2 samples are left out: half or more of the people say no face, several or unknown." in shown
    assert "next: emolab train" in shown
    found = json.loads(run_cli("label", "aggregate", "--min-votes", "2", "--json", cwd=workspace.root).stdout)
    assert (found["n"], found["new"], found["left_out"]) == (2, False, {"too_few_votes": 1, "unlabelable": 2})
    assert found["per_class"]["happiness"]["samples"] == 1


def test_aggregate_without_votes_is_an_error_with_a_fix(workspace: Workspace, run_cli: Run) -> None:
    done = run_cli("label", "aggregate", cwd=workspace.root)
    assert done.returncode == 1
    assert "There are no votes for any class yet." in done.stderr and "emolab label pull" in done.stderr
