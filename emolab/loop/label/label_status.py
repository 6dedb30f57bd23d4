"""How labelling goes and how far the team agrees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.results import Result, plain_data

if TYPE_CHECKING:
    from emolab.catalog.activity import Activity, RoundProgress
    from emolab.catalog.campaign.questions import Question
    from emolab.labeling.labels.agreement import Alpha, AnnotatorAgreement, ClassAgreement
    from emolab.loop.label.revotes import Review
    from emolab.loop.operate.status import LabelState
    from emolab.workspace import Workspace

#: Share of the answers asked for from which on a round counts as done: a skipped task may stay open for ever.
NEARLY = 0.9


@dataclass(frozen=True, kw_only=True)
class LabelStatus(Result):
    """The ``rounds``, counts of ``votes`` and ``votes_per_sample``, who voted, and how far they agree.

    ``agreement`` holds alpha of the ``team`` and, where some were merged, of the ``datasets``; ``classes`` are by the
    votes of whichever of them has enough. ``against`` compares each annotator with the others. ``held_back`` counts
    votes by project whose withdrawal waits for consent. ``users`` are Label Studio's numbers and ``nicknames`` the
    names kept here, by pseudonym. ``sufficiency``: whose votes are enough, where ``labeling.votes`` is a range.
    """

    rounds: list[RoundProgress]
    votes_per_sample: dict[int, int]
    votes: dict[str, int]
    held_back: Mapping[str, int]
    labels: LabelState | None
    sufficiency: Review | None
    agreement: dict[str, Alpha]
    classes: list[ClassAgreement]
    people: list[Activity]
    datasets: list[Activity]
    against: dict[str, AnnotatorAgreement]
    users: dict[str, list[int]]
    nicknames: dict[str, str]
    questions: list[Question]

    @property
    def next(self) -> str:
        """What to type next."""
        rounds, again = self.rounds, bool(self.sufficiency and self.sufficiency.wanted)
        unsent = [r for r in rounds if r.suggested and not r.sent]
        if unsent:
            return "emolab label push --suggestions"
        if not self.votes["active"]:
            return "emolab label pull" if any(r.sent for r in rounds) else "emolab label push"
        if again:
            return "emolab label push --revotes"
        if any(r.done < NEARLY * r.sent for r in rounds):
            return "emolab label pull"
        return "emolab label aggregate" if self.labels is None or self.labels.outdated else "emolab train"

    def to_dict(self) -> dict[str, Any]:
        """Everything there is to tell, ready for JSON."""
        judged = self.sufficiency
        told: dict[str, Any] = {
            "rounds": self.rounds,
            "samples": sum(self.votes_per_sample.values()),
            "votes_per_sample": self.votes_per_sample,
            "votes": self.votes,
            "withdrawals_held_back": self.held_back,
            "labels": self.labels,
            "enough": None if judged is None else {**judged.states(), "wanted": judged.wanted},
            "agreement": _alpha(self.agreement["team"]),
            "agreement_of_datasets": _alpha(self.agreement["datasets"]) if "datasets" in self.agreement else None,
            "per_class": [
                {
                    "class": c.name,
                    "votes": c.votes,
                    "agreement": _number(c.agreement),
                    "confused_with": c.confused_with,
                    "confused": c.confused,
                }
                for c in self.classes
            ],
            "annotators": [self._annotator(person) for person in self.people],
            "datasets": [self._annotator(each) for each in self.datasets],
            "extra_questions": self.questions,
        }
        return {key: plain_data(value) for key, value in told.items()}

    def _annotator(self, person: Activity) -> dict[str, Any]:
        found = self.against.get(person.name)
        return {
            "name": person.name,
            "nickname": self.nicknames.get(person.name),
            "users": self.users.get(person.name, []),
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


def label_status(workspace: Workspace) -> LabelStatus:
    """Progress of the rounds, votes per sample, agreement, and every annotator beside the others.

    Without any vote there is nothing to tell, which is no error.
    """
    import numpy as np

    from emolab.catalog import activity, nicknames, tallies
    from emolab.catalog.campaign import answers, questions, remotes
    from emolab.labeling.labels import agreement
    from emolab.loop.operate.status import label_state
    from emolab.votes.table import of

    with workspace.catalog() as catalog, catalog.connect() as conn:
        table = tallies.table(conn, workspace.config.project.classes)
        everybody = activity.annotators(conn)
        known: dict[str, Any] = {
            "rounds": activity.rounds(conn),
            "votes_per_sample": activity.votes_per_sample(conn),
            "votes": tallies.count(conn),
            "labels": label_state(workspace, conn),
            "users": answers.users(conn),
            "held_back": remotes.held(conn),
            "nicknames": nicknames.by_pseudonym(conn),
            "questions": questions.count(conn),
        }
    people = [each for each in everybody if each.kind != "dataset"]
    datasets = [each for each in everybody if each.kind == "dataset"]
    groups = {"team": of(table, {person.name for person in people})}
    if datasets:
        groups["datasets"] = of(table, {each.name for each in datasets})
    alphas = {name: agreement.alpha(group, np.random.default_rng(0)) for name, group in groups.items()}
    described = next((name for name, alpha in alphas.items() if alpha.pairable), "team")
    return LabelStatus(
        sufficiency=_sufficiency(workspace),
        agreement=alphas,
        classes=agreement.by_class(groups[described]),
        people=people,
        datasets=datasets,
        against={found.name: found for found in agreement.by_annotator(table)},
        **known,
    )


def _sufficiency(workspace: Workspace) -> Review | None:
    """What the adaptive votes decide about the samples so far; ``None`` where every sample gets as many."""
    from emolab.loop.label.revotes import opinion, review

    return review(workspace, opinion(workspace)) if workspace.config.labeling.wanted.adaptive else None


def _alpha(alpha: Alpha) -> dict[str, Any]:
    return {
        "alpha": _number(alpha.value),
        "low": _number(alpha.low),
        "high": _number(alpha.high),
        "samples": alpha.pairable,
    }


def _number(value: float) -> float | None:
    """``value``, or ``None`` for NaN, which JSON cannot say."""
    return None if value != value else float(value)  # noqa: PLR0124
