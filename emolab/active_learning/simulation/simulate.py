"""Many campaigns, some at a time, each in a process of its own, every round written down at once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from emolab.active_learning.simulation.campaign import EVERYTHING, campaign, everything
from emolab.active_learning.simulation.journal import Journal
from emolab.active_learning.simulation.records import CampaignData, SimulatedRound, Terms, Trainer
from emolab.progress import SILENT, Progress

#: What decides how many threads a process computes with.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Stage:
    """What a process needs to play any campaign of a simulation; ``trainer`` makes the trainer of a seed."""

    field: CampaignData
    terms: Terms
    trainer: Callable[[int], Trainer]


#: A function of a module (so that another process can find it) that reads the stage of a simulation from its folder.
Open = Callable[[Path], Stage]


def play(folder: Path, stage: Stage, strategy: str, seed: int) -> list[SimulatedRound]:
    """All rounds of one campaign; those in the journal are not played again."""
    journal = Journal(folder)
    done = journal.rounds(strategy, seed)
    if strategy == EVERYTHING:
        fresh: Iterator[SimulatedRound] = iter(
            [] if done else [everything(stage.field, stage.terms, seed, stage.trainer(seed))]
        )
    elif len(done) == len(stage.terms.budgets):
        fresh = iter([])
    else:
        fresh = campaign(stage.field, stage.terms, strategy, seed, stage.trainer(seed), done=done)
    for played in fresh:
        journal.append(played)
        done.append(played)
    return done


def simulate(
    folder: Path,
    open_stage: Open,
    strategies: Sequence[str],
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> list[SimulatedRound]:
    """The rounds of every strategy from every seed, by strategy, seed and number.

    ``jobs`` campaigns are played at a time. Stop it however you like and call it again: it goes on after the last
    whole round of every campaign, with the same result.
    """
    todo = [(strategy, seed) for seed in seeds for strategy in strategies]
    found: list[SimulatedRound] = []
    with progress.task("Campaigns", len(todo), unit="campaigns") as task:
        if jobs <= 1:
            stage = open_stage(folder)
            for strategy, seed in todo:
                task.describe(f"{strategy}, seed {seed}")
                found += play(folder, stage, strategy, seed)
                task.advance()
        else:
            with _one_thread_each():
                context = multiprocessing.get_context("spawn")
                pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_enter, initargs=(folder, open_stage))
                try:
                    for future in as_completed([pool.submit(_play, *one) for one in todo]):
                        found += future.result()
                        task.advance()
                finally:
                    pool.shutdown(wait=True, cancel_futures=True)
    place = {strategy: number for number, strategy in enumerate(strategies)}
    return sorted(found, key=lambda played: (place[played.strategy], played.seed, played.number))


_HERE: list[tuple[Path, Stage]] = []


def _enter(folder: Path, open_stage: Open) -> None:
    _HERE[:] = [(folder, open_stage(folder))]


def _play(strategy: str, seed: int) -> list[SimulatedRound]:
    folder, stage = _HERE[0]
    return play(folder, stage, strategy, seed)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside compute with one thread each, as there are several of them."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
