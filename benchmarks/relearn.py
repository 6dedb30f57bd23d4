"""A queue that learns while people vote: what it costs, and what it buys a team that leaves a round half-way.

Cost: CPU seconds of one new order at 5,000 answers, 2,000 open tasks and 1,280 features, made up. What it buys: FER+ as
in `benchmarks.simulate` (frozen MobileNetV2, one of the ten votes per face, judged on FER+ valid), 300 random votes and
then rounds of 300 and 600; every round is left after a quarter, a half and three quarters of its votes, with the order
that it had and with one that is renewed after every 20 votes. Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
EMOLAB_SIMULATIONS names a folder where rounds are kept, as for `benchmarks.simulate`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.campaigns import ferplus
from benchmarks.harness import Result, cpu_seconds, main
from emolab.active_learning.selection.relearn import relearn
from emolab.active_learning.simulation import simulate
from emolab.active_learning.simulation.frozen_trainer import Frozen
from emolab.active_learning.simulation.journal import Journal
from emolab.active_learning.simulation.partial_rounds import OrderVerdict, verdicts
from emolab.active_learning.simulation.records import SimulatedRound
from emolab.active_learning.simulation.simulate import Stage

STRATEGIES = ("random", "margin", "uherding")
#: Votes up to the end of each round, and after how many the queue is renewed.
BUDGETS, EVERY = (300.0, 600.0, 1200.0), 20
SEEDS = 16
#: Open tasks, features and classes of the made-up queue, and the numbers of answers it learns from.
OPEN, WIDTH, CLASSES, ANSWERED = 2000, 1280, 8, (20, 1000, 5000)


def run(quick: bool) -> list[Result]:
    """Measure the cost, then play the rounds."""
    rows = [cost(n) for n in (ANSWERED[:2] if quick else ANSWERED)]
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    if not (root / "data" / "ferplus_train.zip").is_file():
        print(f"The test data pack is not at {root}, so FER+ is left out; set EMOLAB_TEST_DATA.", file=sys.stderr)
        return rows
    given = os.environ.get("EMOLAB_SIMULATIONS")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given or temporary) / ("quick" if quick else "full") / "ferplus"
        ferplus.prepare(root, folder, quick=quick)
        played = rounds(folder, seeds=2 if quick else SEEDS)
        return rows + [row for one in verdicts(played) for row in told(one)]


def cost(n: int) -> Result:
    """CPU seconds of a new order after ``n`` answers."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n + OPEN, 200)) @ rng.normal(size=(200, WIDTH)) / 14
    features = np.maximum(hidden + 0.5 * rng.normal(size=hidden.shape), 0).astype(np.float16)
    logits = 2 * features.astype(np.float64) @ rng.normal(size=(WIDTH, CLASSES)) / np.sqrt(WIDTH)
    true, guessed = (_shares(each) for each in (2 * logits, 2 * logits + 2 * rng.normal(size=logits.shape)))
    said = np.array([rng.multinomial(3, row) / 3 for row in true[:n]])
    began = cpu_seconds()
    relearn(features[:n], guessed[:n], said, features[n:], guessed[n:])
    note = f"{OPEN:,} open tasks, {WIDTH:,} features, {CLASSES} classes, made up"
    return Result(f"a new order after {n:,} answers", cpu_seconds() - began, "CPU-s", n=n, note=note)


def rounds(folder: Path, *, seeds: int) -> list[SimulatedRound]:
    """The rounds of every strategy from every seed, each left half-way in both ways."""
    place = folder / "relearn"
    Journal(place).begin({"every": EVERY, "budgets": list(BUDGETS)})
    return simulate.simulate(place, open_stage, STRATEGIES, range(seeds))


def open_stage(folder: Path) -> Stage:
    """The stage of `benchmarks.simulate` with smaller rounds, of which each is left half-way too."""
    usual = ferplus.open_stage(folder.parent / "1")
    arrays = {name: np.load(folder.parent / f"{name}.npy") for name in ("pool", "judge", "truth")}
    return Stage(
        usual.field,
        replace(usual.terms, budgets=BUDGETS, relearn=EVERY),
        lambda seed: Frozen(arrays["pool"], arrays["judge"], arrays["truth"], ferplus.CLASSES, seed=seed),
    )


def told(one: OrderVerdict) -> list[Result]:
    """What a new order gains after a share of the round, in points of accuracy and of macro-F1."""
    name = f"{one.strategy}, {one.share:.0%} of a round"
    figures = (
        ("points of accuracy", one.gain, one.low, one.high, one.accuracy),
        ("points of macro-F1", one.gain_f1, one.low_f1, one.high_f1, one.macro_f1),
    )
    return [
        Result(name, 100 * gain, unit, seeds=one.seeds, spread=(100 * low, 100 * high),
               note=f"{100 * usual:.2f} with the order of the round; {one.rounds} rounds")
        for unit, gain, low, high, usual in figures
    ]  # fmt: skip


def _shares(logits: np.ndarray) -> np.ndarray:
    """(n, k) -> (n, k), rows sum to 1."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


if __name__ == "__main__":
    main(run)
