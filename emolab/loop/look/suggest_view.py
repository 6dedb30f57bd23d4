"""What would be asked next and why, what it would cost the team, and whether it can be sent, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from emolab.catalog.campaign.rounds import Round
    from emolab.records import Suggestion
    from emolab.workspace import Workspace

#: Proposed samples of a page, where nothing else is asked for, and at most.
FACES, MOST_FACES = 60, 200


@dataclass(frozen=True, kw_only=True)
class SuggestView(Result):
    """Rounds that wait to be sent, and what the next one can be chosen by.

    ``unasked`` samples have no answer, lie with nobody and do not wait to be sent. ``rounds`` wait: ``new`` samples and
    those ``again``, the ``votes`` they ask for and the team's ``seconds`` (``None``: nobody's answers were timed yet).
    ``each`` new sample is seen by so many people, who take ``seconds_each`` together. ``left_over`` tasks were begun by
    a push that stopped, and go out with the next one. ``stamp`` changes with all that waits. ``studio`` is the address
    of the project at the server (``url``, or ``None``), or why nothing can be sent (``lacking``, ``hint``). ``next`` is
    what to type where there is nothing to suggest from.
    """

    samples: int
    unasked: int
    model: str | None
    settings: Mapping[str, Any]
    strategies: Sequence[str]
    each: int
    seconds_each: float | None
    rounds: Sequence[Mapping[str, Any]]
    waiting: int
    votes: int
    seconds: float | None
    left_over: int
    stamp: str
    studio: Mapping[str, Any]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class WaitingNow(Result):
    """The ``stamp`` of :class:`SuggestView` as of now, and how many ``samples`` there are."""

    stamp: str
    samples: int


@dataclass(frozen=True, kw_only=True)
class ProposedFaces(Result):
    """Samples that wait to be sent, in their order, and where the ``next`` ones begin (``None``: these were the last).

    Each tells its round, kind, strategy and reason, and the class that the round's model says (``guess``, at ``share``;
    ``None`` where it said nothing).
    """

    faces: Sequence[Mapping[str, Any]]
    next: str | None


def suggest_view(workspace: Workspace) -> SuggestView:
    """The rounds that wait, and what the next can be chosen by; an empty workspace is no error."""
    from emolab.catalog import activity, models, samples
    from emolab.catalog.campaign import remotes, rounds
    from emolab.labeling.sync.project import title_of
    from emolab.loop.label.selection.round_pool import seconds_for
    from emolab.loop.operate.status import status
    from emolab.plugins import STRATEGIES

    config = workspace.config
    with workspace.catalog() as catalog, catalog.connect() as conn:
        champion = models.find(conn, "champion")
        speeds = activity.speeds(conn)
        each = remotes.usual_overlap(conn) or config.labeling.wanted.low
        known = {made.number: made for made in rounds.list_all(conn)}
        waits = [
            _round(known[number], kinds, each, speeds) for number, kinds in rounds.waiting(conn).items()
        ]  # fmt: skip
        told = samples.count(conn), samples.count_answered(conn), samples.count_waiting(conn)
        left_over, stamp = remotes.count_left_over(conn, title_of(config)), _stamp(conn, title_of(config))
    votes = sum(one["votes"] for one in waits)
    unasked = max(0, told[0] - told[1] - told[2] - sum(one["new"] for one in waits))
    return SuggestView(
        samples=told[0],
        unasked=unasked,
        model=champion.id if champion else None,
        settings={"n": config.suggest.n, "strategy": config.suggest.strategy, "revotes": config.suggest.revotes},
        strategies=STRATEGIES.names(),
        each=each,
        seconds_each=seconds_for(speeds, each),
        rounds=waits,
        waiting=sum(one["new"] + one["again"] for one in waits),
        votes=votes,
        seconds=seconds_for(speeds, votes) if votes else None,
        left_over=left_over,
        stamp=stamp,
        studio=_studio(workspace),
        next=None if unasked or waits or left_over else status(workspace).next,
    )


def waiting_now(workspace: Workspace) -> WaitingNow:
    """What a page asks again and again, to see whether it is behind."""
    from emolab.catalog import samples
    from emolab.labeling.sync.project import title_of

    with workspace.catalog() as catalog, catalog.connect() as conn:
        return WaitingNow(stamp=_stamp(conn, title_of(workspace.config)), samples=samples.count(conn))


def proposed_faces(workspace: Workspace, *, after: str | None = None, n: int = FACES) -> ProposedFaces:
    """The next ``n`` samples that wait, behind ``after``, which the page before told as ``next``.

    Raises :class:`DataError` for an ``after`` that no page told.
    """
    from emolab.catalog import models
    from emolab.catalog.campaign import rounds

    n = min(max(1, n), MOST_FACES)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        found = rounds.waiting_page(conn, after=_place(after), n=n)
        champion = models.find(conn, "champion")
        made = {one.number: one.model for one in rounds.list_all(conn)}
    default = champion.id if champion else None
    guesses = _guesses(workspace, {s.sample_id: made[s.round] or default for s in found})
    last = found[-1] if len(found) == n else None
    return ProposedFaces(
        faces=[_face(s, guesses) for s in found], next=None if last is None else f"{last.round}.{last.rank}"
    )


def _round(made: Round, kinds: Mapping[str, int], each: int, speeds: Sequence[float]) -> dict[str, Any]:
    from emolab.loop.label.selection.round_pool import seconds_for

    new, again = kinds.get("new", 0), kinds.get("revote", 0)
    votes = new * each + again
    return {
        "round": made.number,
        "strategy": made.strategy,
        "model": made.model,
        "by": made.settings.get("by"),
        "note": made.settings.get("note"),
        "created_at": made.created_at,
        "new": new,
        "again": again,
        "votes": votes,
        "seconds": seconds_for(speeds, votes),
    }


def _stamp(conn: Connection, title: str) -> str:
    from emolab.catalog.campaign import remotes, rounds

    return f"{rounds.next_number(conn)}.{rounds.count_unsent(conn)}.{remotes.count_left_over(conn, title)}"


def _face(suggestion: Suggestion, guesses: Mapping[str, tuple[str, float]]) -> dict[str, Any]:
    guess = guesses.get(suggestion.sample_id)
    return {
        "sample": suggestion.sample_id,
        "round": suggestion.round,
        "kind": suggestion.kind,
        "strategy": suggestion.strategy,
        "reason": suggestion.reason,
        "guess": None if guess is None else guess[0],
        "share": None if guess is None else guess[1],
    }


def _guesses(workspace: Workspace, models: Mapping[str, str | None]) -> dict[str, tuple[str, float]]:
    """The best class and its share of each sample, by the model named for it; nothing where it has kept none."""
    from emolab.inference import prediction_store

    found: dict[str, tuple[str, float]] = {}
    for model in sorted({model for model in models.values() if model is not None}):
        wanted = [sample for sample, by in models.items() if by == model]
        ids, classes, probs = prediction_store.pick(workspace.predictions_folder / model, wanted)
        for sample, row in zip(ids, probs, strict=True):
            best = int(row.argmax())
            found[sample] = classes[best], float(row[best])
    return found


def _place(after: str | None) -> tuple[int, int]:
    from emolab.errors import DataError

    if after is None:
        return 0, -1
    number, _, rank = after.partition(".")
    if not (number.isdecimal() and rank.isdecimal() and len(after) < 30):
        raise DataError(f'No page begins at "{after}".', hint="Load the page again.")
    return int(number), int(rank)


def _studio(workspace: Workspace) -> dict[str, Any]:
    """Where the project lies, as people reach it, as far as that is known without asking the server."""
    from emolab.catalog.campaign import remotes
    from emolab.errors import EmolabError
    from emolab.labeling.server.address import for_people, locate
    from emolab.labeling.sync.project import title_of

    try:
        address = locate(workspace)
    except EmolabError as error:
        return {"url": None, "lacking": error.message, "hint": error.hint}
    with workspace.catalog() as catalog, catalog.connect() as conn:
        title = title_of(workspace.config)
        mine = [p for p in remotes.projects(conn) if p.title == title and not p.gone]
    url = for_people(workspace, f"{address.url.rstrip('/')}/projects/{mine[-1].project}") if mine else None
    return {"url": url, "lacking": None, "hint": None}
