"""The first figure of the README: votes for the same accuracy on FER+, against random faces with three votes each.

A part of `benchmarks.simulate`, with the same campaigns: the usual way, one vote per random face, and one vote per face
that `margin` chooses. What is chosen, and how many votes, comes from images that report nothing. A full run learns the
features from the faces alone first (`emolab pretrain`, 15 CPU minutes). EMOLAB_SIMULATIONS names a folder where it and
the rounds are kept; a stopped run then goes on there. Needs the test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.campaigns import ferplus
from benchmarks.harness import Result, main
from benchmarks.simulate import SEEDS, begun, policies
from emolab.active_learning.simulation.compare import CONTROL
from emolab.active_learning.simulation.simulate import simulate


def run(quick: bool) -> list[Result]:
    """Play the three policies; a quick run takes ImageNet's features and two seeds."""
    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    if not (root / "data" / "ferplus_train.zip").is_file():
        print(f"The test data pack is not at {root}: nothing to measure. Set EMOLAB_TEST_DATA.", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as temporary:
        given = Path(os.environ.get("EMOLAB_SIMULATIONS") or temporary)
        folder = given / ("quick" if quick else "full") / ("ferplus" if quick else "ferplus-alone")
        ferplus.prepare(root, folder, quick=quick, alone=not quick)
        seeds = range(2 if quick else SEEDS["ferplus"])
        played = {
            votes: simulate(begun(folder / votes), ferplus.open_stage, names, seeds)
            for votes, names in (("3", [CONTROL]), ("1", [CONTROL, "margin"]))
        }
        stage = ferplus.open_stage(folder / "1")
        n, budgets = len(stage.trainer(0).truth), stage.terms.budgets  # type: ignore[attr-defined]
        rows = policies(played, budgets, "FER+" if quick else "FER+, own features", n=n)
    chosen, fewer = rows[0], next(row for row in rows if row.name.endswith("random, 1 vote(s)"))
    share = Result("of that by choosing", chosen.value / fewer.value, "times", n=n, seeds=len(seeds),
                   note="the rest by one vote per face")  # fmt: skip
    return [chosen, share, *rows[1:]]


if __name__ == "__main__":
    main(run)
