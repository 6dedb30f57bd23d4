"""Which guess was on the form, asked of the server where an answer does not tell it itself.

An answer names the prediction that it began from. As long as the server has that prediction, it can be asked what it
put on the form; after the next push it is gone, so a pull asks at once and the ledger remembers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emolab.catalog.campaign import guesses as sent_guesses
from emolab.errors import ServerError
from emolab.labeling.answers import parse
from emolab.labeling.label_studio.retry import patiently
from emolab.records import SOME_GUESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from emolab.catalog.campaign.remotes import Project
    from emolab.catalog.votes import Known
    from emolab.labeling.label_studio.client import Studio
    from emolab.labeling.label_studio.records import RemoteTask

#: Up to this many predictions are asked for one by one; for more of them the whole list is cheaper.
_ONE_BY_ONE = 20


def ask(
    studio: Studio, mine: Project, tasks: Iterable[RemoteTask], known: Mapping[str, Known]
) -> dict[int, parse.Said]:
    """What predictions put on the form or kept back, by their ids, where that is not known otherwise.

    ``known`` is what the ledger knows by origin. Predictions that are gone are left out.
    """
    wanted = {
        answer.parent_prediction
        for task in tasks
        for answer in task.annotations
        if answer.parent_prediction is not None
        and _open(known.get(mine.origin(answer.id)))
        and _silent(parse.read(answer.result))
    }
    if len(wanted) > _ONE_BY_ONE:
        listed = patiently(lambda: studio.predictions(mine.project))
        return {one.id: parse.read(one.result) for one in listed if one.id in wanted}
    found = {}
    for number in sorted(wanted):
        try:
            parts = patiently(lambda number=number: studio.prediction(number))  # type: ignore[misc]
        except ServerError as error:
            if error.status != 404:
                raise
        else:
            found[number] = parse.read(parts)
    return found


def words(asked: Mapping[int, parse.Said]) -> dict[int, str]:
    """The words that predictions put on the form, by their ids; empty where they put none."""
    return {number: said.labels[0] if len(said.labels) == 1 else "" for number, said in asked.items()}


def add_hidden(conn: Connection, mine: Project, tasks: Iterable[RemoteTask], guesses: dict[int, str]) -> None:
    """Add to ``guesses`` that nothing was on the form, where only the catalog still knows it: the sample was blind.

    Such an answer was begun by hand and names a prediction that the server no longer has.
    """
    asked = [
        (answer.parent_prediction, (task.uid, answer.created_at, answer.lead_time))
        for task in tasks
        for answer in task.annotations
        if task.uid is not None
        and answer.parent_prediction is not None
        and answer.parent_prediction not in guesses
        and _silent(said := parse.read(answer.result))
        and said.origin == parse.MANUAL
    ]
    blind = sent_guesses.hidden(conn, mine, [about for _, about in asked])
    guesses.update({prediction: "" for (prediction, _), kept in zip(asked, blind, strict=True) if kept})


def _silent(said: parse.Said) -> bool:
    """Whether an answer does not tell itself what its form had."""
    return said.guess is None and said.hidden is None


def _open(known: Known | None) -> bool:
    return known is None or known.shown in (None, SOME_GUESS)
