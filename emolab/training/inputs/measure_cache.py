"""What is measured of samples, on disk: memory-mapped, by content and version, safe to delete or to be cut off."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.modalities.modality import Measures
from emolab.progress import SILENT, Progress
from emolab.training.inputs import media_check
from emolab.training.inputs import row_store as rows


def fill(
    folder: Path,
    ids: Sequence[str],
    media: Callable[[str], Path],
    measures: Measures,
    *,
    progress: Progress = SILENT,
) -> tuple[NDArray[np.float32], NDArray[np.int64], dict[str, str]]:
    """All rows (m, numbers) that are kept, where those of ``ids`` (64 hex digits each) stand, and what is wrong.

    Only samples that were not measured before are, on all cores. A file must be what its sample's id says; one that is
    not, or that cannot be read, stands at -1, and the last of the three says why. Rows of other versions go when there
    are more than four.
    """
    file = _file(folder, measures)
    missing = len(set(ids) - rows.known(file))
    wrong: dict[str, str] = {}
    with (
        ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        progress.task("Measuring", missing, unit="samples") if missing else nullcontext() as task,
    ):

        def measured(sample: str) -> NDArray[np.float32] | str:
            try:
                return measures.take(media_check.read(sample, media(sample)))
            except DataError as error:
                return media_check.reason(error)

        def made(part: list[str]) -> tuple[NDArray[np.float32], list[str]]:
            found = dict(zip(part, pool.map(measured, part), strict=True))
            wrong.update({sample: row for sample, row in found.items() if isinstance(row, str)})
            good = [sample for sample in part if sample not in wrong]
            if task:
                task.advance(len(part))
            return np.array([found[sample] for sample in good], np.float32).reshape(-1, len(measures.names)), good

        array, places = rows.fill(file, ids, made, dtype=np.float32, shape=(len(measures.names),))
    rows.forget_others(file.parent)
    return array, places, wrong


def known(folder: Path, measures: Measures) -> set[str]:
    """The ids of samples that are measured already."""
    return rows.known(_file(folder, measures))


def _file(folder: Path, measures: Measures) -> Path:
    kind = hashlib.sha256(f"{measures.version} {' '.join(measures.names)}".encode()).hexdigest()[:16]
    return folder / f"measures-{kind}" / "measures.f32"
