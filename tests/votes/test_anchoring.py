"""How far a shown guess pulls answers: the figures, and that their intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from emolab.records import GuessedAnswer
from emolab.stats.proportions import Interval, difference
from emolab.votes import anchoring

CLASSES = ("happiness", "sadness", "anger", "fear", "disgust", "neutral")
ADOPTION = {"ann": 0.0, "bob": 0.15, "cyd": 0.3, "dan": 0.5}
RUNS = 500


def faces(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """What a crowd says of ``n`` faces, (n, 6), and a model's guess, (n,): in seven of ten the crowd's first choice."""
    probs = rng.dirichlet(np.full(len(CLASSES), 0.3), n)
    return probs, np.where(rng.random(n) < 0.7, probs.argmax(axis=1), rng.integers(len(CLASSES), size=n))


def answered(n: int, rng: np.random.Generator, adoption: dict[str, float] = ADOPTION) -> list[GuessedAnswer]:
    """Everybody answers ``n`` faces, half of them blind; some take over what they see."""
    probs, guess = faces(n, rng)
    blind = rng.random(n) < 0.5
    found = []
    for name, share in adoption.items():
        said = (probs.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        said = np.where(~blind & (rng.random(n) < share), guess, said)
        for i in range(n):
            found.append(GuessedAnswer(f"s{i}", name, CLASSES[said[i]], CLASSES[guess[i]], shown=not blind[i]))
    return found


def agreement() -> float:
    """How often somebody agrees with a guess without seeing it, as many faces tell."""
    probs, guess = faces(200_000, np.random.default_rng(1))
    return float(probs[np.arange(len(guess)), guess].mean())


@pytest.fixture(scope="module")
def runs() -> list[tuple[anchoring.Anchoring, list[anchoring.Anchoring]]]:
    found = [answered(120, np.random.default_rng(seed)) for seed in range(RUNS)]
    return [(anchoring.of_team(answers), anchoring.by_annotator(answers)) for answers in found]


def covered(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in intervals]))


def test_the_interval_of_every_person_holds_the_truth(
    runs: list[tuple[anchoring.Anchoring, list[anchoring.Anchoring]]],
) -> None:
    blind = agreement()
    for place, (name, share) in enumerate(ADOPTION.items()):
        mine = [people[place] for _, people in runs]
        assert {one.annotator for one in mine} == {name}
        truth = share * (1 - blind)
        assert covered([Interval(one.low, one.high) for one in mine], truth) >= 0.9, name
        assert np.mean([one.difference for one in mine]) == pytest.approx(truth, abs=0.02), name
        half = [Interval(*(one.difference + (end - one.difference) / 2 for end in (one.low, one.high))) for one in mine]
        assert covered(half, truth) < 0.9, "an interval half as wide does not hold: the test can tell"


def test_the_interval_of_the_team_holds_the_truth_although_all_answer_the_same_samples(
    runs: list[tuple[anchoring.Anchoring, list[anchoring.Anchoring]]],
) -> None:
    truth = float(np.mean(list(ADOPTION.values()))) * (1 - agreement())
    team = [one for one, _ in runs]
    assert covered([Interval(one.low, one.high) for one in team], truth) >= 0.9
    as_if_alone = [difference(one.with_shown, one.shown, one.with_hidden, one.hidden) for one in team]
    assert covered(as_if_alone, truth) < 0.9, "answers to one sample are not independent"


def answers(name: str, *, shown: tuple[int, int], hidden: tuple[int, int], first: int = 0) -> list[GuessedAnswer]:
    """So many answers that agree with the guess, of so many; each about a sample of its own."""
    found = []
    for kind, (agree, n) in ((True, shown), (False, hidden)):
        for i in range(n):
            said = "happiness" if i < agree else "fear"
            found.append(GuessedAnswer(f"{name}{kind}{first + i}", name, said, "happiness", shown=kind))
    return found


def test_the_figures_of_one_person() -> None:
    (ann,) = anchoring.by_annotator(answers("ann", shown=(56, 70), hidden=(48, 80)))
    assert (ann.with_shown, ann.with_hidden, ann.shown, ann.hidden) == (0.8, 0.6, 70, 80)
    assert (ann.difference, ann.adoption) == (pytest.approx(0.2), pytest.approx(0.5))
    assert (ann.low, ann.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_who_answers_which_forms_makes_no_effect() -> None:
    """ann agrees with most guesses and bob with few, whatever they see; ann happens to see more empty forms."""
    some = [
        *answers("ann", shown=(18, 20), hidden=(72, 80)),
        *answers("bob", shown=(24, 80), hidden=(6, 20)),
    ]
    team = anchoring.of_team(some)
    assert team.difference == pytest.approx(0.0)
    assert team.low < 0 < team.high
    assert sum(a.said == a.guess for a in some if not a.shown) / 100 == 0.78, "a plain share would say: 36 points less"


def test_few_or_one_sided_answers_give_a_wide_interval_and_no_error() -> None:
    nobody = anchoring.of_team([])
    assert (nobody.shown, nobody.hidden, nobody.enough, nobody.low, nobody.high) == (0, 0, False, -1.0, 1.0)
    blind = answers("ann", shown=(0, 0), hidden=(3, 4))
    (ann,) = anchoring.by_annotator(blind)
    assert (ann.enough, ann.low, ann.high, ann.adoption) == (False, -1.0, 1.0, 0.0)
    assert (anchoring.of_team(blind).hidden, anchoring.of_team(blind).enough) == (4, False)
    always = anchoring.of_team(answers("ann", shown=(12, 12), hidden=(12, 12)))
    assert always.enough and always.difference == 0 and always.low < -0.1 and always.high > 0.1


def test_answers_of_one_sided_members_stay_out_of_the_teams_figures() -> None:
    some = [*answers("ann", shown=(8, 10), hidden=(5, 10)), *answers("bob", shown=(0, 0), hidden=(0, 30))]
    assert anchoring.of_team(some).difference == pytest.approx(0.3)
