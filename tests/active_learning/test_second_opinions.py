"""Second opinions earn their place in a round against new samples."""

from __future__ import annotations

import numpy as np

from emolab.active_learning.selection.second_opinions import second_opinions
from emolab.records import VoteTable

CLASSES = ("fear", "happiness", "neutral")
#: Who said what about which sample: ten clear ones, "split" and "wrong", on which people or the model disagree.
SAID = {f"clear{i}": {"ann": i % 3, "bob": i % 3, "eve": i % 3} for i in range(10)} | {
    "split": {"ann": 0, "bob": 1, "eve": 2},
    "wrong": {"ann": 1, "bob": 1, "eve": 0},
}


def table(said: dict[str, dict[str, int]]) -> VoteTable:
    rows = [(s, p, c) for s, answers in said.items() for p, c in answers.items()]
    samples, people = list(said), ["ann", "bob", "eve"]
    return VoteTable(
        samples=samples,
        annotators=people,
        classes=CLASSES,
        sample=np.array([samples.index(s) for s, _, _ in rows], dtype=np.int32),
        annotator=np.array([people.index(p) for _, p, _ in rows], dtype=np.int32),
        label=np.array([c for _, _, c in rows], dtype=np.int16),
        weight=np.ones(len(rows), dtype=np.float32),
    )


def model(votes: VoteTable) -> np.ndarray:
    """Right about the clear ones, undecided about "split", against the people on "wrong"."""
    probs = np.full((len(votes.samples), 3), 0.05)
    for row, sample in enumerate(votes.samples):
        if sample.startswith("clear"):
            probs[row, int(sample[5:]) % 3] = 0.9
    probs[votes.samples.index("split")] = 1 / 3
    probs[votes.samples.index("wrong")] = [0.9, 0.05, 0.05]
    return probs


CERTAIN = np.tile([0.98, 0.01, 0.01], (50, 1))
UNSURE = np.tile([0.34, 0.33, 0.33], (50, 1))


def ask(new: np.ndarray, n: int = 20, most: int = 10, said: dict[str, dict[str, int]] | None = None) -> list[str]:
    votes = table(said or SAID)
    askable = np.ones(len(votes.samples), dtype=bool)
    rows, scores = second_opinions(votes, model(votes), new, n, askable=askable, most=most)
    assert (np.diff(scores) <= 0).all()
    return [votes.samples[row] for row in rows]


def test_the_disputed_ones_come_first_where_new_samples_are_certain() -> None:
    assert ask(CERTAIN)[:2] == ["split", "wrong"]


def test_unsure_new_samples_leave_no_place_for_clear_old_ones() -> None:
    assert not [sample for sample in ask(UNSURE) if sample.startswith("clear")]


def test_never_more_than_allowed_and_never_one_that_may_not_be_asked() -> None:
    assert ask(CERTAIN, most=1) == ["split"]
    assert ask(CERTAIN, most=0) == []
    votes = table(SAID)
    askable = np.array([sample != "split" for sample in votes.samples])
    rows, _ = second_opinions(votes, model(votes), CERTAIN, 20, askable=askable, most=1)
    assert [votes.samples[row] for row in rows] == ["wrong"]


def test_the_order_of_samples_does_not_matter() -> None:
    turned = dict(reversed(SAID.items()))
    assert ask(CERTAIN, said=turned) == ask(CERTAIN)


def test_without_new_samples_or_a_model_the_votes_alone_decide() -> None:
    votes = table(SAID)
    askable = np.ones(len(votes.samples), dtype=bool)
    rows, _ = second_opinions(votes, None, np.empty((0, 3)), 2, askable=askable, most=2)
    assert [votes.samples[row] for row in rows] == ["split", "wrong"]
