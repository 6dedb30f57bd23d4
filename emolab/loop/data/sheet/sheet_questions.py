"""The questions of a datasheet, and how the catalog answers them.

Sections and questions follow Gebru et al. 2021, "Datasheets for datasets" (Communications of the ACM 64), in short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emolab.safe_text import for_markdown
from emolab.words import many

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class SheetQuestion:
    """One question of a ``section``: its ``key``, its words, and what answers it from the facts; ``None``: people do.

    ``whole`` answers leave nothing to write; beside the others there is room.
    """

    section: str
    key: str
    text: str
    answer: Callable[[Facts], str] | None = None
    whole: bool = False


def _instances(told: Facts) -> str:
    found = told["samples"]
    lines = [f"{many(found['n'], 'sample')} ({told['modality']}) of {many(len(told['sources']), 'source')}."]
    if found["shorter_side"]:
        low, middle, high = found["shorter_side"]
        span = f"{low:,}" if low == high else f"{low:,} to {high:,}, median {middle:,}"
        lines.append(f"Shorter side in pixels: {span}.")
    if found["hours"]:
        lines.append(f"{found['hours']:.1f} hours of sound.")
    if found["cut_from_larger"]:
        lines.append(f"{found['cut_from_larger']:,} were cut out of larger pictures.")
    table = [
        ("source", "samples", "groups", "came in"),
        *((_safe(row["name"]), f"{row['n']:,}", f"{row['groups']:,}", _span(row["added"])) for row in told["sources"]),
    ]
    return "\n\n".join([" ".join(lines), _table(table, right=(1, 2))])


def _people(told: Facts) -> str:
    found = told["samples"]
    if not found["groups"]:
        return "It is not known which samples are of one person, video or session."
    guessed = f", {found['guessed_groups']:,} of them guessed by voice" if found["guessed_groups"] else ""
    return (
        f"{many(found['groups'], 'group')} (people, videos, sessions) are told apart{guessed}; the largest has "
        f"{many(found['largest_group'], 'sample')}. Of {many(found['ungrouped'], 'sample')} it is not known to which "
        "group they belong."
    )


def _labels(told: Facts) -> str:
    by_class, splits = told["splits"]["by_class"], list(told["splits"]["samples"])
    if told["labels"] is None:
        return "No labels have been made yet."
    rows = [("class", *splits, "all")]
    rows += [
        (_safe(name), *(f"{row[s]:,}" for s in splits), f"{sum(row.values()):,}") for name, row in by_class.items()
    ]
    made = told["labels"]
    head = f"{many(made['n'], 'sample')} with a label: a distribution over the classes, counted here by its largest."
    lacks = [
        f"Source {_safe(row['name'])} shows only {', '.join(map(_safe, row['shows']))}."
        for row in told["sources"]
        if row["shows"] is not None
    ]
    return "\n\n".join([head, _table(rows, right=range(1, len(splits) + 2)), *lacks])


def _missing(told: Facts) -> str:
    labelled = told["labels"]["n"] if told["labels"] else 0
    votes = told["votes"]
    return (
        f"{told['samples']['n'] - labelled:,} samples have no label. {many(votes['meta'], 'vote')} say that a sample "
        f"cannot be labelled, {votes['skipped']:,} were skipped, {votes['rejected']:,} are kept and not counted."
    )


def _splits(told: Facts) -> str:
    counted = told["splits"]["samples"]
    listed = ", ".join(f"{name} {n:,}" for name, n in counted.items() if n)
    held = " Samples of the holdout are read by no training." if counted.get("holdout") else ""
    found = told["samples"]
    divided = " and ".join(
        [many(found["divided_groups"], "group")] * bool(found["divided_groups"])
        + [many(found["divided_copies"], "group of copies", "groups of copies")] * bool(found["divided_copies"])
    )
    apart = (
        f"{divided} lie in two of them or more, so figures on them flatter"
        if divided
        else "No group and no near copy is in two of them"
    )
    return f"Samples by split: {listed}. {apart}.{held}"


def _errors(told: Facts) -> str:
    found = told["samples"]
    near = many(found["near_copies"], "near copy", "near copies")
    return f"{near} of {many(found['groups_of_copies'], 'other sample')} were found. Exact copies are one sample."


def _consent(told: Facts) -> str:
    rows = [("source", "licence", "consent")]
    rows += [(_safe(row["name"]), _texts(row["licence"]), _texts(row["consent"])) for row in told["sources"]]
    register = told["consent_register"]
    listed = ", ".join(f"{n:,} {state}" for state, n in sorted(register.items())) or "empty"
    rule = (
        "Without an entry a sample is left out." if told["consent_required"] else "A sample without an entry is used."
    )
    return "\n\n".join([_table(rows), f"Consent register: {listed}. {rule}"])


def _withdrawn(told: Facts) -> str:
    return (
        f"{many(told['forgotten'], 'sample')} were erased for good (`emolab forget`), {told['removed']:,} taken out "
        "(`emolab remove`). What consent does not cover any more is not trained on."
    )


def _dates(told: Facts) -> str:
    span, votes = told["samples"]["added"], told["votes"]["dates"]
    voted = f" Votes were given, or came in, {_span(votes)}." if votes else ""
    return f"Samples came into the workspace {_span(span)}.{voted} When they were recorded is not known to the catalog."


def _labelling(told: Facts) -> str:
    asked, made = told["labelling"], told["labels"]
    lines = []
    if made:
        lines.append(
            f"Labels are made of votes by the method `{made['method']}` from {made['min_votes'] or 1} vote(s) on."
        )
    lines.append(f"Settings of now: {asked['overlap']} annotator(s) for a sample, form in `{asked['language']}`.")
    if asked["guesses_shown"]:
        lines.append("A model's guess is shown on a part of the forms.")
    if asked["own_instructions"]:
        lines.append("The team has instructions of its own, before emolab's.")
    if any(row["intended"] for row in told["sources"]):
        names = ", ".join(_safe(row["name"]) for row in told["sources"] if row["intended"])
        lines.append(f"Labels of {names} are what was intended, not what was perceived.")
    return " ".join(lines)


def _annotators(told: Facts) -> str:
    kinds = {"person": "person", "dataset": "published data set", "model": "model"}
    listed = ", ".join(many(n, kinds.get(kind, kind), _several(kind)) for kind, n in told["annotators"].items() if n)
    votes = told["votes"]
    lines = [f"{votes['active']:,} votes ({votes['people']:,} people counted) by {listed or 'nobody yet'}."]
    alpha = told["agreement"]
    if alpha and alpha.get("alpha") is not None:
        lines.append(
            f"Agreement of the team: Krippendorff's alpha {alpha['alpha']:.2f} on {many(alpha['samples'], 'sample')} "
            "with two votes or more."
        )
    if told["labels"] and told["labels"]["agreement"] is not None:
        lines.append(f"On average {told['labels']['agreement']:.0%} of the votes on a sample are for its class.")
    return " ".join(lines)


def _cleaning(told: Facts) -> str:
    masked = told["samples"]["masked"]
    hidden = f" In {many(masked, 'sample')} names, addresses or numbers were masked." if masked else ""
    return (
        "Each sample is kept in one plain form, without the metadata of its file, under the hash of its bytes."
        f"{hidden} Votes are kept as they were given, and labels can be made again from them."
    )


def _several(kind: str) -> str:
    return {"person": "people", "dataset": "published data sets", "model": "models"}.get(kind, f"{kind}s")


def _texts(found: Mapping[str, Any]) -> str:
    parts = [f"“{_safe(each['text'])}” ({each['samples']:,})" for each in found["texts"]]
    parts += [f"{found['others']:,} other texts"] if found["others"] else []
    parts += [f"not known ({found['none']:,})"] if found["none"] else []
    return ", ".join(parts) or "not known"


def _span(span: Sequence[str] | None) -> str:
    if span is None:
        return "at a time that is not known"
    first, last = (moment[:10] for moment in span)
    return f"on {first}" if first == last else f"from {first} to {last}"


def _table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    rule = "|".join("---:" if i in right else "---" for i in range(len(rows[0])))
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _safe(text: str) -> str:
    return for_markdown(text)


_WHY, _WHAT, _HOW = "Motivation", "Composition", "Collection process"
_DONE, _USES = "Preprocessing, cleaning, labelling", "Uses"
_GIVEN, _KEPT = "Distribution", "Maintenance"
QUESTIONS = (
    SheetQuestion(_WHY, "purpose", "For what purpose was the data set created?"),
    SheetQuestion(_WHY, "makers", "Who created it, on behalf of whom, and who paid for it?"),
    SheetQuestion(_WHAT, "instances", "What are its instances, and how many are there?", _instances, whole=True),
    SheetQuestion(_WHAT, "population", "Is it a sample of a larger set, and does it represent that?"),
    SheetQuestion(_WHAT, "labels", "Is there a label for each instance?", _labels, whole=True),
    SheetQuestion(_WHAT, "missing", "Is information missing from instances?", _missing, whole=True),
    SheetQuestion(_WHAT, "groups", "Are relations between instances explicit?", _people, whole=True),
    SheetQuestion(_WHAT, "splits", "Are there recommended splits?", _splits, whole=True),
    SheetQuestion(_WHAT, "errors", "Are there errors, noise or redundancies?", _errors),
    SheetQuestion(_WHAT, "sensitive", "Are people identifiable, or subgroups (age, sex, origin)? Who is rare in it?"),
    SheetQuestion(_HOW, "acquired", "How were the data acquired: by which cameras, microphones, programs, people?"),
    SheetQuestion(_HOW, "when", "Over what time were they collected?", _dates),
    SheetQuestion(_HOW, "consent", "Did the people consent, and under which licence do the data stand?", _consent),
    SheetQuestion(_HOW, "revoke", "Can they revoke it, and what happens then?", _withdrawn),
    SheetQuestion(_HOW, "review", "Were there ethical reviews, or an assessment of the effect on data protection?"),
    SheetQuestion(_DONE, "cleaning", "What was done to the data, and is the raw form kept?", _cleaning),
    SheetQuestion(_DONE, "method", "How were they labelled?", _labelling),
    SheetQuestion(_DONE, "annotators", "Who labelled them, how were they paid, how far do they agree?", _annotators),
    SheetQuestion(_USES, "used", "What has it been used for, and what could it be used for?"),
    SheetQuestion(_USES, "not_for", "What must it not be used for?"),
    SheetQuestion(_GIVEN, "how", "Will it be given to others: how, when, under which licence?"),
    SheetQuestion(_KEPT, "who", "Who maintains it, and how can they be reached?"),
    SheetQuestion(_KEPT, "updates", "Will it be updated, and are older versions kept?"),
)  # fmt: skip
