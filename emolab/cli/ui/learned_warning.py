"""A warning before anybody trusts figures: the network that trainings start from has learned the samples at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emolab.words import many

if TYPE_CHECKING:
    from emolab.cli.common import Session


def warn_of(session: Session, known: Mapping[str, Any] | None, *, noun: str = "image") -> None:
    """Say what ``learned_of`` found of samples called ``noun``, unless as few as are taken for learned by mistake."""
    from emolab.cli.common import escape

    if known is None:
        return
    for line in known["unknown"]:
        session.say(f"[yellow]![/] Unknown: {escape(line)}. It may have learned some of these {noun}s.")
    n, of = known["n"], known["of"]
    if n and (n == of or n > 1 + 3 * known["rate"] * of):
        session.say(
            f"[yellow]![/] {escape(known['by'])} has learned {n:,} of these {many(of, noun)}: figures on them, by "
            "it or by models that start from it, flatter. Judge on others."
        )
