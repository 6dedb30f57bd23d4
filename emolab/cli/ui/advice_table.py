"""The advice of ``emolab suggest --advise`` as a table, the doubted labels, and one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emolab.words import many, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emolab.cli.common import Session
    from emolab.loop.label.advise import Advice

SHOWN = 12
JUDGES = {
    "random": "labelled samples that were drawn at random",
    "valid": "samples of the validation split, which are no random sample of the pool",
}


def show(session: Session, advice: Advice) -> None:
    """Print the advice: figures, doubted labels, the sentence and what to type."""
    if advice.finding is not None:
        _show_figures(session, advice.finding)
        session.say(f"[dim]Judged by {advice.finding['judges']:,} {JUDGES[str(advice.judge)]}.[/]\n")
    if advice.doubtful:
        session.table(
            ["sample", "label", "perhaps rather", ("wrong", "right")],
            [(short(d["sample"]), d["label"], d["instead"], f"{d['wrong']:.0%}") for d in advice.doubtful[:SHOWN]],
            title=f"{many(len(advice.doubtful), 'doubtful label')}, worst first",
        )
        if len(advice.doubtful) > SHOWN:
            session.say(f"[dim]and {len(advice.doubtful) - SHOWN:,} more; --json lists all of them.[/]\n")
    session.say(f"[bold]{advice.sentence}[/]")
    session.next_step(advice.next)


def _show_figures(session: Session, finding: Mapping[str, Any]) -> None:
    from emolab.active_learning.advice.power_law import Interval
    from emolab.active_learning.advice.recommendation import points, share

    def interval(values: Mapping[str, float]) -> Interval:
        return Interval(**values)

    rows = [("accuracy now", share(interval(finding["accuracy"])), f"{finding['labels']:,} labels learnt from")]
    rows += [
        (f"{p['votes']:,} more votes", points(interval(p["gain"])), f"{p['labels']:.0f} more labels")
        for p in finding["votes"]
    ]
    relabelling, ceiling = finding["relabelling"], finding["ceiling"]
    if relabelling is not None:
        what = f"{relabelling['votes']:,} on doubtful labels"
        sure = (
            f"two each on {relabelling['labels']:,}; {relabelling['really_wrong']:.0%} are expected to be wrong"
            if relabelling["labels"]
            else ""
        )
        rows.append((what, points(interval(relabelling["gain"])), sure))
    if ceiling is not None:
        rows.append(("most there can be", share(interval(ceiling["label"])), "against labels like these"))
        rows.append(("", share(interval(ceiling["person"])), "against one more person's vote"))
    else:
        rows.append(("most there can be", "–", "fewer than 40 samples have two votes"))
    session.table(["", "accuracy", ""], rows, title="When to stop")
