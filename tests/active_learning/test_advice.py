"""When to stop: the learning curve, the ceiling of agreement, doubtful labels, and the sentence made of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.active_learning.advice import (
    advice,
    ceiling,
    doubtful_labels,
    learning_curve,
    opinions,
    power_law,
    recommendation,
)
from emolab.active_learning.advice.advice import Finding, Purchase, Relabelling
from emolab.active_learning.advice.ceiling import Ceiling
from emolab.active_learning.advice.doubtful_labels import Doubtful
from emolab.active_learning.advice.learning_curve import Labelled, Measured
from emolab.active_learning.advice.power_law import Interval
from emolab.errors import DataError

Floats = NDArray[np.float64]


def clouds(n: int, *, k: int = 3, d: int = 8, seed: int = 0, slips: float = 0.0) -> tuple[Labelled, NDArray[np.int64]]:
    """n samples of k overlapping clouds, labelled by one vote with a share of ``slips``, and their true classes."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    features = 1.2 * rng.normal(size=(k, d))[truth] + rng.normal(size=(n, d))
    hard = np.where(rng.random(n) < slips, (truth + rng.integers(1, k, n)) % k, truth)
    everybody = np.ones(n, dtype=bool)
    made = Labelled(
        features=features, targets=np.eye(k)[hard], hard=hard, teach=everybody, judge=everybody, unit=np.arange(n)
    )  # fmt: skip
    return made, truth


def campaign(a: float, b: float, c: float, *, judges: int, seed: int) -> Measured:
    """What judges would say of heads whose accuracy is exactly a - b n^-c, each judge as hard as drawn once."""
    rng = np.random.default_rng(seed)
    sizes = np.tile(learning_curve.steps(400), (10, 1))
    difficulty = rng.random(judges)
    hits = (difficulty[None, None, :] < (a - b * sizes**-c)[:, :, None]).astype(np.float32)
    return Measured(sizes, hits)


@pytest.mark.slow
def test_the_fit_recovers_a_known_power_law() -> None:
    law = power_law.fit(campaign(0.9, 1.5, 0.5, judges=20_000, seed=1), np.random.default_rng(0))
    for n in (400, 800, 1600):
        assert law.accuracy(n).value == pytest.approx(0.9 - 1.5 * n**-0.5, abs=0.01)
    gain = law.gain(400, 1200)
    assert gain.value == pytest.approx(1.5 * (400**-0.5 - 1600**-0.5), abs=0.006)
    assert gain.low < gain.value < gain.high


def test_a_flat_curve_promises_nothing() -> None:
    law = power_law.fit(campaign(0.8, 0.0, 0.5, judges=2_000, seed=2), np.random.default_rng(0))
    assert abs(law.gain(400, 4000).value) < 0.003


def test_judges_who_all_agree_are_no_proof_of_a_perfect_model() -> None:
    law = power_law.fit(campaign(1.1, 0.0, 0.5, judges=40, seed=2), np.random.default_rng(0))
    assert law.accuracy(400).value == pytest.approx(1.0)
    assert law.accuracy(400).low < 0.97


@pytest.mark.slow
def test_intervals_hold_what_further_labels_brought_about_as_often_as_they_say() -> None:
    inside = []
    for seed in range(40):
        everything, _ = clouds(3000, k=4, d=12, seed=seed, slips=0.2)
        few = np.arange(150)
        rows = {name: getattr(everything, name)[few] for name in ("features", "targets", "hard", "teach", "unit")}
        data = Labelled(**rows, judge=few % 2 == 0)
        rng = np.random.default_rng(seed)
        law = power_law.fit(learning_curve.measure(data, rng), rng)
        for more in (50, 150, 450):
            before, after = (_accuracy(everything, n) for n in (150, 150 + more))
            found = law.gain(150, more)
            inside.append(found.low <= after - before <= found.high)
    assert 0.85 <= np.mean(inside) <= 1.0


def _accuracy(data: Labelled, n: int) -> float:
    asked = np.arange(1000, 3000)
    taught = np.arange(n)
    logits = learning_curve.logits(data, taught, asked, learning_curve.penalty(data, taught))
    return float((logits.argmax(axis=1) == data.hard[asked]).mean())


def test_nobody_is_judged_by_a_head_that_learnt_from_his_other_picture() -> None:
    data, _ = clouds(60)
    twins = replace(data, unit=np.arange(60) // 2, features=np.repeat(data.features[:30], 2, axis=0))
    strangers = replace(twins, hard=np.repeat(np.random.default_rng(99).integers(0, 3, 30), 2))
    strangers = replace(strangers, targets=np.eye(3)[strangers.hard])
    found = learning_curve.measure(strangers, np.random.default_rng(0))
    assert np.nanmean(found.hits) < 0.55
    leaking = learning_curve.measure(replace(strangers, unit=np.arange(60)), np.random.default_rng(0))
    assert np.nanmean(leaking.hits[:, -1]) > np.nanmean(found.hits[:, -1]) + 0.1


def test_one_person_alone_cannot_judge() -> None:
    data, _ = clouds(60)
    with pytest.raises(DataError, match="All labelled samples belong together"):
        learning_curve.measure(replace(data, unit=np.zeros(60, dtype=np.int64)), np.random.default_rng(0))


def test_a_head_that_comes_with_the_backbone_is_where_the_curve_starts() -> None:
    data, _ = clouds(400, seed=3)
    weight = learning_curve.penalty(data, np.arange(400))
    problem = learning_curve._problem(data, np.arange(400))
    solved = problem.fold_back(problem.solve(weight), weight)
    started = replace(data, known=(solved.weight, solved.bias))
    blank, ahead = (learning_curve.measure(d, np.random.default_rng(0)) for d in (data, started))
    assert np.nanmean(ahead.hits[:, 0]) > np.nanmean(blank.hits[:, 0])


def test_the_ceiling_of_a_team_that_always_agrees_is_everything() -> None:
    ann_and_bob = np.array([[2.0, 0.0], [0.0, 2.0]] * 30)
    found = ceiling.ceiling(ann_and_bob, np.random.default_rng(0))
    assert found is not None
    assert (found.samples, found.votes, found.others) == (60, 2.0, 1.0)
    assert found.person.value > 0.98
    assert found.label.value > 0.98


def test_the_ceiling_of_guessers_is_chance() -> None:
    ann_and_bob = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0], [1.0, 1.0]] * 30)
    found = ceiling.ceiling(ann_and_bob, np.random.default_rng(0))
    assert found is not None
    assert found.others == pytest.approx(0.5)
    assert found.person.value < 0.62
    assert found.label.value < 0.62


def test_the_others_majority_is_counted_vote_by_vote() -> None:
    # ann and bob say a, cem says b: for ann and for bob the others are tied, for cem they say a.
    assert ceiling.others_agree(np.array([[2.0, 1.0]])) == pytest.approx((0.5 + 0.5 + 0.0) / 3)
    assert ceiling.others_agree(np.array([[3.0, 1.0]])) == pytest.approx(3 / 4)


@pytest.mark.parametrize("votes", [2, 3, 5])
def test_the_ceiling_is_found_from_few_votes_each(votes: int) -> None:
    rng = np.random.default_rng(votes)
    truth = rng.dirichlet([0.35, 0.35, 0.35, 0.35], 1500)
    counts = np.stack([rng.multinomial(votes, row) for row in truth]).astype(np.float64)
    found = ceiling.ceiling(counts, rng)
    assert found is not None
    assert found.person.value == pytest.approx(truth.max(axis=1).mean(), abs=0.025)
    assert found.others < found.person.value
    labels = (counts + rng.random(counts.shape) / 2).argmax(axis=1)
    assert found.label.value == pytest.approx((labels == truth.argmax(axis=1)).mean(), abs=0.03)


def test_the_ceiling_needs_forty_samples_with_two_votes() -> None:
    assert ceiling.ceiling(np.array([[1.0, 0.0]] * 500 + [[2.0, 0.0]] * 39), np.random.default_rng(0)) is None


def slipped(n: int, *, slips: float, seed: int) -> tuple[Labelled, Floats, NDArray[np.bool_]]:
    """Clouds that ann and bob voted on, each slipping now and then; on a tie ann counts. And which labels are wrong."""
    data, truth = clouds(n, seed=seed)
    rng = np.random.default_rng(seed + 100)
    said = [np.where(rng.random(n) < slips, (truth + rng.integers(1, 3, n)) % 3, truth) for _ in range(2)]
    counts = np.eye(3)[said[0]] + np.eye(3)[said[1]]
    return replace(data, hard=said[0], targets=counts / 2), counts, said[0] != truth


def test_wrong_labels_are_found_and_their_share_is_told() -> None:
    for seed in range(3):
        data, counts, wrong = slipped(500, slips=0.15, seed=seed)
        found = doubtful_labels.find(data, counts, opinions.fit(counts), np.random.default_rng(0))
        right = wrong[found.rows].mean()
        assert wrong[found.rows].sum() >= 0.6 * wrong.sum()
        assert right >= 0.75
        assert found.wrong.mean() == pytest.approx(right, abs=0.15)
        assert found.noise == pytest.approx(wrong.mean(), abs=0.04)
        assert found.noise_after < found.noise / 2
        assert (np.diff(found.wrong) <= 0).all()
        assert (found.instead != data.hard[found.rows]).all()


def test_a_team_that_agrees_is_not_doubted_however_weak_the_model() -> None:
    data, _ = clouds(300, seed=1)
    nonsense = replace(data, features=np.random.default_rng(0).normal(size=(300, 8)))
    counts = 3 * np.eye(3)[nonsense.hard]
    found = doubtful_labels.find(nonsense, counts, opinions.fit(counts), np.random.default_rng(0))
    assert len(found.rows) == 0


def test_advice_on_a_campaign_holds_all_its_parts() -> None:
    data, counts, _ = slipped(400, slips=0.15, seed=5)
    found = advice.advise(
        data, counts, counts, votes=(100, 1000), votes_per_label=2.5, rng=np.random.default_rng(0)
    )  # fmt: skip
    assert [p.votes for p in found.purchases] == [100, 1000]
    assert found.purchases[0].labels == 40
    assert found.purchases[0].gain.value < found.purchases[1].gain.value
    assert found.relabelling is not None
    assert found.relabelling.votes == 2 * len(found.relabelling.doubtful.rows)
    assert found.ceiling is not None
    again = advice.advise(
        data, counts, counts, votes=(100, 1000), votes_per_label=2.5, rng=np.random.default_rng(0)
    )  # fmt: skip
    assert again.purchases == found.purchases


def test_without_second_votes_no_label_is_doubted_and_no_ceiling_told() -> None:
    data, _ = clouds(100)
    single = np.eye(3)[data.hard]
    found = advice.advise(data, single, single, votes=(100,), votes_per_label=1.0, rng=np.random.default_rng(0))
    assert (found.ceiling, found.relabelling, found.reached) == (None, None, False)


def finding(
    *, gain: tuple[float, float], relabel: tuple[float, float] | None = None, accuracy: float = 0.6, labels: int = 41
) -> Finding:
    doubted = Doubtful(np.arange(labels), np.full(labels, 0.7), np.zeros(labels, dtype=np.int64), 0.2, 0.1)
    return Finding(
        labels=500,
        judges=60,
        accuracy=Interval.around(accuracy, 0.05),
        purchases=(Purchase(300, 100.0, Interval.around(*gain)),),
        ceiling=Ceiling(Interval(0.7, 0.68, 0.72), Interval(0.8, 0.77, 0.83), 0.6, 200, 3.0),
        relabelling=None if relabel is None else Relabelling(doubted, 82, Interval.around(*relabel)),
    )


@pytest.mark.parametrize(
    ("given", "said", "action"),
    [
        (finding(gain=(0.006, 0.004)), "300 more votes buy +0.6 ± 0.4 points: label on.", "label"),
        (
            finding(gain=(0.006, 0.009)),
            "300 more votes buy +0.6 ± 0.9 points: label on, though it may be nothing.",
            "label",
        ),
        (
            finding(gain=(0.0, 0.009)),
            "300 more votes buy +0.0 ± 0.9 points: label on, though it may be nothing.",
            "label",
        ),
        (
            finding(gain=(0.0, 0.011), relabel=(0.0001, 0.005)),
            "300 more votes buy +0.0 ± 1.1 points, and 82 on 41 doubtful labels +0.0 ± 0.5 points: no gain can be "
            "seen, and none ruled out.",
            "label",
        ),
        (finding(gain=(0.001, 0.002)), "300 more votes buy +0.1 ± 0.2 points: stop.", "stop"),
        (
            finding(gain=(0.006, 0.004), relabel=(0.009, 0.005)),
            "300 more votes buy +0.6 ± 0.4 points, but 82 on 41 doubtful labels +0.9 ± 0.5 points, more per vote: "
            "look at those first.",
            "relabel",
        ),
        (
            finding(gain=(0.03, 0.01), relabel=(0.002, 0.005)),
            "300 more votes buy +3.0 ± 1.0 points, more per vote than 82 on 41 doubtful labels, +0.2 ± 0.5 points: "
            "label on.",
            "label",
        ),
        (
            finding(gain=(0.001, 0.002), relabel=(0.001, 0.001)),
            "Stop: 300 more votes buy +0.1 ± 0.2 points, and 82 on 41 doubtful labels +0.1 ± 0.1 points.",
            "stop",
        ),
        (
            finding(gain=(0.01, 0.002), accuracy=0.79),
            "Stop: the model gives 79 % (74 to 84) of the labels, and people agree too little for more than "
            "80 % (77 to 83); more votes per sample would raise that.",
            "stop",
        ),
    ],
)  # fmt: skip
def test_the_sentence(given: Finding, said: str, action: str) -> None:
    assert recommendation.recommend(given, given.purchases[0]) == (said, action)
