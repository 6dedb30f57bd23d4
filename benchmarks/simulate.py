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
from emolab.active_learning.campaign import EVERYTHING
from emolab.active_learning.curves import Curves, area, curves
from emolab.active_learning.field import Round
from emolab.active_learning.journal import Journal
from emolab.active_learning.simulate import simulate
from emolab.active_learning.verdict import CONTROL, Ratio, Verdict, ratio, verdicts
from emolab.cli.simulate_page import picture
from emolab.workspace import write_text

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
        rows = on_digits(folder / "digits", quick=quick)
        root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
        if not (root / "data" / "ferplus_train.zip").is_file():
            print(f"The test data pack is not at {root}, so FER+ is left out; set EMOLAB_TEST_DATA.", file=sys.stderr)
            return rows
        rows += on_ferplus(root, folder / "ferplus", quick=quick)
        return rows if quick else rows + on_finetuned(root, folder / "finetuned")


def on_digits(folder: Path, *, quick: bool) -> list[Result]:
    """Strategies and peers on digits, frozen features, labels without error."""
    names = [*OURS, *peers.register()]
    if quick:
        names = [CONTROL, "margin", "coreset", "peer_coreset"]
    Journal(folder).begin({"data": "digits"})
    rounds = simulate(folder, digits.open_stage, names, range(3 if quick else SEEDS["digits"]))
    return [told("digits", one, n=digits.JUDGES) for one in verdicts(rounds, digits.BUDGETS)]


def on_ferplus(root: Path, folder: Path, *, quick: bool) -> list[Result]:
    """Strategies with one vote per face, then policies against the usual way."""
    ferplus.prepare(root, folder, quick=quick)
    seeds = range(2 if quick else SEEDS["ferplus"])
    names = [CONTROL, "margin"] if quick else list(QUICKER)
    played = {"1": simulate(begun(folder / "1"), ferplus.open_stage, [*names, EVERYTHING], seeds)}
    for votes in POLICIES[: 1 if quick else None]:
        fewer = [name for name in FEWER if name in names]
        played[votes] = simulate(begun(folder / votes), ferplus.open_stage, fewer, seeds)
    for votes in LABELS[: 1 if quick else None]:
        played[votes] = simulate(begun(folder / votes), ferplus.open_stage, [CONTROL], seeds)
    stage = ferplus.open_stage(folder / "1")
    n, budgets = len(stage.trainer(0).truth), stage.terms.budgets  # type: ignore[attr-defined]
    whole = [one for one in played["1"] if one.strategy == EVERYTHING]
    played["1"] = [one for one in played["1"] if one.strategy != EVERYTHING]
    top = sum(one.scores["accuracy"] for one in whole) / len(whole)
    rows = [
        Result(
            "FER+: everything labelled",
            100 * top,
            "%",
            n=n,
            seeds=len(seeds),
            note=f"{whole[0].votes:,} votes, one each",
        )
    ]
    rows += [told("FER+, 1 vote", one, n=n) for one in verdicts(played["1"], budgets, whole=whole)]
    if not quick:
        slow = simulate(folder / "1", ferplus.open_stage, [CONTROL, "auto"], range(SEEDS["ferplus auto"]))
        rows.append(told("FER+, 1 vote, fewer seeds", verdicts(slow, budgets)[1], n=n))
    write_text(folder / "policies.svg", drawing(by_policy(played, budgets, "accuracy")))
    return rows + policies(played, budgets, n=n)


def drawing(found: Mapping[tuple[str, str], Curves]) -> str:
    """The curves of the usual way, of choosing, of fewer votes and of both as a picture."""
    chosen = {
        f"{strategy}, {votes} vote" + "s" * (votes != "1"): found[votes, strategy]
        for votes, strategy in (USUAL, ("3", "margin"), ("1", CONTROL), ("1", "margin"))
        if (votes, strategy) in found
    }
    return picture(chosen, "accuracy", control=next(iter(chosen)))


def on_finetuned(root: Path, folder: Path) -> list[Result]:
    """Choosing and fewer votes per face where the whole network learns in every round."""
    finetuned.prepare(root, folder)
    seeds = range(SEEDS["finetuned"])
    played = {
        votes: simulate(begun(folder / votes), finetuned.open_stage, names, seeds)
        for votes, names in (("1", [CONTROL, "margin", "badge"]), ("3", [CONTROL]))
    }
    rows = [told("fine-tuned, 1 vote", one, n=finetuned.JUDGES) for one in verdicts(played["1"], finetuned.BUDGETS)]
    usual = curves(played["3"], finetuned.BUDGETS, "accuracy")[CONTROL]
    for strategy, mine in curves(played["1"], finetuned.BUDGETS, "accuracy").items():
        rows.append(held_against(usual, mine, f"fine-tuned policy: {strategy}, 1 vote", n=finetuned.JUDGES))
    return rows


def policies(played: dict[str, list[Round]], budgets: Sequence[float], *, n: int) -> list[Result]:
    """Each policy's votes against the usual way's, at the usual way's final accuracy; first the one that was chosen."""
    judged, choosing = by_policy(played, budgets, "accuracy"), by_policy(played, budgets, "choose_accuracy")
    best = max(choosing, key=lambda policy: float(area(choosing[policy].costs, choosing[policy].values).mean()))
    usual = judged[USUAL]
    order = [best, *(policy for policy in judged if policy != best)]
    return [
        held_against(
            usual,
            judged[policy],
            f"FER+ {'chosen policy' if policy == best else 'policy'}: {policy[1]}, {policy[0]} vote(s)",
            n=n,
        )
        for policy in order
    ]


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


def by_policy(played: dict[str, list[Round]], budgets: Sequence[float], score: str) -> dict[tuple[str, str], Curves]:
    """The curves of every (votes, strategy)."""
    return {
        (votes, strategy): replace(one, strategy=f"{strategy}, {votes}")
        for votes, rounds in played.items()
        for strategy, one in curves(rounds, budgets, score).items()
    }


def told(task: str, one: Verdict, *, n: int) -> Result:
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
