"""The card of a model that its modality runs by itself, in Markdown: classes, data, figures and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def own_card(document: Mapping[str, Any]) -> str:
    """The card that ``document`` (model.json) makes."""
    from emolab.modalities.modality import open_modality

    noun = open_modality(str(document["modality"])).noun
    told = next(iter(document.get("metrics", {}).values()), None)
    lines = [
        f"# Model of {noun}s {str(document['id'])[:12]}",
        f"Says of each class by itself how likely it is that it applies to a {noun}; several may apply.",
        "## Data",
        f"Learned from {document.get('n', 0):,} labelled {noun}s, {str(document.get('created_at', ''))[:10]}. Which "
        "ones stands beside it as fingerprints.",
        "## Figures",
    ]
    if told:
        lines.append(
            f"On {told['n']:,} {noun}s that were held out while thresholds were found: macro-F1 "
            f"{told['macro_f1']:.3f}, micro-F1 {told['micro_f1']:.3f}."
        )
        f1 = {row["class"]: row["f1"] for row in told["per_class"]}
    else:
        f1 = {}
    lines += ["| class | threshold | F1 |\n|---|---|---|"]
    rows = [
        f"| {name} | {threshold:.3f} | {'' if f1.get(name) is None else format(f1[name], '.3f')} |"
        for name, threshold in zip(document["classes"], document["thresholds"], strict=True)
    ]
    lines[-1] += "".join(f"\n{row}" for row in rows)
    lines += [
        "## How sure it is",
        _sureness(document, noun, told or {}),
        "## Limits",
        f"It knows the language and the kind of {noun}s it learned from. What people read into a {noun} is not what "
        "its writer felt. Not for decisions about people.",
    ]
    return "\n\n".join(lines) + "\n"


def _sureness(document: Mapping[str, Any], noun: str, told: Mapping[str, Any]) -> str:
    """The temperature, what it changed, and the sets; or that there is none."""
    made, before = document.get("temperature"), told.get("before_temperature")
    if made is None or before is None:
        return (
            "No temperature was fitted, because an earlier emolab learned this model: its probabilities are not "
            "calibrated, and it states no sets. Train it again."
        )
    lines = (
        f"Probabilities have temperature {made['value']:.3f}, fitted on {made['n']:,} {noun}s that were held out; each "
        f"class is drawn to its share among them, or pushed away from it. By the temperature of the other parts, the "
        f"log loss on each part is {told['log_loss']:.4f} ({before['log_loss']:.4f} before), the calibration error of "
        f"the likeliest class {told['ece']:.3f} ({before['ece']:.3f} before)."
    )
    if made["value"] == 1:
        lines = (
            f"The temperature stays 1: {made['n']:,} {noun}s were held out, which are too few to fit one, or every "
            "answer on them is right. So probabilities are not calibrated."
        )
    levels = document.get("conformal", {}).get("levels", {})
    if not levels:
        return f"{lines} It states no sets of classes: fewer than 100 {noun}s were held out."
    stated = ", ".join(f"{float(coverage):.0%}" for coverage in levels)
    return f"{lines} It states sets that hold all labels of a {noun} in {stated} of such {noun}s (conformal sets)."
