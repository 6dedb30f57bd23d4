"""Model cards: what a model is, what it was made from, how good it is and where it fails, as Markdown.

Follows Mitchell et al. 2019, "Model cards for model reporting".
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from emolab.errors import DataError
from emolab.inference.model_document import DOCUMENT, Checkpoint, describe
from emolab.safe_text import for_markdown
from emolab.stats import comparison_words
from emolab.training.fitting.validation import FEWEST_JUDGES
from emolab.training.judging import card_data, flips
from emolab.training.networks.bundled import ABOUT
from emolab.training.runs import objective

#: Settings that say how a model was made; the rest is in its document. A head that was solved took no steps.
MADE_WITH = ("backbone", "weights", "mode", "objective", "flips")
STEPPED = ("epochs", "batch", "optimizer", "lr", "weight_decay", "dropout", "augmentation", "strength")
#: Below this many samples a figure of a class says little.
FEW = 50


def card(folder: Path) -> str:
    """The card of the model in ``folder``, from its document alone; what a person wrote beside it, ``about.md``, leads.

    Raises :class:`DataError` when there is no model.
    """
    made = harmless(describe(folder))
    if not {"valid", "n_train"} <= made.metrics.keys():
        raise DataError(f"{folder / DOCUMENT} holds no figures to make a card of.", hint="Train the model again.")
    about = folder / ABOUT
    title = folder.name if about.is_file() else f"Model {made.id[:12]}"
    parts = [f"# {title}", _summary(made)]
    if about.is_file():
        parts.append(about.read_text(encoding="utf-8").strip())
    else:
        parts += card_data.sections(made)
    parts += [_validated(made), *(_judged(found) for found in made.metrics.get("judged", ())), _settings(made)]
    return "\n\n".join(parts) + "\n"


def harmless(made: Checkpoint) -> Checkpoint:
    """``made`` with every name in it as it may stand in Markdown: of classes, sources, projects and models.

    What emolab says itself about where a model began (caveats) is Markdown already.
    """
    return replace(
        made,
        backbone=for_markdown(made.backbone),
        classes=tuple(map(for_markdown, made.classes)),
        metrics=_marked(made.metrics),
        about=_marked(made.about),
        plan=_marked(made.plan),
    )


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return for_markdown(value)
    if isinstance(value, dict):
        return {key: found if key == "caveats" else _marked(found) for key, found in value.items()}
    return [_marked(found) for found in value] if isinstance(value, list | tuple) else value


def _summary(made: Checkpoint) -> str:
    metrics = made.metrics
    weights = f"{metrics['parameters']:,} weights" if "parameters" in metrics else "weights not counted"
    return (
        f"{made.backbone} ({weights}) for {made.preprocessing.words}; "
        f"classes: {', '.join(made.classes)}.\n"
        f"Made {made.created_at[:10]} from {metrics['n_train']:,} samples (snapshot {made.snapshot[:12]})."
    )


def _validated(made: Checkpoint) -> str:
    valid: dict[str, Any] = made.metrics["valid"]
    if not valid["n"]:
        return "## Figures\n\nNothing was held out, so nothing is measured and the model is not calibrated."
    before: dict[str, Any] = made.metrics["before_temperature"]
    folds = made.metrics.get("folds")
    way = "" if folds else f", {_way(made.flips)}"
    told = (
        f"On {valid['n']:,} {'held-out' if folds else 'validation'} samples{way}. {_crossed(folds)}"
        "Chosen on the same ones: "
        f"{', '.join(_chosen(made))} (before it: NLL {before['nll']:.3f}, ECE {before['ece']:.3f})."
    )
    ways: dict[str, dict[str, float]] = made.metrics.get("flips", {})
    other = ways.get(flips.OFF if made.flips else flips.ON)
    if other:
        told += (
            f" {_way(not made.flips).capitalize()} (temperature {other['temperature']:.3f}): accuracy "
            f"{other['accuracy']:.1%}, macro-F1 {other['macro_f1']:.3f}, NLL {other['nll']:.3f}, "
            f"ECE {other['ece']:.3f}."
        )
    marks = "".join(f"\n\n{line}" for line in _marks(made, valid))
    return f"## Figures\n\n{told}\n\n{_table(valid)}{_conditions(folds)}{marks}"


def _crossed(folds: dict[str, Any] | None) -> str:
    """Who judged, where models of folds did."""
    return f"{folds['protocol']} " if folds else ""


def _conditions(folds: dict[str, Any] | None) -> str:
    """Figures for some of the samples, and for all in noise: means over the folds."""
    if not folds:
        return ""
    rows = [
        f"| {row['name']} | {row['balanced_accuracy']:.1%} | {row['macro_f1']:.3f} | {row['ece']:.3f} | {row['n']:,} |"
        for row in folds["conditions"]
    ]
    head = ["| mean over the folds | recall (UA) | macro-F1 | ECE | samples |", "|---|---|---|---|---|"]
    return "\n\n" + "\n".join([*head, *rows])


def _marks(made: Checkpoint, valid: dict[str, Any]) -> list[str]:
    """How far the figures rest on learned samples, and what the model was compared with."""
    compared = made.metrics.get("compared")
    lines = comparison_words.speaker_lines(made.metrics.get("speakers"))
    if not made.metrics.get("judged") and not made.metrics.get("folds"):  # the models of folds have not learned them
        lines += comparison_words.learned_lines(made.metrics.get("learned"), valid)
    rows = comparison_words.comparison_rows(compared) if compared and compared["against"] else []
    if compared and rows:
        lines.append(f"{comparison_words.comparison_title(compared)}, with 95 % intervals ({compared['method']}):")
        lines += [
            "\n".join(f"* {name}: {mine} against {theirs}, {by} ({ends})" for name, mine, theirs, by, ends in rows)
        ]
    return [*lines, *comparison_words.comparison_lines(compared)]


def _chosen(made: Checkpoint) -> list[str]:
    """What the validation samples decided, the temperature last."""
    judged = (row["epoch"] for row in made.history if row.get("valid_loss") is not None)
    several = made.metrics["valid"]["n"] >= FEWEST_JUDGES and len(list(judged)) > 1
    strength = made.plan.get("objective") == "macro_f1" and made.metrics["valid"]["n"] >= objective.FEWEST
    return [
        *(["epoch"] if several else []),
        *(["class offsets"] if strength else []),
        f"temperature {made.temperature:.3f}",
    ]


def _way(flipped: bool) -> str:
    return "each image with its mirror image" if flipped else "each sample alone"


def _judged(found: dict[str, Any]) -> str:
    way = _way(found.get("flips", False))
    return f"## On {found['on']}, {way}\n\n{found['protocol']}\n\n{_table(found)}"


def _table(found: dict[str, Any]) -> str:
    """Figures over all classes, then one line per class."""

    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    lines = [
        f"n = {found['n']:,}, accuracy {found['accuracy']:.1%}, macro-F1 {found['macro_f1']:.3f}, "
        f"balanced accuracy {found['balanced_accuracy']:.1%}, NLL {found['nll']:.3f}, ECE {found['ece']:.3f}, "
        f"Brier {found['brier']:.3f}",
        "",
        "| class | precision | recall | F1 | samples |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['class']} | {share(row['precision'])} | {share(row['recall'])} | {share(row['f1'])} "
        f"| {row['support']:,}{' (few)' if row['support'] < FEW else ''} |"
        for row in found["per_class"]
    ]
    return "\n".join(lines)


def _settings(made: Checkpoint) -> str:
    solved = made.metrics.get("solved")
    keys = MADE_WITH if solved else (*MADE_WITH, *STEPPED)
    named = ", ".join(f"{key} {made.plan[key]}" for key in keys if key in made.plan)
    if made.plan.get("teacher"):
        named += f", targets by {made.plan['teacher_share']:.0%} from {made.plan['teacher']}"
    if solved:
        named += f", head solved with penalty {solved['penalty']:.2g}"
    tools = ", ".join(f"{name} {version}" for name, version in made.made_by.items())
    return f"## How it was made\n\n{named}, seed {made.plan.get('seed', 0)}; {tools}."
