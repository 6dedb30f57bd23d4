"""A year with a million answers: the page stays small, and so does what is held in memory."""

from __future__ import annotations

import json
import tracemalloc
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from emolab.inference import model_document
from emolab.loop.operate.monitor.run_monitor import monitor
from emolab.loop.operate.monitor.seen_windows import MOST
from emolab.monitoring.served_log import TYPES, LogShape
from emolab.taxonomy import PRESETS
from emolab.training.networks import bundled
from emolab.workspace import Workspace
from tests.support.asked import week

ROWS, WEEKS, WIDTH = 1_000_000, 52, 48
QUALITY = ("blur", "brightness", "contrast")


def filled(root: Path) -> tuple[Workspace, int]:
    """A workspace whose served network was asked a million times in a year, and the bytes of its log."""
    workspace = Workspace.init(root, classes=PRESETS["ferplus8"])
    folder = bundled.folder("face48")
    assert folder is not None
    shape = LogShape(
        model=model_document.describe(folder).id, classes=PRESETS["ferplus8"], width=WIDTH, quality=QUALITY
    )
    home = workspace.state / "served" / shape.model
    home.mkdir(parents=True)
    (home / "about.json").write_text(json.dumps(shape.to_dict()), encoding="utf-8")
    rng, total = np.random.default_rng(3), 0
    for rows, number in zip(np.array_split(np.arange(ROWS), WEEKS * 7), range(WEEKS * 7), strict=True):
        n, day = len(rows), week(0) + timedelta(days=number)
        probs = rng.dirichlet(np.full(8, 0.4), n)
        columns = {
            "at": day.timestamp() + np.sort(rng.uniform(0, 86_400, n)), "probs": probs,
            "embeddings": rng.standard_normal((n, WIDTH)), "quality": rng.random((n, 3)),
        }  # fmt: skip
        (home / day.date().isoformat()).mkdir()
        for name, column in columns.items():
            data = np.ascontiguousarray(column, dtype=TYPES[name]).tobytes()
            (home / day.date().isoformat() / f"00000.{name}.bin").write_bytes(data)
            total += len(data)
    return workspace, total


@pytest.mark.slow
def test_a_million_answers_make_a_small_page_and_are_not_held(tmp_path: Path) -> None:
    workspace, logged = filled(tmp_path / "w")
    tracemalloc.start()
    done = monitor(workspace, "face48", reference="first", now=week(WEEKS))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(done.looks) == WEEKS - 1
    assert sum(look.window.n for look in done.looks) > 0.98 * ROWS - ROWS / WEEKS
    assert all(f"{MOST:,} of" in look.notes[0] for look in done.looks)
    assert sum(bool(look.alarms) for look in done.looks) == 0
    assert done.report is not None
    assert done.report.stat().st_size < 5 << 20
    assert peak < logged, f"{peak >> 20} MiB were held, of a log of {logged >> 20} MiB"
