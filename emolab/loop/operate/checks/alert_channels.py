"""What ``emolab doctor`` says of the channels by which people hear of alarms. Nothing is sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from emolab.addresses import is_loopback, mail_server, web_host
from emolab.errors import EmolabError
from emolab.loop.operate.alerting import NO_CHANNEL_HINT, record_file
from emolab.loop.operate.checks.check import Check, shorten
from emolab.words import many

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emolab.config import AlertsConfig
    from emolab.workspace import Workspace

NAME = "Alerts"
ADDS = "word to your team when what a model sees has changed"
TRY = "Type: emolab monitor --test-alert"


def alerts(workspace: Workspace | None) -> Check:
    """Whether anybody is told of an alarm, whether the settings can work, and whether all were told so far."""
    from emolab.monitoring.alerts.alert_record import owed
    from emolab.monitoring.alerts.send import connected

    if workspace is None:
        return Check(name=NAME, state="missing", detail="no workspace", needed=False, adds=ADDS)
    settings = workspace.config.alerts
    channels = connected(settings, workspace.root)
    if not channels:
        detail = "nobody is told of an alarm"
        return Check(name=NAME, state="missing", detail=detail, fix=NO_CHANNEL_HINT, needed=False, adds=ADDS)
    for name, channel in channels.items():
        if isinstance(channel, EmolabError):
            detail = shorten(f"{name}: {channel.message}")
            return Check(name=NAME, state="broken", detail=detail, fix=channel.hint, needed=False, adds=ADDS)
    waiting = {name: n for name, n in owed(record_file(workspace)).items() if name in channels}
    if waiting:
        said = ", ".join(f"{many(n, 'alarm')} by {name}" for name, n in waiting.items())
        detail = f"could not be told yet: {said}"
        return Check(name=NAME, state="broken", detail=detail, fix=TRY, needed=False, adds=ADDS)
    detail = ", ".join(_described(name, settings, os.environ) for name in channels)
    return Check(name=NAME, state="works", detail=f"{detail}; {TRY[0].lower()}{TRY[1:]}", needed=False)


def _described(name: str, settings: AlertsConfig, environment: Mapping[str, str]) -> str:
    """One channel in words, without a secret."""
    from emolab.monitoring.alerts.channels.web_hook import ENVIRONMENT

    if name == "webhook":
        host = web_host(environment.get(ENVIRONMENT, "").strip() or settings.webhook)
        plain = host.startswith("http:") and not is_loopback(host.removeprefix("http://").partition(":")[0])
        return f"web hook at {host}{', without encryption' if plain else ''}"
    if name == "email":
        return f"e-mail to {', '.join(settings.email_to)} by {mail_server(settings.smtp).host}"
    return f"file {settings.file}" if name == "file" else name
