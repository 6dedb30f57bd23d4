"""From requests to a real `emolab serve` to an alarm."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emolab.loop.operate.monitor.run_monitor import ALARM, WAITING, monitor
from emolab.monitoring.served_log import read
from tests.support.asked import asked, opened
from tests.support.serve_process import face48_workspace, serving

ASKED = 120


@pytest.mark.slow
@pytest.mark.serve
def test_what_a_server_was_asked_is_what_the_monitor_looks_at(tmp_path: Path) -> None:
    workspace = face48_workspace(tmp_path / "w")
    shown = np.random.default_rng(5).integers(40, 216, (ASKED, 48, 48, 1), np.uint8)
    with serving("-w", workspace.root, "serve", "--port", "0", "--set", "serve.log=true") as server:
        for image in shown:
            held = io.BytesIO()
            Image.fromarray(image[..., 0]).save(held, "PNG")
            status, told = server.post(held.getvalue())
            assert status == 200, told
    logged = read(workspace.state / "served" / ("a" * 64))
    assert len(logged.at) == ASKED
    model = opened(workspace)
    probs, _ = model.probabilities_and_features(shown)
    assert np.allclose(np.sort(probs, axis=0), np.sort(logged.probs, axis=0), atol=1e-5)
    begun = datetime.fromtimestamp(float(logged.at[0]), UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = begun - timedelta(days=begun.weekday())
    done = monitor(workspace, now=monday + timedelta(days=6, hours=23))
    assert (done.outcome, done.looks) == (WAITING, ())
    first = monitor(workspace, reference="first", now=monday + timedelta(days=7))
    assert first.outcome == WAITING
    assert "no window has ended since the reference" in first.notes
    other = np.random.default_rng(6).integers(40, 216, (ASKED, 48, 48, 1), np.uint8)
    asked(workspace, model, other // 2, monday + timedelta(days=7))
    assert monitor(workspace, now=monday + timedelta(days=14)).outcome == ALARM
