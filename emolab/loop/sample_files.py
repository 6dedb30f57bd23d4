"""Where the files of samples lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emolab.workspace import Workspace


def media_of(workspace: Workspace) -> Callable[[str], Path]:
    """The file of a sample by its id."""
    from emolab.catalog import samples

    with workspace.catalog() as catalog, catalog.connect() as conn:
        paths = {sample.id: sample.media for sample in samples.iterate(conn)}
    return lambda sample: workspace.root / paths[sample]
