"""How many votes per face: how close to the ten people of FER+, and what the same number of votes teaches a model.

Two tables, :mod:`benchmarks.votes_agreement` and :mod:`benchmarks.votes_budget`, of FER+ valid, which decides nothing.
``--settings`` prints what decides, of FER+ train alone: the same two tables (agreement on its first 4,000 faces; 4,000
drawn at random are held back to judge what the rest teaches), and agreement at other certainties. Recommended for a
budget is the way that teaches most accuracy; of ways within two standard errors of it, the one with most macro-F1.
``labeling.model_opinion`` is on by default if the head in the loop teaches no less than "1..5" without it.
"""

from __future__ import annotations

import sys

import torch

from benchmarks import votes_agreement, votes_budget
from benchmarks.ferplus import faces
from benchmarks.harness import Result, main

NAME = "FER+ train"


def run(quick: bool) -> list[Result]:
    """Both tables; quick: a tenth of the faces and two seeds."""
    return votes_agreement.run(quick) + votes_budget.run(quick)


def settings(quick: bool) -> list[Result]:
    """What settings and recommendations are chosen by, on faces of FER+ train; quick: few of them, two seeds."""
    torch.set_num_threads(1)
    train = faces("train", limit=1500 if quick else None)
    first = train.take(slice(600 if quick else 4000))
    seeds = 2 if quick else 3
    pool, judge = votes_budget.halves(train, 300 if quick else votes_budget.CHOOSERS)
    return [
        *votes_agreement.certainties(first, NAME, seeds),
        *votes_agreement.agreement(first, NAME, seeds),
        *votes_budget.budget(
            pool, judge, f"{NAME}, held back", votes_budget.FEW if quick else votes_budget.BUDGETS, 2 if quick else 5
        ),
    ]


if __name__ == "__main__":
    if "--settings" in sys.argv:
        sys.argv.remove("--settings")
        main(settings)
    else:
        main(run)
