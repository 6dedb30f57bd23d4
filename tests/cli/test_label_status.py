"""``emolab label status`` and ``emolab label aggregate`` as a person and a script see them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable

import pytest
from sqlalchemy import insert

from emolab.catalog import samples, votes
from emolab.catalog.campaign import answers, guesses, remotes, rounds
from emolab.catalog.storage import schema
from emolab.records import Sample, Suggestion, Vote
from emolab.workspace import Workspace
from tests.labeling.test_aggregate import ANSWERS
from tests.support.voting import vote

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_status_of_a_new_workspace_says_what_to_do(workspace: Workspace, run_cli: Run) -> None:
    done = run_cli("label", "status", cwd=workspace.root)
    assert done.returncode == 0 and done.stdout == ""
    assert "Nothing has been suggested or sent to the team yet." in done.stderr
    assert "next: emolab label push" in done.stderr


def test_status_shows_agreement_classes_and_annotators(workspace: Workspace, run_cli: Run) -> None:
    vote(workspace, ANSWERS)
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
    vote(workspace, ANSWERS)
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
    vote(workspace, ANSWERS)
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
    vote(workspace, ANSWERS)
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


def answered_with_and_without_guesses(workspace: Workspace, n: int) -> None:
    """``n`` samples, every second one blind; ann takes over what she sees, and is right half of the time otherwise."""
    ids = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]
    blind = set(ids[::2])
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=sample, media=f"media/{sample}.png") for sample in ids])
        project = remotes.add_project(tx, server="s", project=1, title="emolab faces")
        guesses.record(tx, project, dict.fromkeys(ids, "happiness"), tasks=ids, blind=blind, share=0.5)
        made = [
            Vote(
                sample_id=sample,
                annotator="ann-6labnntd",
                label="happiness" if sample not in blind or i % 4 else "sadness",
                origin=f"studio:s:1:{i}",
                shown="" if sample in blind else "happiness",
                cast_at="2099-01-01T00:00:00Z",
            )
            for i, sample in enumerate(ids)
        ]
        votes.append(tx, made)


def test_how_far_shown_guesses_pull_answers_is_said_in_words_and_as_json(workspace: Workspace, run_cli: Run) -> None:
    answered_with_and_without_guesses(workspace, 80)
    shown = run_cli("label", "status", cwd=workspace.root, env={"COLUMNS": "80"}).stderr
    assert "Agreement with the model's guess, shown and hidden" in shown
    assert "the team 40 100% 40 50% +50 +33 to +65" in " ".join(shown.split()), shown
    assert "ann-6labnntd 40 100% 40 50% +50 +33 to +65" in " ".join(shown.split()), shown
    assert "A shown guess pulls answers towards it" in shown and "…" not in shown
    found = json.loads(run_cli("label", "status", "--json", cwd=workspace.root, check=True).stdout)["anchoring"]
    assert (found["agree_shown"], found["agree_hidden"], found["adoption"], found["enough"]) == (1.0, 0.5, 1.0, True)
    assert [each["name"] for each in found["annotators"]] == ["ann-6labnntd"]


def test_too_few_answers_to_guesses_get_no_figure_and_none_at_all_no_table(workspace: Workspace, run_cli: Run) -> None:
    answered_with_and_without_guesses(workspace, 8)
    shown = " ".join(run_cli("label", "status", cwd=workspace.root).stderr.split())
    assert "the team 4 100% 4 50% – too few answers" in shown
    assert "Fewer than 10 answers of one kind, to shown or to hidden guesses: nothing can be said yet." in shown


def test_without_hidden_guesses_nothing_is_said_about_them(workspace: Workspace, run_cli: Run) -> None:
    vote(workspace, ANSWERS)
    assert "model's guess" not in run_cli("label", "status", cwd=workspace.root).stderr
    told = run_cli("label", "status", "--json", cwd=workspace.root, check=True).stdout
    assert json.loads(told)["anchoring"] is None
