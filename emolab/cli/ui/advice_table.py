"""The advice of ``emolab suggest --advise`` as a table, the doubted labels, and one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emolab.words import many, short

if TYPE_CHECKING:
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
        session.table(["", "accuracy", ""], advice.figures(), title="When to stop")
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
