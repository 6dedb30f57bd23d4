"""Answers of Label Studio as votes, with the reason where one cannot be counted. Pure: no server, no catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from emolab.catalog.votes import said as written
from emolab.labeling.answers import parse, timestamps
from emolab.labeling.form import controls
from emolab.labeling.label_studio.records import RemoteAnnotation
from emolab.records import NOTHING_SHOWN, SKIPPED, SOME_GUESS, FormGuess, Vote
from emolab.taxonomy import META, resolve

if TYPE_CHECKING:
    from emolab.catalog.votes import Known

EMPTY = "no answer given"
COPIED = "taken over from a prediction"
PROPAGATED = "copied from an answer to another task"
#: Reasons for which an answer that nobody gave stays refused while it says the same.
COPIES = (COPIED, PROPAGATED)
SUPERSEDED = "replaced by a later answer of the same annotator"
_LONGEST = 64  # characters of a label that the ledger keeps
_A_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class AnswerTerms:
    """What answers are read against: the project's ``classes``, and what is known of them otherwise.

    ``guesses`` are the words that predictions put on the form, by the predictions' ids (empty: none), as far as they
    are known; ``known`` is what the ledger knows of answers, by origin; ``theirs`` as for :func:`parse.read`;
    ``several`` says whether the form offers several classes in one answer.
    """

    classes: Sequence[str]
    guesses: Mapping[int, str] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)
    theirs: frozenset[str] = frozenset()
    several: bool = False


def vote(
    answer: RemoteAnnotation,
    terms: AnswerTerms,
    *,
    sample_id: str,
    annotator: str,
    origin: str,
    round_number: int | None = None,
) -> Vote:
    """One answer as a vote. What cannot be counted is kept, with the reason in ``rejected``."""
    classes, before = terms.classes, terms.known.get(origin)
    said = parse.read(answer.result, terms.theirs)
    meant = {resolve(label, classes) for label in said.labels}
    several = len(meant) > 1 or (len(said.labels) > 1 and None in meant)
    together = terms.several and len(meant) > 1 and meant <= set(classes)
    found = [name for name in classes if name in meant] if together else []
    meaning, also = (found[0], tuple(found[1:])) if found else (None if several else next(iter(meant), None), ())
    second = None if said.second is None else resolve(said.second, classes)
    more = said.extra
    if said.second is not None and (second is None or second in META):  # the team's own question of that name
        second, more = None, {**more, controls.SECOND: said.second[:_LONGEST]}
    shown = _shown(answer, said, terms, before)
    rejected = None
    if answer.was_cancelled:
        meaning, also, rejected = None, (), SKIPPED
    elif not said.labels:
        rejected = EMPTY
    elif several and not together:
        rejected = "two answers at once: " + ", ".join(f'"{label[:_LONGEST]}"' for label in sorted(said.labels)[:4])
    elif meaning is None:
        meaning = said.labels[0][:_LONGEST]
        rejected = f'"{meaning}" is no class of this project'
    else:
        rejected = _copy(answer, said, (meaning, *also), shown, before)
    return Vote(
        sample_id=sample_id,
        annotator=annotator,
        label=meaning,
        origin=origin,
        lead_time=seconds(answer.lead_time),
        round=round_number,
        confidence=said.confidence,
        second=second,
        cast_at=answer.created_at or None,
        rejected=rejected,
        shown=shown,
        extra=more,
        also=also,
    )


def form(answer: RemoteAnnotation, *, forms: Mapping[int, FormGuess], terms: AnswerTerms) -> FormGuess | None:
    """The guess that the form of an answer had, shown or hidden; ``None`` where neither the answer tells it nor the
    prediction that it began from, one of ``forms`` by its id."""
    found = parse.read(answer.result, terms.theirs).form or forms.get(answer.parent_prediction or 0)
    return found and replace(found, label=resolve(found.label, terms.classes) or found.label[:_LONGEST])


def seconds(lead_time: float | None) -> float | None:
    """A lead time that can be one: more than nothing, at most a day.

    The browser takes it from the difference of two clock readings. A clock that is set in between makes it negative or
    years long, and programs write 0 for "not measured". Such times say nothing about how long somebody looked.
    """
    return lead_time if lead_time is not None and 0 < lead_time <= _A_DAY else None


def _shown(
    answer: RemoteAnnotation,
    said: parse.Said,
    terms: AnswerTerms,
    before: Known | None,
) -> str | None:
    """The class of the guess that the form began with, for :attr:`Vote.shown`.

    The answer itself tells it best. Then the ledger: the server forgets the prediction when the next push replaces it.
    """
    if said.hidden is not None:
        return NOTHING_SHOWN
    word = said.guess
    if word is None and before is not None and before.shown not in (None, SOME_GUESS):
        return before.shown
    if word is None and answer.parent_prediction is not None:
        word = terms.guesses.get(answer.parent_prediction)
    if word:
        return resolve(word, terms.classes) or word[:_LONGEST]
    if word is not None:
        return NOTHING_SHOWN
    if said.origin == parse.CHANGED:
        return SOME_GUESS
    blind = said.origin == parse.MANUAL and answer.parent_prediction is None
    return NOTHING_SHOWN if blind else before and before.shown


def _copy(
    answer: RemoteAnnotation, said: parse.Said, labels: Sequence[str], shown: str | None, before: Known | None
) -> str | None:
    """Why this answer is one that nobody gave: a bulk action made it of a guess or of an answer to another task.

    Such a copy is unchanged, and no time was measured. Label Studio's page measures the time of every answer
    that a person submits, also of one that leaves the guess as it is. The server forgets where a copy came from when
    the prediction is deleted; so what the ledger once refused stays refused while it says the same.
    """
    if answer.lead_time:
        return None
    label = written(labels)
    if before is not None and label in before.refused:
        return before.refused[label]
    if answer.parent_annotation is not None:
        return PROPAGATED
    if (before is not None and before.counted == label) or said.origin in (parse.CHANGED, parse.MANUAL):
        return None
    if said.guess is None and answer.parent_prediction is None:
        return None
    return COPIED if shown in (None, SOME_GUESS, label) else None


def votes(
    answers: Sequence[RemoteAnnotation],
    terms: AnswerTerms,
    *,
    sample_id: str,
    annotator_of: Callable[[RemoteAnnotation], str],
    origin_of: Callable[[RemoteAnnotation], str],
    round_number: int | None = None,
) -> list[Vote]:
    """All answers about one sample as votes: of several by one annotator the last one counts, the others are kept."""
    made: list[Vote] = []
    last: dict[str, int] = {}
    for answer in sorted(answers, key=lambda a: (timestamps.moment(a.created_at) or timestamps.LONG_AGO, a.id)):
        one = vote(
            answer,
            terms,
            sample_id=sample_id,
            annotator=annotator_of(answer),
            origin=origin_of(answer),
            round_number=round_number,
        )
        if one.rejected is None:
            earlier = last.get(one.annotator)
            if earlier is not None:
                made[earlier] = replace(made[earlier], rejected=SUPERSEDED)
            last[one.annotator] = len(made)
        made.append(one)
    return made
