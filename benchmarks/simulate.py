"""Votes saved by choosing, and by asking fewer people per face: campaigns on FER+ and on digits, replayed in pairs.

Every strategy of emolab against `random`, on digits also strategies of scikit-activeml with the same head. On FER+ also
whole policies (strategy and votes per face) against the usual way: random samples, three votes each, the majority. The
policy is chosen on images that report nothing. FER+ needs the test data pack (EMOLAB_TEST_DATA or ../shared) and is
left out without it. EMOLAB_SIMULATIONS names a folder where rounds are kept; a stopped run then goes on there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.campaigns import digits, ferplus, finetuned, peers
from benchmarks.harness import Result, main
from emolab.active_learning.simulation.campaign import EVERYTHING
from emolab.active_learning.simulation.compare import CONTROL, Ratio, StrategyVerdict, compared, ratio, verdicts
from emolab.active_learning.simulation.curves import Curves, area, curves
from emolab.active_learning.simulation.journal import Journal
from emolab.active_learning.simulation.records import SimulatedRound
from emolab.active_learning.simulation.simulate import simulate
from emolab.active_learning.simulation.vote_costs import Votes
from emolab.files import write_text
from emolab.loop.label.simulation.page import picture

OURS = (
    CONTROL, "margin", "least_confidence", "entropy", "coreset", "typiclust", "uherding", "badge", "cluster_margin",
    "bait", "bald", "auto",
)  # fmt: skip
#: On FER+ without those that take a minute and more of choosing per campaign there.
QUICKER = (CONTROL, "margin", "entropy", "coreset", "typiclust", "uherding", "badge")
#: What is played with other numbers of votes per face too; which numbers; and what everything is held against.
FEWER, POLICIES, USUAL = (CONTROL, "margin", "badge"), ("3", "1..3"), ("3", CONTROL)
#: Labels made otherwise than by majority, of random faces.
LABELS = ("1 by soft", "1 by hybrid", "3 by soft", "3 by hybrid")
SEEDS = {"digits": 50, "ferplus": 20, "ferplus auto": 10, "finetuned": 5}


def run(quick: bool) -> list[Result]:
    """Play everything and say what came out."""
    given = os.environ.get("EMOLAB_SIMULATIONS")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given or temporary) / ("quick" if quick else "full")
        tasks = [on_digits(folder / "digits", quick=quick)]
        rows = [told("digits", one, n=digits.JUDGES) for one in tasks[0]]
        root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
        if not (root / "data" / "ferplus_train.zip").is_file():
            print(f"The test data pack is not at {root}, so FER+ is left out; set EMOLAB_TEST_DATA.", file=sys.stderr)
            return rows
        for task, place in (("FER+", "ferplus"), ("FER+, own features", "ferplus-alone"))[: 1 if quick else None]:
            found, outcome = on_ferplus(root, folder / place, task, alone=place == "ferplus-alone", quick=quick)
            rows += found
            tasks.append(outcome)
        if quick:
            return rows
        rows += overall(tasks)
        return rows + on_finetuned(root, folder / "finetuned", folder / "ferplus-alone" / ferplus.WEIGHTS)


def on_digits(folder: Path, *, quick: bool) -> list[StrategyVerdict]:
    """Strategies and peers on digits, frozen features, labels without error."""
    names = [*OURS, *peers.register()]
    if quick:
        names = [CONTROL, "margin", "coreset", "peer_coreset"]
    Journal(folder).begin({"data": "digits"})
    rounds = simulate(folder, digits.open_stage, names, range(3 if quick else SEEDS["digits"]))
    return verdicts(rounds, digits.BUDGETS)


def on_ferplus(
    root: Path, folder: Path, task: str, *, alone: bool, quick: bool
) -> tuple[list[Result], list[StrategyVerdict]]:
    """Strategies with one vote per face, then policies against the usual way; ``alone``: see `ferplus.prepare`."""
    ferplus.prepare(root, folder, quick=quick, alone=alone)
    seeds = range(2 if quick else SEEDS["ferplus"])
    names = [CONTROL, "margin"] if quick else list(QUICKER)
    played = {"1": simulate(begun(folder / "1"), ferplus.open_stage, [*names, EVERYTHING], seeds)}
    for votes in POLICIES[: 1 if quick else None]:
        fewer = [name for name in FEWER if name in names]
        played[votes] = simulate(begun(folder / votes), ferplus.open_stage, fewer, seeds)
    for votes in () if alone else LABELS[: 1 if quick else None]:
        played[votes] = simulate(begun(folder / votes), ferplus.open_stage, [CONTROL], seeds)
    stage = ferplus.open_stage(folder / "1")
    n, budgets = len(stage.trainer(0).truth), stage.terms.budgets  # type: ignore[attr-defined]
    whole = [one for one in played["1"] if one.strategy == EVERYTHING]
    played["1"] = [one for one in played["1"] if one.strategy != EVERYTHING]
    top, note = sum(one.scores["accuracy"] for one in whole) / len(whole), f"{whole[0].votes:,} votes, one each"
    rows = [Result(f"{task}: everything labelled", 100 * top, "%", n=n, seeds=len(seeds), note=note)]
    found = verdicts(played["1"], budgets, whole=whole)
    rows += [told(f"{task}, 1 vote", one, n=n) for one in found]
    if not quick:
        slow = simulate(folder / "1", ferplus.open_stage, [CONTROL, "auto"], range(SEEDS["ferplus auto"]))
        rows.append(told(f"{task}, 1 vote, fewer seeds", verdicts(slow, budgets)[1], n=n))
    write_text(folder / "policies.svg", drawing(by_policy(played, budgets, "accuracy")))
    return [*rows, *tilted(played["1"], budgets, task, n=n), *policies(played, budgets, task, n=n)], found


def tilted(rounds: Sequence[SimulatedRound], budgets: Sequence[float], task: str, *, n: int) -> list[Result]:
    """Gains in mean macro-F1 with a head tilted towards rare classes: as suits `random` best, and `balanced`."""
    areas = {
        strength: {
            name: area(one.costs, one.values)
            for name, one in curves(rounds, budgets, f"choose_macro_f1 at {strength}").items()
        }
        for strength in ferplus.STRENGTHS
    }
    best = max(ferplus.STRENGTHS, key=lambda strength: float(areas[strength][CONTROL].mean()))
    rows = []
    for strength, why in ((best, "as random does best on the choosing images"), (1.0, "balanced")):
        judged = curves(rounds, budgets, f"macro_f1 at {strength}")
        usual = area(judged[CONTROL].costs, judged[CONTROL].values)
        for name, one in judged.items():
            gain, error, p, _ = compared(area(one.costs, one.values), usual)
            rows.append(
                Result(
                    f"{task}, 1 vote, strength {strength}: {name}",
                    100 * (float(usual.mean()) if name == CONTROL else gain),
                    "macro-F1" if name == CONTROL else "points of macro-F1",
                    n=n,
                    seeds=len(one.seeds),
                    spread=None if name == CONTROL else (100 * (gain - 1.96 * error), 100 * (gain + 1.96 * error)),
                    note=why if name == CONTROL else f"p {p:.2g} (not corrected)",
                )
            )
    return rows


def overall(tasks: Sequence[Sequence[StrategyVerdict]]) -> list[Result]:
    """How many times fewer labels than `random` for its final accuracy: the mean over the tasks."""
    found = [{one.strategy: one.ratio.value for one in task} for task in tasks]
    rows = []
    for name in found[0]:
        values = [task.get(name) for task in found]
        if name != CONTROL and all(value is not None for value in values):
            kept = [value for value in values if value is not None]
            rows.append(
                Result(
                    f"label ratio, mean over tasks: {name}",
                    sum(kept) / len(kept),
                    "x fewer labels",
                    spread=(min(kept), max(kept)),
                    note=" / ".join(f"{value:.2f}" for value in kept),
                )
            )
    return rows


def drawing(found: Mapping[tuple[str, str], Curves]) -> str:
    """The curves of the usual way, of choosing, of fewer votes and of both as a picture."""
    chosen = {
        f"{strategy}, {votes} vote" + "s" * (votes != "1"): found[votes, strategy]
        for votes, strategy in (USUAL, ("3", "margin"), ("1", CONTROL), ("1", "margin"))
        if (votes, strategy) in found
    }
    return picture(chosen, "accuracy", control=next(iter(chosen)))


def on_finetuned(root: Path, folder: Path, pretrained: Path) -> list[Result]:
    """Choosing and fewer votes per face where the whole network learns in every round, from random weights or not."""
    finetuned.prepare(root, folder, pretrained)
    seeds = range(SEEDS["finetuned"])
    rows = []
    for start in ("", finetuned.PRETRAINED):
        played = {
            votes: simulate(begun(folder / f"{votes}{start}"), finetuned.open_stage, names, seeds)
            for votes, names in (("1", [CONTROL, "margin", "badge"]), ("3", [CONTROL]))
        }
        task = f"fine-tuned{start or ' from scratch'}"
        rows += [told(f"{task}, 1 vote", one, n=finetuned.JUDGES) for one in verdicts(played["1"], finetuned.BUDGETS)]
        usual = curves(played["3"], finetuned.BUDGETS, "accuracy")[CONTROL]
        for strategy, mine in curves(played["1"], finetuned.BUDGETS, "accuracy").items():
            rows.append(held_against(usual, mine, f"{task}, policy: {strategy}, 1 vote", n=finetuned.JUDGES))
    return rows


def policies(played: dict[str, list[SimulatedRound]], budgets: Sequence[float], task: str, *, n: int) -> list[Result]:
    """Each policy's votes against the usual way's, at its accuracy after the last of ``budgets``; the chosen one first.

    Policies that may ask several people about a face go on to more votes, which shows in the notes.
    """
    judged, choosing = by_policy(played, budgets, "accuracy"), by_policy(played, budgets, "choose_accuracy")
    best = max(choosing, key=lambda policy: float(area(choosing[policy].costs, choosing[policy].values).mean()))
    longer = {votes: rounds for votes, rounds in played.items() if Votes.parse(votes.partition(" by ")[0]).high > 1}
    further = judged | by_policy(longer, (*budgets, ferplus.FURTHER), "accuracy")
    rows = []
    for policy in [best, *(policy for policy in judged if policy != best)]:
        name = f"{task}, {'chosen policy' if policy == best else 'policy'}: {policy[1]}, {policy[0]} vote(s)"
        row = held_against(judged[USUAL], judged[policy], name, n=n)
        if max(one.cost for one in played[USUAL[0]]) > 1.5 * budgets[-1]:
            end = float(further[USUAL].mean[-1])
            so_much = said(ratio(further[policy], further[USUAL]))
            row = replace(
                row, note=f"{row.note}; for the {100 * end:.1f} % it has at {ferplus.FURTHER:,.0f}: {so_much}"
            )
        rows.append(row)
    return rows


def held_against(usual: Curves, mine: Curves, name: str, *, n: int) -> Result:
    """How many times fewer votes ``mine`` needs for the final accuracy of ``usual``, and for what it has before."""
    found = ratio(mine, usual)
    goal = f"{100 * usual.mean[-1]:.1f} % of random with 3 votes at {usual.costs[-1]:,.0f}"
    levels = (f"{100 * level:.1f} %: {said(ratio(mine, usual, level=float(level)))}" for level in usual.mean[1:-1])
    return Result(
        name,
        found.value or 0.0,
        "x fewer votes",
        n=n,
        seeds=len(mine.seeds),
        spread=(found.low, found.high or 0.0),
        note=f"for the {goal}; for its {', '.join(levels)}; ends at {100 * mine.mean[-1]:.1f} %",
    )


def by_policy(
    played: dict[str, list[SimulatedRound]], budgets: Sequence[float], score: str
) -> dict[tuple[str, str], Curves]:
    """The curves of every (votes, strategy)."""
    return {
        (votes, strategy): replace(one, strategy=f"{strategy}, {votes}")
        for votes, rounds in played.items()
        for strategy, one in curves(rounds, budgets, score).items()
    }


def told(task: str, one: StrategyVerdict, *, n: int) -> Result:
    """A verdict as a row: the gain in mean accuracy, with the rest in its note."""
    around, parts = 1.96 * one.error, " / ".join(f"{100 * part:.1f}" for part in one.thirds)
    return Result(
        f"{task}: {one.strategy}",
        100 * one.gain if one.strategy != CONTROL else 100 * one.area,
        "points" if one.strategy != CONTROL else "%",
        n=n,
        seeds=one.seeds,
        spread=None if one.strategy == CONTROL else (100 * (one.gain - around), 100 * (one.gain + around)),
        note=f"p {one.p_holm:.2g}, final {100 * one.final:.1f} ± {100 * one.spread:.1f} %, "
        f"macro-F1 {100 * one.area_f1:.1f} ({100 * one.gain_f1:+.2f} ± {100 * one.error_f1:.2f}, "
        f"p {one.p_f1_holm:.2g}), votes {said(one.ratio)}, low/mid/high {parts}, "
        f"doubt {one.doubt:.2f}, {one.select_s:.1f} CPU-s",
    )


def said(found: Ratio) -> str:
    """A ratio with its interval in words."""
    low, high = f"{found.low:.2f}" if found.low else "never", "never" if found.high is None else f"{found.high:.2f}"
    return f"{'never' if found.value is None else f'{found.value:.2f}x'} ({low}..{high})"


def begun(folder: Path) -> Path:
    """``folder``, claimed for its votes policy."""
    Journal(folder).begin({"votes": folder.name})
    return folder


if __name__ == "__main__":
    main(run)
