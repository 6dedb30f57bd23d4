"""``emolab label status`` and ``emolab label aggregate`` as a person and a script see them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from test_labeling_aggregate import fill

from emolab.catalog import rounds
from emolab.records import Suggestion
from emolab.workspace import Workspace

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
        "agree with others",
        "2 with 3",
        "sadness instead of happiness 100%",
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


def test_aggregate_shows_classes_and_what_was_left_out(workspace: Workspace, run_cli: Run) -> None:
    fill(workspace)
    done = run_cli("label", "aggregate", "--min-votes", "2", cwd=workspace.root, check=True)
    shown = " ".join(done.stderr.split())
    assert "2 labels by hybrid" in shown
    assert "1 samples are left out: too few votes." in shown
    assert "2 samples are left out: half or more of the people call them no face, several or unknown." in shown
    assert "next: emolab train" in shown
    found = json.loads(run_cli("label", "aggregate", "--min-votes", "2", "--json", cwd=workspace.root).stdout)
    assert (found["n"], found["new"], found["left_out"]) == (2, False, {"too_few_votes": 1, "unlabelable": 2})
    assert found["per_class"]["happiness"]["samples"] == 1


def test_aggregate_without_votes_is_an_error_with_a_fix(workspace: Workspace, run_cli: Run) -> None:
    done = run_cli("label", "aggregate", cwd=workspace.root)
    assert done.returncode == 1
    assert "There are no votes for any class yet." in done.stderr and "emolab label pull" in done.stderr
