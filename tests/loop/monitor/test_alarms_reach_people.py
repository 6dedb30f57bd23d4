"""From a darker room to people: every channel once, what failed later, and the same in /metrics, doctor and the app."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from emolab.inference import model_document
from emolab.loop.look.monitor_view import monitor_view
from emolab.loop.look.watch_figures import NewestFigures
from emolab.loop.operate.checks.alert_channels import alerts
from emolab.loop.operate.monitor.run_monitor import WAITING, Monitored, monitor
from emolab.loop.operate.served_columns import FOLDER
from emolab.monitoring.alerts.channels import attempts
from emolab.training.networks import bundled
from tests.loop.monitor.conftest import EACH, Site
from tests.support.asked import darker, week
from tests.support.listeners import hook, mail_room

pytestmark = pytest.mark.slow


def states(done: Monitored) -> dict[str, set[str]]:
    """Channel -> what became of its alarms."""
    return {one.channel: {each.state for each in done.told if each.channel == one.channel} for one in done.told}


def after(here: Site, images: NDArray[np.uint8] | None = None) -> Monitored:
    """What the monitor says after one more week."""
    here.ask(images)
    return here.look()


def lines(here: Site) -> Sequence[str]:
    """The keys in the file of alarms."""
    return [json.loads(line)["key"] for line in (here.folder / "alarms.jsonl").read_text(encoding="utf-8").splitlines()]


def test_an_alarm_reaches_every_channel_once_and_a_deaf_one_later(
    site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "sleep", lambda _: None)
    here = site(2)
    with hook() as called, mail_room() as room:
        here.workspace = here.workspace.with_settings(
            {
                "alerts.webhook": called.url, "alerts.file": "alarms.jsonl", "alerts.email_to": ["ann@example.org"],
                "alerts.email_from": "emolab@example.org", "alerts.smtp": f"plain://127.0.0.1:{room.port}",
            }
        )  # fmt: skip
        called.answers = [(503, {}, "busy")]
        assert here.look().told == ()
        done = after(here, darker(EACH, 7))
        keys = {alarm.key for alarm in done.alarms}
        assert f"drift:{done.model}:input_quality" in keys
        assert states(done) == {"webhook": {"failed"}, "email": {"sent"}, "file": {"sent"}}
        assert alerts(here.workspace).detail == f"could not be told yet: {len(keys)} alarms by webhook"
        assert NewestFigures(here.workspace)(done.model).owed == {"webhook": len(keys)}
        (shown, *_) = monitor_view(here.workspace, serving=done.model, logging=True).alarms
        assert (sorted(shown["told"]), shown["owed"]) == (["email", "file"], ["webhook"])

        called.answers = [(200, {}, "ok")]
        assert states(here.look()) == {"webhook": {"sent"}, "email": {"repeated"}, "file": {"repeated"}}
        assert called.heard[-1]["text"].count("Window: ") == len(keys)
        assert {alarm["key"] for alarm in called.heard[-1]["alarms"]} == keys
        assert (len(room.letters), sorted(lines(here))) == (1, sorted(keys))
        assert alerts(here.workspace).state == "works"
        found = NewestFigures(here.workspace)(done.model)
        assert (found.alarms["drift"], found.owed) == (len(keys), {})


@pytest.mark.parametrize("later", ["a reference without a week since", "a model that was not asked for a week yet"])
def test_what_is_owed_is_told_while_there_is_nothing_to_look_at(later: str, site: Callable[..., Site]) -> None:
    here = site(2)
    usual_settings = here.workspace
    here.workspace = usual_settings.with_settings({"alerts.file": "absent/alarms.jsonl"})
    done = after(here, darker(EACH, 7))
    assert states(done) == {"file": {"failed"}}
    here.workspace = usual_settings.with_settings({"alerts.file": "alarms.jsonl"})
    if later.startswith("a reference"):
        waiting = here.look(reference="2026-03-02..2026-03-22")
    else:
        served = here.workspace.state / FOLDER
        other = model_document.describe(bundled.ROOT / "face48").id
        shutil.copytree(served / done.model, served / other)
        about = served / other / "about.json"
        about.write_text(about.read_text(encoding="utf-8").replace(done.model, other), encoding="utf-8")
        waiting = monitor(here.workspace, "face48", now=week(0) + timedelta(days=6))
    assert (waiting.outcome, waiting.looks) == (WAITING, ())
    assert states(waiting) == {"file": {"sent"}}
    assert sorted(lines(here)) == sorted(alarm.key for alarm in done.alarms)


def test_what_ended_and_comes_again_is_told_again(site: Callable[..., Site]) -> None:
    here = site(2)
    here.workspace = here.workspace.with_settings({"alerts.file": "alarms.jsonl", "alerts.repeat_days": 100})
    key = f"drift:{here.model.id}:input_quality"
    assert states(after(here, darker(EACH, 7))) == {"file": {"sent"}}
    told = [one.state for one in after(here, darker(EACH, 8)).told if one.key == key]
    assert told == ["repeated"]  # it goes on, and was told within a hundred days
    while key in {alarm.key for alarm in after(here).alarms}:  # four windows together still hold the dark weeks
        assert here.weeks < 20
    again = [one.state for one in after(here, darker(EACH, 9)).told if one.key == key]
    assert again == ["sent"]
    assert lines(here).count(key) == 2
