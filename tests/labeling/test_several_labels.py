"""An answer may hold several labels: they share its one vote, and nothing that cannot count so counts them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import emolab
from emolab.catalog import models, samples, tallies, votes
from emolab.catalog.storage.engine import Catalog
from emolab.cli.main import cli
from emolab.config import Config, apply
from emolab.errors import ConfigError, DataError, EmolabError
from emolab.labeling.answers.votes_from_answers import AnswerTerms, vote
from emolab.labeling.form import controls, several_labels
from emolab.labeling.label_studio.records import RemoteAnnotation
from emolab.labeling.labels import agreement, disagreement, set_agreement
from emolab.labeling.labels.aggregate import aggregate, label_set
from emolab.labeling.labels.aggregators import DEFAULTS
from emolab.labeling.sync import project as projects
from emolab.labeling.sync import push as sync_push
from emolab.loop.label import revotes
from emolab.loop.label.backend import check_backend
from emolab.loop.label.selection.second_opinions import second_opinions
from emolab.modalities.text.learn import ALSO, targets_of
from emolab.plugins import AGGREGATORS
from emolab.records import Sample, Vote, VoteTable
from emolab.votes.table import counts, crowds, several, with_votes
from emolab.workspace import Workspace
from tests.support.old_catalogs import rewind

CLASSES = ("anger", "joy", "fear", "sadness")
Said = dict[str, dict[str, tuple[str, ...]]]
TEAM: Said = {
    "a" * 64: {"ann": ("anger", "fear"), "bob": ("anger", "fear"), "cyd": ("anger",)},
    "b" * 64: {"ann": ("joy",), "bob": ("joy",), "cyd": ("joy", "sadness")},
    "c" * 64: {"ann": ("fear",), "bob": ("sadness",)},
}


def table(said: Said) -> VoteTable:
    rows = [(s, who, c, 1 / len(all_)) for s, given_ in said.items() for who, all_ in given_.items() for c in all_]
    names, people = list(said), sorted({who for each in said.values() for who in each})
    return VoteTable(
        samples=names,
        annotators=people,
        classes=CLASSES,
        sample=np.array([names.index(s) for s, _, _, _ in rows], np.int32),
        annotator=np.array([people.index(who) for _, who, _, _ in rows], np.int32),
        label=np.array([CLASSES.index(c) for _, _, c, _ in rows], np.int16),
        weight=np.array([w for *_, w in rows], np.float32),
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.init(tmp_path / "ws", classes=CLASSES, modality="text")
    with made.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=name, media=f"media/{name}.txt", modality="text") for name in TEAM])
        votes.append(
            tx,
            [
                Vote(sample_id=name, annotator=who, label=all_[0], also=all_[1:], origin=f"test:{name[0]}:{who}")
                for name, given_ in TEAM.items()
                for who, all_ in given_.items()
            ],
        )
    return made


def told(workspace: Workspace) -> list[tuple[str, str, tuple[str, ...]]]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return [(one.sample_id, one.annotator, one.labels) for one in votes.iterate(conn)]


def test_the_ledger_keeps_all_labels_and_counts_a_person_once(workspace: Workspace) -> None:
    assert told(workspace) == [(name, who, all_) for name, each in TEAM.items() for who, all_ in each.items()]
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = tallies.table(conn, CLASSES)
        assert tallies.count(conn)["people"] == 8
        assert tallies.answers(conn, ["a" * 64])["a" * 64] == {"anger": 3, "fear": 2}
        assert counts(found)[:, CLASSES.index("fear")].tolist() == [1.0, 0.0, 1.0]
        only = tallies.table(conn, ("fear", "joy"))  # the others are classes no more: an answer is still one vote
        assert counts(only).tolist() == [[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]]
        assert not crowds(found).any()
        keys = tallies.annotator_keys(conn)
        differ = tallies.differing(conn, keys["ann"], keys["cyd"], CLASSES)
    assert [sample[0] for sample, *_ in differ] == ["b", "a"]
    assert differ[1][1:] == ("anger + fear", "anger")


def test_an_edited_set_supersedes_the_earlier_and_the_same_one_adds_nothing(workspace: Workspace) -> None:
    again = Vote(sample_id="a" * 64, annotator="ann", label="anger", also=("fear",), origin="test:a:ann")
    fewer = Vote(sample_id="a" * 64, annotator="ann", label="anger", origin="test:a:ann")
    with workspace.catalog() as catalog, catalog.begin() as tx:
        assert votes.append(tx, [again]) == 0
        assert votes.append(tx, [fewer]) == 1
        assert [one.labels for one in votes.iterate(tx, sample_id="a" * 64)][-1] == ("anger",)
        assert samples.by_ids(tx, ["a" * 64])[0].id == "a" * 64
        assert votes.known(tx, ["test:a:ann", "test:a:bob"], refused=())["test:a:bob"].counted == "anger\nfear"


def test_a_workspace_from_before_keeps_its_votes_and_takes_several_labels(workspace: Workspace) -> None:
    with workspace.catalog() as catalog:
        url = catalog.url
        with catalog.engine.begin() as tx:
            rewind(tx, "0009")
    before = [(name, who, all_[:1]) for name, each in TEAM.items() for who, all_ in each.items()]
    with Catalog(url) as catalog, catalog.begin() as tx:
        assert [(one.sample_id, one.annotator, one.labels) for one in votes.iterate(tx)] == before
        more = Vote(sample_id="c" * 64, annotator="dan", label="anger", also=("joy",), origin="test:c:dan")
        assert votes.append(tx, [more]) == 1
    assert told(workspace) == [*before, ("c" * 64, "dan", ("anger", "joy"))]


def test_labels_of_a_sample_can_be_several(workspace: Workspace) -> None:
    with pytest.raises(DataError, match='The aggregator "hybrid" takes one label an answer') as refused:
        aggregate(workspace)
    assert "--method soft" in str(refused.value.hint)
    made = emolab.aggregate(workspace, method="soft")
    labels = made.made.labels
    applies = targets_of(labels.probs) >= ALSO
    assert [CLASSES[i] for i in np.flatnonzero(applies[labels.samples.index("a" * 64)])] == ["anger", "fear"]
    assert [CLASSES[i] for i in np.flatnonzero(applies[labels.samples.index("b" * 64)])] == ["joy"]
    assert labels.votes.tolist() == [3, 3, 2]
    assert made.made.votes == 8
    assert made.to_dict()["labels"] == applies.sum() == sum(row["label_of"] for row in made.per_class.values())
    assert json.loads(json.dumps(made.to_dict()))["per_class"]["fear"]["label_of"] == 2


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """160 sentences, a quarter of which both annotators gave two labels, and a model that learned from them."""
    folder = tmp_path_factory.mktemp("learned")
    words = {"anger": "furious rage", "joy": "glad cheers", "fear": "panic dread"}
    pairs = [("anger",), ("joy",), ("fear",), ("anger", "fear")]
    made = Workspace.init(folder / "ws", classes=tuple(words), modality="text")
    lines = [f"{' '.join(words[one] for one in pairs[i % 4])} word{i % 7} no{chr(97 + i % 26)}{i}" for i in range(160)]
    (folder / "lines.txt").write_text("\n".join(lines))
    assert emolab.collect(made, [folder / "lines.txt"]).report.added == 160
    with made.catalog() as catalog, catalog.begin() as tx:
        ids = {one.id: (made.root / one.media).read_text() for one in samples.iterate(tx)}
        truth = {name: [c for c in words if words[c] in text] for name, text in ids.items()}
        votes.append(
            tx,
            [
                Vote(
                    sample_id=name, annotator=who, label=all_[0], also=tuple(all_[1:]), origin=f"test:{name[:9]}:{who}"
                )
                for name, all_ in truth.items()
                for who in ("ann", "bob")
            ],
        )
    with (made.root / "emolab.toml").open("a") as file:
        file.write('\n[labeling]\nseveral = true\naggregator = "soft"\n')
    made = Workspace.open(made.root)
    emolab.aggregate(made)
    emolab.train(made)
    return made


def typed(workspace: Workspace, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-w", str(workspace.root), *words], env={"COLUMNS": "200"})


def test_sentences_of_a_workspace_learn_and_are_judged_by_several_labels(learned: Workspace, tmp_path: Path) -> None:
    with learned.catalog() as catalog, catalog.connect() as conn:
        model = models.find(conn, "champion")
    assert model is not None
    valid = json.loads(json.dumps(dict(model.metrics)))["valid"]
    assert valid["exact"] > 0.9
    assert sum(row["support"] for row in valid["per_class"]) > valid["n"]  # some sentences of the split have two
    judged = json.loads(typed(learned, "evaluate", "champion", "--on", "valid", "--json").stdout)
    assert (judged["n"], judged["exact"], judged["per_class"]) == (valid["n"], valid["exact"], valid["per_class"])
    (tmp_path / "new.txt").write_text("furious panic dread rage\nglad cheers\n")
    done = typed(learned, "predict", str(learned.root / model.path), str(tmp_path / "new.txt"), "--json")
    assert [sorted(row["labels"]) for row in json.loads(done.stdout)["predictions"]] == [["anger", "fear"], ["joy"]]


def test_a_round_leaves_second_opinions_out_and_says_so_and_advice_is_refused(
    learned: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "more.txt").write_text("".join(f"glad dread number{i} of more\n" for i in range(9)))
    assert typed(learned, "collect", str(tmp_path / "more.txt")).exit_code == 0
    told = typed(learned, "suggest", "-n", "4", "--revotes", "0.5")
    assert told.exit_code == 0, told.output
    assert "No second opinions in this round: they need one label an answer" in " ".join(told.output.split())
    silent = typed(learned, "suggest", "-n", "4", "--revotes", "0", "--json")
    assert "No second opinions" not in silent.output
    assert {each["kind"] for each in json.loads(silent.stdout)["suggestions"]} == {"new"}
    refused = typed(learned, "suggest", "--advise").exception
    assert isinstance(refused, DataError)
    assert refused.message.startswith("Advice (emolab suggest --advise) takes one label an answer")
    assert refused.hint == "Ask for a round instead: emolab suggest"


def test_guesses_are_not_pushed_onto_a_form_of_several_labels(learned: Workspace) -> None:
    refused = typed(learned, "label", "push", "--show-predictions").exception
    assert isinstance(refused, ConfigError)
    assert "Guesses are not shown on a form that takes several labels" in refused.message
    assert refused.hint == "Push without --show-predictions."


@pytest.mark.parametrize("method", [name for name in AGGREGATORS.names() if name != "soft"])
def test_every_aggregator_but_soft_refuses_answers_of_several_labels(method: str) -> None:
    with pytest.raises(DataError, match=f'"{method}" takes one label an answer'):
        label_set(table(TEAM), method=method)


def test_what_counts_on_one_label_an_answer_refuses_or_does_without(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revotes, "with_the_team", lambda conn: dict.fromkeys(TEAM, False))
    with pytest.raises(DataError, match=r"labeling\.votes as a range takes one label an answer"):
        revotes.review(workspace)
    pool = type("Pool", (), {"probs": np.ones((1, 4)), "classes": CLASSES})()
    assert second_opinions(workspace, pool, 10, share=0.5, rng=np.random.default_rng(0)) == []


@pytest.fixture
def kept() -> Any:
    """A project of the server whose form still takes several labels."""
    form = controls.render(CLASSES, modality="text", several=True)
    return SimpleNamespace(title="team", label_config=form, task_number=3)


def test_a_push_shows_no_guess_where_the_form_of_the_project_still_takes_several(
    workspace: Workspace, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = SimpleNamespace(choice=SimpleNamespace(new=["a" * 64], again=[]), left_over=[], remote=kept)
    monkeypatch.setattr(sync_push, "_look", lambda sides, request: seen)
    with pytest.raises(DataError, match='The form of "team" takes several labels; guesses are not shown') as refused:
        sync_push.push(workspace, Any, everything=True, show_predictions=True)  # type: ignore[arg-type]
    assert "--show-predictions" in str(refused.value.hint)


def test_the_check_of_a_connected_model_says_that_such_a_form_shows_no_guess(
    workspace: Workspace, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects, "family", lambda catalog, studio, title: SimpleNamespace(chosen=kept))
    with pytest.raises(EmolabError, match='The form of "team" takes several labels, so no guess is shown on it'):
        check_backend._Walk(workspace, Any, "team")._exists()  # type: ignore[arg-type]


def test_status_and_exported_votes_show_every_label(workspace: Workspace) -> None:
    status = emolab.label_status(workspace)
    assert {row.name: row.votes for row in status.classes} == {"anger": 3, "joy": 3, "fear": 3, "sadness": 2}
    stream = io.StringIO()
    assert emolab.export_votes(workspace, stream).votes == 8
    stream.seek(0)
    rows = list(csv.DictReader(stream))
    found = [(row["sample"], row["annotator"], (row["label"], *json.loads(row["also"] or "[]"))) for row in rows]
    assert found == told(workspace)


def answer_of(*labels: str) -> RemoteAnnotation:
    result = controls.answer(labels[0], modality="text", also=labels[1:])
    return RemoteAnnotation(
        id=1, task=1, result=tuple(result), completed_by=1, updated_by=1, created_at="2026-11-30T06:00:00Z",
        updated_at="2026-11-30T06:00:00Z", lead_time=2.0, was_cancelled=False, parent_prediction=None,
        parent_annotation=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "several", "expected", "rejected"),
    [
        (("sadness", "anger"), True, ("anger", "sadness"), False),
        (("anger", "sadness"), True, ("anger", "sadness"), False),
        (("joy",), True, ("joy",), False),
        (("joy", "unknown"), True, (), True),
        (("joy", "boredom"), True, (), True),
        (("sadness", "anger"), False, (), True),
    ],
)
def test_an_answer_of_the_form_in_the_order_of_the_classes(
    labels: tuple[str, ...], several: bool, expected: tuple[str, ...], rejected: bool
) -> None:
    terms = AnswerTerms(classes=CLASSES, several=several)
    made = vote(answer_of(*labels), terms, sample_id="a", annotator="ann", origin="o")
    assert (made.labels, made.rejected is not None) == (expected, rejected)


def test_the_form_takes_several_only_when_asked_to() -> None:
    one, more = controls.render(CLASSES, modality="text"), controls.render(CLASSES, modality="text", several=True)
    assert (controls.takes_several(one), controls.takes_several(more)) == (False, True)
    assert 'choice="multiple"' in more
    assert "Press one key or more" in more
    assert not controls.takes_several("no XML <")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (("project.modality=image", "labeling.aggregator=soft"), "is for sentences"),
        (("project.modality=audio", "labeling.aggregator=soft"), "is for sentences"),
        ((), '"hybrid" does not'),
        (("labeling.aggregator=soft", "labeling.second_guess=true"), "labeling.second_guess"),
        (("labeling.aggregator=soft", "labeling.show_predictions=true"), "labeling.show_predictions"),
        (("labeling.aggregator=soft", "labeling.votes=1..5"), "labeling.votes as a range"),
    ],
)
def test_settings_that_do_not_go_together_are_one_clear_line(wanted: tuple[str, ...], said: str) -> None:
    config = apply(Config(), ("project.modality=text", "labeling.several=true", *wanted))
    with pytest.raises(ConfigError, match=said) as refused:
        several_labels.offered(config)
    assert refused.value.hint
    assert not several_labels.offered(apply(config, ["labeling.several=false"]))


def test_two_sets_are_alike_by_what_they_share() -> None:
    rows = [("ab", "ab", 1.0), ("ab", "a", 2 / 3 * 1 / 2), ("ab", "bc", 1 / 3 * 1 / 3), ("ab", "c", 0.0)]
    sets = [np.array([[x in one for x in "abc"] for one in side]) for side in zip(*[r[:2] for r in rows], strict=True)]
    assert set_agreement.masi(*sets).tolist() == pytest.approx([expected for *_, expected in rows])


def test_agreement_of_sets_counts_people_and_not_shares() -> None:
    same = {
        name: dict.fromkeys(("ann", "bob"), labels)
        for name, labels in zip("abc", [("anger", "fear"), ("joy",), ("fear",)], strict=True)
    }
    found = agreement.alpha(table(same), np.random.default_rng(0))
    assert (found.value, found.pairable) == (pytest.approx(1.0), 3)
    assert [c.agreement for c in agreement.by_class(table(same))][:3] == pytest.approx([1.0, 1.0, 1.0])
    assert all(a.agreement == pytest.approx(1.0) and a.habit is None for a in agreement.by_annotator(table(same)))
    assert [(p.shared, p.same) for p in disagreement.by_pair(table(same))] == [(3, 3)]
    assert len(disagreement.most_disputed(table(same), 3)[0]) == 0
    team = table(TEAM)
    fear = agreement.by_class(team)[CLASSES.index("fear")]
    # of the three who said fear: ann and bob each have one of two others with them, the third nobody
    assert (fear.votes, fear.agreement, fear.confused_with) == (3, pytest.approx(1 / 3), "anger")
    assert [(p.one, p.other, p.shared, p.same) for p in disagreement.by_pair(team)] == [
        ("ann", "bob", 3, 2), ("ann", "cyd", 2, 0), ("bob", "cyd", 2, 0),
    ]  # fmt: skip
    rows, apart = disagreement.most_disputed(team, 2)
    assert rows.tolist()[0] == 2
    assert apart[0] == pytest.approx(1.0)


SINGLE = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)),
    min_size=1,
    max_size=20,
    unique_by=lambda r: r[:2],
)


@settings(max_examples=40, deadline=None)
@given(SINGLE)
def test_with_one_label_each_sets_agree_as_labels_do(rows: list[tuple[int, int, int]]) -> None:
    said: Said = {}
    for sample, who, label in rows:
        said.setdefault(str(sample), {})[str(who)] = (CLASSES[label],)
    votes_ = table(said)
    assert not several(votes_)
    plain, sets = counts(votes_), set_agreement.answer_sets(votes_)
    assert np.array_equal(np.sort(sets.named.sum(axis=1)), np.ones(len(rows)))
    pairs, apart = set_agreement.patterns(votes_)
    assert len(pairs) == (plain.sum(axis=1) >= 2).sum()
    repeats = np.ones((1, len(pairs)))
    if len(pairs):
        one = agreement._alphas(pairs, repeats, apart)
        other = agreement._alphas(plain[plain.sum(axis=1) >= 2], repeats, None)
        assert one == pytest.approx(other, nan_ok=True)
    named, (same, missed), _ = set_agreement.class_counts(votes_)
    for c, row in enumerate(agreement.by_class(votes_)):
        assert row.votes == named[c]
        total = same[c] + missed[c]
        assert (same[c] / total if total else np.nan) == pytest.approx(row.agreement, nan_ok=True)
    for person, one_ in zip(agreement.by_annotator(votes_), set_agreement.people_counts(votes_), strict=True):
        assert (one_["votes"], one_["shared"]) == (person.votes, person.shared)
        assert one_["confusion"] == pytest.approx(person.confusion)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("uvwxyz"),
        st.dictionaries(
            st.sampled_from(["ann", "bob", "cyd"]), st.sets(st.sampled_from(CLASSES), min_size=1), min_size=1
        ),
        min_size=1,
    ),
    st.integers(1, 3),
)
def test_a_person_is_one_vote_whatever_the_number_of_labels(said: dict[str, dict[str, set[str]]], least: int) -> None:
    votes_ = table({s: {who: tuple(sorted(all_)) for who, all_ in each.items()} for s, each in said.items()})
    made = label_set(votes_, method="soft", min_votes=least)
    assert made.samples == [s for s in votes_.samples if len(said[s]) >= least]
    assert made.votes.tolist() == [len(said[s]) for s in made.samples]
    assert made.probs.sum(axis=1) == pytest.approx(np.ones(len(made.samples)), abs=1e-6)
    assert with_votes(votes_, least).samples == made.samples
    for one, each in zip(label_set(votes_, method="soft").probs, said.values(), strict=True):
        shares = np.array([sum((c in all_) / len(all_) for all_ in each.values()) for c in CLASSES])
        assert np.array_equal(
            np.argsort(-shares, kind="stable")[:1], np.argsort(-np.round(shares, 9), kind="stable")[:1]
        )
        assert one[shares == 0].max(initial=0) < 0.25


ONE_EACH = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3), st.sampled_from((1, 1, 1, 7))),
    min_size=1,
    max_size=24,
    unique_by=lambda r: r[:2],
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    with Workspace.init(tmp_path_factory.mktemp("empty") / "ws", classes=CLASSES, modality="text").catalog() as catalog:
        yield catalog


@settings(max_examples=25, deadline=None)
@given(ONE_EACH)
def test_one_label_an_answer_gives_bit_for_bit_what_it_gave_before_there_were_several(
    empty: Catalog, rows: list[tuple[int, int, int, int]]
) -> None:
    names, people = [format(i, "064x") for i in range(6)], ("ann", "bob", "cyd", "dan")
    with empty.engine.connect() as tx, tx.begin() as transaction:
        samples.add(tx, [Sample(id=name, media=f"media/{name}.txt", modality="text") for name in names])
        votes.append(
            tx,
            [
                Vote(sample_id=names[s], annotator=people[who], label=CLASSES[c], count=n, origin=f"test:{s}:{who}")
                for s, who, c, n in rows
            ],
        )
        found = tallies.table(tx, CLASSES)
        transaction.rollback()
    said = [(found.samples[s], found.annotators[w]) for s, w in zip(found.sample, found.annotator, strict=True)]
    assert said == [(names[s], people[who]) for s, who, *_ in rows]
    assert found.label.tolist() == [c for _, _, c, _ in rows]
    assert (found.weight.dtype, found.weight.tolist()) == (np.float32, [float(n) for *_, n in rows])
    assert not several(found)
    table_ = np.zeros((len(found.samples), len(CLASSES)))
    for s, _, c, n in rows:
        table_[found.samples.index(names[s]), c] += n
    assert counts(found).tobytes() == table_.tobytes()
    people_ = table_.sum(axis=1)
    shares = (table_.sum(axis=0) + 0.5) / (table_.sum(axis=0) + 0.5).sum()
    soft = table_ + DEFAULTS.prior * shares
    made = label_set(found, method="soft")
    assert made.probs.tobytes() == (soft / soft.sum(axis=1, keepdims=True)).astype(np.float32).tobytes()
    assert made.votes.tolist() == people_.tolist()
    hard = table_[np.arange(len(table_)), made.hard]
    assert made.agreement.tobytes() == (hard / people_).astype(np.float32).tobytes()
    pairable = table_[people_ >= 2]
    found_alpha = agreement.alpha(found, np.random.default_rng(0), draws=20)
    if not len(pairable):
        assert np.isnan(found_alpha.value)
        return
    patterns, repeats = np.unique(pairable, axis=0, return_counts=True)
    people_, times = patterns.sum(axis=1), repeats[None, :].astype(np.float64)
    total, by_class = times @ people_, times @ patterns
    observed = times @ ((people_**2 - (patterns**2).sum(axis=1)) / (people_ - 1))
    expected = (total**2 - (by_class**2).sum(axis=1)) / (total - 1)
    alpha = 1 - observed / expected if expected > 0 else np.array([np.nan])
    assert np.float64(found_alpha.value).tobytes() == alpha.tobytes() or (expected <= 0 and np.isnan(found_alpha.value))
