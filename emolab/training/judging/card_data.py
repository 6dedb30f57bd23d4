"""The part of a model card that tells purpose, data, beginnings and limits, from the facts kept with the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emolab.inference.model_document import Checkpoint
from emolab.training.runs import model_origin

#: A class of fewer samples to learn from, or to be judged on, is named as a limit.
FEW = 50
NOT_FOR = (
    "Not for decisions about people. What a face shows is not what a person feels, and people who look at the same "
    "face often disagree. Do not use it to judge applicants, pupils, patients, drivers or suspects."
)


def sections(made: Checkpoint) -> list[str]:
    """Purpose, data, start and limits of ``made`` in Markdown; what an earlier emolab did not keep is named so."""
    about = made.about
    return [_purpose(made, about), _data(about), _start(made, about), _limits(made, about)]


def _purpose(made: Checkpoint, about: Mapping[str, Any]) -> str:
    of = f"images like those of the project “{about['project']}”" if about else "images like those it was trained on"
    return (
        "## Purpose\n\n"
        f"A calibrated guess of how people would label {of}: {', '.join(made.classes)}. It stands for the perceived "
        f"expression, as the annotators see it.\n\n{NOT_FOR}"
    )


def _data(about: Mapping[str, Any]) -> str:
    head = "## Data and licence\n\n"
    if not about:
        return f"{head}Sources, licences, consent and votes were not kept when this model was made (an earlier emolab)."
    lines = []
    for row in about["sources"]:
        lines.append(f"* **{row['name']}**: {row['train']:,} samples to train on, {row['valid']:,} to validate on.")
        lines.append(f"  Licence: {_texts(row['licence'])}. Consent: {_texts(row['consent'])}.")
    if about.get("intended"):
        lines.append(
            f"\nThe labels of {', '.join(about['intended'])} are what was *intended*, such as what actors were asked "
            "to show; what people perceive is often another class."
        )
    labels = about["labels"]
    how = f"by {labels['method']}, min. votes {labels['min_votes']}" if labels else "in a way that is not on record"
    people = f"{about['people']:,} {'person' if about['people'] == 1 else 'people'}"
    table = ["| class | train | votes | valid | votes |", "|---|---|---|---|---|"]
    table += [
        f"| {row['class']} | {row['train']:,} | {row['votes_train']:,} | {row['valid']:,} | {row['votes_valid']:,} |"
        for row in about["classes"]
    ]
    return head + "\n\n".join(["\n".join(lines), f"Labels were made {how}; {people} voted.", "\n".join(table)])


def _texts(found: Mapping[str, Any]) -> str:
    parts = [f"“{each['text']}” ({each['samples']:,} samples)" for each in found["texts"]]
    parts += [f"{found['others']:,} other texts, not repeated here"] if found["others"] else []
    parts += [f"nothing on record for {found['none']:,} samples"] if found["none"] else []
    return "; ".join(parts)


def _start(made: Checkpoint, about: Mapping[str, Any]) -> str:
    found = about["start"] if about else model_origin.guessed(made.plan)
    began = f", which began with {found['began']}" if "began" in found else ""
    told = [f"Training started from {found['name']}{began}."]
    teachers = about.get("teachers", ())
    told += [f"It also learned from the answers of {each['name']}." for each in teachers]
    caveats = dict.fromkeys([*found["caveats"], *(line for each in teachers for line in each["caveats"])])
    return "\n\n".join(["## What it started from", " ".join(told), *(f"* {line}" for line in caveats)])


def _limits(made: Checkpoint, about: Mapping[str, Any]) -> str:
    lines = []
    if about:
        none = [row["class"] for row in about["classes"] if not row["train"]]
        few = [f"{row['class']} ({row['train']:,})" for row in about["classes"] if 0 < row["train"] < FEW]
        unjudged = [f"{row['class']} ({row['valid']:,})" for row in about["classes"] if row["valid"] < FEW]
        lines += (
            [f"It never saw {', '.join(none)} and cannot know {'it' if len(none) == 1 else 'them'}."] if none else []
        )
        lines += [f"Few samples to learn from: {', '.join(few)}."] if few else []
        lines += [f"Few validation samples, so figures say little: {', '.join(unjudged)}."] if unjudged else []
        if about["masked"]:
            lines.append(f"Not every source can show {', '.join(about['masked'])}; there these classes are unknown.")
        lines.append(_groups(about))
        tested = about["test"]
        lines.append(
            f"{tested:,} test samples of the project were kept apart; this card holds no figures on them."
            if tested
            else "No test samples were kept apart: the validation samples also chose what is named under Figures."
        )
    else:
        lines.append("How many samples of each class, person and source it learned from was not kept.")
    if made.preprocessing.normalised_by:
        lines.append(
            f"Clips are normalised by {made.preprocessing.normalised_by}: by mean and spread of each band over all "
            "known clips of their speaker, those that are judged too. Figures do not hold for a clip that comes alone."
        )
    lines += [
        "It was not tested on images of other sources, cameras or people than those named here.",
        "Figures by age, sex or skin tone do not exist: emolab keeps no such data.",
        f"It sees {made.preprocessing.words}; finer detail is lost.",
    ]
    return "\n".join(["## Limits", "", *(f"* {line}" for line in lines)])


def _groups(about: Mapping[str, Any]) -> str:
    if not about["groups"]:
        return (
            "It is not known which samples show the same person or session, so validation samples may show people it "
            "has learned from."
        )
    both = about.get("divided", 0)
    some = f"{both:,} of them {'is' if both == 1 else 'are'}" if both else "none is"
    line = f"{about['groups']:,} people, videos or sessions; {some} both trained and validated on"
    if guessed := about.get("guessed", 0):
        line += f"; {guessed:,} of them {'was' if guessed == 1 else 'were'} guessed from voices, nobody said who speaks"
    rest = about["ungrouped"]
    return f"{line}{f', but for {rest:,} samples it is not known whom they show' if rest else ''}."
