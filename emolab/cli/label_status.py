"""``emolab label status``: how labelling goes and how far the team agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from emolab.cli.common import Session, workspace_command

if TYPE_CHECKING:
    from emolab.catalog.activity import Activity
    from emolab.labeling.agreement import AnnotatorAgreement


@click.command(short_help="Show progress, agreement and annotators.")
@workspace_command
def status(session: Session) -> None:
    """Show the progress of the rounds, votes per sample, agreement, and every annotator beside the others.

    Alpha is Krippendorff's: 1 is perfect agreement, 0 what chance gives. For emotions 0.4 to 0.6 is usual and
    no defect of the team: disagreement says that a face is ambiguous.
    """
    import numpy as np

    from emolab.catalog import activity, labels, tallies
    from emolab.labeling import agreement

    workspace = session.workspace
    with workspace.catalog() as catalog, catalog.connect() as conn:
        table = tallies.table(conn, workspace.config.project.classes)
        rounds = activity.rounds(conn)
        people = activity.annotators(conn)
        per_sample = activity.votes_per_sample(conn)
        totals = tallies.count(conn)
        current = labels.summary(conn)
    alpha = agreement.alpha(table, np.random.default_rng(0))
    classes = agreement.by_class(table)
    against = {found.name: found for found in agreement.by_annotator(table)}
    session.emit(
        {
            "rounds": rounds,
            "samples": sum(per_sample.values()),
            "votes_per_sample": per_sample,
            "votes": totals,
            "labels": current,
            "agreement": {"alpha": _number(alpha.value), "low": _number(alpha.low), "high": _number(alpha.high),
                          "samples": alpha.pairable},
            "per_class": [
                {"class": c.name, "votes": c.votes, "agreement": _number(c.agreement),
                 "confused_with": c.confused_with, "confused": c.confused}
                for c in classes
            ],
            "annotators": [_annotator(person, against.get(person.name)) for person in people],
        }
    )  # fmt: skip
    if session.json:
        return
    _show_rounds(session, rounds)
    _show_votes(session, per_sample, totals)
    if alpha.pairable:
        session.say(
            f"[bold]Agreement[/] Krippendorff's alpha [bold]{_figure(alpha.value)}[/] "
            f"(95 % interval {_figure(alpha.low)} to {_figure(alpha.high)}, {alpha.pairable:,} samples with two or "
            "more votes)"
        )
        session.table(
            ["class", ("votes", "right"), ("another agrees", "right"), "or says instead"],
            [
                (c.name, f"{c.votes:,}", _percent(c.agreement),
                 f"{c.confused_with} {_percent(c.confused)}" if c.confused_with else "–")
                for c in classes
            ],
        )  # fmt: skip
    elif totals["active"]:
        session.say("[dim]No sample has two votes yet, so nothing can be said about agreement.[/]")
    _show_people(session, people, against)
    session.next_step(_hint(rounds, totals, current))


def _show_rounds(session: Session, rounds: list[Any]) -> None:
    from emolab.cli.common import bar

    if not rounds:
        session.say("[dim]Nothing has been suggested or sent to the team yet.[/]")
        return
    session.table(
        ["round", "chosen by", ("sent", "right"), ("answered", "right"), ("done", "right"), "votes", ("", "right")],
        [
            (
                "–" if r.round is None else r.round,
                r.strategy or "–",
                f"{r.sent:,}" if r.sent or not r.suggested else f"0 of {r.suggested:,}",
                f"{r.answered:,}",
                f"{r.done:,}",
                bar(r.votes / r.wanted if r.wanted else 0.0, 20),
                f"{r.votes:,} of {r.wanted:,}" if r.wanted else "–",
            )
            for r in rounds[-8:]
        ],
        title="Rounds",
    )


def _show_votes(session: Session, per_sample: dict[int, int], totals: dict[str, int]) -> None:
    spread = " · ".join(f"{n:,} with {votes}" for votes, n in list(per_sample.items())[:12])
    more = f" · {len(per_sample) - 12} further counts" if len(per_sample) > 12 else ""
    session.say(f"[bold]Votes[/] per sample: {spread or 'no samples yet'}{more}")
    extra = ", ".join(f"{totals[key]:,} {word}" for key, word in _WORDS.items() if totals[key])
    session.say(f"[dim]{totals['people']:,} opinions count{'; ' + extra if extra else ''}.[/]\n")


_WORDS = {"meta": "say unknown or no face", "skipped": "skipped", "rejected": "rejected", "withdrawn": "withdrawn"}


def _show_people(session: Session, people: list[Activity], against: dict[str, AnnotatorAgreement]) -> None:
    if not people:
        return
    rows: list[tuple[str, ...]] = []
    for person in people:
        found = against.get(person.name)
        habit = found.habit if found else None
        rows.append(
            (
                person.name,
                f"{person.votes:,}",
                _percent(found.agreement) if found else "–",
                "–" if person.seconds is None else f"{person.seconds:.1f} s",
                f"{person.skips:,}",
                f"{person.meta:,}",
                f"{habit[1]} instead of {habit[0]} {habit[2] / found.shared:.0%}" if found and habit else "–",
            )
        )
    columns: list[str | tuple[str, str]] = [
        "annotator",
        ("votes", "right"),
        ("agree with others", "right"),
        ("median time", "right"),
        ("skips", "right"),
        ("no class", "right"),
        "most often differs",
    ]
    session.table(columns, rows, title="Annotators")


def _hint(rounds: list[Any], totals: dict[str, int], current: dict[str, Any] | None) -> str:
    unsent = [r for r in rounds if r.suggested and not r.sent]
    if unsent:
        return "emolab label push --suggestions"
    if not totals["active"]:
        return "emolab label pull" if any(r.sent for r in rounds) else "emolab label push"
    if any(r.done < r.sent for r in rounds):
        return "emolab label pull"
    return "emolab label aggregate" if current is None else "emolab train"


def _annotator(person: Activity, found: AnnotatorAgreement | None) -> dict[str, Any]:
    return {
        "name": person.name,
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
