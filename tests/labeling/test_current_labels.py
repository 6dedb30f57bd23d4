"""The current labels have one owner: made again as they were made, whoever asks, never silently by other settings."""

from __future__ import annotations

import doctest
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update

from emolab.catalog import Catalog, labels, ledger_mark, models, samples
from emolab.catalog import snapshots as catalog_snapshots
from emolab.catalog import votes as ledger
from emolab.catalog.storage import schema
from emolab.cli.main import run
from emolab.errors import DataError
from emolab.labeling.labels import current_labels as owner
from emolab.labeling.labels import label_recipe
from emolab.labeling.labels.aggregate import NoLabels, aggregate
from emolab.labeling.labels.current_labels import current_labels, current_recipe, labels_if_any, standing
from emolab.loop.label.revotes import review
from emolab.loop.label.suggest import suggest
from emolab.loop.model.train import train
from emolab.plugins import AGGREGATORS
from emolab.progress import Progress
from emolab.provenance import snapshots
from emolab.records import LabelSet, Sample, Vote
from emolab.training.runs import runs
from emolab.workspace import Workspace
from tests.support.heard import Heard
from tests.support.learnable import QUICK, configure, fill_workspace
from tests.support.voting import vote

A, B, C, D = (letter * 64 for letter in "abcd")
ANSWERS: Mapping[str, Mapping[str, str | None]] = {
    A: {"ann": "happiness", "bob": "happiness", "cho": "sadness"},
    B: {"ann": "sadness", "bob": "sadness"},
    C: {"ann": "neutral"},
}


def withdraw(workspace: Workspace, *places: tuple[str, str]) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        ledger.withdraw(tx, [f"test:{sample[:4]}:{who}" for sample, who in places], "withdrawn")


def asked(workspace: Workspace) -> tuple[LabelSet, str]:
    """The current labels and the one line about them."""
    heard = Heard()
    found = current_labels(workspace, progress=heard)
    assert len(heard.notes) <= 1
    return found, "".join(heard.notes)


def given(workspace: Workspace, *overrides: str) -> Workspace:
    return Workspace.open(workspace.root, overrides=overrides)


@pytest.fixture
def voted(workspace: Workspace) -> Workspace:
    vote(workspace, ANSWERS)
    return workspace


def test_without_a_stored_set_the_settings_decide_and_it_is_said(voted: Workspace) -> None:
    found, line = asked(given(voted, "labeling.aggregator=soft", "labeling.min_votes=2"))
    assert (found.method, found.samples) == ("soft", [A, B])
    assert line == "Labels made by soft, min. votes 2, as the settings say."


def test_while_nothing_changed_the_stored_set_stays_and_nothing_is_said(voted: Workspace) -> None:
    first, _ = asked(voted)
    again, line = asked(voted)
    assert (again.version, again.created_at, line) == (first.version, first.created_at, "")
    np.testing.assert_array_equal(again.probs, first.probs)


def test_a_method_chosen_by_hand_stays_and_the_settings_are_told(voted: Workspace) -> None:
    made = aggregate(voted, method="majority", min_votes=2).labels
    found, line = asked(voted)
    assert (found.version, found.method, found.samples) == (made.version, "majority", [A, B])
    assert line == (
        "The labels are by majority, min. votes 2; the settings say hybrid, min. votes 1: emolab label aggregate"
    )


KEPT = "The labels are by majority, min. votes 2; the settings say "
CHANGES: Mapping[str, tuple[Callable[[Workspace], None], str, list[str]]] = {
    "votes came": (lambda w: vote(w, {C: {"bob": "neutral", "cho": "neutral"}}), "2 votes came in", [A, B, C]),
    "one vote of a dataset of ten people": (
        lambda w: vote_of_crowd(w, D, 10),
        "10 votes came in",
        [A, B, D],
    ),
    "an edit": (lambda w: vote(w, {A: {"cho": "happiness"}}), "1 vote was edited", [A, B]),
    "a withdrawal": (lambda w: withdraw(w, (B, "bob")), "1 vote was withdrawn", [A]),
    "all three": (
        lambda w: (vote(w, {A: {"cho": "neutral", "dan": "happiness"}}), withdraw(w, (B, "ann"), (B, "bob")))[0],
        "1 vote came in, 1 was edited and 2 were withdrawn",
        [A],
    ),
    "unlabelable": (lambda w: vote(w, {B: {"cho": "no_face", "dan": "unknown"}}), "2 votes came in", [A]),
}


def vote_of_crowd(workspace: Workspace, sample: str, people: int) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=sample, media=f"media/{sample}.png")])
        crowd = Vote(sample_id=sample, annotator="ferplus", label="neutral", count=people, origin="reader:f:1")
        ledger.append(tx, [crowd], kind="dataset")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_after_a_change_it_is_made_again_in_its_own_way_and_the_reason_is_said(voted: Workspace, name: str) -> None:
    change, reason, left = CHANGES[name]
    before = aggregate(voted, method="majority", min_votes=2).labels
    change(voted)
    found, line = asked(voted)
    assert (found.method, found.settings["min_votes"], found.samples) == ("majority", 2, left)
    assert found.version != before.version
    assert line == (
        f"Labels made again by majority, min. votes 2, because {reason}; "
        "the settings say hybrid, min. votes 1: emolab label aggregate"
    )
    assert asked(voted)[0].version == found.version == aggregate(voted, method="majority", min_votes=2).labels.version


def test_what_cannot_change_labels_changes_nothing(voted: Workspace) -> None:
    made = aggregate(voted).labels
    vote(voted, {A: {"dan": None}})
    found, line = asked(voted)
    assert (found.version, found.created_at, line) == (made.version, made.created_at, "")
    with voted.catalog() as catalog, catalog.connect() as conn:
        head = labels.head(conn)
        assert head is not None and head.made_at == ledger_mark.mark(conn)


def test_the_prior_of_the_stored_set_stays(voted: Workspace) -> None:
    aggregate(given(voted, "labeling.prior=2.0"), method="soft")
    vote(voted, {C: {"bob": "neutral"}})
    found, line = asked(voted)
    assert found.settings["options"]["prior"] == 2.0
    assert line == (
        "Labels made again by soft, because 1 vote came in; the settings say hybrid, prior 0.25: emolab label aggregate"
    )


def test_other_classes_in_the_settings_make_them_again(voted: Workspace) -> None:
    aggregate(voted, method="majority")
    found, line = asked(given(voted, "project.classes=neutral,sadness,happiness,fear"))
    assert (found.classes, found.method) == (("neutral", "sadness", "happiness", "fear"), "majority")
    assert line.startswith("Labels made again by majority, because the classes changed; the settings say hybrid")


@pytest.mark.parametrize(
    ("overrides", "expected", "line"),
    [
        (
            ["labeling.aggregator=soft"],
            ("soft", 2),
            "Labels made again by soft, min. votes 2, because --set labeling.aggregator=soft was given; "
            "the settings say min. votes 1: emolab label aggregate",
        ),
        (
            ["labeling.min_votes=3", "labeling.aggregator=hybrid"],
            ("hybrid", 3),
            "Labels made again by hybrid, min. votes 3, because --set labeling.min_votes=3 "
            "--set labeling.aggregator=hybrid was given.",
        ),
        (["labeling.min_votes=2"], ("majority", 2), KEPT + "hybrid: emolab label aggregate"),
        (["training.epochs=2"], ("majority", 2), KEPT + "hybrid, min. votes 1: emolab label aggregate"),
    ],
)  # fmt: skip
def test_a_setting_given_with_the_command_wins_and_says_so(
    voted: Workspace, overrides: list[str], expected: tuple[str, int], line: str
) -> None:
    aggregate(voted, method="majority", min_votes=2)
    found, said = asked(given(voted, *overrides))
    assert ((found.method, found.settings["min_votes"]), said) == (expected, line)
    assert current_recipe(voted).method == found.method, "what was given stays, for it is stored"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "labeling.min_votes and labeling.prior"),
        ({"method": "majority", "min_votes": 2}, "labeling.prior"),
        ({"options": {"prior": 1.0}}, "labeling.min_votes"),
        (None, "labeling.min_votes and labeling.prior"),
        ([], "labeling.min_votes and labeling.prior"),
    ],
)
def test_a_set_of_an_older_catalog_keeps_its_method_and_what_it_does_not_tell_is_said(
    voted: Workspace, settings: Any, told: str
) -> None:
    aggregate(voted, method="majority", min_votes=2)
    with voted.catalog() as catalog, catalog.begin() as tx:
        tx.execute(update(schema.label_sets).values(settings=settings))
        tx.execute(schema.settings.delete().where(schema.settings.c.name == labels.MADE_AT))
    here = given(voted, "labeling.min_votes=1", "labeling.prior=0.5")
    found, line = asked(Workspace(here.root, here.config))
    assert found.method == "majority"
    assert f"because the stored ones do not tell their {told}" in line
    assert "made again" not in asked(voted)[1]


def test_a_set_that_tells_less_but_is_the_same_is_not_made_again(voted: Workspace) -> None:
    here = given(voted, "labeling.anchoring=ignore")  # an emolab that told nothing knew of no other way
    voted = Workspace(here.root, here.config)
    made = aggregate(voted, method="majority").labels
    with voted.catalog() as catalog, catalog.begin() as tx:
        tx.execute(update(schema.label_sets).values(settings={}))
    found, line = asked(voted)
    assert (found.version, line) == (
        made.version,
        "The labels are by majority; the settings say hybrid: emolab label aggregate",
    )
    with voted.catalog() as catalog, catalog.connect() as conn:
        head = labels.head(conn)
    assert head is not None and head.settings == made.settings


def test_a_catalog_without_a_mark_is_compared_by_content(voted: Workspace) -> None:
    made = aggregate(voted, method="majority").labels
    forget = schema.settings.delete().where(schema.settings.c.name == labels.MADE_AT)
    with voted.catalog() as catalog, catalog.begin() as tx:
        tx.execute(forget)
    assert asked(voted)[0].created_at == made.created_at
    vote(voted, {C: {"bob": "neutral"}})
    with voted.catalog() as catalog, catalog.begin() as tx:
        tx.execute(forget)
    assert "Labels made again by majority, because votes changed; " in asked(voted)[1]


def test_options_of_a_newer_emolab_are_refused_in_one_line(voted: Workspace) -> None:
    aggregate(voted)
    with voted.catalog() as catalog, catalog.begin() as tx:
        tx.execute(update(schema.label_sets).values(settings={"min_votes": 1, "options": {"prior": 1.0, "zeal": 2}}))
    with pytest.raises(DataError, match="made with options that this emolab does not know: zeal"):
        current_labels(voted)


def test_an_aggregator_that_is_gone_is_one_line_and_only_when_it_is_needed(
    voted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    builtins = {**AGGREGATORS.builtins, "sharp": AGGREGATORS.builtins["majority"]}
    with monkeypatch.context() as patch:
        patch.setattr(owner, "AGGREGATORS", replace(AGGREGATORS, builtins=builtins))
        patch.setattr("emolab.labeling.labels.aggregate.AGGREGATORS", replace(AGGREGATORS, builtins=builtins))
        made = aggregate(voted, method="sharp").labels
    assert current_labels(voted).version == made.version, "as long as nothing changed it is not needed"
    vote(voted, {C: {"bob": "neutral"}})
    expected = r'by "sharp", which is not installed any more, and must be made again because 1 vote came in\.'
    with pytest.raises(DataError, match=expected) as error:
        current_labels(voted)
    assert error.value.hint is not None and "emolab label aggregate --method hybrid" in error.value.hint
    with pytest.raises(DataError, match=r'"sharp", which is not installed any more\.'):
        current_recipe(voted)
    with voted.catalog() as catalog, catalog.connect() as conn:
        stands = standing(voted, conn)
    assert stands is not None and (stands.installed, stands.outdated) == (False, "1 vote came in")
    assert current_labels(given(voted, "labeling.aggregator=soft")).method == "soft"


def test_no_votes_left_is_no_labels_and_the_method_is_remembered(voted: Workspace) -> None:
    assert labels_if_any(Workspace.init(voted.root / "other", classes=("a", "b"))) is None
    aggregate(voted, method="majority", min_votes=2)
    everything = [(sample, who) for sample, given in ANSWERS.items() for who in given]
    withdraw(voted, *everything)
    for _ in range(2):
        with pytest.raises(NoLabels, match="There are no votes for any class yet"):
            current_labels(voted)
    assert labels_if_any(voted) is None
    with voted.catalog() as catalog, catalog.connect() as conn:
        stored = labels.current(conn)
    assert stored is not None and stored.samples == [], "labels of votes that are gone are not shown to anybody"
    vote(voted, {A: {"ann": "neutral", "bob": "neutral"}})
    assert current_labels(voted).settings["min_votes"] == 2


def test_too_few_votes_for_the_minimum_says_how_many_have_fewer(voted: Workspace) -> None:
    with pytest.raises(NoLabels, match=r"No sample has 9 or more votes for a class \(3 have fewer\)"):
        current_labels(given(voted, "labeling.min_votes=9"))


@pytest.mark.parametrize(
    "overrides",
    [
        ["labeling.min_votes=9"],
        ["labeling.min_votes=9", "labeling.aggregator=soft"],
        ["labeling.prior=2", "labeling.min_votes=100"],
    ],
)
def test_a_setting_that_leaves_no_label_does_not_replace_the_stored_ones(
    voted: Workspace, overrides: list[str]
) -> None:
    aggregate(voted, method="majority", min_votes=2)
    before = current_labels(voted)
    for _ in range(2):
        with pytest.raises(NoLabels, match=r"No sample has \d+ or more votes"):
            current_labels(given(voted, *overrides))
        assert labels_if_any(given(voted, *overrides)) is None
    after, _ = asked(voted)
    assert (after.method, after.settings["min_votes"]) == ("majority", 2)
    assert (after.version, after.samples) == (before.version, before.samples)


def test_labels_stored_meanwhile_by_somebody_else_are_not_overwritten(
    voted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregate(voted)
    vote(voted, {C: {"bob": "neutral"}})
    whole, other = owner.aggregate.labels_of, []

    def late(*arguments: Any) -> LabelSet:
        if not other:
            other.append("somebody aggregates while we do")
            aggregate(voted, method="majority", min_votes=2)
        return whole(*arguments)

    monkeypatch.setattr(owner.aggregate, "labels_of", late)
    found, line = asked(voted)
    assert (found.method, found.settings["min_votes"]) == ("majority", 2)
    assert line.startswith("The labels are by majority, min. votes 2; the settings say hybrid")


@pytest.mark.slow
def test_many_at_once_leave_one_current_set(catalog: Catalog, workspace: Workspace) -> None:
    """On SQLite and on PostgreSQL."""
    here = replace(
        workspace, config=replace(workspace.config, catalog=replace(workspace.config.catalog, url=catalog.url))
    )
    vote(here, ANSWERS)
    start, failed = threading.Barrier(6), []

    def work(number: int) -> None:
        start.wait()
        try:
            for _ in range(4):
                if number % 2:
                    current_labels(here)
                else:
                    aggregate(here, method=("majority", "soft", "hybrid")[number // 2])
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with catalog.connect() as conn:
        head, stored = labels.head(conn), labels.current(conn)
    assert head is not None and stored is not None
    assert len(stored.samples) == head.n == 3
    assert asked(here)[0].version == head.version


def test_words() -> None:
    assert doctest.testmod(label_recipe).failed == 0
    assert doctest.testmod(ledger_mark).failed == 0


# --- who asks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """48 labelled images, a third vote against on some, and settings that train within seconds."""
    answer = fill_workspace(workspace)
    classes = workspace.config.project.classes
    with workspace.catalog() as catalog, catalog.begin() as tx:
        doubted = sorted(answer)[:12]
        ledger.append(
            tx,
            [
                Vote(sample_id=s, annotator="cho", label=classes[(answer[s] + 1) % 3], origin=f"test:cho:{s}")
                for s in doubted
            ],
        )
    return configure(workspace, QUICK.replace("epochs = 3", "epochs = 1") + "\ntensorboard = false")


@pytest.fixture
def emolab(ready: Workspace, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[Any, str]]]:
    """Run a command in ``ready``: its JSON and what it said."""

    def call(*arguments: str) -> tuple[Any, str]:
        capsys.readouterr()
        code = run(["-w", str(ready.root), *arguments, "--json"])
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out), " ".join(err.split())

    yield call


def learned(workspace: Workspace) -> tuple[str, np.ndarray[Any, Any]]:
    """The version of the labels the champion learned from, and its targets."""
    with workspace.catalog() as catalog, catalog.connect() as conn:
        stored = catalog_snapshots.find(conn, models.get(conn, "champion").snapshot)
    assert stored is not None
    return stored.label_version, snapshots.read(workspace.root / stored.path).targets


@pytest.mark.slow
def test_train_learns_from_the_labels_that_were_made_by_hand(ready: Workspace, emolab: Callable[..., Any]) -> None:
    made, _ = emolab("label", "aggregate", "--method", "majority", "--min-votes", "3")
    found, said = emolab("train")
    version, targets = learned(ready)
    assert version == made["version"]
    assert len(targets) == made["n"] == 12
    assert set(np.unique(targets)) == {0.0, 1.0}, "majority is one-hot"
    assert "The labels are by majority, min. votes 3; the settings say hybrid, min. votes 1" in said
    assert found["n_train"] + found["valid"]["n"] == 12


@pytest.mark.slow
def test_every_command_that_uses_labels_asks_the_owner(ready: Workspace, emolab: Callable[..., Any]) -> None:
    emolab("label", "aggregate", "--method", "majority")
    emolab("train")
    sample = sorted(current_labels(ready).samples)[0]
    commands: list[list[str]] = [
        ["train"],
        ["evaluate", "champion", "--on", "valid"],
        ["suggest", "--advise"],
        ["suggest", "-n", "2", "--strategy", "margin"],
        ["export", "champion", "--to", "torchscript", "--out", str(ready.root / "model.pt")],
    ]
    with ready.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [_another(ready, n) for n in range(4)])
    for number, command in enumerate(commands):
        with ready.catalog() as catalog, catalog.begin() as tx:
            ledger.append(tx, [Vote(sample_id=sample, annotator=f"new{number}", label="neutral", origin=f"n:{number}")])
        _, said = emolab(*command)
        assert "Labels made again by majority, because 1 vote came in; the settings say hybrid" in said, command
        with ready.catalog() as catalog, catalog.connect() as conn:
            head = labels.head(conn)
        assert head is not None and head.method == "majority"


def _another(workspace: Workspace, number: int) -> Sample:
    """Another image in the workspace, for the pool."""
    from tests.support.learnable import bars, png

    data = png(bars(8, 3, seed=99)[0][number])
    name = hashlib.sha256(data).hexdigest()
    file = workspace.media / f"{name}.png"
    file.write_bytes(data)
    return Sample(id=name, media=file.relative_to(workspace.root).as_posix())


def test_status_shows_by_what_labels_were_made_and_what_happened_since(
    ready: Workspace, emolab: Callable[..., Any], run_cli: Callable[..., Any]
) -> None:
    emolab("label", "aggregate", "--method", "majority", "--min-votes", "2")
    found, _ = emolab("status")
    told = found["labels"]
    assert (told["method"], told["made_by"], told["min_votes"]) == ("majority", "majority, min. votes 2", 2)
    assert (told["outdated"], told["settings_say"]) == (None, "hybrid, min. votes 1")
    vote(ready, {A: {"ann": "neutral"}})
    version = told["version"]
    for command in (["status"], ["label", "status"]):
        found, _ = emolab(*command)
        assert found["labels"]["outdated"] == "1 vote came in"
        assert found["labels"]["version"] == version, "who only looks makes nothing"
        shown = " ".join(run_cli(*command, cwd=ready.root, env={"COLUMNS": "140"}).stderr.split())
        for words in ("by majority, min. votes 2", "outdated: 1 vote came in", "the settings say hybrid, min. votes 1"):
            assert words in shown, command


@pytest.mark.slow
def test_a_resumed_run_keeps_the_labels_it_began_with(ready: Workspace) -> None:
    class Stop(Progress):
        def task(self, description: str, total: int | None = None, *, unit: str = "") -> Any:
            if description == "Training":
                raise KeyboardInterrupt
            return super().task(description, total, unit=unit)

    aggregate(ready, method="majority")
    with pytest.raises(KeyboardInterrupt):
        train(ready, progress=Stop())
    began = runs.unfinished(ready)
    aggregate(ready, method="soft")
    heard = Heard()
    trained = train(ready, resume=True, progress=heard)
    assert began is not None and trained.model.snapshot == began.data.snapshot
    assert not any("abels" in line for line in heard.notes)


def test_second_opinions_settle_the_label_as_it_is_made(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[str] = []
    monkeypatch.setattr(
        "emolab.loop.label.revotes._labels",
        lambda votes, recipe, *_: asked_for.append(str(recipe)) or np.zeros(len(votes.samples), int),
    )
    aggregate(ready, method="majority", min_votes=2)
    review(given(ready, "labeling.votes=1..3"))
    assert asked_for == ["majority, min. votes 2"]


def test_a_round_without_a_model_makes_no_labels(ready: Workspace) -> None:
    with ready.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [_another(ready, n) for n in range(4)])
    suggest(ready, n=2, strategy="random")
    with ready.catalog() as catalog, catalog.connect() as conn:
        assert labels.head(conn) is None
