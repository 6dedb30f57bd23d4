"""Advice on when to stop: do its intervals hold what came, is its ceiling right, are the labels it doubts wrong?

gain
    Simulated campaigns: N samples are labelled, drawn at random or four fifths by margin and one fifth at random, in
    rounds; the power law is fitted on what those drawn at random judge, and the same campaign goes on to 1.25, 2 and 4
    times as many labels. What came is the difference of two heads with penalties of their own, on held-out samples
    labelled in the same way. Coverage is the share of differences inside the interval, which is to hold nine of ten.
    The width was chosen on the campaigns called calibration, and those alone: other seeds and FER+ only report.
ceiling
    Teams of FER+ people: the largest share of the ten people's votes, mean over all faces, is the truth for one more
    vote; estimated from two to five votes drawn for some of the faces.
doubtful
    Labels of two or three votes with slips in them: how many of the doubted ones are wrong, how many of the wrong ones
    are doubted, and what two more votes on each bring, beside the same votes on new samples, the truth in their place,
    and what was predicted. The share of the promise that is predicted was set on these rows, so they prove nothing.

Digits are scikit-learn's (1,797 of 8 x 8 pixels), clouds are drawn again for each seed (3 to 10 classes of 1 to 5
Gaussians each). FER+ is the first 128 principal components of MobileNetV2's features with ImageNet weights, 96 pixels,
and needs the test data pack (EMOLAB_TEST_DATA or ../shared); without it and with --quick it is left out.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main
from emolab.active_learning.advice import ceiling, doubtful_labels, learning_curve, opinions, power_law
from emolab.active_learning.advice.advice import VOTES_TO_RELABEL, labels_won
from emolab.active_learning.advice.learning_curve import Labelled
from emolab.stats import logistic

FACTORS = (1.25, 2.0, 4.0)
COMPONENTS = 128
#: Share of each round that is drawn at random where the rest is chosen by margin.
CONTROL = 0.2
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """Everything there is to label: ``features`` (n, d), and how people would answer, ``shares`` (n, k)."""

    features: Floats
    shares: Floats


@cache
def digits() -> World:
    """Handwritten digits, about which nobody is in doubt."""
    from sklearn.datasets import load_digits

    features, truth = load_digits(return_X_y=True)
    return World(features.astype(np.float64), np.eye(10)[truth])


def clouds(seed: int) -> World:
    """Gaussian clouds, some easy and some nearly hopeless."""
    rng = np.random.default_rng([1, seed])
    k, modes, d, n = int(rng.integers(3, 11)), int(rng.integers(1, 6)), int(rng.choice([16, 64, 128])), 12_000
    truth = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 3.0)))
    centres = rng.normal(size=(k, modes, d)) * rng.uniform(0.25, 0.9) * (np.arange(d) + 1.0) ** -rng.uniform(0, 0.5)
    return World(centres[truth, rng.integers(0, modes, n)] + rng.normal(size=(n, d)), np.eye(k)[truth])


def data_pack() -> bool:
    """Whether the faces of FER+ are there."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    return (root / "data" / "ferplus_train.zip").is_file()


@cache
def faces() -> World:
    """FER+ train: faces with at least five votes for an emotion, as their people saw them."""
    from benchmarks.ferplus import K
    from benchmarks.ferplus import faces as load

    found = load("train")
    votes = found.votes[:, :K].astype(np.float64)
    kept = votes.sum(axis=1) >= 5
    x = found.features[kept].astype(np.float64)
    x -= x.mean(axis=0)
    vectors = np.linalg.eigh(x[::4].T @ x[::4])[1][:, -COMPONENTS:]
    return World(x @ vectors, votes[kept] / votes[kept].sum(axis=1, keepdims=True))


def vote(shares: Floats, votes: int, rng: np.random.Generator) -> Floats:
    """``votes`` people about each sample: counts (n, k)."""
    steps = shares.cumsum(axis=1)
    steps /= steps[:, -1:]
    drawn = np.zeros(shares.shape)
    for _ in range(votes):
        drawn += np.eye(shares.shape[1])[(steps > rng.random((len(shares), 1))).argmax(axis=1)]
    return drawn


def targets_of(counts: Floats) -> Floats:
    """Soft labels: votes and one vote's worth of belief in the class shares."""
    soft = counts + counts.mean(axis=0) / counts.sum(axis=1).mean()
    shares: Floats = soft / soft.sum(axis=1, keepdims=True)
    return shares


def winners(counts: Floats, rng: np.random.Generator) -> Rows:
    """Most voted classes, ties drawn."""
    most: Rows = (counts + rng.random(counts.shape) / 2).argmax(axis=1)
    return most


def accuracy(world: World, targets: Floats, hard: Rows, taught: Rows, asked: Rows) -> float:
    """Of the product's head that learnt from the rows ``taught``, on the rows ``asked``."""
    solved, _ = logistic.solve(world.features[taught], targets[taught])
    return float((solved.logits(world.features[asked]).argmax(axis=1) == hard[asked]).mean())


def by_margin(
    world: World, targets: Floats, pool: Rows, n: int, batch: int, rng: np.random.Generator
) -> tuple[Rows, NDArray[np.bool_]]:
    """n rows of ``pool`` in the order they were asked about, and which of them were drawn at random."""
    order, drawn, left = pool[:batch], np.ones(batch, dtype=bool), pool[batch:]
    while len(order) < n:
        solved, _ = logistic.solve(world.features[order], targets[order])
        scores = np.sort(solved.logits(world.features[left]), axis=1)
        few = round(CONTROL * batch)
        best = np.argsort(scores[:, -1] - scores[:, -2])
        chosen = np.concatenate([best[: batch - few], rng.permutation(best[batch - few :])[:few]])
        turn = rng.permutation(len(chosen))
        order = np.concatenate([order, left[chosen[turn]]])
        drawn = np.concatenate([drawn, turn >= batch - few])
        left = np.delete(left, chosen)
    return order[:n], drawn[:n]


def campaign(
    world: World, n: int, votes: int, *, margin: bool, judges: float, seed: int
) -> list[tuple[float, float, float]]:
    """(predicted gain, half of its interval, what came) for each further number of labels there is room for."""
    rng = np.random.default_rng([2, seed])
    counts = vote(world.shares, votes, rng)
    hard, targets = winners(counts, rng), targets_of(counts)
    everything = rng.permutation(len(hard))
    asked, pool = np.split(everything, [min(6_000, len(hard) // 3)])
    sizes = [round(n * factor) for factor in FACTORS if n * factor <= len(pool)]
    if margin:
        order, drawn = by_margin(world, targets, pool, sizes[-1], max(20, n // 5), rng)
    else:
        order, drawn = pool, rng.random(len(pool)) < judges
    have = order[:n]
    data = Labelled(
        features=world.features[have],
        targets=targets[have],
        hard=hard[have],
        teach=np.ones(n, dtype=bool),
        judge=drawn[:n],
        unit=np.arange(n),
    )
    law = power_law.fit(learning_curve.measure(data, rng), rng)
    now = accuracy(world, targets, hard, have, asked)
    found = []
    for size in sizes:
        gain = law.gain(n, size - n)
        came = accuracy(world, targets, hard, order[:size], asked) - now
        found.append((gain.value, (gain.high - gain.low) / 2, came))
    return found


def campaigns(source: str, seeds: range) -> list[tuple[float, float, float]]:
    """What was predicted and what came in campaigns of many sizes, vote counts and kinds."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng([3, seed])
        if source == "digits":
            world, n, votes = digits(), int(rng.choice([60, 100, 150, 200])), 1
            if seed % 2:
                world, votes = World(world.features, 0.8 * world.shares + 0.02), int(rng.choice([1, 3]))
        elif source == "clouds":
            world, n, votes = clouds(seed), int(rng.choice([80, 150, 300, 600, 1200])), 1
        else:
            world, n, votes = faces(), int(rng.choice([80, 150, 300, 600, 1200])), int(rng.choice([1, 3, 5]))
        margin = seed % 3 == 2
        judges = float(rng.choice([1.0, 0.5, 0.3])) if n >= 150 else 1.0
        found += campaign(world, n, votes, margin=margin, judges=judges, seed=seed)
    return found


def gains(quick: bool) -> list[Result]:
    """Coverage of the intervals, how wide they are, and the width that would have held nine in ten."""
    many, some = (12, 12) if quick else (120, 40)
    parts = [("digits", range(many), True), ("clouds", range(many), True)]
    if data_pack() and not quick:
        parts.append(("FER+", range(1000, 1000 + many), False))
    parts += [("digits", range(1000, 1000 + some), False), ("clouds", range(1000, 1000 + some), False)]
    return [result for part in parts for result in _gains(*part)]


def _gains(source: str, seeds: range, calibration: bool) -> list[Result]:
    value, half, came = np.array(campaigns(source, seeds)).T
    title = f"gain, {source} ({'calibration' if calibration else 'report'})"
    inside = float((abs(came - value) <= half).mean())
    enough = float(np.quantile(abs(came - value) / half, 0.9)) * power_law.WIDTH
    by_factor = (abs(came - value) <= half).reshape(-1, len(FACTORS)).mean(axis=0)
    told = ", ".join(f"{share:.0%} at {factor:g} times" for share, factor in zip(by_factor, FACTORS, strict=True))
    told += f"; mean predicted {100 * value.mean():+.1f}, came {100 * came.mean():+.1f}"
    low, middle, high = (100 * float(np.quantile(half, q)) for q in (0.1, 0.5, 0.9))
    width = f"median, 10 to 90 %; a width of {enough:.2f} would hold 90 %, set is {power_law.WIDTH}"
    n, count = len(value), len(seeds)
    return [
        Result(f"{title}: coverage", 100 * inside, "%", n=n, seeds=count, note=told),
        Result(f"{title}: half an interval", middle, "points", n=n, seeds=count, spread=(low, high), note=width),
    ]


def ceilings(quick: bool) -> list[Result]:
    """How far the ceiling is off, and how often its interval holds the truth."""
    drawn = np.random.default_rng(0).dirichlet(np.full(8, 0.2), 20_000)
    teams = {"Dirichlet (calibration)": drawn}
    if data_pack() and not quick:
        teams["FER+ (report)"] = faces().shares
    return [
        _ceiling(name, shares, n, votes, 5 if quick else 10)
        for name, shares in teams.items()
        for n in (100, 400)
        for votes in (2, 3, 5)
    ]


def _ceiling(team: str, shares: Floats, n: int, votes: int, seeds: int) -> Result:
    truth = float(shares.max(axis=1).mean())
    off, plain, inside = [], [], []
    for seed in range(seeds):
        rng = np.random.default_rng([4, seed])
        found = ceiling.ceiling(vote(shares[rng.permutation(len(shares))[:n]], votes, rng), rng)
        assert found is not None
        off.append(100 * (found.person.value - truth))
        plain.append(100 * (found.others - truth))
        inside.append(found.person.low <= truth <= found.person.high)
    return Result(
        f"ceiling, {team}, {n:,} samples of {votes} votes: off by",
        statistics.mean(off),
        "points",
        n=n,
        seeds=seeds,
        spread=(min(off), max(off)),
        note=f"truth {truth:.3f}; the others' majority {statistics.mean(plain):+.1f}; "
        f"inside the interval {np.mean(inside):.0%}",
    )


def doubts(quick: bool) -> list[Result]:
    """Precision and recall of doubt, and what two more votes on each doubted label bring."""
    worlds: list[tuple[str, Callable[[], World], int, int]] = [
        (f"digits, {slips} % slips", partial(_slipping_digits, slips), 400, votes)
        for slips in (10, 20)
        for votes in (2, 3)
    ]
    if data_pack() and not quick:
        worlds += [("FER+", faces, n, votes) for n, votes in ((800, 2), (800, 3), (3000, 3))]
    return [result for world in worlds for result in _doubts(*world, 3 if quick else 5)]


def _slipping_digits(slips: int) -> World:
    return _slipping(digits(), slips / 100)


def _doubts(name: str, load: Callable[[], World], n: int, votes: int, seeds: int) -> list[Result]:
    rows = [_doubt(load(), n, votes, seed) for seed in range(seeds)]
    mean = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}

    def result(what: str, key: str, unit: str, note: str) -> Result:
        every = [100 * row[key] for row in rows]
        title = f"doubtful, {name}, {n:,} labels of {votes} votes: {what}"
        return Result(title, 100 * mean[key], unit, n=n, seeds=seeds, spread=(min(every), max(every)), note=note)

    found = (
        f"predicted {mean['expected']:.0%}; {mean['doubted']:.0f} doubted, {mean['recall']:.0%} of the wrong ones; "
        f"{mean['noise']:.1%} of all wrong, reckoned {mean['reckoned']:.1%}"
    )
    worth = (
        f"predicted {100 * mean['predicted']:+.2f}; as many votes on new samples {100 * mean['new']:+.2f}, "
        f"doubted labels replaced by the truth {100 * mean['relabelled']:+.2f}"
    )
    return [
        result("really wrong", "right", "%", found),
        result("gain by two more votes each", "asked", "points", worth),
    ]


def _slipping(world: World, slips: float) -> World:
    k = world.shares.shape[1]
    return World(world.features, (1 - slips * k / (k - 1)) * world.shares + slips / (k - 1))


def _doubt(world: World, n: int, votes: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng([5, seed])
    counts = vote(world.shares, votes, rng)
    hard, targets, truth = winners(counts, rng), targets_of(counts), world.shares.argmax(axis=1)
    order = rng.permutation(len(hard))
    have, others = order[:n], order[n:]
    asked = others[-min(6_000, len(others) // 2) :]
    everybody = np.ones(n, dtype=bool)
    data = Labelled(features=world.features[have], targets=targets[have], hard=hard[have], teach=everybody,
                    judge=everybody, unit=np.arange(n))  # fmt: skip
    found = doubtful_labels.find(data, counts[have], opinions.fit(counts[have]), rng)
    law = power_law.fit(learning_curve.measure(data, rng), rng)
    rows, wrong = have[found.rows], hard[have] != truth[have]
    now = accuracy(world, targets, hard, have, asked)
    relabelled = targets.copy()
    relabelled[rows] = np.eye(targets.shape[1])[truth[rows]]
    more = counts.copy()
    more[rows] += vote(world.shares[rows], VOTES_TO_RELABEL, rng)
    new = np.concatenate([have, others[: round(VOTES_TO_RELABEL * len(rows) / votes)]])
    return {
        "doubted": len(rows),
        "right": float(wrong[found.rows].mean()) if len(rows) else 1.0,
        "expected": float(found.wrong.mean()) if len(rows) else 1.0,
        "recall": float(wrong[found.rows].sum() / max(1, wrong.sum())),
        "noise": float(wrong.mean()),
        "reckoned": found.noise,
        "predicted": law.gain(n, labels_won(found, n, targets.shape[1])).value,
        "relabelled": accuracy(world, relabelled, hard, have, asked) - now,
        "asked": accuracy(world, targets_of(more), hard, have, asked) - now,
        "new": accuracy(world, targets, hard, new, asked) - now,
    }  # fmt: skip


def run(quick: bool) -> list[Result]:
    """All three."""
    return [*gains(quick), *ceilings(quick), *doubts(quick)]


if __name__ == "__main__":
    main(run)
