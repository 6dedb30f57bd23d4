"""Who is asked about next: a fair draw, without pictures that are not worth a person's time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from emolab.catalog import fitness, samples, votes
from emolab.catalog.campaign import remotes
from emolab.catalog.campaign.unsent import Candidate, Unsent, fair, unsent
from emolab.records import Sample, Vote
from emolab.votes.picture_bar import Bar
from emolab.workspace import Workspace

BAR = Bar(max_blur=0.9, min_contrast=0.03, min_side=24)
GOOD = {"size": 96.0, "brightness": 0.5, "contrast": 0.2, "blur": 0.3}


def sample(name: str, **fields: object) -> Sample:
    made = Sample(id=hashlib.sha256(name.encode()).hexdigest(), media=f"media/{name}.png", name=name, quality=GOOD)
    return replace(made, **fields)  # type: ignore[arg-type]


def put(workspace: Workspace, *made: Sample) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, made)
        samples.set_representatives(tx, {s.id: s.representative for s in made if s.representative})


def ask(workspace: Workspace, bar: Bar = BAR, *, seed: str = "") -> Unsent:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return unsent(conn, None, bar, seed=seed)


def send(workspace: Workspace, *ids: str) -> None:
    with workspace.catalog() as catalog, catalog.begin() as tx:
        mine = remotes.add_project(tx, server="s", project=1, title="t")
        remotes.want(tx, mine, [remotes.TaskRequest(i, 1, 1) for i in ids])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (GOOD, None),
        ({}, None),  # from before there were measures
        ({**GOOD, "faces": 0.0}, fitness.FACELESS),
        ({**GOOD, "faces": 2.0, "face": 0.7}, None),
        ({**GOOD, "blur": 0.95}, fitness.BLURRED),
        ({**GOOD, "blur": 0.9}, None),  # the bar itself is good enough
        ({**GOOD, "contrast": 0.001}, fitness.FLAT),
        ({**GOOD, "size": 12.0}, fitness.SMALL),
        ({**GOOD, "size": 12.0, "blur": 0.99, "faces": 0.0}, fitness.FACELESS),  # one reason each
    ],
)
def test_what_is_below_the_bar_is_left_out_and_counted(
    workspace: Workspace, quality: Mapping[str, float], reason: str | None
) -> None:
    put(workspace, sample("a", quality=quality))
    found = ask(workspace)
    assert (len(found.ids), dict(found.left_out)) == ((1, {}) if reason is None else (0, {reason: 1}))


@pytest.mark.parametrize("reason", list(fitness.SETTINGS))
def test_the_setting_that_is_named_lets_such_pictures_through(workspace: Workspace, reason: str) -> None:
    measures = {
        fitness.FACELESS: {"faces": 0.0},
        fitness.BLURRED: {"blur": 0.99},
        fitness.FLAT: {"contrast": 0.0},
        fitness.SMALL: {"size": 5.0},
        fitness.VOICELESS: {"voice": 0.0},
    }
    put(workspace, sample("a", quality={**GOOD, **measures[reason]}))
    made = Workspace.open(workspace.root)
    assert ask(made, made.config.labeling.bar).left_out == {reason: 1}
    told = Workspace.find(workspace.root, overrides=(f"labeling.{fitness.SETTINGS[reason]}",))
    assert len(ask(told, told.config.labeling.bar).ids) == 1


def test_of_near_copies_one_is_taken(workspace: Workspace) -> None:
    first, copies = sample("a"), [sample(name, representative=sample("a").id) for name in "bcd"]
    put(workspace, first, *copies, sample("e"))
    found = ask(workspace)
    assert (set(found.ids), found.left_out) == ({first.id, sample("e").id}, {fitness.COPY: 3})


def test_of_near_copies_a_good_one_is_taken_where_the_first_is_not(workspace: Workspace) -> None:
    first = sample("a", quality={**GOOD, "blur": 0.99})
    put(workspace, first, sample("b", representative=first.id))
    found = ask(workspace)
    assert (found.ids, found.left_out) == ([sample("b").id], {fitness.BLURRED: 1})


@pytest.mark.parametrize("which", ["a", "b"])
@pytest.mark.parametrize("how", ["sent", "answered"])
def test_no_copy_follows_one_that_was_sent_or_answered(workspace: Workspace, which: str, how: str) -> None:
    first = sample("a")
    put(workspace, first, sample("b", representative=first.id), sample("c", representative=first.id))
    if how == "sent":
        send(workspace, sample(which).id)
    else:
        with workspace.catalog() as catalog, catalog.begin() as tx:
            votes.append(tx, [Vote(sample_id=sample(which).id, annotator="x", label="neutral", origin="o:1")])
    found = ask(workspace)
    assert (found.ids, found.left_out) == ([], {fitness.COPY: 2})


def test_what_was_deleted_from_a_project_is_not_sent_to_it_again_but_may_go_to_another(workspace: Workspace) -> None:
    put(workspace, sample("a"))
    send(workspace, sample("a").id)
    with workspace.catalog() as catalog:
        with catalog.begin() as tx:
            (mine,) = remotes.projects(tx)
            remotes.set_state(tx, mine, [sample("a").id], "deleted")
        with catalog.connect() as conn:
            assert unsent(conn, mine, BAR).ids == []
            assert unsent(conn, None, BAR).ids == [sample("a").id]


def test_every_beginning_holds_sources_in_proportion_and_a_turn_of_each_group() -> None:
    pile = [Candidate(f"big{i}", "big", f"person {i % 30}") for i in range(300)]
    pile += [Candidate(f"small{i}", "small", None) for i in range(100)]
    pile += [Candidate(f"film{i}", "big", "film") for i in range(200)]  # one group of 200 must not crowd out the others
    order = fair(pile)
    assert sorted(order) == sorted(one.id for one in pile)
    group = {one.id: one.group for one in pile}
    for n in (30, 60, 120):
        head = order[:n]
        small = sum(one.startswith("small") for one in head)
        assert abs(small - n / 6) <= 1
        assert max(Counter(group[one] for one in head if group[one]).values()) <= -(-n // 31) + 1


def test_the_draw_is_no_order_of_arrival_and_the_same_everywhere() -> None:
    pile = [Candidate(f"{i:04}", "s", None) for i in range(1000)]
    order = fair(pile)
    assert order == fair(reversed(pile))
    places = sum(int(one) for one in order[:200]) / 200
    assert 430 < places < 570  # a tenth of a thousand in order of arrival would give 100
    assert fair(pile, seed="another") != order


def test_names_no_encoding_knows_are_drawn_too() -> None:
    assert len(fair([Candidate("a", "s", "caf\udce9"), Candidate("b", "s\nx", None)])) == 2
