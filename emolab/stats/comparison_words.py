"""Comparisons, and figures that rest on learned samples, in words: for the terminal, the report and the card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Figures by their key: title, and whether they are shares to print as percentages.
FIGURES = (("accuracy", "accuracy", True), ("macro_f1", "macro-F1", False), ("nll", "log loss", False))


def learned_lines(learned: Mapping[str, Any] | None, whole: Mapping[str, Any]) -> list[str]:
    """How far the figures of ``whole`` rest on samples the model has learned; nothing where they do not.

    ``learned`` is what :func:`emolab.training.learned.ancestry.marked` gives; models of an earlier emolab have none.
    """
    if not whole["n"]:
        return []
    if learned is None:
        return ["What this model has learned from is not recorded: some of these samples may be among it."]
    lines = [f"Unknown: {line}. Samples it has learned may be among these." for line in learned["unknown"]]
    if not learned["n"]:
        return lines
    were = "was" if learned["n"] == 1 else "were"
    some = f"{learned['n']:,} of {whole['n']:,} samples {were} learned by this model"
    without = learned["without"]
    if without is None:
        left = f"{learned['left']:,} others are" if learned["left"] else "none is left, which is"
        return [f"{some}, which flatters it; {left} too few for figures.", *lines]
    pairs = ", ".join(
        f"{title} {written(whole[key], share)} with, {written(without[key], share)} without them"
        for key, title, share in FIGURES
        if key in whole
    )
    return [f"{some}: {pairs} (n = {without['n']:,}).", *lines]


def speaker_lines(speakers: Mapping[str, Any] | None) -> list[str]:
    """How far a model was judged on people it has learned; nothing where it was not.

    ``speakers`` is what :func:`emolab.training.runs.model_origin.speakers` gives; earlier models have none.
    """
    if not speakers:
        return []
    lines = []
    if speakers["divided"]:
        are = "is" if speakers["divided"] == 1 else "are"
        people = "speaker (or other group)" if speakers["divided"] == 1 else "speakers (or other groups)"
        lines.append(
            f"Speaker leak: {speakers['divided']:,} {people} {are} both trained and validated on, with "
            f"{speakers['samples']:,} of the {speakers['n']:,} validation samples. For new speakers expect less."
        )
    if speakers["ignored"]:
        lines.append(
            f"Speaker leak: {', '.join(speakers['ignored'])} came in with --allow-speaker-leak, so its splits may "
            "divide speakers that nothing here tells apart. For new speakers expect less."
        )
    return lines


def comparison_title(compared: Mapping[str, Any]) -> str:
    """What a table of both models stands under."""
    return f"Beside {compared['against']}, on the same {compared['n']:,} validation samples"


def comparison_rows(compared: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """A row for each figure: name, this model, the other one, difference and interval; none where none was measured."""
    if "difference" not in compared:
        return []
    rows = []
    for key, title, share in FIGURES:
        found = compared["difference"][key]
        estimate = signed(found["estimate"], share) + (" points" if share else "")
        interval = f"{signed(found['low'], share)} to {signed(found['high'], share)}"
        mine, theirs = written(compared["new"][key], share), written(compared["old"][key], share)
        rows.append((title, mine, theirs, estimate, interval))
    return rows


def comparison_lines(compared: Mapping[str, Any] | None) -> list[str]:
    """What has to be said about a comparison besides its table, or instead of one."""
    if not compared:
        return []
    if compared["against"] is None:
        return [f"Compared with nothing: {compared['why']}."]
    lines = []
    if "difference" not in compared:
        few = f"{compared['n']:,} validation samples that neither has learned from are" if compared["n"] else "none is"
        lines.append(f"Not compared with {compared['against']}: {few} left, too few for figures.")
    if compared["learned"]:
        some = "1 sample" if compared["learned"] == 1 else f"{compared['learned']:,} samples"
        lines.append(f"Left out: {some} that one of the two has learned from.")
    return [*lines, *(f"Unknown: {one}. Samples it has learned may be among these." for one in compared["unknown"])]


def written(value: float, share: bool) -> str:
    """A figure: a share as a percentage."""
    return f"{value:.1%}" if share else f"{value:.3f}"


def signed(value: float, share: bool) -> str:
    """A difference with its sign: of shares, in points."""
    return f"{100 * value:+.1f}" if share else f"{value:+.3f}"
