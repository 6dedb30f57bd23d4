"""What votes are worth that repeat a guess people saw, and the labels that come of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emolab.catalog import labels, samples, votes
from emolab.catalog.campaign import guesses, remotes
from emolab.labeling.labels import anchored_votes
from emolab.labeling.labels.aggregate import aggregate
from emolab.labeling.labels.current_labels import current_labels, standing
from emolab.records import GuessedAnswer, Sample, Vote, VoteTable
from emolab.workspace import Workspace

CLASSES = ("happiness", "sadness", "neutral")
TEAM = ("ann", "bob", "cho")


def answered(pull: float, n: int = 200) -> list[GuessedAnswer]:
    """Three people answer ``n`` samples, every second one blind; alone they say the guess for half of them."""
    rng = np.random.default_rng(3)
    found = []
    for i in range(n):
        for name in TEAM:
            says = rng.random() < 0.5 or (i % 2 == 1 and rng.random() < pull)
            said = "happiness" if says else "sadness"
            found.append(GuessedAnswer(f"{i:064x}", name, said, "happiness", shown=i % 2 == 1))
    return found


def table(guessed: list[GuessedAnswer]) -> VoteTable:
    names = sorted({each.sample_id for each in guessed})
    return VoteTable(
        samples=names,
        annotators=list(TEAM),
        classes=CLASSES,
        sample=np.array([names.index(each.sample_id) for each in guessed], dtype=np.int32),
        annotator=np.array([TEAM.index(each.annotator) for each in guessed], dtype=np.int32),
        label=np.array([CLASSES.index(each.said) for each in guessed], dtype=np.int16),
        weight=np.ones(len(guessed), dtype=np.float32),
    )


def test_only_votes_that_repeat_a_shown_guess_count_less_and_together_no_less_than_their_own_share() -> None:
    guessed = answered(0.5)
    votes, weights = table(guessed), anchored_votes.weights(table(guessed), guessed)
    assert weights is not None
    repeats = np.array([each.shown and each.said == each.guess for each in guessed])
    assert (weights[~repeats] == 1).all()
    assert ((weights[repeats] > 0.2) & (weights[repeats] <= 1)).all()
    alone = [votes.sample[row] for row in np.flatnonzero(repeats)]
    some = np.bincount(alone, minlength=len(votes.samples))
    three = weights[repeats & (some[votes.sample] == 3)].mean()
    one = weights[repeats & (some[votes.sample] == 1)].mean()
    assert three < one, "three people who take over one guess repeat one opinion"


def test_a_table_of_known_habits_gives_the_weights_of_the_model() -> None:
    """ann says hidden guesses half of the time and shown ones always, so half of those are her own opinion."""
    guessed = [
        GuessedAnswer(f"{i:064x}", "ann", "happiness" if shown or i % 2 else "sadness", "happiness", shown=shown)
        for shown, numbers in ((True, range(4000)), (False, range(4000, 8000)))
        for i in numbers
    ]
    guessed += [replace(each, annotator="bob") for each in guessed]
    weights = anchored_votes.weights(table(guessed), guessed)
    assert weights is not None
    # a is believed to be 0.95 at most, and q is 0.5: w = 0.05 * 0.5 / (0.95 + 0.05 * 0.5) = 0.0256. The rest
    # of two votes is 1.949, of which 0.25 count: people agree with the model half as often as with each other
    assert weights[0] == pytest.approx(0.0256 + (1 - 0.0256) * 0.25 / (2 * (1 - 0.0256)), abs=1e-3)


@pytest.mark.parametrize("guessed", [[], answered(0.0), answered(0.9, n=4)], ids=["none", "no pull", "too few"])
def test_nothing_is_corrected_before_a_pull_can_be_told(guessed: list[GuessedAnswer]) -> None:
    assert anchored_votes.weights(table(answered(0.0)), guessed) is None


@pytest.fixture
def pulled(workspace: Workspace) -> Workspace:
    """A workspace whose team answered 200 samples; half of the forms showed the guess and pulled people to it."""
    guessed = answered(0.6)
    ids = sorted({each.sample_id for each in guessed})
    blind = {each.sample_id for each in guessed if not each.shown}
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, [Sample(id=name, media=f"media/{name}.png") for name in ids])
        project = remotes.add_project(tx, server="s", project=1, title="faces")
        sent = dict.fromkeys(ids, "happiness")
        guesses.record(tx, project, sent, tasks=ids, blind=blind, share=0.5)
        votes.append(
            tx,
            [
                Vote(
                    sample_id=each.sample_id,
                    annotator=each.annotator,
                    label=each.said,
                    origin=f"studio:s:1:{row}",
                    shown=each.guess if each.shown else "",
                    cast_at="2099-01-01T00:00:00Z",
                )
                for row, each in enumerate(guessed)
            ],
        )
    return workspace


def told(workspace: Workspace, anchoring: str) -> Workspace:
    config = workspace.config
    return Workspace(workspace.root, replace(config, labeling=replace(config.labeling, anchoring=anchoring)))


def test_corrected_labels_believe_less_in_shown_guesses_and_count_people_as_before(pulled: Workspace) -> None:
    ignoring = aggregate(told(pulled, "ignore"), method="soft").labels
    correcting = aggregate(told(pulled, "correct"), method="soft").labels
    assert correcting.samples == ignoring.samples and (correcting.votes == ignoring.votes).all()
    shown = np.array([int(name, 16) % 2 == 1 for name in correcting.samples])
    lower = ignoring.probs[:, 0] - correcting.probs[:, 0]
    assert lower[shown].mean() > 0.03
    assert lower[~shown] == pytest.approx(0.0, abs=0.03), "blind samples change by the class shares alone"
    assert correcting.version != ignoring.version
    assert (ignoring.settings.get("anchoring"), correcting.settings["anchoring"]) == (None, "correct")


def test_the_stored_labels_stay_corrected_and_are_made_once(pulled: Workspace) -> None:
    made = aggregate(pulled).labels
    assert pulled.config.labeling.anchoring == "correct"
    assert not aggregate(pulled).new
    assert current_labels(told(pulled, "ignore")).version == made.version, "how they were made stays with them"
    with pulled.catalog() as catalog, catalog.connect() as conn:
        stands, head = standing(told(pulled, "ignore"), conn), labels.head(conn)
    assert stands is not None and head is not None
    assert (stands.outdated, stands.settings_say, head.version) == ("", "anchoring ignore", made.version)
    again = current_labels(Workspace.open(pulled.root, overrides=("labeling.anchoring=ignore",)))
    assert again.version != made.version
