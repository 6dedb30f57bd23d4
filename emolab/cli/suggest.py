"""``emolab suggest``: which samples deserve the next votes, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, within, workspace_command
from emolab.words import lasting, many, short

if TYPE_CHECKING:
    from emolab.labeling.sync.push import PushReport
    from emolab.loop.label.suggest import Proposal

SHOWN = 12


@click.command(short_help="Propose the samples that deserve the next votes.")
@click.option("-n", "--n", "n", type=within("suggest.n"), metavar="N", help="How many samples [100].")
@click.option("--minutes", type=within("option.minutes"), metavar="M", help="As many as take that long.")
@click.option("--strategy", metavar="NAME", help="A strategy or a plugin: see docs/selection-options.md [auto].")
@click.option("--per-group", type=within("suggest.per_group"), metavar="N", help="At most N of one subject or video.")
@click.option("--balance", is_flag=True, help="As many of every class, as far as the model can tell.")
@click.option("--revotes", type=within("suggest.revotes"), metavar="SHARE", help="Second opinions, at most [0.3].")
@click.option("--seed", type=within("training.seed"), default=0, show_default=True, help="For strategies that draw.")
@click.option("--from-drift", is_flag=True, help="Those that look like what moved in the newest alarm of monitor.")
@click.option("--push", "send", is_flag=True, help="Send the suggestions to the team at once.")
@click.option("--advise", "advice", is_flag=True, help="Only say whether further votes are worth it; makes no round.")
@workspace_command
def suggest(
    session: Session,
    *,
    n: int | None,
    minutes: float | None,
    strategy: str | None,
    per_group: int | None,
    balance: bool,
    revotes: float | None,
    seed: int,
    from_drift: bool,
    send: bool,
    advice: bool,
) -> None:
    """Choose N samples that deserve the next votes, and store them as the next round with a reason for each.

    Most have not been shown to anybody; up to --revotes of them have votes already and go to one more person, where
    that is worth more. Pending samples, those kept for validation or test, and copies are never proposed. The champion
    model looks at new samples first where the strategy needs it; without any model only random works.
    """
    if advice:
        chosen = n or minutes or strategy or per_group or balance or send or from_drift
        _advise(session, alone=not chosen and revotes is None)
        return
    if n and minutes:
        raise click.UsageError("-n and --minutes both say how large the round is: use one of them.")
    if from_drift:
        if minutes or strategy or per_group or balance or revotes is not None:
            raise click.UsageError("--from-drift chooses by itself: only -n and --push go with it.")
        from emolab.loop.operate.monitor.drift_round import suggest_from_drift

        proposal = suggest_from_drift(session.workspace, n=n, progress=session.progress)
    else:
        from emolab.loop.label.suggest import suggest as run

        proposal = run(
            session.workspace,
            n=n,
            minutes=minutes,
            strategy=strategy,
            per_group=per_group,
            balance=balance,
            revotes=revotes,
            seed=seed,
            progress=session.progress,
        )
    _show(session, proposal)
    if send:
        proposal = replace(proposal, push=_push(session, proposal))
    session.emit(proposal)
    if not send:
        session.next_step("emolab label push --suggestions")


def _advise(session: Session, *, alone: bool) -> None:
    from emolab.cli.ui.advice_table import show
    from emolab.loop.label.advise import advise

    if not alone:
        raise click.UsageError("--advise makes no round, so it stands alone: emolab suggest --advise")
    found = advise(session.workspace, progress=session.progress)
    session.emit(found)
    show(session, found)


def _push(session: Session, proposal: Proposal) -> PushReport:
    from emolab.loop.label.push import push_round

    report = push_round(session.workspace, proposal, progress=session.progress)
    tasks = many(report.created + report.adopted + report.resumed + report.reopened, "task waits", "tasks wait")
    session.say(f"[green]✓[/] {tasks} for the team in “{escape(report.project)}” · {escape(report.url)}")
    session.next_step("emolab label pull, once people have answered")
    return report


def _show(session: Session, proposal: Proposal) -> None:
    from emolab.cli.common import bar

    count = len(proposal.suggestions)
    again = sum(s.kind == "revote" for s in proposal.suggestions)
    what = f"{count - again:,} of {proposal.candidates:,} samples"
    what += f" and {many(again, 'second opinion')}" if again else ""
    by = f" by model {short(proposal.model.id)}" if proposal.model else ""
    session.table(
        [("", "right"), "sample", "", ("may be wrong", "right"), "why"],
        [
            (
                s.rank + 1,
                short(s.sample_id),
                "again" if s.kind == "revote" else "new",
                f"{proposal.doubts[s.sample_id]:.0%}" if s.sample_id in proposal.doubts else "",
                escape(s.reason),
            )
            for s in proposal.suggestions[:SHOWN]
        ],
        title=f"Round {proposal.round}: {what}, {escape(proposal.strategy)}{by}",
    )
    if proposal.note:
        session.say(f"[dim]{escape(proposal.note[0].upper() + proposal.note[1:])}.[/]")
    if proposal.left_out:
        left = many(proposal.left_out, "picture is", "pictures are")
        session.say(f"[dim]{left} left out: no face, blurred or flat (labeling.faceless, max_blur, ...).[/]")
    if proposal.seconds is not None:
        session.say(f"[dim]About {lasting(proposal.seconds)} of the team's time, at the speed it has had so far.[/]")
    if count > SHOWN:
        session.say(f"[dim]and {count - SHOWN:,} more; --json lists all of them.[/]\n")
    if proposal.composition:
        largest = max(proposal.composition.values()) or 1.0
        session.table(
            ["class", ("expected", "right"), ""],
            [
                (name, f"{expected:.1f}", bar(expected / largest, 24))
                for name, expected in proposal.composition.items()
            ],
            title="What the model expects in this batch",
        )  # fmt: skip
