"""Every channel keeps the contract, and the doctor says which are set and whether they can work."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emolab.config import AlertsConfig
from emolab.errors import EmolabError
from emolab.loop.operate.alerting import tell_alarms
from emolab.loop.operate.checks.alert_channels import alerts
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.alerts.channels import attempts
from emolab.plugins import ALERTS
from emolab.workspace import Workspace
from tests.support.listeners import hook, mail_room

ALARMS = [
    Alarm(
        key=f"drift:m1:{name}", model="m1" * 32, title=f"{name} \u00e9 \x1b[31m", words="Words.\nMore.", window="week"
    )
    for name in ("class_mix", "confidence")
]


def deaf_settings(name: str, folder: Path) -> AlertsConfig:
    """Settings under which the channel reaches nobody, with a secret where it may have one."""
    return {
        "webhook": AlertsConfig(webhook="http://127.0.0.1:9/secret-token-1"),
        "email": AlertsConfig(email_to=("a@b",), email_from="a@b", smtp="plain://127.0.0.1:9"),
        "file": AlertsConfig(file=str(folder / "absent" / "alarms.jsonl")),
    }[name]


@pytest.mark.parametrize("name", ALERTS.names())
def test_a_channel_is_absent_until_it_is_set_and_says_what_failed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "sleep", lambda _: None)
    connect = ALERTS.load(name)
    assert connect(AlertsConfig(), tmp_path) is None
    tell = connect(deaf_settings(name, tmp_path), tmp_path)
    with pytest.raises(EmolabError) as caught:
        tell(ALARMS, "faces")
    assert "secret-token-1" not in str(caught.value)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("name", ALERTS.names())
def test_a_channel_hands_over_every_alarm_in_one_message(name: str, tmp_path: Path) -> None:
    with hook() as called, mail_room() as room:
        settings = {
            "webhook": AlertsConfig(webhook=called.url),
            "email": AlertsConfig(email_to=("a@b",), email_from="a@b", smtp=f"plain://127.0.0.1:{room.port}"),
            "file": AlertsConfig(file="alarms.jsonl"),
        }[name]
        assert ALERTS.load(name)(settings, tmp_path)(ALARMS, "faces") == ""
        file = tmp_path / "alarms.jsonl"
        messages = {
            "webhook": [json.dumps(heard) for heard in called.heard],
            "email": [bytes(letter.content or b"").decode() for letter in room.letters],
            "file": [file.read_text()] if file.exists() else [],
        }
    assert {kind: len(found) for kind, found in messages.items()} == {
        kind: int(kind == name) for kind in ("webhook", "email", "file")
    }
    (message,) = messages[name]
    assert "class_mix" in message
    assert "confidence" in message
    assert "\x1b" not in message


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(attempts, "sleep", lambda _: None)
    return Workspace.init(tmp_path, classes=["joy", "anger"])


def with_alerts(workspace: Workspace, **settings: object) -> Workspace:
    return workspace.with_settings({f"alerts.{key}": value for key, value in settings.items()})


def test_the_doctor_says_that_nobody_is_told(workspace: Workspace) -> None:
    found = alerts(workspace)
    assert (found.state, found.needed, found.detail) == ("missing", False, "nobody is told of an alarm")
    assert found.fix is not None
    assert re.search(r"Set \[alerts\] in emolab\.toml", found.fix)
    assert alerts(None).detail == "no workspace"


def test_the_doctor_names_the_channels_without_their_secrets(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOLAB_SMTP_PASSWORD", "hunter22")
    found = alerts(
        with_alerts(
            workspace,
            webhook="http://chat.example.org/hooks/secret-token-1",
            email_to=["ann@example.org"],
            email_from="e@example.org",
            smtp="smtp://alerts@mail.example.org",
            file="alarms.jsonl",
        )
    )
    assert found.state == "works"
    assert found.detail == (
        "web hook at http://chat.example.org, without encryption, e-mail to ann@example.org by mail.example.org, "
        "file alarms.jsonl; type: emolab monitor --test-alert"
    )


def test_the_doctor_says_what_cannot_work_and_what_could_not_be_told(workspace: Workspace) -> None:
    half = alerts(with_alerts(workspace, email_to=["ann@example.org"]))
    assert (half.state, half.needed) == ("broken", False)
    assert half.detail == "email: E-mail needs alerts.email_from and alerts.smtp too."
    deaf = with_alerts(workspace, webhook="http://127.0.0.1:9/secret-token-1", file="alarms.jsonl")
    states = [delivery.state for delivery in tell_alarms(deaf, "m1", ALARMS, now=datetime(2026, 11, 2, tzinfo=UTC))]
    assert states == ["failed", "failed", "sent", "sent"]
    found = alerts(deaf)
    assert found.state == "broken"
    assert found.detail == "could not be told yet: 2 alarms by webhook"
    assert alerts(replace(deaf, config=with_alerts(workspace, file="alarms.jsonl").config)).state == "works"
