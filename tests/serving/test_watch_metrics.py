"""What the monitor knows stands in /metrics: read when a file has changed, never while an answer waits."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from emolab.config import AlertsConfig
from emolab.loop.look.watch_figures import NewestFigures, figures
from emolab.loop.operate.alerting import record_file
from emolab.loop.operate.monitor import look_record
from emolab.monitoring.alerts.channels import attempts
from emolab.monitoring.alerts.send import send
from emolab.serving.service import WatchFigures
from emolab.workspace import Workspace
from tests.support.looks import add_looks, alarms, look
from tests.support.serving import client, service

MODEL = "a" * 64


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "w", classes=["joy", "anger", "fear"])


@pytest.fixture
def api(tmp_path: Path, workspace: Workspace) -> TestClient:
    made = service(tmp_path)
    made.watched = NewestFigures(workspace)
    return client(made)


def lines(api: TestClient) -> dict[str, float]:
    """Name with labels -> value; the model's label is left out."""
    text = api.get("/metrics").text.replace(f',model="{MODEL}"', "").replace(f'{{model="{MODEL}"}}', "")
    text = text.replace(f'model="{MODEL}",', "")
    return {name: float(value) for name, value in re.findall(r"^(emolab_\S+) (\S+)$", text, re.MULTILINE)}


def test_nothing_is_said_of_what_is_not_known(api: TestClient) -> None:
    found = lines(api)
    unknown = ("emolab_look_", "emolab_drift_", "emolab_estimated_", "emolab_audit_accuracy")
    assert not [name for name in found if name.startswith(unknown)]
    assert found["emolab_looks_unreadable"] == 0
    assert "emolab_served_log_left_out_total" not in found  # there is no log
    assert "# TYPE emolab_look_age_seconds gauge" in api.get("/metrics").text


def test_the_newest_look_is_told(api: TestClient, workspace: Workspace) -> None:
    add_looks(workspace, MODEL, 5, drifted=1)
    found = lines(api)
    known = ("emolab_look", "emolab_drift", "emolab_estimated")
    told = {name: value for name, value in found.items() if name.startswith(known)}
    age = told.pop("emolab_look_age_seconds")
    taken = datetime(2026, 10, 12, 6, tzinfo=UTC).timestamp()
    assert age == pytest.approx(max(0.0, time.time() - taken), abs=60)
    assert told == {
        "emolab_look_answers": 204,
        "emolab_look_level": 0.0006,
        'emolab_look_alarms{kind="drift"}': 1,
        'emolab_look_alarms{kind="accuracy"}': 1,
        'emolab_look_alarms{kind="audit"}': 0,
        'emolab_look_class_share{label="joy"}': 0.4,
        'emolab_look_class_share{label="anger"}': 0.3,
        'emolab_look_class_share{label="fear"}': 0.3,
        'emolab_drift_p_min{detector="class_mix"}': 1e-05,
        'emolab_drift_p_min{detector="confidence"}': 0.05,
        'emolab_drift_p_min{detector="embedding_mmd"}': 0.05,
        'emolab_drift_alarm{detector="class_mix"}': 1,
        'emolab_drift_alarm{detector="confidence"}': 0,
        'emolab_drift_alarm{detector="embedding_mmd"}': 0,
        "emolab_estimated_accuracy": 0.71,
        "emolab_estimated_accuracy_low": pytest.approx(0.67),
        "emolab_estimated_accuracy_high": pytest.approx(0.74),
        "emolab_looks_unreadable": 0,
    }
    assert "emolab_audit_accuracy" not in found


def test_an_audit_stays_until_the_next_one(workspace: Workspace) -> None:
    found = figures([look(workspace, MODEL, 0, audited=True), look(workspace, MODEL, 1)])
    assert found.audit == (0.7, 0.61, 0.78)
    assert found.estimate == pytest.approx((0.828, 0.788, 0.858))
    assert found.alarms == {"drift": 0, "accuracy": 0, "audit": 0}


def test_the_file_is_read_when_it_has_changed_and_only_then(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    real = look_record.read

    def counted(workspace: Workspace, model: str) -> list[look_record.LookRecord]:
        reads.append(model)
        return real(workspace, model)

    monkeypatch.setattr(look_record, "read", counted)
    newest = NewestFigures(workspace)
    assert newest(MODEL) == WatchFigures()
    assert reads == []
    add_looks(workspace, MODEL, 2)
    assert [newest(MODEL).answers for _ in range(3)] == [201] * 3
    assert len(reads) == 1
    look_record.append(workspace, look(workspace, MODEL, 2))
    assert [newest(MODEL).answers for _ in range(3)] == [202] * 3
    assert len(reads) == 2
    assert newest("b" * 64).looked is None


def test_damaged_looks_are_said(api: TestClient, workspace: Workspace) -> None:
    add_looks(workspace, MODEL, 3)
    file = look_record.home(workspace, MODEL) / look_record.FILE
    file.write_bytes(b"{}\n" + file.read_bytes())
    found = lines(api)
    assert found["emolab_looks_unreadable"] == 1
    assert "emolab_look_age_seconds" not in found


def test_alarms_that_could_not_be_told_are_counted(
    api: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "sleep", lambda _: None)
    assert not [name for name in lines(api) if name.startswith("emolab_alerts_owed")]
    given = {"model": MODEL, "folder": workspace.root, "state": record_file(workspace), "project": "faces"}
    deaf, heard = AlertsConfig(webhook="http://127.0.0.1:9/x"), AlertsConfig(file="alarms.jsonl")
    now = datetime(2026, 10, 12, tzinfo=UTC)
    send(alarms(MODEL, "week"), settings=deaf, now=now, **given)  # type: ignore[arg-type]
    assert lines(api)['emolab_alerts_owed{channel="webhook"}'] == 2
    # a channel that the settings do not name any more owes nothing
    send(alarms(MODEL, "week"), settings=heard, now=now, **given)  # type: ignore[arg-type]
    assert not [name for name in lines(api) if name.startswith("emolab_alerts_owed")]


def test_what_the_log_lacks_is_counted(tmp_path: Path) -> None:
    made = service(tmp_path)
    made.unlogged = lambda: 7
    assert "emolab_served_log_left_out_total 7.0" in client(made).get("/metrics").text
