"""``emolab label status``: how labelling goes and how far the team agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, workspace_command
from emolab.words import many

if TYPE_CHECKING:
    from emolab.catalog.activity import Activity, RoundProgress
    from emolab.catalog.campaign.questions import Question
    from emolab.labeling.labels.agreement import Alpha, AnnotatorAgreement, ClassAgreement
    from emolab.loop.label.revotes import Review
    from emolab.loop.operate.status import LabelState
    from emolab.workspace import Workspace


#: Columns of a terminal from which on bars are long and the annotators' habits stand in their table.
WIDE = 105
#: Share of the answers asked for from which on a round counts as done: a skipped task may stay open for ever.
NEARLY = 0.9


@click.command(short_help="Show progress, agreement and annotators.")
@workspace_command
def status(session: Session) -> None:
    """Show the progress of the rounds, votes per sample, agreement, and every annotator beside the others.

    Alpha is Krippendorff's: 1 is perfect agreement, 0 what chance gives. For emotions 0.4 to 0.6 is usual and
    no defect of the team: disagreement says that a face is ambiguous.
    """
    import numpy as np

    from emolab.catalog import activity, nicknames, tallies
    from emolab.catalog.campaign import answers, questions, remotes
    from emolab.labeling.labels import agreement
    from emolab.loop.operate.status import label_state
    from emolab.votes import table as tally

    workspace = session.workspace
    with workspace.catalog() as catalog, catalog.connect() as conn:
        table = tallies.table(conn, workspace.config.project.classes)
        rounds = activity.rounds(conn)
        everybody = activity.annotators(conn)
        per_sample = activity.votes_per_sample(conn)
        totals = tallies.count(conn)
        current = label_state(workspace, conn)
        users = answers.users(conn)
        held = remotes.held(conn)
        called = nicknames.by_pseudonym(conn)
        asked = questions.count(conn)
    merged = [each for each in everybody if each.kind == "dataset"]
    people = [each for each in everybody if each.kind != "dataset"]
    judged = _judged(workspace)
    datasets = {each.name for each in merged}
    groups = {"team": tally.of(table, {person.name for person in people})}
    if datasets:
        groups["datasets"] = tally.of(table, datasets)
    alphas = {name: agreement.alpha(group, np.random.default_rng(0)) for name, group in groups.items()}
    described = next((name for name, alpha in alphas.items() if alpha.pairable), "team")
    classes = agreement.by_class(groups[described])
    against = {found.name: found for found in agreement.by_annotator(table)}
    session.emit(
        {
            "rounds": rounds,
            "samples": sum(per_sample.values()),
            "votes_per_sample": per_sample,
            "votes": totals,
            "withdrawals_held_back": held,
            "labels": current,
            "enough": None if judged is None else {**_states(judged), "wanted": judged.wanted},
            "agreement": _plain(alphas["team"]),
            "agreement_of_datasets": _plain(alphas["datasets"]) if datasets else None,
            "per_class": [
                {"class": c.name, "votes": c.votes, "agreement": _number(c.agreement),
                 "confused_with": c.confused_with, "confused": c.confused}
                for c in classes
            ],
            "annotators": [_annotator(person, against.get(person.name), users, called) for person in people],
            "datasets": [_annotator(each, against.get(each.name), users, called) for each in merged],
            "extra_questions": asked,
        }
    )  # fmt: skip
    if session.json:
        return
    _show_rounds(session, rounds)
    _show_votes(session, per_sample, totals)
    from emolab.cli.common import escape

    for title, count in held.items():
        session.say(
            f"[yellow]![/] {many(count, 'vote')} of “{escape(title)}” still count, but Label Studio does not show "
            "their answers any more: see emolab label pull"
        )
    if current is not None:
        session.say(f"[bold]Labels[/]: {current.n:,}, {'; '.join(current.lines())}\n")
    if judged is not None:
        states = " · ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in _states(judged).items())
        session.say(f"[bold]Between {workspace.config.labeling.votes.replace('..', ' and ')} votes[/]: {states}\n")
    _show_agreement(session, alphas, classes, anything=totals["active"] > 0)
    _show_people(session, people, against, users, called)
    _show_datasets(session, merged, against)
    _show_questions(session, asked)
    session.next_step(_hint(rounds, totals, current, again=bool(judged and judged.wanted)))


def _judged(workspace: Workspace) -> Review | None:
    """What the adaptive votes decide about the samples so far; ``None`` where every sample gets as many."""
    from emolab.loop.label.revotes import opinion, review

    return review(workspace, opinion(workspace)) if workspace.config.labeling.wanted.adaptive else None


def _states(judged: Review) -> dict[str, int]:
    return {
        "enough": judged.enough,
        "waiting": judged.waiting,
        "want_one_more": len(judged.wanted),
        "given_up": judged.given_up,
    }


def _plain(alpha: Alpha) -> dict[str, Any]:
    return {
        "alpha": _number(alpha.value),
        "low": _number(alpha.low),
        "high": _number(alpha.high),
        "samples": alpha.pairable,
    }


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
    from emolab.cli.common import escape

    if not people:
        return
    rows = [
        (
            f"{escape(called[person.name])} ({person.name})" if person.name in called else escape(person.name),
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


def _brief(text: str) -> str:
    line = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    return line if len(line) <= 40 else line[:39] + "…"


def _habit(found: AnnotatorAgreement | None) -> str:
    if found is None or found.habit is None:
        return "–"
    others, own, votes = found.habit
    return f"{others} → {own} {votes / found.shared:.0%}"


def _hint(rounds: list[Any], totals: dict[str, int], current: LabelState | None, *, again: bool) -> str:
    unsent = [r for r in rounds if r.suggested and not r.sent]
    if unsent:
        return "emolab label push --suggestions"
    if not totals["active"]:
        return "emolab label pull" if any(r.sent for r in rounds) else "emolab label push"
    if again:
        return "emolab label push --revotes"
    if any(r.done < NEARLY * r.sent for r in rounds):
        return "emolab label pull"
    return "emolab label aggregate" if current is None or current.outdated else "emolab train"


def _annotator(
    person: Activity, found: AnnotatorAgreement | None, users: dict[str, list[int]], called: dict[str, str]
) -> dict[str, Any]:
    return {
        "name": person.name,
        "nickname": called.get(person.name),
        "users": users.get(person.name, []),
        "kind": person.kind,
        "votes": person.votes,
        "skips": person.skips,
        "meta": person.meta,
        "rejected": person.rejected,
        "median_seconds": person.seconds,
        "last": person.last,
        "agreement": _number(found.agreement) if found else None,
        "shared": found.shared if found else 0,
        "most_confused": list(found.habit) if found and found.habit else None,
        "confusion": found.confusion.round(3).tolist() if found else None,
    }


def _number(value: float) -> float | None:
    """``value``, or ``None`` for NaN, which JSON cannot say."""
    return None if value != value else float(value)  # noqa: PLR0124


def _figure(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"  # noqa: PLR0124


def _percent(value: float) -> str:
    return "–" if value != value else f"{value:.0%}"  # noqa: PLR0124
