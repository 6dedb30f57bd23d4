"""The terminal: everything printed goes through here, and no name from outside gets to give it orders."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from emolab.safe_text import visible


class Terminal(Console):
    """A console that shows control characters of the texts it is given instead of obeying them.

    Its own colours and movements of the cursor are not text and go through. This is the net below ``escape`` of
    :mod:`emolab.cli.common`, which also keeps brackets and line breaks of a name from meaning anything.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does, with every text made visible."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text, keep="\n"), segment.style)
