"""How far annotators agreed in a stretch of time, and how long they took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emolab.monitoring.detectors import FEWEST_SEEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emolab.workspace import Workspace


def annotator_columns(workspace: Workspace, begin: str, end: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Agreement (m,) of samples that two people or more labelled, and seconds (m,) of votes, from ``begin`` until
    before ``end``.

    A column of fewer than 30 is empty: a test would not hold its level.
    """
    from emolab.catalog import activity

    with workspace.catalog() as catalog, catalog.connect() as conn:
        agreement, seconds = activity.agreement_and_speed(conn, begin, end)
    return _enough(agreement), _enough(seconds)


def _enough(values: list[float]) -> NDArray[np.float64]:
    return np.array(values if len(values) >= FEWEST_SEEN else [], dtype=np.float64)
