"""The opt-in log of what is served: what was asked is in it, and a disk that is full stops no answer."""

from __future__ import annotations

import io
import resource
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emolab.errors import ConfigError
from emolab.loop.operate import served_columns
from emolab.loop.operate.logged_models import PICTURE_QUALITY
from emolab.loop.operate.serve import open_service
from emolab.loop.operate.served_columns import FOLDER, ServedColumns
from emolab.monitoring.served_log import logged, read
from emolab.progress import Progress
from emolab.taxonomy import PRESETS
from emolab.workspace import Workspace


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def served(root: Path, *, log: bool = True) -> Workspace:
    settings = ["serve.log=true"] if log else []
    Workspace.init(root, classes=PRESETS["ferplus8"])
    return Workspace.open(root, overrides=settings)


class Told(Progress):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.mark.slow
def test_the_log_holds_what_was_answered_and_no_warming_up(tmp_path: Path) -> None:
    workspace = served(tmp_path / "w")
    service = open_service(workspace, "face48", config=workspace.config)
    answers = service.host.submit([(f"{i}.png", picture(i)) for i in range(5)]).result(timeout=60).answers
    service.close()
    (model,) = logged(workspace.state / FOLDER)
    found = read(workspace.state / FOLDER / model)
    assert len(found.at) == 5
    said = sorted(tuple(np.round(answer.faces[0].probs, 5).tolist()) for answer in answers)
    assert sorted(tuple(np.round(row, 5).tolist()) for row in found.probs) == said
    assert found.embeddings.shape == (5, 184)
    assert found.shape.quality == PICTURE_QUALITY
    assert np.all((found.quality[:, 1] > 0.4) & (found.quality[:, 1] < 0.6))  # random pixels are half as light as white


@pytest.mark.slow
def test_nothing_is_kept_unasked_and_a_log_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    quiet = served(tmp_path / "quiet", log=False)
    service = open_service(quiet, "face48", config=quiet.config)
    service.host.submit([("a.png", picture(0))]).result(timeout=60)
    service.close()
    assert not (quiet.state / FOLDER).exists()

    workspace, told = served(tmp_path / "full"), Told()
    service = open_service(workspace, "face48", config=workspace.config, progress=told)
    (workspace.state / FOLDER).write_text("no folder")
    for i in range(2):
        assert service.host.submit([("a.png", picture(i))]).result(timeout=60).answers[0].faces
    service.close()
    assert [line.partition(":")[0] for line in told.warnings] == [
        "The log of what is served ends here",
        "The log of what was served lacks 2 answers.",
    ]


class _Network:
    """What of a network the log asks for."""

    id, classes = "m" * 64, ("joy", "anger", "fear")
    thresholds, quality_names = (), ()

    @staticmethod
    def quality(shown: Any) -> Any:
        return np.empty((len(shown), 0), np.float32)


def batch(seed: int) -> tuple[Any, ...]:
    """An answer about four, whose embeddings say which probabilities are theirs."""
    probs = np.random.default_rng(seed).dirichlet([1, 1, 1], 4).astype(np.float32)
    return _Network(), np.zeros((4, 2, 2, 1), np.uint8), probs, np.repeat(probs[:, :1], 64, axis=1)


def test_a_disk_that_is_full_ends_the_log_with_one_line_and_its_rows_belong_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    before, soft = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    said: list[str] = []
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, soft[1]))  # what a full disk does, to one column first
        log = ServedColumns(tmp_path, days=9, most=1 << 30, warn=said.append)
        for seed in range(60):
            log.offer(*batch(seed))
            time.sleep(0.001)
        log.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
        signal.signal(signal.SIGXFSZ, before)
    assert raised == []
    assert [line.partition(":")[0] for line in said] == [
        "The log of what is served ends here",
        f"The log of what was served lacks {log.left_out} answers.",
    ]
    found = read(tmp_path / _Network.id)
    assert 0 < len(found.at) <= 240 - log.left_out + 4
    assert np.allclose(found.embeddings[:, 0], found.probs[:, 0], atol=1e-3)


def test_a_fault_in_the_log_stops_neither_answers_nor_the_end_of_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falls_over(*_: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr(_Network, "quality", falls_over)
    monkeypatch.setattr(served_columns, "_SECONDS_TO_END", 5.0)
    said: list[str] = []
    log = ServedColumns(tmp_path, days=9, most=1 << 30, warn=said.append)
    for seed in range(served_columns.MOST_WAITING + 9):
        log.offer(*batch(seed))
    log.close()
    assert not log._thread.is_alive()
    assert said == [
        "The log of what is served ends here: ValueError('a fault')",
        f"The log of what was served lacks {4 * (served_columns.MOST_WAITING + 9):,} answers.",
    ]


@pytest.mark.timeout(60)
def test_a_disk_that_does_not_answer_lets_a_server_end_and_its_rows_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, most = threading.Event(), 4
    monkeypatch.setattr(_Network, "quality", lambda *_: answers.wait(50))
    monkeypatch.setattr(served_columns, "MOST_WAITING", most)
    monkeypatch.setattr(served_columns, "_SECONDS_TO_END", 0.3)
    said: list[str] = []
    log = ServedColumns(tmp_path, days=9, most=1 << 30, warn=said.append)
    for seed in range(3 * most):
        log.offer(*batch(seed))
    log.close()
    lacking = log.lacking()
    answers.set()
    assert said == [f"The log of what was served lacks {lacking} answers."]
    assert lacking == 4 * (3 * most - 1), "all but those that it was writing"


def test_a_log_needs_a_workspace(tmp_path: Path) -> None:
    workspace = served(tmp_path / "w")
    config = replace(workspace.config)
    shutil.rmtree(tmp_path / "w")
    with pytest.raises(ConfigError, match=r"serve\.log needs a workspace"):
        open_service(None, "face48", config=config)
