"""The monitor on real logs: quiet weeks, planted ones, one look a window, and when nothing can be told."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

import emolab
from emolab.catalog import samples, votes
from emolab.cli.main import run
from emolab.errors import ConfigError, DataError
from emolab.loop.model.registry.retire import retire
from emolab.loop.operate.monitor import look_record
from emolab.loop.operate.monitor.run_monitor import ALARM, QUIET, WAITING, monitor
from emolab.records import Vote
from emolab.workspace import Workspace
from tests.loop.monitor.conftest import EACH, Site
from tests.support.asked import asked, darker, usual, week
from tests.support.learnable import trained_workspace

Made = Callable[..., Site]
#: The first week that a site is asked.
WEEK = "2026-03-02..2026-03-08"
pytestmark = pytest.mark.slow


def test_quiet_weeks_are_quiet_and_each_is_looked_at_once(site: Made) -> None:
    here = site()
    done = here.look()
    assert (done.outcome, done.new, len(done.looks)) == (QUIET, 5, 5)
    assert done.alarms == ()
    assert [look.window.n for look in done.looks] == [EACH] * 5
    assert {test.detector for test in done.looks[0].tests} == {
        "class_mix", "confidence", "embedding_mmd", "domain_classifier", "input_quality",
    }  # fmt: skip
    assert {test.windows for test in done.looks[3].tests} == {1, 4}
    assert done.looks[0].left_out == ("annotators_agreement", "annotators_speed")
    assert done.newest is not None
    assert done.newest.estimate is not None
    assert done.judged is not None
    assert abs(done.newest.estimate.accuracy - done.judged) < 0.1
    assert "labelled images a week a drop of 5 points" in done.power
    again = here.look()
    assert (again.new, again.looks) == (0, done.looks)
    here.ask()
    assert here.look().new == 1


def test_a_darker_room_is_an_alarm_that_says_what_moved(site: Made) -> None:
    here = site()
    here.look()
    here.ask(darker(EACH, 7))
    done = here.look()
    assert done.outcome == ALARM
    by_key = {alarm.key: alarm for alarm in done.alarms}
    quality = by_key[f"drift:{done.model}:input_quality"]
    assert "brightness median" in quality.words
    assert "It is the first look that shows it." in quality.words
    assert "emolab suggest --from-drift" in quality.words
    here.ask(darker(EACH, 8))
    second = next(alarm for alarm in here.look().alarms if alarm.key == quality.key)
    assert f"It goes on since {done.looks[-1].window.name}." in second.words


def test_alarms_reach_the_file_of_the_settings_once(site: Made) -> None:
    here = site(2)
    here.workspace = here.workspace.with_settings({"alerts.file": "alarms.jsonl"})
    here.ask(darker(EACH, 7))
    assert {one.state for one in here.look().told} == {"sent"}
    assert {one.state for one in here.look().told} == {"repeated"}
    lines = (here.folder / "alarms.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(here.look().alarms)


def test_another_reference_begins_a_new_watch_and_keeps_the_looks_before(site: Made) -> None:
    here = site()
    assert here.look().new == 5
    first = here.look(reference="first")
    assert first.new == 4
    assert "2026-03-02 to 2026-03-08" in first.reference
    home = look_record.home(here.workspace, first.model)
    assert len((home / "looks-0001.jsonl").read_text(encoding="utf-8").splitlines()) == 5
    assert here.look().new == 0, "the reference stays until another is asked for"
    period = here.look(reference="2026-03-02..2026-03-15")
    assert [look.window.begin[:10] for look in period.looks] == ["2026-03-16", "2026-03-23", "2026-03-30"]
    daily = here.look(every="day")
    assert len(daily.looks) == 21
    assert any("too few" in note for look in daily.looks for note in look.notes)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("yesterday", '"yesterday" is no reference'),
        ("2026-03-09..2026-03-02", "ends before it begins"),
        ("2025-01-01..2025-01-07", "has 0 samples; it needs 100 or more"),
        ("holdout", "There are no samples in the reference"),
    ],
)
def test_a_reference_that_cannot_be_is_refused(site: Made, reference: str, message: str) -> None:
    here = site(2)
    with pytest.raises((ConfigError, DataError), match=message):
        here.look(reference=reference)


def test_too_few_answers_and_empty_weeks_are_told_and_not_tested(site: Made) -> None:
    here = site(1)
    here.ask(usual(12, 5))
    here.ask(np.empty((0, 16, 16, 1), np.uint8))
    here.ask()
    looks = here.look().looks
    assert [len({test.windows for test in look.tests}) for look in looks] == [1, 0, 0, 2]
    assert looks[1].notes == ("12 answers are too few to be looked at alone; it takes 30",)
    assert looks[2].notes[0] == "nothing was asked"
    assert looks[2].estimate is None
    assert looks[3].tests[-1].n == 2 * EACH + 12


def test_before_a_week_has_ended_nothing_is_looked_at(site: Made) -> None:
    here = site(1)
    done = monitor(here.workspace, now=week(0) + timedelta(days=6))
    assert (done.outcome, done.looks) == (WAITING, ())
    assert "the first one ends on 2026-03-09" in done.notes[-1]
    assert not (here.workspace.state / "monitor").exists()


def test_a_clock_that_was_wrong_is_told(site: Made) -> None:
    here = site(2)
    here.look()
    asked(here.workspace, here.model, usual(20, 3), week(0))
    asked(here.workspace, here.model, usual(30, 4), week(30))
    done = here.look()
    assert done.new == 0
    assert any("20 answers came into windows after they were looked at" in note for note in done.notes)
    assert any("30 answers of the log are of a time to come" in note for note in done.notes)


def test_days_that_the_log_lost_before_they_were_looked_at_are_told(site: Made) -> None:
    here = site(2)
    here.look()
    for _ in range(3):
        here.ask()
    home = here.workspace.state / "served" / here.model.id
    days = sorted(day for day in home.iterdir() if day.is_dir())
    for day in days[: 14 + 7 + 3]:
        shutil.rmtree(day)
    lost = here.look()
    assert lost.new == 2
    assert "from 2026-03-16 to 2026-03-22 nothing is left in the log" in " ".join(lost.notes)
    here.ask()
    for day in days[14 + 7 + 3 :]:
        shutil.rmtree(day)
    begins = here.look()
    assert begins.new == 1
    assert "the log begins in 2026-04-06 to 2026-04-12: its first days may have been deleted" in " ".join(begins.notes)
    assert not any("log begins" in note for note in here.look().notes)


@pytest.mark.parametrize(("days", "every", "told"), [(7, "week", True), (8, "week", False), (1, "day", True)])
def test_a_log_that_goes_back_no_whole_window_is_told(days: int, every: str, told: bool, site: Made) -> None:
    here = site(1)
    here.workspace = here.workspace.with_settings({"serve.log_days": days})
    notes = monitor(here.workspace, every=every, now=week(0) + timedelta(days=days, hours=3)).notes
    assert any(f"serve.log_days = {days} is too short" in note for note in notes) == told


def test_a_setting_that_waits_for_a_new_watch_is_told(site: Made) -> None:
    here = site(2)
    assert not any("--every" in note for note in here.look().notes)
    here.workspace = here.workspace.with_settings({"monitor.every": "day", "monitor.reference": WEEK})
    notes = " ".join(here.look().notes)
    said = f"monitor.every = day and monitor.reference = {WEEK} are for a new watch; this one has week and judged"
    assert said in notes
    assert f"emolab monitor champion --every day --reference {WEEK}" in notes
    assert not any("--every" in note for note in here.look(every="day", reference=WEEK).notes)


@pytest.mark.parametrize("options", [{"every": "day", "reference": "first"}, {"reference": "2026-03-02..2026-03-03"}])
def test_a_reference_that_is_too_short_is_answered_with_another_one(options: dict[str, str], site: Made) -> None:
    with pytest.raises(DataError, match=r"it needs 100 or more") as raised:
        site(2).look(**options)
    assert "Take a longer time, such as --reference 2026-01-05..2026-01-18" in str(raised.value.hint)
    assert "--reference first" not in str(raised.value.hint)


def test_a_class_that_the_model_does_not_know_is_an_answer_that_is_wrong(site: Made) -> None:
    here = site(2)
    known = here.look().judged
    assert known is not None
    settings = here.folder / "emolab.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(re.sub(r"classes = \[", 'classes = ["contempt", ', text), encoding="utf-8")
    workspace = Workspace.open(here.folder)
    with workspace.catalog() as catalog, catalog.begin() as tx:
        judge = [one.id for split in ("valid", "test") for one in samples.iterate(tx, split=split)]
        new = judge[: len(judge) // 2]
        said = [
            Vote(sample_id=one, annotator=f"ann{i}", label="contempt", origin=f"new:{i}:{one}", count=50)
            for one in new
            for i in range(9)
        ]
        votes.append(tx, said)
    emolab.aggregate(workspace)
    begun = monitor(workspace, reference="first", now=here.now())
    assert begun.judged == pytest.approx(known * (1 - len(new) / len(judge)), abs=0.08)


def test_a_damaged_log_is_told(site: Made) -> None:
    here = site(2)
    home = here.workspace.state / "served" / here.model.id
    part = sorted(home.glob("2026-03-03/*.probs.bin"))[0]
    part.write_bytes(part.read_bytes()[:-12])
    broken = sorted(home.glob("2026-03-12/*.embeddings.bin"))[0]
    broken.write_bytes(
        b"\xff" * 2 * here.model.probabilities_and_features(usual(1, 0))[1].shape[1] + broken.read_bytes()
    )
    done = here.look()
    assert any("1 answer of the log lacks a column" in note for note in done.notes)
    assert "1 answer of the log holds values that are none: not counted" in done.looks[1].notes
    assert done.looks[0].window.n == EACH - 1
    (home / "about.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="does not say what the log holds"):
        here.look()


def test_a_model_that_was_changed_in_a_week_is_told(site: Made) -> None:
    here = site(1)
    other = here.workspace.state / "served" / ("b" * 64)
    (other / "2026-03-04").mkdir(parents=True)
    shape = json.loads((here.workspace.state / "served" / here.model.id / "about.json").read_text())
    (other / "about.json").write_text(json.dumps({**shape, "model": "b" * 64}))
    for name, size in {"at": 8, "probs": 12, "embeddings": 2 * shape["width"], "quality": 12}.items():
        data = np.full(7, (week(0) + timedelta(days=2)).timestamp()).tobytes() if name == "at" else bytes(7 * size)
        (other / "2026-03-04" / f"00000.{name}.bin").write_bytes(data)
    assert here.look().looks[0].notes == ("7 answers of this time came from model bbbbbbbbbb: the model was changed",)


def test_a_retired_model_is_looked_at_and_told(site: Made) -> None:
    here = site(2)
    trained_again = here.workspace.with_settings({"training.seed": 5})
    from emolab.loop.model.registry.promote import promote
    from emolab.loop.model.train import train

    made = train(trained_again)
    if made.alias != "champion":
        promote(here.workspace, made.model.id, force=True, reason="a test")
    retire(here.workspace, here.model.id, reason="a test")
    with pytest.raises(DataError, match=r"Nothing that model .* was asked has been logged") as raised:
        here.look()
    assert f"{here.model.id[:10]} (retired): emolab monitor {here.model.id[:10]}" in str(raised.value)
    assert "[serve], log = true" in str(raised.value)
    done = monitor(here.workspace, here.model.id[:8], now=here.now())
    assert done.outcome == QUIET
    assert any("is retired" in note for note in done.notes)


def test_without_a_log_it_is_said_how_to_switch_one_on(tmp_path: Path) -> None:
    workspace = trained_workspace(tmp_path / "w", 60)
    with pytest.raises(DataError, match=r"Switch the log on in emolab\.toml \(\[serve\], log = true\)"):
        monitor(workspace)
    empty = Workspace.init(tmp_path / "empty", classes=("happy", "sad", "neutral"))
    with pytest.raises(DataError, match="There is no champion yet"):
        monitor(empty)


def test_people_who_agree_less_and_take_longer_are_seen(site: Made) -> None:
    here = site(2)
    with here.workspace.catalog() as catalog, catalog.begin() as tx:
        ids = [one.id for one in samples.iterate(tx)][:400]
        rng = np.random.default_rng(0)
        for number, ids_of in enumerate((ids[:200], ids[200:300], ids[300:400])):
            day = ("2026-02-10", "2026-03-04", "2026-03-11")[number]
            said = [("happy", "sad") if number == 2 and i % 2 else ("happy", "happy") for i in range(len(ids_of))]
            said = [("happy", "sad") if i % 9 == 0 else one for i, one in enumerate(said)]
            slow = 30.0 if number == 2 else 4.0
            votes.append(
                tx,
                [
                    Vote(
                        sample_id=sample, annotator=who, label=label, origin=f"x:{who}:{sample}",
                        lead_time=float(slow * rng.uniform(0.5, 1.5)), cast_at=f"{day}T10:00:00.000Z",
                    )
                    for sample, labels in zip(ids_of, said, strict=True)
                    for who, label in zip(("cleo", "dan"), labels, strict=True)
                ],
            )  # fmt: skip
    looks = here.look().looks
    raised = [{test.detector for test in look.tests if test.alarm} for look in looks]
    people = {"annotators_agreement", "annotators_speed"}
    assert raised[0] & people == set()
    assert raised[1] & people == people
    assert looks[1].seen["seconds"] > 20


def test_the_command_tells_it_and_its_code(site: Made, capsys: pytest.CaptureFixture[str]) -> None:
    here = site(3)
    words = ["-w", str(here.folder), "monitor"]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [told["outcome"], told["new"], len(told["looks"])] == [QUIET, 3, 3]
    here.ask(darker(EACH, 7))
    assert run(words) == 3
    said = " ".join(capsys.readouterr().err.split())
    for part in ("alarm:", "input quality", "What model", "emolab suggest --from-drift", "report in"):
        assert part in said
    assert run([*words, "nobody"]) == 1
    assert run([*words, "--every", "month"]) == 2
    assert run([*words, "--test-alert"]) == 1
    assert "Nobody would be told of an alarm." in capsys.readouterr().err
    assert run([*words, "--test-alert", "--set", "alerts.file=a.jsonl"]) == 0
    assert (here.folder / "a.jsonl").exists()
    assert run([*words, "--test-alert", "--every", "day"]) == 2
