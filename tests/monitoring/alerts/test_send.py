"""People are told once of what is new, again after a while, and of what could not be told before."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emolab.config import AlertsConfig
from emolab.errors import ConfigError, DataError, EmolabError
from emolab.loop.operate.alerting import record_file, tell_alarms, try_alerts
from emolab.monitoring.alerts import send as sending
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.alerts.channels import web_hook
from emolab.monitoring.alerts.send import Delivery, send, send_test
from emolab.plugins import ALERTS
from emolab.workspace import Workspace

MONDAY = datetime(2026, 11, 2, 6, tzinfo=UTC)
DAY = timedelta(days=1)


def alarm(detector: str = "class_mix", model: str = "m1", window: str = "week of 2026-10-26") -> Alarm:
    return Alarm(
        key=f"drift:{model}:{detector}",
        model=model,
        title=f"What {model} sees has changed: {detector}",
        words="More fear than before.\nType: emolab monitor",
        window=window,
        detail={"p": 0.0001},
    )


class Team:
    """A workspace's folder with a file that alarms are added to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "monitor" / "alerts.json"
        self.settings = AlertsConfig(file="alarms.jsonl")

    def look(self, *alarms: Alarm, day: float = 0, model: str = "m1") -> list[Delivery]:
        return send(
            alarms, model=model, settings=self.settings, folder=self.folder, state=self.state,
            now=MONDAY + day * DAY, project="faces",
        )  # fmt: skip

    def states(self, *alarms: Alarm, day: float = 0, model: str = "m1") -> list[tuple[str, str]]:
        return [(delivery.key, delivery.state) for delivery in self.look(*alarms, day=day, model=model)]

    def told(self) -> list[dict[str, object]]:
        path = self.folder / "alarms.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def test_an_alarm_is_told_once_and_again_after_a_week(team: Team) -> None:
    assert [team.states(alarm(), day=day)[0][1] for day in (0, 1, 6.9, 7, 8, 14)] == [
        *("sent", "repeated", "repeated", "sent", "repeated", "sent"),
    ]
    told = team.told()
    assert len(told) == 3
    assert told[0]["key"] == "drift:m1:class_mix"
    assert told[0]["project"] == "faces"
    assert told[0]["detail"] == {"p": 0.0001}
    assert "It goes on" not in str(told[0]["words"])
    assert str(told[1]["words"]).endswith("It goes on: first told on 2026-11-02.")
    assert team.look(alarm(), day=15)[0].why == "told on 2026-11-16"


def test_what_went_quiet_is_news_when_it_comes_again(team: Team) -> None:
    team.look(alarm())
    assert team.look(day=1) == []
    written = json.loads(team.state.read_text())["keys"]["drift:m1:class_mix"]
    assert written["ended"] == "2026-11-03T06:00:00+00:00"
    assert team.states(alarm(), day=2) == [("drift:m1:class_mix", "sent")]
    assert "It goes on" not in str(team.told()[1]["words"])


def test_other_alarms_and_other_models_are_news(team: Team) -> None:
    team.look(alarm())
    found = team.states(alarm(), alarm("confidence"), day=1)
    assert sorted(found) == [("drift:m1:class_mix", "repeated"), ("drift:m1:confidence", "sent")]
    # a quiet look at another model ends nothing of the first
    assert team.look(day=2, model="m2") == []
    assert team.states(alarm(model="m2"), day=2, model="m2") == [("drift:m2:class_mix", "sent")]
    assert team.states(alarm(), day=3) == [("drift:m1:class_mix", "repeated")]


def test_a_channel_that_failed_is_tried_again_even_when_it_is_quiet(team: Team) -> None:
    team.settings = replace(team.settings, file="absent/alarms.jsonl")
    failed = team.look(alarm())
    assert [delivery.state for delivery in failed] == ["failed"]
    assert (
        failed[0].why == f"alerts.file {team.folder}/absent/alarms.jsonl cannot be written: No such file or directory."
    )
    team.settings = replace(team.settings, file="alarms.jsonl")
    assert team.states(day=1) == [("drift:m1:class_mix", "sent")]
    assert [line["window"] for line in team.told()] == ["week of 2026-10-26"]
    assert team.look(day=2) == []


def test_a_channel_that_is_new_hears_of_what_goes_on(team: Team) -> None:
    team.settings = AlertsConfig()
    assert team.look(alarm()) == []
    assert not team.state.exists()
    team.settings = AlertsConfig(file="alarms.jsonl")
    assert team.states(alarm(), day=1) == [("drift:m1:class_mix", "sent")]


def test_a_damaged_record_is_put_aside_and_everything_is_told(team: Team) -> None:
    team.look(alarm())
    team.state.write_text('{"version": 1, "keys": {"drift')
    (found,) = team.look(alarm(), day=1)
    assert found.state == "sent"
    assert found.why.startswith("The record of who was told is damaged and lies in ")
    assert (team.state.parent / "alerts.json.damaged").read_text().endswith("drift")
    assert team.states(alarm(), day=2) == [("drift:m1:class_mix", "repeated")]


def test_the_record_is_the_owners_alone(team: Team) -> None:
    team.look(alarm())
    assert team.state.stat().st_mode & 0o777 == 0o600


def _at_once(folder: Path, start: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    Team(folder).look(*(alarm(f"detector{n}") for n in range(20)))


def test_two_runs_at_once_tell_once(team: Team) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    runs = [context.Process(target=_at_once, args=(team.folder, start)) for _ in range(3)]
    for run in runs:
        run.start()
    start.set()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0, 0, 0]
    assert sorted(str(line["key"]) for line in team.told()) == sorted(f"drift:m1:detector{n}" for n in range(20))


def test_a_file_whose_last_line_is_torn_is_continued(team: Team) -> None:
    (team.folder / "alarms.jsonl").write_text('{"key": "to')
    team.look(alarm())
    lines = (team.folder / "alarms.jsonl").read_text().splitlines()
    assert lines[0] == '{"key": "to'
    assert json.loads(lines[1])["key"] == "drift:m1:class_mix"


def test_a_device_is_no_file_for_alarms(team: Team) -> None:
    team.settings = AlertsConfig(file="/dev/null")
    assert team.look(alarm())[0].why == "alerts.file /dev/null cannot be written: it is a device or pipe, not a file."


@pytest.mark.parametrize("path", ["~nobody-of-this-name/alarms.jsonl", "alarms\0.jsonl"])
def test_what_is_no_path_is_a_failure_of_that_channel_alone(path: str, team: Team) -> None:
    team.settings = AlertsConfig(file=path)
    (found,) = team.look(alarm())
    assert found.state == "failed"
    assert "which is no path here" in found.why


def test_a_clock_that_was_wrong_keeps_no_alarm_quiet(team: Team) -> None:
    team.look(alarm(), day=3650)
    assert team.states(alarm(), day=0) == [("drift:m1:class_mix", "sent")]
    assert team.states(alarm(), day=1) == [("drift:m1:class_mix", "repeated")]
    assert team.states(alarm(), day=0.999) == [("drift:m1:class_mix", "repeated")], "clocks of two machines differ"


def _falls_over(*_: object) -> str:
    raise UnicodeEncodeError("ascii", "secret-token-1", 0, 1, "secret-token-1")


def _cannot(*_: object) -> object:
    raise ValueError("secret-token-1")


def _hangs(*_: object) -> str:
    threading.Event().wait(60)
    return ""


@pytest.mark.parametrize(
    ("pager", "said"),
    [
        (lambda *_: _falls_over, "The channel has a fault (UnicodeEncodeError)."),
        (_cannot, "The channel has a fault (ValueError)."),
        (lambda *_: _hangs, "It was not done within 0 seconds."),
    ],
)
def test_a_channel_that_falls_over_or_hangs_costs_the_others_nothing(
    pager: object, said: str, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pagers:
        def names(self) -> tuple[str, ...]:
            return ("a_pager", "file")

        def load(self, name: str) -> object:
            return pager if name == "a_pager" else ALERTS.load("file")

    monkeypatch.setattr(sending, "ALERTS", Pagers())
    monkeypatch.setattr(sending, "LONGEST", 0.2)
    found = {delivery.channel: delivery for delivery in team.look(alarm())}
    assert (found["a_pager"].state, found["a_pager"].why) == ("failed", said)
    assert found["file"].state == "sent"
    assert len(team.told()) == 1
    assert "secret-token-1" not in team.state.read_text()
    assert team.states(alarm(), day=1) == [("drift:m1:class_mix", "failed"), ("drift:m1:class_mix", "repeated")]


def test_a_server_that_sends_a_byte_now_and_then_is_left(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LONGEST", 1.0)
    monkeypatch.delenv(web_hook.ENVIRONMENT, raising=False)
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.1):
                connection.sendall(b"X")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        team.settings = AlertsConfig(webhook=f"http://127.0.0.1:{server.getsockname()[1]}/a", file="alarms.jsonl")
        found = {delivery.channel: (delivery.state, delivery.why) for delivery in team.look(alarm())}
        over.set()
    assert found == {"webhook": ("failed", "It was not done within 1 seconds."), "file": ("sent", "")}


def test_a_try_tells_every_time_and_leaves_no_trace(team: Team) -> None:
    for _ in range(2):
        (found,) = send_test(settings=team.settings, folder=team.folder, now=MONDAY, project="faces")
        assert (found.channel, found.key, found.state) == ("file", "test", "sent")
    assert len(team.told()) == 2
    assert not team.state.exists()


def test_a_workspace_tells_by_its_settings(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path, classes=["joy", "anger"])
    with pytest.raises(
        ConfigError, match=r"Nobody would be told of an alarm\. Set \[alerts\] in emolab\.toml"
    ) as caught:
        try_alerts(workspace)
    assert caught.value.hint
    assert tell_alarms(workspace, "m1", [alarm()]) == []
    workspace = workspace.with_settings({"alerts.file": "alarms.jsonl"})
    assert [delivery.state for delivery in tell_alarms(workspace, "m1", [alarm()], now=MONDAY)] == ["sent"]
    assert [delivery.state for delivery in try_alerts(workspace)] == ["sent"]
    assert len((tmp_path / "alarms.jsonl").read_text().splitlines()) == 2
    assert record_file(workspace).exists()


def test_an_alarm_survives_json_and_nothing_else_is_one() -> None:
    assert Alarm.from_dict(json.loads(json.dumps(alarm().to_dict()))) == alarm()
    with pytest.raises(DataError, match=r"This is no alarm: title, words missing"):
        Alarm.from_dict({"key": "k", "model": "m", "window": "w"})


def test_a_channel_of_another_package_is_asked_too(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Sequence[Alarm]] = []

    def connect(_: AlertsConfig, __: Path) -> Callable[[Sequence[Alarm], str], str]:
        def tell(alarms: Sequence[Alarm], project: str) -> str:
            heard.append(alarms)
            if len(heard) == 1:
                raise EmolabError("The pager is off.", hint="Switch it on.")
            return ""

        return tell

    class Pagers:
        def names(self) -> tuple[str, ...]:
            return ("pager",)

        def load(self, _: str) -> object:
            return connect

    monkeypatch.setattr(sending, "ALERTS", Pagers())
    assert [(d.channel, d.state, d.why) for d in team.look(alarm(), alarm("confidence"))] == [
        ("pager", "failed", "The pager is off. Switch it on."),
    ] * 2
    assert team.states(alarm(), alarm("confidence"), day=1) == [
        ("drift:m1:class_mix", "sent"),
        ("drift:m1:confidence", "sent"),
    ]
    assert [len(alarms) for alarms in heard] == [2, 2]  # one message for all
