"""Turns what people changed in the FiftyOne App into votes, and taken-back changes into withdrawals. Pure.

Two ways to answer: a tag (``label:happiness``, or one of the meta labels such as ``no_face``) and an edit
of the ``label`` field. A tag stays in the App and can be removed again, which takes the vote back. An edit
is replaced by the new label at the next write, so its vote stays until the annotator edits again.

Several people may pull from one dataset: an answer that somebody pulled already stays theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from emolab.errors import EmolabError
from emolab.records import Vote
from emolab.taxonomy import META, resolve

PREFIX = "inspect:"
TAG = "label:"
_LONGEST_NAME = 40


class AppSample(NamedTuple):
    """A sample as the App shows it: its tags, its label, and the label that emolab wrote."""

    uid: str
    tags: Sequence[str]
    label: str | None
    written: str | None


class Pulled(NamedTuple):
    """A vote that came from the App earlier and still counts."""

    origin: str
    annotator: str
    label: str

    @property
    def by_tag(self) -> bool:
        """Whether a tag said it, and not an edit."""
        return self.origin.startswith(f"{PREFIX}tag:")


@dataclass(slots=True)
class AppAnswers:
    """Votes to append, origins to withdraw, how many answers were votes already, and (uid, line) for the rest."""

    votes: list[Vote] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    known: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)


def answers(
    seen: Iterable[AppSample],
    *,
    annotator: str,
    classes: Sequence[str],
    ledger: Mapping[str, Sequence[Pulled]],
) -> AppAnswers:
    """What ``annotator`` answered in the App, against the votes in ``ledger`` (by uid) that came from it earlier.

    Samples that are not in ``seen`` keep their votes. Raises :class:`EmolabError` for a name that cannot be
    used.
    """
    check_annotator(annotator)
    found = AppAnswers()
    for sample in seen:
        _one(sample, annotator, classes, ledger.get(sample.uid, ()), found)
    return found


def check_annotator(name: str) -> None:
    """Raise :class:`EmolabError` when ``name`` cannot name an annotator."""
    if not name.strip() or ":" in name or len(name) > _LONGEST_NAME:
        raise EmolabError(
            f'"{name}" cannot name an annotator: up to {_LONGEST_NAME} characters, no colon.',
            hint="Example: emolab inspect --pull --annotator ann",
        )


def restored_tags(ledger: Mapping[str, Sequence[Pulled]]) -> dict[str, list[str]]:
    """The tags that stand for the tag votes of the ledger, by uid: what a rebuilt dataset has to show again."""
    tags = {uid: sorted({_tag(vote.label) for vote in votes if vote.by_tag}) for uid, votes in ledger.items()}
    return {uid: names for uid, names in tags.items() if names}


def _one(
    sample: AppSample, annotator: str, classes: Sequence[str], earlier: Sequence[Pulled], found: AppAnswers
) -> None:
    """Add to ``found`` what ``annotator`` says about one sample."""
    told, problems = _tagged(sample.tags, classes)
    edited, problem = _edited(sample, classes)
    found.problems += [(sample.uid, line) for line in (*problems, *([problem] if problem else []))]
    if problems:
        return
    if len(told) > 1:
        said = " and ".join(_tag(label) for label in told)
        found.problems.append((sample.uid, f"has two answers, {said}; remove one of the tags"))
        return
    answer = told[0] if told else None
    if edited and answer and edited != answer:
        found.problems.append((sample.uid, f"has the tag {_tag(answer)}, but its label was edited to {edited}"))
        edited = None
    _by_tag(sample, annotator, answer, earlier, found)
    if edited and not answer:
        _by_edit(sample, annotator, edited, earlier, found)


def _by_tag(
    sample: AppSample, annotator: str, answer: str | None, earlier: Sequence[Pulled], found: AppAnswers
) -> None:
    """A new vote for the tag ``answer``, if nobody pulled it before; the votes of other tags are taken back."""
    tags = [vote for vote in earlier if vote.by_tag]
    same = [vote for vote in tags if vote.label == answer]
    mine = f"{PREFIX}tag:{annotator}:{sample.uid}"
    found.withdrawn += [vote.origin for vote in tags if vote not in same and (answer is None or vote.origin != mine)]
    if same:
        found.known += 1
    elif answer:
        found.votes.append(Vote(sample_id=sample.uid, annotator=annotator, label=answer, origin=mine))
        found.withdrawn += [v.origin for v in earlier if not v.by_tag and v.annotator == annotator]


def _by_edit(sample: AppSample, annotator: str, label: str, earlier: Sequence[Pulled], found: AppAnswers) -> None:
    """A new vote for the label that somebody wrote into the sample, if nobody pulled it before."""
    if any(vote.label == label and not vote.by_tag for vote in earlier):
        found.known += 1
    else:
        origin = f"{PREFIX}edit:{annotator}:{sample.uid}"
        found.votes.append(Vote(sample_id=sample.uid, annotator=annotator, label=label, origin=origin))


def _tagged(tags: Sequence[str], classes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The answers among ``tags`` without repeats, and what is wrong with the tags that look like one."""
    told: dict[str, None] = {}
    problems = []
    for tag in tags:
        if tag in META:
            told[tag] = None
        elif tag.startswith(TAG):
            label = resolve(tag.removeprefix(TAG), classes)
            if label is None:
                problems.append(f'has the tag "{tag}": {_unknown(tag.removeprefix(TAG), classes)}')
            else:
                told[label] = None
        elif tag in classes:
            problems.append(f'has the tag "{tag}", which is not an answer; to vote, write {TAG}{tag}')
    return list(told), problems


def _edited(sample: AppSample, classes: Sequence[str]) -> tuple[str | None, str | None]:
    """The class an edited label means, or what is wrong with it."""
    if sample.label is None or sample.label == sample.written:
        return None, None
    label = resolve(sample.label, classes)
    if label is None:
        return None, f'has the label "{sample.label}": {_unknown(sample.label, classes)}'
    return (None if label == sample.written else label), None


def _unknown(name: str, classes: Sequence[str]) -> str:
    options = [*classes, *META]
    nearest = get_close_matches(name.strip().lower(), options, n=1, cutoff=0.5)
    guess = f'did you mean "{nearest[0]}"? ' if nearest else ""
    return f'"{name}" is no class here; {guess}known: {", ".join(options)}'


def _tag(label: str) -> str:
    return label if label in META else f"{TAG}{label}"
