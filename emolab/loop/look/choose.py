"""What a person has chosen on a wall becomes a round; and a round that waits is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolab.results import Result

if TYPE_CHECKING:
    from emolab.workspace import Workspace

#: The strategy of a round that a person chose.
STRATEGY = "by hand"


@dataclass(frozen=True, kw_only=True)
class ChosenRound(Result):
    """The round that was stored: ``new`` samples that nobody has answered, and those to be asked about ``again``.

    ``already`` were left out, because a suggestion of them waits to be sent.
    """

    round: int | None
    new: int
    again: int
    already: int


@dataclass(frozen=True, kw_only=True)
class RoundTakenBack(Result):
    """The ``round`` of which ``dropped`` suggestions wait no longer."""

    round: int
    dropped: int


def take_back(workspace: Workspace, number: int) -> RoundTakenBack:
    """Let nobody be asked about what waits of a round; what was sent of it stays.

    Raises :class:`DataError` where nothing of it waits, :class:`EmolabError` while a push or a choice goes on.
    """
    from emolab.catalog.campaign import rounds
    from emolab.errors import DataError

    with workspace.lock("suggest"), workspace.lock("push"), workspace.catalog() as catalog, catalog.begin() as tx:
        dropped = rounds.drop_waiting(tx, number)
        if not dropped:
            raise DataError(f"Nothing of round {number} waits to be sent.", hint="Load the page again.")
        return RoundTakenBack(round=number, dropped=dropped)


def ask_about(workspace: Workspace, ids: Sequence[str], *, by: str) -> ChosenRound:
    """Store the samples ``ids`` as a round of suggestions, chosen ``by`` somebody; ``push`` sends it like any other.

    Where all of them wait to be sent already there is no new round, which is no error. Samples that nobody may be asked
    about are left out, and the round's note counts them. Raises :class:`DataError` for a sample that there is not, and
    where all are left out.
    """
    from emolab.catalog import samples
    from emolab.catalog.campaign import rounds
    from emolab.catalog.privacy import consents
    from emolab.errors import DataError
    from emolab.records import Suggestion

    wanted = list(dict.fromkeys(ids))
    with workspace.lock("suggest"), workspace.catalog() as catalog, catalog.begin() as tx:
        samples.by_ids(tx, wanted)
        may = consents.allowed(tx, "label", required=workspace.config.privacy.consent_required)
        note, wanted = may.told(wanted), may.kept(wanted)
        if note and not wanted:
            raise DataError(note, hint="See who agreed to what: emolab consent list")
        waiting = {s.sample_id for s in rounds.suggestions(tx, unsent=True)}
        answered = samples.answered(tx, wanted)
        fresh = [each for each in wanted if each not in waiting]
        if not fresh:
            return ChosenRound(round=None, new=0, again=0, already=len(wanted))
        number = rounds.next_number(tx)
        chosen = [
            Suggestion(
                sample_id=each, score=0.0, reason=f"chosen by {by}", strategy=STRATEGY, round=number, rank=rank,
                kind="revote" if each in answered else "new",
            )
            for rank, each in enumerate(fresh)
        ]  # fmt: skip
        rounds.create(tx, chosen, strategy=STRATEGY, model=None, seed=0, settings={"by": by, "note": note})
    again = sum(each in answered for each in fresh)
    return ChosenRound(round=number, new=len(fresh) - again, again=again, already=len(wanted) - len(fresh))
