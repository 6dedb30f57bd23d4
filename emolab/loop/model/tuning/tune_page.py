"""The report of a search for settings: one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emolab.pages.html import Section, Tile, code, page, table, write_page
from emolab.toml_edit import lines_of

if TYPE_CHECKING:
    from emolab.loop.model.tuning.tune import TunedSettings

#: Combinations on the page.
SHOWN = 40
NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "log_loss": "log loss"}
COLUMNS = ("figure", "as they are", "lowest to highest fold", "best", "lowest to highest fold", "difference", "95 %")


def bought(found: TunedSettings) -> list[tuple[str, ...]]:
    """Rows of the table of what the search bought, on folds that chose nothing."""
    return [
        (
            NAMES[name],
            f"{one['default']:.4f}",
            f"{one['default_low']:.4f} to {one['default_high']:.4f}",
            f"{one['best']:.4f}",
            f"{one['best_low']:.4f} to {one['best_high']:.4f}",
            f"{one['difference']:+.4f}",
            f"{one['low']:+.4f} to {one['high']:+.4f}",
        )
        for name, one in found.fresh.items()
    ]


def in_short(settings: dict[str, Any]) -> str:
    """``settings`` on one line; what stands for none of them."""
    told = ", ".join(f"{name.removeprefix('training.')} {value}" for name, value in settings.items())
    return told or "the settings as they are"


def to_copy(found: TunedSettings) -> str:
    """The best settings as they stand in ``emolab.toml``."""
    return lines_of(found.settings) if found.settings else "# nothing to change"


def write_report(found: TunedSettings) -> None:
    """Write the page of ``found`` to its place."""
    counts = found.samples
    tiles = [
        Tile(label="outcome", value=found.outcome),
        Tile(label="combinations", value=f"{len(found.tried) - 1:,}", note=f"{found.trainings:,} trainings"),
        Tile(label="minutes used", value=f"{found.seconds / 60:.1f}", note=f"of {found.budget_s / 60:g}"),
        Tile(label="training samples", value=f"{counts['train']:,}", note=f"{counts['groups']:,} groups"),
    ]
    judged = (
        f"{counts['judge_afresh']:,} training samples that took no part in the choice; {counts['choose']:,} others "
        "chose. Samples of valid, test and holdout were not looked at."
    )
    sections = [Section(title="Outcome", body=code(to_copy(found)), lead=found.reason)]
    if found.fresh:
        sections.append(
            Section(title="What it bought", body=table(COLUMNS, bought(found), numeric=(1, 3, 5)), lead=judged)
        )
    rows = [
        (
            str(one["trial"]),
            f"{one['rung']} of 3",
            "" if one["loss"] is None else f"{one['loss']:.4f}",
            f"{one['seconds']:.1f}",
            one["failed"] or in_short(one["settings"]),
        )
        for one in found.tried[:SHOWN]
    ]
    lead = "Log loss against the votes, on the folds that choose; comparable only among those that got equally far."
    sections.append(
        Section(title="Tried", body=table(("number", "got to", "log loss", "seconds", "settings"), rows), lead=lead)
    )
    write_page(found.report, page("Settings, searched", sections, subtitle=found.reason, tiles=tiles))
