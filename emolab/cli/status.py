"""``emolab status``: where the project stands in the loop, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, escape, workspace_command
from emolab.words import many, short

if TYPE_CHECKING:
    from emolab.loop.operate.status import Champion, Status, TrainingState


@click.command(short_help="Say where the project stands and what to type next.")
@click.option("--check", is_flag=True, help="Read the whole catalog and compare every count with what it holds.")
@click.option("--repair", is_flag=True, help="Count everything in the catalog again, keep that, and check it.")
@workspace_command
def status(session: Session, check: bool, repair: bool) -> None:
    """Say where the project stands in the loop, whether the workspace is healthy, and what to type next."""
    from emolab.loop.operate import status as step

    for wrong in step.repair_counts(session.workspace).miscounts if repair else ():
        session.say(f"[green]✓[/] put right: {escape(wrong)}")
    found = step.status(session.workspace, check=check or repair)
    session.emit(found.to_dict())
    if not session.json:
        _show(session, found)
    if not found.healthy:
        raise SystemExit(1)


def _show(session: Session, state: Status) -> None:
    votes, labels, champion = state.votes, state.labels, state.champion
    answers = f"{many(state.annotators, 'annotator')}, {many(votes['meta'], 'unknown / no face answer')}"
    made = [] if labels is None else labels.lines()
    rows = [
        ("collect", many(state.samples, "sample"), _counts(state.sources)),
        ("label", many(votes["people"], "vote"), answers),
        ("", f"{state.answered:,} answered", _open(state)),
        (
            "labels",
            "no labels yet" if labels is None else many(labels.n, "label"),
            "".join(escape(line) for line in made[:1]),
        ),
        *(("", "", escape(line)) for line in made[1:]),
        ("train", many(state.models, "model"), "" if champion is None else _champion(champion)),
        *([] if state.training is None else [("", _run(state.training), "")]),
        ("suggest", many(state.rounds, "round"), f"{many(state.unsent, 'suggestion')} not sent yet"),
    ]
    session.say(f"[bold]{escape(state.project)}[/] [dim]{escape(state.workspace)}[/]")
    session.table(("step", ("count", "right"), "more"), rows)
    if labels is not None:
        total = max(labels.per_class.values(), default=0) or 1
        for name, n in labels.per_class.items():
            session.say(f"  {name:<12} {'█' * round(24 * n / total):<24} [dim]{n:,}[/]")
    for problem in (*state.problems, *state.miscounts):
        session.say(f"[red]✗[/] {escape(problem)}")
    for line in (*(champion.lines() if champion else ()), *state.app.lines()):
        session.say(f"[yellow]![/] {line}")
    if state.advice:
        session.say(f"[bold]advice[/] {state.advice}")
    session.say(_health(state))
    session.next_step(state.next)


def _health(state: Status) -> str:
    """The verdict, and the way out where it is not good."""
    if state.problems:
        return "[red]✗[/] not healthy; restore a backup with: emolab restore FILE"
    if state.miscounts:
        return "[red]✗[/] not healthy; count everything again with: emolab status --repair"
    if not state.checked:
        return "[green]✓[/] healthy [dim](a catalog this large is read through by: emolab status --check)[/]"
    return "[green]✓[/] healthy"


def _open(state: Status) -> str:
    """What lies with the team."""
    more = f", {state.unfinished:,} for one more person" if state.unfinished else ""
    return f"{state.waiting:,} waiting for an answer{more}"


def _run(training: TrainingState) -> str:
    return "one at work" if training.running else f"stopped after epoch {training.epoch} of {training.epochs}"


def _champion(champion: Champion) -> str:
    names = {"accuracy": "accuracy", "macro_f1": "macro-F1", "ece": "ECE"}
    scores = [f"{names[key]} {value:.3f}" for key, value in champion.metrics.items()]
    return ", ".join([f"champion {short(champion.id)}", *scores])


def _counts(counts: Mapping[str | None, int]) -> str:
    return escape(", ".join(f"{name} {n:,}" for name, n in counts.items()))
