"""Which files ``emolab predict`` looks at: by the walk, and the rule of what is passed over, that collect has."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emolab.datasets.problems import Problem


def files_of(paths: Sequence[Path], ignored: Counter[str]) -> list[Path | Problem]:
    """Files as given and folders as the images in them, in order; a problem for what is there and cannot be read.

    ``ignored`` counts what is passed over. Raises :class:`DataError` for a path that is not there.
    """
    from emolab.datasets.names import suffix_of
    from emolab.datasets.problems import Problem
    from emolab.datasets.walk import walk
    from emolab.errors import DataError

    for path in paths:
        if not os.path.lexists(path):
            raise DataError(f"There is no {path}.", hint="PATH... are images or folders of images.")
    given = {str(path) for path in paths}
    files: list[Path | Problem] = []
    for found in walk([str(path) for path in paths], ignored=ignored):
        if isinstance(found, Problem):
            files += [] if found.taken else [found]
        elif found.kind == "image" or found.path in given:
            files.append(Path(found.path))
        else:
            ignored[suffix_of(found.path)] += 1
    return files
