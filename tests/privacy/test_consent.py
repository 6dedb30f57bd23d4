"""The consent register: what has ended, or was never given where it must be, is left out of every step, and counted."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import emolab
from emolab.catalog import pool_columns, samples, votes
from emolab.catalog.campaign import remotes
from emolab.catalog.privacy import consents
from emolab.errors import DataError
from emolab.labeling.labels.aggregate import NoLabels
from emolab.labeling.labels.current_labels import current_labels
from emolab.labeling.sync.choose_tasks import choose
from emolab.loop.label.voting import vote_queue
from emolab.loop.look.sample_view import media_of, sample_view
from emolab.loop.look.wall import WallRequest, wall, wall_choices, wall_count
from emolab.progress import Progress
from emolab.records import Sample, Vote
from emolab.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]
LABELLED = [("bob", 0), ("bob", 1), ("bob", 2), ("cyd", 0), ("cyd", 1)]
GOOD = {"size": 96.0, "brightness": 0.5, "contrast": 0.2, "blur": 0.3}


class Told(Progress):
    """Keeps what a step says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def sid(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def people(workspace: Workspace) -> Workspace:
    """Three samples each of ann, bob and cyd; everybody but cyd's last one has a label."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        made = [
            Sample(id=sid(f"{who}{i}"), media=f".emolab/media/{who}{i}.png", group=who, quality=GOOD)
            for who in ("ann", "bob", "cyd")
            for i in range(3)
        ]
        samples.add(tx, made)
        votes.append(
            tx,
            [
                Vote(sample_id=each.id, annotator="team", label="neutral", origin=f"t:{n}")
                for n, each in enumerate(made[:-1])
            ],
        )
    emolab.aggregate(workspace)
    return workspace


def barred(workspace: Workspace, purpose: str, *, required: bool = False) -> dict[str, int]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return consents.allowed(conn, purpose, required=required).left_out()


def test_samples_without_an_entry_stay_usable_unless_consent_is_required(people: Workspace) -> None:
    assert barred(people, "train") == {}
    assert barred(people, "train", required=True) == {consents.MISSING: 9}
    emolab.add_consent(people, subjects="ann", text="I agree.")
    assert barred(people, "train", required=True) == {consents.MISSING: 6}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"until": "2099-01-01"}, {}),
        ({"given": "2020-01-01", "until": "2021-01-01"}, {consents.EXPIRED: 3}),
        ({"scope": ("label", "show")}, {consents.UNCOVERED: 3}),
        ({"scope": ("train",)}, {}),
    ],
)
def test_an_entry_that_ended_or_covers_something_else_bars_its_subject(
    people: Workspace, entry: dict[str, str], expected: dict[str, int]
) -> None:
    emolab.add_consent(people, subjects="ann", text="I agree.", **entry)  # type: ignore[arg-type]
    assert barred(people, "train") == expected


def test_the_newest_entry_holds_and_a_withdrawn_sample_stays_out_of_its_subjects_consent(people: Workspace) -> None:
    emolab.end_consent(people, subjects="ann")
    assert barred(people, "show") == {consents.WITHDRAWN: 3}
    emolab.add_consent(people, subjects="ann", text="Yes, after all.")
    assert barred(people, "show") == {}
    emolab.end_consent(people, ids=sid("ann1")[:12])
    assert barred(people, "show") == {consents.WITHDRAWN: 1}
    assert [each.state("2026-01-01") for each in emolab.consents(people, everything=True).entries] == [
        "superseded", "valid", "withdrawn",
    ]  # fmt: skip


def test_the_last_day_is_still_covered(people: Workspace) -> None:
    today = emolab.consents(people).today
    emolab.add_consent(people, subjects="ann", text="Until tonight.", until=today)
    assert barred(people, "train") == {}


def test_training_and_suggesting_leave_out_what_ended_and_say_so(people: Workspace) -> None:
    emolab.end_consent(people, subjects="ann")
    told = Told()
    assert set(current_labels(people, progress=told).samples) == {sid(f"{who}{i}") for who, i in LABELLED}
    assert told.lines == ["3 samples left out of training: 3 consent withdrawn."]
    emolab.end_consent(people, subjects="cyd")
    with pytest.raises(DataError, match="None of the 3 samples can be suggested: 3 are labelled"):
        emolab.suggest(people, n=1)
    with people.catalog() as catalog, catalog.connect() as conn:
        may = consents.allowed(conn, "label", required=False)
        assert pool_columns.read(conn, only=may.clause).ids == [sid(f"bob{i}") for i in range(3)]
    emolab.end_consent(people, subjects="bob")
    with pytest.raises(NoLabels, match="Nothing is left to learn from: 8 samples left out of training"):
        current_labels(people)


def test_a_push_sends_nothing_that_ended_not_even_a_suggestion(people: Workspace) -> None:
    emolab.suggest(people, n=1, strategy="random")
    with people.catalog() as catalog:
        kept = choose(catalog, None, n=None, suggestions=True, overlap=1, bar=people.config.labeling.bar)
        assert [each.sample_id for each in kept.new] == [sid("cyd2")]
    emolab.end_consent(people, subjects="cyd")
    with people.catalog() as catalog:
        for suggestions in (True, False):
            found = choose(catalog, None, n=None if suggestions else 5, suggestions=suggestions, overlap=1,
                           bar=people.config.labeling.bar)  # fmt: skip
            assert (found.new, found.left_out) == ([], {consents.WITHDRAWN: 1})


def test_walls_and_pages_show_nothing_that_ended(people: Workspace) -> None:
    emolab.end_consent(people, subjects="ann")
    shown = wall(people, WallRequest())
    assert {each.id for each in shown.samples} == {sid(f"{who}{i}") for who in ("bob", "cyd") for i in range(3)}
    assert wall_count(people, WallRequest()).n == 6
    assert wall_choices(people).left_out == {consents.WITHDRAWN: 3}
    for look in (sample_view, media_of):
        with pytest.raises(DataError, match="is not shown: consent withdrawn"):
            look(people, sid("ann0"))
    assert media_of(people, sid("bob0")).id == sid("bob0")


def test_exported_votes_leave_out_what_ended_and_count_it(people: Workspace, tmp_path: Path) -> None:
    emolab.end_consent(people, subjects="ann")
    done = emolab.export_votes(people, tmp_path / "votes.csv")
    assert (done.votes, done.losses[-1]) == (5, "3 samples left out of the export: 3 consent withdrawn.")
    assert sid("ann0") not in (tmp_path / "votes.csv").read_text()


def test_the_commands_say_what_they_did(people: Workspace, run_cli: Run, tmp_path: Path) -> None:
    at = ("-w", str(people.root), "consent")
    file = tmp_path / "form.txt"
    file.write_text("I agree to be in it.")
    run_cli(*at, "add", "--subject", "ann", "--file", str(file), "--hash-only", "--until", "2099-05-01", check=True)
    strange = file.with_name("latin.txt")
    strange.write_bytes("einverstanden, für".encode("latin-1"))
    refused = run_cli(*at, "add", "--subject", "ann", "--file", str(strange))
    assert (refused.returncode, "is no text in UTF-8" in refused.stderr) == (1, True)
    run_cli(*at, "expire", "--subject", "bob", check=True)
    assert "left out of train: 3 consent withdrawn" in run_cli(*at, "list", check=True).stderr
    run_cli(*at, "export", str(tmp_path / "all.json"), check=True)
    first = json.loads((tmp_path / "all.json").read_text())["entries"][0]
    assert (first["text"], first["text_hash"]) == (None, hashlib.sha256(b"I agree to be in it.").hexdigest())
    wrong = run_cli(*at, "add", "--subject", "ann", "--text", "x", "--until", "May")
    assert (wrong.returncode, '"May" is no date.' in wrong.stderr) == (1, True)
    assert "Nothing is known of a subject" in run_cli(*at, "expire", "--subject", "dora").stderr


def test_a_subject_by_half_of_its_name_is_asked_for_and_never_taken_for_nobody(
    workspace: Workspace, run_cli: Run, tmp_path: Path
) -> None:
    groups = ("../photos/ann", "../photos/bob", "/data/ann")
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=sid(name), media=f"{n}.png", group=name) for n, name in enumerate(groups)])
    at = ("-w", str(workspace.root))
    added = run_cli(*at, "consent", "add", "--subject", "Bob", "--text", "yes", check=True)
    told = " ".join(added.stderr.split())
    assert 'note: no sample has the group "Bob" so far. Did you mean "../photos/bob"?' in told
    for words in (
        ("consent", "expire", "--subject", "Bob"), ("forget", "--subject", "Bob", "--yes"),
        ("forget", "--subject", "Bob", "--dry-run"),
        ("privacy", "report", "--subject", "Bob", "--to", str(tmp_path / "b")),
    ):  # fmt: skip
        refused = run_cli(*at, *words)
        said = " ".join(refused.stderr.split())
        assert (refused.returncode, "only the consent register knows it. Did you mean" in said) == (1, True), said
    assert not (tmp_path / "b").exists()
    with pytest.raises(DataError, match=r'"ann"\. Did you mean "\.\./photos/ann" or "/data/ann"\?'):
        emolab.end_consent(workspace, subjects="ann")
    foreseen = emolab.forget(workspace, subjects=["Bob", "../photos/bob"], dry_run=True)
    assert foreseen.holders["catalog"] == (2, "1 samples, 1 consents")
    assert emolab.forget(workspace, subjects=["Bob", "../photos/bob"]).samples == 1
    assert [each.subject for each in emolab.consents(workspace).entries] == []


def test_the_voting_page_asks_nobody_about_what_ended(people: Workspace) -> None:
    ids = [sid(f"{who}0") for who in ("ann", "bob")]
    with people.catalog() as catalog:
        with catalog.begin() as tx:
            mine = remotes.add_project(tx, server="s", project=1, title="faces")
            remotes.want(tx, mine, [remotes.TaskRequest(each, rank, 3) for rank, each in enumerate(ids)])
            remotes.arrived(tx, mine, {each: 10 + n for n, each in enumerate(ids)})
        with catalog.connect() as conn:
            assert vote_queue.read(conn, "faces").samples == {*ids}
        emolab.end_consent(people, subjects="ann")
        with catalog.connect() as conn:
            assert vote_queue.read(conn, "faces").samples == {ids[1]}
            assert vote_queue.read(conn, "faces", consent_required=True).samples == frozenset()
