"""Two models beside each other, and figures with and without the samples a model has learned, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emolab.cli.common import Session


def show_comparison(session: Session, compared: Mapping[str, Any] | None) -> None:
    """Print what a new model was compared with, or why nothing was."""
    from emolab.cli.common import escape
    from emolab.stats import comparison_words

    rows = comparison_words.comparison_rows(compared) if compared and compared["against"] else []
    if compared and rows:
        columns: list[str | tuple[str, str]] = ["", ("this model", "right"), (escape(compared["against"]), "right")]
        session.table(
            [*columns, ("difference", "right"), "95 % interval"],
            rows,
            title=escape(comparison_words.comparison_title(compared)),
        )
    for line in comparison_words.comparison_lines(compared):
        session.say(f"[dim]{escape(line)}[/]")


def show_speakers(session: Session, speakers: Mapping[str, Any] | None) -> None:
    """Print how far a model was judged on speakers that it has learned."""
    from emolab.cli.common import escape
    from emolab.stats import comparison_words

    for line in comparison_words.speaker_lines(speakers):
        session.say(f"[yellow]![/] {escape(line)}")


def show_learned(session: Session, learned: Mapping[str, Any] | None, whole: Mapping[str, Any]) -> None:
    """Print how far the figures of ``whole`` rest on samples that the model has learned."""
    from emolab.cli.common import escape
    from emolab.stats import comparison_words

    for line in comparison_words.learned_lines(learned, whole):
        session.say(f"[yellow]![/] {escape(line)}")
