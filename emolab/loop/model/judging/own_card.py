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
        "## Limits",
        f"It knows the language and the kind of {noun}s it learned from. What people read into a {noun} is not what "
        "its writer felt. Not for decisions about people.",
    ]
    return "\n\n".join(lines) + "\n"
