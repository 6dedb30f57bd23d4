"""``emolab label status``: how labelling goes and how far the team agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from emolab.catalog.activity import Activity, RoundProgress
    from emolab.catalog.campaign.questions import Question
    from emolab.labeling.labels.agreement import Alpha, AnnotatorAgreement, ClassAgreement
    from emolab.votes.anchoring import Anchoring
    from emolab.votes.perspectives import PerspectiveAgreement

#: Columns of a terminal from which on bars are long and the annotators' habits stand in their table.
WIDE = 105


@click.command(short_help="Show progress, agreement and annotators.")
@workspace_command
def status(session: Session) -> None:
    """Show the progress of the rounds, votes per sample, agreement, and every annotator beside the others.

    Alpha is Krippendorff's: 1 is perfect agreement, 0 what chance gives. For emotions 0.4 to 0.6 is usual and
    no defect of the team: disagreement says that a face is ambiguous.
    """
    from emolab.cli.common import escape
    from emolab.loop.label.label_status import label_status

    found = label_status(session.workspace)
    session.emit(found)
    if session.json:
        return
    _show_rounds(session, found.rounds)
    _show_votes(session, found.votes_per_sample, found.votes)
    for title, count in found.held_back.items():
        session.say(
            f"[yellow]![/] {many(count, 'vote')} of “{escape(title)}” still count, but Label Studio does not show "
            "their answers any more: see emolab label pull"
        )
    for line in found.app.lines():
        session.say(f"[yellow]![/] {line}")
    if found.labels is not None:
        session.say(f"[bold]Labels[/]: {found.labels.n:,}, {'; '.join(found.labels.lines())}\n")
    if found.sufficiency is not None:
        states = " · ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found.sufficiency.states().items())
        votes = session.workspace.config.labeling.votes.replace("..", " and ")
        session.say(f"[bold]Between {votes} votes[/]: {states}\n")
    _show_agreement(session, found.agreement, found.classes, anything=found.votes["active"] > 0)
    _show_people(session, found.people, found.against, found.users, found.nicknames)
    _show_anchoring(session, found.anchoring, found.nicknames, found.anchoring_in_words)
    _show_datasets(session, found.datasets, found.against)
    _show_perspectives(session, found.perspectives)
    _show_questions(session, found.questions)
    session.next_step(found.next)


def _show_rounds(session: Session, rounds: list[RoundProgress]) -> None:
    from emolab.cli.common import bar

    if not rounds:
        session.say("[dim]Nothing has been suggested or sent to the team yet.[/]")
        return
    shown = rounds[-8:]
    width = 20 if session.console.width >= WIDE else 10
    session.table(
        ["round", "chosen by", ("sent", "right"), ("answered", "right"), ("done", "right"), "votes", ("", "right")],
        [
            (
                "by hand" if r.round is None else r.round,
                r.strategy or "–",
                f"{r.sent:,}" if r.sent or not r.suggested else f"0 of {r.suggested:,}",
                f"{r.answered:,}",
                f"{r.done:,}",
                bar(r.votes / r.wanted if r.wanted else 0.0, width),
                (f"{r.votes:,} of {r.wanted:,}" if r.wanted else "–") + (f", +{r.surplus:,}" if r.surplus else ""),
            )
            for r in shown
        ],
        title="Rounds",
    )
    surplus = sum(r.surplus for r in shown)
    if surplus:
        session.say(f"[dim]+{surplus:,} more than asked for: they count like all others.[/]")


def _show_agreement(
    session: Session, alphas: dict[str, Alpha], classes: list[ClassAgreement], *, anything: bool
) -> None:
    """Alpha of the team, of the merged datasets apart from it, and what is taken for what."""
    known = [(name, found) for name, found in alphas.items() if found.pairable]
    if not known:
        if anything:
            session.say("[dim]No sample has two votes yet, so nothing can be said about agreement.[/]")
        return
    for name, found in known:
        if found.value != found.value:
            votes = many(found.pairable, "sample with two or more votes", "samples with two or more votes")
            session.say(f"[bold]Agreement[/] of the {name}: {votes}, too few or all alike, so no figure for it yet.")
            continue
        session.say(
            f"[bold]Agreement[/] of the {name}: Krippendorff's alpha [bold]{_figure(found.value)}[/]\n"
            f"  95 % interval {_figure(found.low)} to {_figure(found.high)}, "
            f"{many(found.pairable, 'sample')} with two or more votes"
        )
    if known[0][0] != "team":
        session.say("[dim]No sample has two votes of the team yet.[/]")
    session.say("")
    session.table(
        ["class", ("votes", "right"), ("another agrees", "right"), "or says instead"],
        [
            (c.name, f"{c.votes:,}", _percent(c.agreement),
             f"{c.confused_with} {_percent(c.confused)}" if c.confused_with else "–")
            for c in classes
        ],
        title=f"Classes, votes of the {known[0][0]}",
    )  # fmt: skip


def _show_votes(session: Session, per_sample: dict[int, int], totals: dict[str, int]) -> None:
    spread = " · ".join(f"{n:,} with {votes}" for votes, n in list(per_sample.items())[:12])
    more = f" · {len(per_sample) - 12} further counts" if len(per_sample) > 12 else ""
    session.say(f"[bold]Votes[/] per sample: {spread or 'no samples yet'}{more}")
    extra = ", ".join(f"{totals[key]:,} {word}" for key, word in _WORDS.items() if totals[key])
    session.say(
        f"[dim]{many(totals['people'], 'opinion counts', 'opinions count')}{'; ' + extra if extra else ''}.[/]\n"
    )


_WORDS = {"meta": "say unknown or no face", "skipped": "skipped", "rejected": "rejected", "withdrawn": "withdrawn"}


def _show_people(
    session: Session,
    people: list[Activity],
    against: dict[str, AnnotatorAgreement],
    users: dict[str, list[int]],
    called: dict[str, str],
) -> None:
    if not people:
        return
    rows = [
        (
            _named(person.name, called),
            ", ".join(map(str, users.get(person.name, ()))) or "–",
            f"{person.votes:,}",
            _percent(against[person.name].agreement) if person.name in against else "–",
            "–" if person.seconds is None else f"{person.seconds:.1f} s",
            f"{person.skips:,}",
            f"{person.meta:,}",
            _habit(against.get(person.name)),
        )
        for person in people
    ]
    columns: list[str | tuple[str, str]] = [
        ("annotator", "whole"),
        ("user", "right"),
        ("votes", "right"),
        ("others agree", "right"),
        ("median time", "right"),
        ("skips", "right"),
        ("no class", "right"),
        "others say → says",
    ]
    if session.console.width >= WIDE:
        session.table(columns, rows, title="Annotators")
    else:
        session.table(columns[:-1], [row[:-1] for row in rows], title="Annotators")
        session.table([columns[0], columns[-1]], [(row[0], row[-1]) for row in rows], title="Where they differ most")
    if users:
        session.say(
            "[dim]Names stay with Label Studio, emolab keeps pseudonyms. Who a user is, an\n"
            "administrator sees at its address /api/users: number, name and e-mail. A name\n"
            "that stays here: emolab label name PSEUDONYM NAME[/]"
        )


def _show_anchoring(session: Session, found: list[Anchoring], called: dict[str, str], said: str) -> None:
    """How much more often people agree with a guess that is on the form than with one that is hidden."""
    if not found:
        return
    session.say("")
    session.table(
        [("annotator", "whole"), ("shown", "right"), ("agree", "right"), ("hidden", "right"), ("agree", "right"),
         ("points more", "right"), "95 % interval"],
        [
            (
                "the team" if one.annotator is None else _named(one.annotator, called),
                f"{one.shown:,}",
                _percent(one.with_shown),
                f"{one.hidden:,}",
                _percent(one.with_hidden),
                f"{100 * one.difference:+.0f}" if one.enough else "–",
                f"{100 * one.low:+.0f} to {100 * one.high:+.0f}" if one.enough else "too few answers",
            )
            for one in found
        ],
        title="Agreement with the model's guess, shown and hidden",
    )  # fmt: skip
    session.say(f"[dim]{said}[/]")


def _show_datasets(session: Session, merged: list[Activity], against: dict[str, AnnotatorAgreement]) -> None:
    from emolab.cli.common import escape

    if not merged:
        return
    session.say("")
    session.table(
        [("dataset", "whole"), ("votes", "right"), ("others agree", "right"), ("no class", "right")],
        [
            (
                escape(each.name),
                f"{each.votes:,}",
                _percent(against[each.name].agreement) if each.name in against else "–",
                f"{each.meta:,}",
            )
            for each in merged
        ],
        title="Merged datasets",
    )


def _show_perspectives(session: Session, found: PerspectiveAgreement | None) -> None:
    """How far what people perceive is what was intended: two questions, never one label."""
    if found is None:
        return
    ties = f", {many(found.tied, 'tie')} left out" if found.tied else ""
    session.say(
        f"\n[bold]Perceived and intended[/]: the winner of the votes is the intended class on {found.same:.1%} of "
        f"{many(found.samples - found.tied, 'sample')} (95 % interval {found.low:.1%} to {found.high:.1%}{ties}), "
        f"Cohen's kappa {_figure(found.kappa)}; single votes {found.votes:.1%} of {found.people:,}"
    )
    session.table(
        ["intended", ("samples", "right"), ("winner the same", "right"), ("votes the same", "right"), "or heard as"],
        [
            (c.name, f"{c.samples:,}", _percent(c.same), _percent(c.votes),
             f"{c.instead} {_percent(c.share)}" if c.instead else "–")
            for c in found.classes
        ],
        title="What was intended, and what is perceived",
    )  # fmt: skip


def _show_questions(session: Session, asked: list[Question]) -> None:
    """What the team was asked beyond emolab's question."""
    from emolab.cli.common import escape

    if not asked:
        return
    rows = []
    for question in asked:
        said = ", ".join(f"{escape(_brief(text))} {n:,}" for text, n in question.most_common)
        more = question.different - len(question.most_common)
        rows.append((escape(question.name), f"{question.answers:,}", said + (f", {more:,} more" if more > 0 else "")))
    session.table(["question", ("votes", "right"), "answers"], rows, title="Questions of the team's own")


def _named(pseudonym: str, called: dict[str, str]) -> str:
    """An annotator as a table shows them: under the name kept here, with the pseudonym behind it."""
    from emolab.cli.common import escape

    return f"{escape(called[pseudonym])} ({pseudonym})" if pseudonym in called else escape(pseudonym)


def _brief(text: str) -> str:
    line = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    return line if len(line) <= 40 else line[:39] + "…"


def _habit(found: AnnotatorAgreement | None) -> str:
    if found is None or found.habit is None:
        return "–"
    others, own, votes = found.habit
    return f"{others} → {own} {votes / found.shared:.0%}"


def _figure(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"  # noqa: PLR0124


def _percent(value: float) -> str:
    return "–" if value != value else f"{value:.0%}"  # noqa: PLR0124
