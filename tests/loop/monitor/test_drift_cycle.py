"""An alarm of the monitor begins a cycle, once for as long as it goes on; the round has what moved."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from emolab.catalog.campaign import rounds
from emolab.cli.main import run
from emolab.loop.operate.cycle import cycle_journal
from emolab.loop.operate.cycle.run_cycle import COMPLETE, NOTHING_NEW, WOULD_RUN, cycle
from emolab.loop.operate.monitor import look_record
from emolab.loop.operate.monitor.look_record import LookAudit
from emolab.loop.operate.monitor.run_monitor import ALARM, QUIET
from tests.loop.monitor.conftest import EACH, Site
from tests.loop.monitor.test_audit_round import collected
from tests.support.asked import darker, usual

Made = Callable[..., Site]
pytestmark = pytest.mark.slow


def test_an_alarm_begins_one_cycle_that_proposes_what_moved(site: Made, capsys: pytest.CaptureFixture[str]) -> None:
    here = site(3)
    workspace = here.workspace.with_settings({"cycle.push": False, "suggest.n": 12})
    here.look()
    assert cycle(workspace).outcome == NOTHING_NEW
    here.ask(darker(EACH, 7))
    assert here.look().outcome == ALARM
    assert cycle(workspace.with_settings({"cycle.drift": False})).outcome == NOTHING_NEW
    dark = collected(workspace, darker(20, 300), "2026-03-24")
    collected(workspace, usual(40, 301), "2026-03-24")
    foreseen = cycle(workspace, dry_run=True)
    assert foreseen.outcome == WOULD_RUN
    assert "drift: What model" in foreseen.reason
    assert run(["-w", str(here.folder), "cycle", "--json", "--set", "cycle.push=false", "--set", "suggest.n=12"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outcome"] == COMPLETE
    assert "drift: What model" in told["reason"]
    came = {step["step"]: step["came"] for step in told["steps"]}
    assert came["suggest"]["strategy"] == "from_drift"
    with workspace.catalog() as catalog, catalog.connect() as conn:
        asked = [one.sample_id for one in rounds.suggestions(conn, round_number=came["suggest"]["round"])]
    assert len(asked) == 12
    assert set(asked) <= set(dark)
    (journal,) = cycle_journal.read_all(workspace.state / "cycles")
    assert journal.begun["drift"]["model"] == here.model.id
    page = (workspace.state / "cycles" / "0001" / "report.html").read_text(encoding="utf-8")
    assert "drift: What model" in page
    assert cycle(workspace).outcome == NOTHING_NEW


def test_an_alarm_that_goes_on_is_answered_and_one_that_comes_back_is_not(site: Made) -> None:
    from unittest import mock

    here = site(3)
    workspace = here.workspace.with_settings({"cycle.push": False})
    here.ask(darker(EACH, 7))
    here.look()
    trained = mock.patch(
        "emolab.loop.operate.cycle.run_cycle._go_on", lambda _, journal, **__: journal.write(cycle_journal.ENDED)
    )
    with trained:
        cycle(workspace)
        here.ask(darker(EACH, 8))
        assert here.look().outcome == ALARM
        assert cycle(workspace).outcome == NOTHING_NEW, "the same alarm goes on"
    for number in range(13):  # until no span holds a dark week
        here.ask(usual(600, 500 + number))
    assert here.look().outcome == QUIET
    here.ask(darker(EACH, 9))
    here.look()
    assert cycle(workspace, dry_run=True).outcome == WOULD_RUN, "it was quiet between"


def test_an_audit_that_disagrees_is_a_reason_too(site: Made) -> None:
    here = site(2)
    workspace = here.workspace
    done = here.look()
    assert cycle(workspace, dry_run=True).outcome == NOTHING_NEW
    audit = LookAudit(accuracy=0.2, low=0.1, high=0.3, n=40, difference=0.7, p=1e-9)
    alarm = {"key": f"audit:{done.model}", "model": done.model, "title": "too high", "words": "", "window": "w"}
    begin = done.looks[0].window.begin
    look_record.append_audit(workspace, done.model, begin, audit, at="2026-04-01T00:00:00Z", alarms=(alarm,))
    foreseen = cycle(workspace, dry_run=True)
    assert foreseen.outcome == WOULD_RUN
    assert "drift: too high (w)" in foreseen.reason
