"""Adaptive votes: a doubtful sample is shown to one more person, a clear one is not."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import insert, update

from emolab.catalog import models, samples, votes
from emolab.catalog.campaign import answers, remotes, rounds
from emolab.catalog.storage import schema
from emolab.errors import ConfigError, DataError
from emolab.inference import prediction_store
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.loop.label.revotes import opinion, propose_revotes, review, wanted_revotes
from emolab.provenance import snapshots
from emolab.records import Model, Predictions, Sample, Vote
from emolab.training.learned import fingerprints, learned_images
from emolab.workspace import Workspace
from tests.support.servers import LabelStudioServer
from tests.support.syncing import add_samples, image, named, say, task_of

Run = Callable[..., subprocess.CompletedProcess[str]]
RANGE = "labeling.votes=1..3"
CLASSES = ("happiness", "sadness", "neutral")


def asked(
    workspace: Workspace, said: dict[str, dict[str, str]], *, overlap: int = 2, shown: dict[str, str] | None = None
) -> dict[str, str]:
    """Samples that lie with the team with these answers, all of them pulled; names to ids.

    ``shown`` is the guess that was on the form of some, by name.
    """
    ids = {name: f"{number:064x}" for number, name in enumerate(said)}
    people = sorted({who for each in said.values() for who in each})
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=sample, media=f"media/{sample}.png") for sample in ids.values()])
        project = remotes.add_project(tx, server="s", project=1, title="faces")
        keys = samples.keys(tx, list(ids.values()))
        rows = [
            {"project": project.pk, "sample": keys[sample], "task": number, "state": "open", "overlap": overlap}
            for number, sample in enumerate(ids.values())
        ]
        tx.execute(insert(schema.remote_tasks), rows)
        given = [(name, who, label) for name, each in said.items() for who, label in each.items()]
        votes.append(
            tx,
            [
                Vote(
                    sample_id=ids[name],
                    annotator=who,
                    label=label,
                    origin=project.origin(number),
                    shown=(shown or {}).get(name, ""),
                )
                for number, (name, who, label) in enumerate(given)
            ],
        )
        seen = [
            answers.RecordedAnswer(annotation=number, task=0, sample_id=ids[name], annotator=who)
            for number, (name, who, _) in enumerate(given)
        ]
        answers.add(tx, project, seen, votes.annotator_keys(tx, people))
    return ids


def between(workspace: Workspace, text: str = "1..3") -> Workspace:
    """The workspace with ``labeling.votes`` set."""
    config = workspace.config
    return Workspace(workspace.root, replace(config, labeling=replace(config.labeling, votes=text)))


def agreeing(n: int = 12) -> dict[str, dict[str, str]]:
    return {f"clear{i}": dict.fromkeys(("ann", "bob"), CLASSES[i % 3]) for i in range(n)}


def test_a_split_sample_wants_one_more_opinion_and_says_why(workspace: Workspace) -> None:
    split = {"ann": "happiness", "bob": "sadness"}
    ids = asked(workspace, {**agreeing(), "split": split, "half": {"ann": "sadness"}})
    found = review(between(workspace))
    (wanted,) = found.wanted
    assert (found.enough, found.waiting, found.given_up, wanted.sample_id) == (12, 1, 0, ids["split"])
    assert wanted.reason.startswith("2 people are split between happiness and sadness; ten people would agree with a")
    assert wanted.whom is None and 0.3 < wanted.score < 0.8


def test_the_person_who_would_tell_most_is_named(workspace: Workspace) -> None:
    base = {name: {**each, "cem": each["ann"]} for name, each in agreeing().items()}
    asked(workspace, {**base, "split": {"ann": "happiness", "bob": "sadness"}})
    (wanted,) = wanted_revotes(between(workspace, "1..5"))
    assert wanted.whom == "cem" and wanted.reason.endswith("; cem would tell most")


def test_at_the_high_end_it_is_given_up(workspace: Workspace) -> None:
    asked(workspace, {**agreeing(), "split": {"ann": "happiness", "bob": "sadness"}})
    found = review(between(workspace, "1..2"))
    assert (found.enough, found.given_up, found.wanted) == (12, 1, [])


def test_answers_that_are_no_class_count_as_opinions(workspace: Workspace) -> None:
    said = {"face?": {"ann": "no_face", "bob": "sadness"}, "none": {"ann": "no_face", "bob": "unknown"}}
    ids = asked(workspace, {**agreeing(), **said})
    found = review(between(workspace))
    assert ids["face?"] in {each.sample_id for each in found.wanted}
    assert "no class" in next(each.reason for each in found.wanted if each.sample_id == ids["face?"])
    assert ids["none"] not in {each.sample_id for each in found.wanted} or found.enough == 12


def test_samples_of_open_datasets_are_not_asked_about(workspace: Workspace) -> None:
    asked(workspace, agreeing())
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id="f" * 64, media="media/f.png")])
        told = Vote(sample_id="f" * 64, annotator="reader:folder", label="sadness", origin="reader:folder:f")
        votes.append(tx, [told], kind="dataset")
    found = review(between(workspace))
    assert (found.enough, found.waiting, found.given_up, found.wanted) == (12, 0, 0, [])


def test_nothing_asked_nothing_wanted(workspace: Workspace) -> None:
    found = review(between(workspace))
    assert (found.enough, found.waiting, found.given_up, found.wanted) == (0, 0, 0, [])


def test_a_round_is_stored_once_until_it_is_answered(workspace: Workspace) -> None:
    asked(workspace, {**agreeing(), "split": {"ann": "happiness", "bob": "sadness"}})
    assert propose_revotes(between(workspace), dry_run=True) == 1
    assert propose_revotes(between(workspace)) == 1
    assert propose_revotes(between(workspace)) == 0
    assert review(between(workspace)).waiting == 1
    with workspace.catalog() as catalog, catalog.connect() as conn:
        (stored,) = rounds.suggestions(conn, unsent=True)
        (made,) = rounds.list_all(conn)
    assert (stored.kind, stored.strategy, stored.rank) == ("revote", "votes", 0)
    assert made.settings == {"votes": "1..3", "sure": 0.85}


def test_a_suggestion_is_sent_once_a_later_round_has_taken_its_task(workspace: Workspace) -> None:
    ids = asked(workspace, {**agreeing(), "split": {"ann": "happiness", "bob": "sadness"}})
    for number in (1, 2):
        assert propose_revotes(between(workspace)) == 1
        with workspace.catalog() as catalog, catalog.begin() as tx:
            (project,) = remotes.projects(tx)
            remotes.reopen(tx, project, [remotes.TaskRequest(ids["split"], 0, 2, number)])
            assert rounds.suggestions(tx, unsent=True) == []


def test_the_same_number_for_all_leaves_nothing_to_ask(workspace: Workspace, run_cli: Run) -> None:
    for text in ("", "3"):
        with pytest.raises(DataError, match="Every sample gets 3 votes") as caught:
            propose_revotes(between(workspace, text))
        assert "labeling.votes=1..5" in (caught.value.hint or "")
    done = run_cli("label", "push", "--revotes", cwd=workspace.root)
    assert done.returncode == 1 and "Every sample gets 3 votes" in done.stderr
    both = run_cli("label", "push", "--revotes", "-n", "3", cwd=workspace.root)
    assert "Give one of --n, --all, --suggestions and --revotes." in both.stderr


def test_status_counts_the_states_and_names_the_next_step(workspace: Workspace, run_cli: Run) -> None:
    asked(workspace, {**agreeing(), "split": {"ann": "happiness", "bob": "sadness"}})
    shown = run_cli("label", "status", "--set", RANGE, cwd=workspace.root).stderr
    assert "Between 1 and 3 votes: 12 enough · 0 waiting · 1 want one more · 0 given up" in shown
    assert "next: emolab label push --revotes" in shown
    found = json.loads(run_cli("label", "status", "--json", "--set", RANGE, cwd=workspace.root, check=True).stdout)
    assert {**found["enough"], "wanted": None} == {
        "enough": 12, "waiting": 0, "want_one_more": 1, "given_up": 0, "wanted": None
    }  # fmt: skip
    assert found["enough"]["wanted"][0]["reason"].startswith("2 people are split")
    plain = run_cli("label", "status", "--json", cwd=workspace.root, check=True)
    assert json.loads(plain.stdout)["enough"] is None


@pytest.mark.parametrize("text", ["labeling.votes=5..1", "labeling.votes=some", "labeling.sure=1.0"])
def test_settings_that_make_no_sense_are_refused(workspace: Workspace, run_cli: Run, text: str) -> None:
    done = run_cli("label", "status", "--set", text, cwd=workspace.root)
    assert done.returncode == 1 and "expected" in done.stderr and "Traceback" not in done.stderr
    with pytest.raises(ConfigError):
        between(workspace, "5..1")


def champion(workspace: Workspace, ids: dict[str, str], trained_on: list[str], said: dict[str, str]) -> None:
    """A champion that learned from ``trained_on`` and says ``said``, by names."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        taken = snapshots.take(
            workspace, tx, classes=CLASSES, ids=[ids[name] for name in trained_on],
            targets=np.full((len(trained_on), 3), 1 / 3), splits=["train"] * len(trained_on),
        )  # fmt: skip
        made = Model(
            id="c" * 64, path="models/c", classes=CLASSES, config={}, snapshot=taken.id, metrics={}, created_at="2026"
        )
        models.add(tx, made)
        models.set_alias(tx, "champion", made.id)
    probs = np.full((len(said), 3), 0.04)
    probs[np.arange(len(said)), [CLASSES.index(label) for label in said.values()]] = 0.92
    prediction_store.append(
        workspace.predictions_folder / made.id,
        Predictions(model_id=made.id, classes=CLASSES, samples=[ids[name] for name in said],
                    probs=probs.astype(np.float32), embeddings=np.zeros((len(said), 1), np.float16)),
    )  # fmt: skip


def test_a_model_that_has_not_learned_from_a_sample_is_one_more_opinion(workspace: Workspace) -> None:
    base = agreeing(30)
    single = {f"one{i}": {"ann": CLASSES[i % 3]} for i in range(30)}
    ids = asked(workspace, {**base, **single}, overlap=1)
    right = {name: each["ann"] for name, each in {**base, **single}.items()}
    champion(workspace, ids, ["clear0"], {**right, "one0": "neutral"})
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.set_splits(tx, {ids["one5"]: "valid"})
    people_only = replace(workspace.config.labeling, model_opinion=False)
    assert opinion(Workspace(workspace.root, replace(workspace.config, labeling=people_only))) is None
    told = opinion(workspace)
    assert told is not None
    assert {ids["clear0"], ids["one5"]}.isdisjoint(told.samples) and len(told.samples) == 58
    setting = replace(between(workspace).config.labeling, sure=0.95)
    careful = Workspace(workspace.root, replace(workspace.config, labeling=setting))
    alone = {each.sample_id for each in wanted_revotes(careful)}
    helped = wanted_revotes(careful, told)
    assert {ids[f"one{i}"] for i in range(30)} <= alone
    assert {each.sample_id for each in helped} == {ids["one0"], ids["one5"]}
    assert helped[0].sample_id == ids["one0"], "the model contradicts it"
    assert helped[0].reason.startswith("the only vote says happiness, the model says neutral 92%")
    assert propose_revotes(careful, dry_run=True) == 2, "it is asked by default"
    without = replace(careful.config, labeling=replace(setting, model_opinion=False))
    assert propose_revotes(Workspace(workspace.root, without), dry_run=True) == len(alone)


def test_a_guess_that_was_on_the_form_is_no_second_opinion(workspace: Workspace) -> None:
    """The vote may be the guess, taken over: the model would confirm itself."""
    base = agreeing(30)
    single = {f"one{i}": {"ann": CLASSES[i % 3]} for i in range(30)}
    right = {name: each["ann"] for name, each in {**base, **single}.items()}
    ids = asked(workspace, {**base, **single}, overlap=1, shown={"one3": right["one3"], "one4": "?"})
    champion(workspace, ids, ["clear0"], right)
    setting = replace(between(workspace).config.labeling, sure=0.95)
    careful = Workspace(workspace.root, replace(workspace.config, labeling=setting))
    wanted = wanted_revotes(careful, opinion(workspace))
    assert {each.sample_id for each in wanted} == {ids["one3"], ids["one4"]}
    assert "the model says" not in wanted[0].reason


def test_a_start_network_that_is_champion_is_an_opinion_on_what_its_record_does_not_hold(workspace: Workspace) -> None:
    said = agreeing(6)
    ids = asked(workspace, said, overlap=1)
    champion(workspace, ids, ["clear0"], {name: each["ann"] for name, each in said.items()})
    with workspace.catalog() as catalog, catalog.begin() as tx:
        tx.execute(update(schema.models).values(snapshot="taken elsewhere"))
    (workspace.root / "media").mkdir()
    for number, sample in enumerate(ids.values()):
        (workspace.root / "media" / f"{sample}.png").write_bytes(image(number, 48))
    assert opinion(workspace) is None, "without a record nobody knows what it has learned"
    folder = workspace.root / "models" / "c"
    folder.mkdir(parents=True)
    prints = fingerprints.of_media([image(0, 48)])
    learned_images.write(folder / learned_images.FILE, learned_images.Learned().with_images(prints, "one face"))
    told = opinion(workspace)
    assert told is not None and set(told.samples) == set(ids.values()) - {ids["clear0"]}


@pytest.mark.slow
@pytest.mark.labelstudio
def test_a_disputed_face_goes_to_one_more_person_and_a_clear_one_does_not(
    workspace: Workspace, label_studio: LabelStudioServer
) -> None:
    team = between(named(workspace, f"team {uuid.uuid4().hex[:8]}"))
    title = team.config.labeling.project
    ids = add_samples(team, 6)
    ann, bob, cem = (label_studio.annotator(name)[1] for name in ("ann", "bob", "cem"))
    with label_studio.client() as studio:
        assert push(team, studio).overlap == 1
        project = studio.find_project(title)
        assert project is not None

        def answer(person: object, *pairs: tuple[str, str]) -> None:
            for sample, label in pairs:
                say(person, task_of(studio, project.id, sample), label)  # type: ignore[arg-type]
            pull(team, studio)

        clear = [(sample, CLASSES[i % 3]) for i, sample in enumerate(ids[:5])]
        answer(ann, *clear, (ids[5], "happiness"))
        assert propose_revotes(team) == 6, "one vote each is not enough yet"
        assert push(team, studio, suggestions=True).reopened == 6
        answer(bob, *clear, (ids[5], "sadness"))
        (wanted,) = wanted_revotes(team)
        assert wanted.sample_id == ids[5] and review(team).enough == 5
        assert propose_revotes(team) == 1
        assert push(team, studio, suggestions=True).reopened == 1
        assert (propose_revotes(team), review(team).waiting) == (0, 1), "asked already"
        assert push(team, studio, suggestions=True).reopened == 0
        shown = cem.next_task(project.id)
        assert shown is not None and shown.uid == ids[5]
        answer(cem, (ids[5], "sadness"))
        assert wanted_revotes(team) == [], "three are the most"
        assert cem.next_task(project.id) is None
