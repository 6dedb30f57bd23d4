"""Whether the votes on a sample are enough: parsing, what a team's votes tell, and the decision."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from emolab.errors import ConfigError, DataError
from emolab.records import VoteTable
from emolab.votes import quota
from emolab.votes.confusion import believed, learn
from emolab.votes.dawid_skene_fit import likelihood
from emolab.votes.quota import VoteQuota, parse
from emolab.votes.sufficiency import ENOUGH, GIVEN_UP, ONE_MORE, Decisions, decide, information

CLASSES = ("neutral", "fear", "surprise")
UP_TO_FIVE = VoteQuota(1, 5)
Row = tuple[str, str, str]


def table(*rows: Row, count: float = 1) -> VoteTable:
    """Votes given as (sample, annotator, class)."""
    samples, people = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    return VoteTable(
        samples=samples,
        annotators=people,
        classes=CLASSES,
        sample=np.array([samples.index(row[0]) for row in rows], dtype=np.int32),
        annotator=np.array([people.index(row[1]) for row in rows], dtype=np.int32),
        label=np.array([CLASSES.index(row[2]) for row in rows], dtype=np.int16),
        weight=np.full(len(rows), count, dtype=np.float32),
    )


def agreeing(n: int = 90) -> list[Row]:
    """``n`` samples on which ann, bob and cyd agree, all classes alike."""
    return [(f"base{i:03}", who, CLASSES[i % 3]) for i in range(n) for who in ("ann", "bob", "cyd")]


def guessing(n: int = 90) -> list[Row]:
    """A guesser's votes on the samples of :func:`agreeing`."""
    rng = np.random.default_rng(0)
    return [(f"base{i:03}", "guesser", CLASSES[rng.integers(3)]) for i in range(n)]


def state(found: Decisions, votes: VoteTable, sample: str) -> int:
    return int(found.state[votes.samples.index(sample)])


def test_agreement_is_enough_and_a_split_wants_one_more_vote() -> None:
    rows = [("clear", "ann", "fear"), ("clear", "bob", "fear"), ("split", "ann", "fear"), ("split", "bob", "surprise")]
    votes = table(*agreeing(), *rows)
    found = decide(votes, wanted=UP_TO_FIVE, sure=0.9)
    assert state(found, votes, "clear") == ENOUGH
    assert state(found, votes, "split") == ONE_MORE
    assert votes.annotators[found.whom[votes.samples.index("split")]] == "cyd"
    assert CLASSES[found.leader[votes.samples.index("clear")]] == "fear"


def test_at_the_high_end_a_split_sample_is_given_up() -> None:
    split = [("split", "ann", "fear"), ("split", "bob", "surprise"), ("split", "cyd", "neutral")]
    votes = table(*agreeing(), *split)
    assert state(decide(votes, wanted=VoteQuota(1, 3), sure=0.9), votes, "split") == GIVEN_UP
    assert state(decide(votes, wanted=VoteQuota(1, 4), sure=0.9), votes, "split") == ONE_MORE


def test_fewer_than_low_people_are_never_enough() -> None:
    votes = table(*agreeing(), ("new", "ann", "fear"))
    assert state(decide(votes, wanted=VoteQuota(2, 5), sure=0.5), votes, "new") == ONE_MORE
    assert state(decide(votes, wanted=VoteQuota(1, 5), sure=0.5), votes, "new") == ENOUGH


def test_the_vote_of_a_guesser_does_not_settle_a_sample() -> None:
    votes = table(*agreeing(), *guessing(), ("x", "guesser", "fear"), ("y", "ann", "fear"))
    found = decide(votes, wanted=UP_TO_FIVE, sure=0.85)
    assert state(found, votes, "x") == ONE_MORE
    assert state(found, votes, "y") == ENOUGH
    assert votes.annotators[found.whom[votes.samples.index("x")]] in ("ann", "bob", "cyd")


def test_whom_is_never_a_guesser_while_somebody_better_has_not_seen_it() -> None:
    rows = [("split", "ann", "fear"), ("split", "bob", "surprise")]
    votes = table(*agreeing(), *guessing(), *rows)
    found = decide(votes, wanted=UP_TO_FIVE, sure=0.9)
    assert votes.annotators[found.whom[votes.samples.index("split")]] == "cyd"


def test_a_sample_that_only_a_guesser_is_left_for_is_given_up() -> None:
    rows = [("split", "ann", "fear"), ("split", "bob", "surprise"), ("split", "cyd", "neutral")]
    many = 3000
    votes = table(*agreeing(many), *guessing(many), *rows)
    found = decide(votes, wanted=VoteQuota(1, 9), sure=0.9)
    assert votes.annotators[found.whom[votes.samples.index("split")]] == "guesser"
    assert state(found, votes, "split") == GIVEN_UP


def test_a_habit_of_one_person_is_seen_through() -> None:
    """dan says neutral half the time whatever is shown, so his neutral tells less than his fear."""
    dan = [(f"base{i:03}", "dan", "neutral" if (i // 3) % 2 else CLASSES[i % 3]) for i in range(90)]
    votes = table(*agreeing(), *dan, ("n", "dan", "neutral"), ("f", "dan", "fear"))
    chances = believed(learn(votes))
    neutral, fear = chances[votes.samples.index("n")], chances[votes.samples.index("f")]
    assert fear[1] > neutral[0] + 0.1


def test_a_single_annotator_cannot_be_asked_twice_so_anybody_new_is() -> None:
    votes = table(*[(f"s{i}", "ann", CLASSES[i % 3]) for i in range(6)])
    found = decide(votes, wanted=VoteQuota(1, 3), sure=0.9)
    assert (found.whom == -1).all()
    assert (found.state == ONE_MORE).all()
    assert np.allclose(found.chance, found.chance[0]) and 0.7 < found.chance[0] < 0.9


def test_no_votes_no_decisions() -> None:
    found = decide(table(), wanted=UP_TO_FIVE, sure=0.9)
    assert [len(column) for column in (found.state, found.leader, found.chance, found.gain, found.whom)] == [0] * 5


def test_meta_answers_count_as_people_who_were_asked() -> None:
    votes = table(*agreeing(), ("split", "ann", "fear"), ("split", "bob", "surprise"))
    people = np.full(len(votes.samples), 2)
    people[votes.samples.index("split")] = 5
    assert state(decide(votes, wanted=UP_TO_FIVE, sure=0.9, people=people), votes, "split") == GIVEN_UP


def test_counted_votes_are_people_but_nobody_who_could_be_asked() -> None:
    votes = table(("s", "dataset", "fear"), ("t", "dataset", "neutral"), ("t", "dataset", "fear"), count=4)
    found = decide(votes, wanted=VoteQuota(1, 20), sure=0.9)
    assert found.state.tolist() == [ENOUGH, ONE_MORE]
    assert (found.whom == -1).all()


def test_a_model_that_knows_settles_what_it_agrees_with_and_opens_what_it_contradicts() -> None:
    rows = [(f"s{i:03}", who, CLASSES[i % 3]) for i in range(150) for who in (("ann", "bob") if i % 2 else ("ann",))]
    votes = table(*rows)
    probs = np.full((150, 3), 0.05)
    probs[np.arange(150), np.arange(150) % 3] = 0.9
    probs[0] = [0.05, 0.9, 0.05]  # sample s000 has one vote, for neutral
    plain, found = decide(votes, wanted=UP_TO_FIVE, sure=0.97), decide(votes, wanted=UP_TO_FIVE, sure=0.97, probs=probs)
    assert plain.state[2] == ONE_MORE and found.state[2] == ENOUGH
    assert found.state[0] == ONE_MORE and found.chance[0] < plain.chance[0]


def test_a_model_that_knows_nothing_hardly_counts() -> None:
    votes = table(*agreeing())
    noise = np.random.default_rng(1).dirichlet(np.full(3, 0.5), len(votes.samples))
    assert np.abs(believed(learn(votes), noise) - believed(learn(votes))).max() < 0.02


def test_a_model_says_nothing_about_rows_of_nan() -> None:
    votes = table(*agreeing())
    probs = np.full((len(votes.samples), 3), np.nan)
    assert np.allclose(believed(learn(votes), probs), believed(learn(votes)))


def test_classes_that_the_model_does_not_know_keep_their_shares() -> None:
    votes = table(*agreeing(), ("x", "ann", "surprise"))
    told = np.full((len(votes.samples), 2), 0.5)
    plain, found = believed(learn(votes)), believed(learn(votes), told)
    assert np.abs(found[-1] - plain[-1]).max() < 0.05
    told[-1] = [0.999, 0.001]
    leaning = believed(learn(votes), told)
    assert leaning[-1, 0] >= plain[-1, 0] and leaning[-1].sum() == pytest.approx(1)


def test_more_people_who_agree_make_surer_but_less_so_than_if_they_erred_independently() -> None:
    rows = [(f"s{n}", f"p{j}", "fear") for n in range(1, 6) for j in range(n)]
    team = learn(table(*agreeing(), *rows))
    alone = likelihood(team.said, team.habits, 0.0)[-5:]
    alike = likelihood(team.said, team.habits, 0.25)[-5:]
    assert np.allclose(alike * (1 + 0.25 * np.arange(5))[:, None], alone)
    assert (np.diff(believed(team)[-5:, 1]) > 0).all()


def test_an_answer_tells_nothing_where_all_is_known_or_by_somebody_who_always_says_the_same() -> None:
    honest = np.array([[0.8, 0.2], [0.2, 0.8]])
    stuck = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert information(np.array([[0.5, 0.5]]), honest)[0] == pytest.approx(
        np.log(2) + 0.8 * np.log(0.8) + 0.2 * np.log(0.2)
    )
    assert information(np.array([[1.0, 0.0]]), honest)[0] == pytest.approx(0)
    assert information(np.array([[0.5, 0.5]]), stuck)[0] == pytest.approx(0)


def test_what_makes_no_sense_is_refused() -> None:
    votes = table(("s", "ann", "fear"))
    with pytest.raises(DataError, match="A certainty of 1 cannot be asked for; expected a number between 0 and 1"):
        decide(votes, wanted=UP_TO_FIVE, sure=1.0)
    with pytest.raises(DataError, match=r"shape \(2, 3\); expected 1 rows and up to 3 classes"):
        decide(votes, wanted=UP_TO_FIVE, sure=0.9, probs=np.full((2, 3), 1 / 3))


@pytest.mark.parametrize(
    ("text", "found"),
    [("3", VoteQuota(3, 3)), ("1..5", VoteQuota(1, 5)), (" 2 .. 4 ", VoteQuota(2, 4)), ("2..2", VoteQuota(2, 2))],
)
def test_votes_are_a_number_or_a_range(text: str, found: VoteQuota) -> None:
    assert parse(text) == found
    assert parse(str(found)) == found


@pytest.mark.parametrize("text", ["", "many", "1-5", "1..", "..5", "1...5", "-1", "1.5", "1..5..7"])
def test_other_words_for_votes_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r'expected a number such as "3", or a range such as "1\.\.5"') as caught:
        parse(text)
    assert caught.value.hint == "Example: --set labeling.votes=1..5"


@pytest.mark.parametrize("text", ["0", "0..3", "5..1", "1..101"])
def test_ranges_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected LOW\.\.HIGH with 1 <= LOW <= HIGH <= 100"):
        parse(text)


def test_examples_of_the_documentation_hold() -> None:
    assert doctest.testmod(quota).failed == 0
