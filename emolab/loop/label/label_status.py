"""How labelling goes and how far the team agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.loop.label.perspectives import of_both
from emolab.loop.label.perspectives import told as told_perspectives
from emolab.results import Result, plain_data

if TYPE_CHECKING:
    from emolab.catalog.activity import Activity, RoundProgress
    from emolab.catalog.campaign.app_answers import AppCounts
    from emolab.catalog.campaign.questions import Question
    from emolab.labeling.labels.agreement import Alpha, AnnotatorAgreement, ClassAgreement
    from emolab.loop.label.revotes import Review
    from emolab.loop.operate.status import LabelState
    from emolab.records import GuessedAnswer, VoteTable
    from emolab.votes.anchoring import Anchoring
    from emolab.votes.perspectives import PerspectiveAgreement
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
    ``anchoring`` says how far guesses on the form pull the answers of the team (first) and of each annotator; it is
    empty where not both shown and hidden guesses were answered. ``perspectives`` says how far what is perceived is what
    was intended, on samples with votes of both. ``app`` counts answers of the app that wait for Label
    Studio, or that it refused.
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
    anchoring: list[Anchoring]
    app: AppCounts
    perspectives: PerspectiveAgreement | None = None

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

    @property
    def anchoring_in_words(self) -> str:
        """What the team's answers say about shown guesses; nothing where there are no figures."""
        from emolab.votes.anchoring import FEWEST

        if not self.anchoring:
            return ""
        team = self.anchoring[0]
        if not team.enough:
            return f"Fewer than {FEWEST} answers of one kind, to shown or to hidden guesses: nothing can be said yet."
        if team.low > 0:
            return (
                "A shown guess pulls answers towards it: people agree with it more often than with one they cannot "
                "see. With labeling.anchoring = correct such votes count less."
            )
        if team.high < 0:
            return "People agree less often with a guess they see than with one they cannot see."
        return "The team's interval holds 0: so far no pull of shown guesses can be told from chance."

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
            "anchoring": _anchoring(self.anchoring[0], self.anchoring[1:]) if self.anchoring else None,
            "extra_questions": self.questions,
            "app": self.app,
            "perspectives": told_perspectives(self.perspectives),
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
    return status_and_votes(workspace)[0]


def status_and_votes(workspace: Workspace) -> tuple[LabelStatus, VoteTable]:
    """What :func:`label_status` says, and the votes that it counted: to read a million of them again takes its time."""
    import numpy as np

    from emolab.catalog import activity, nicknames, tallies
    from emolab.catalog.campaign import answers, app_answers, guesses, questions, remotes
    from emolab.labeling.labels import agreement
    from emolab.loop.operate.status import label_state
    from emolab.votes.table import of

    with workspace.catalog() as catalog, catalog.connect() as conn:
        classes = workspace.config.project.classes
        table = tallies.table(conn, classes)
        both = of_both(conn, classes)
        everything = table if both is None else tallies.table(conn, classes, prefer=None)
        everybody = activity.annotators(conn)
        compared = guesses.answers(conn)
        known: dict[str, Any] = {
            "rounds": activity.rounds(conn),
            "votes_per_sample": activity.votes_per_sample(conn),
            "votes": tallies.count(conn),
            "labels": label_state(workspace, conn),
            "users": answers.users(conn),
            "held_back": remotes.held(conn),
            "nicknames": nicknames.by_pseudonym(conn),
            "questions": questions.count(conn),
            "app": app_answers.counts(conn),
        }
    people = [each for each in everybody if each.kind != "dataset"]
    datasets = [each for each in everybody if each.kind == "dataset"]
    groups = {"team": of(table, {person.name for person in people})}
    if datasets:
        groups["datasets"] = of(table, {each.name for each in datasets})
    alphas = {name: agreement.alpha(group, np.random.default_rng(0)) for name, group in groups.items()}
    described = next((name for name, alpha in alphas.items() if alpha.pairable), "team")
    told = LabelStatus(
        sufficiency=_sufficiency(workspace),
        agreement=alphas,
        classes=agreement.by_class(groups[described]),
        people=people,
        datasets=datasets,
        against={found.name: found for found in agreement.by_annotator(everything)},
        perspectives=both,
        anchoring=_anchored(compared),
        **known,
    )
    return told, table


def _sufficiency(workspace: Workspace) -> Review | None:
    """What the adaptive votes decide about the samples so far; ``None`` where every sample gets as many."""
    from emolab.loop.label.revotes import opinion, review

    return review(workspace, opinion(workspace)) if workspace.config.labeling.wanted.adaptive else None


def _anchored(compared: Sequence[GuessedAnswer]) -> list[Anchoring]:
    """The figures of the team, then of each annotator; none where answers of one kind are missing altogether."""
    from emolab.votes import anchoring

    team = anchoring.of_team(compared)
    return [team, *anchoring.by_annotator(compared)] if team.shown and team.hidden else []


def _anchoring(team: Anchoring, people: Sequence[Anchoring]) -> dict[str, Any]:
    def told(one: Anchoring) -> dict[str, Any]:
        return {
            "shown": one.shown,
            "hidden": one.hidden,
            "agree_shown": _number(one.with_shown),
            "agree_hidden": _number(one.with_hidden),
            "difference": _number(one.difference),
            "low": one.low,
            "high": one.high,
            "adoption": one.adoption,
            "enough": one.enough,
        }

    return {**told(team), "annotators": [{"name": one.annotator, **told(one)} for one in people]}


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
