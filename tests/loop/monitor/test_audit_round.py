"""Samples of a window that people label: drawn once, sent blind, and what their votes say of the estimate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import text as sql

import emolab
from emolab.catalog import samples, votes
from emolab.catalog.campaign import rounds
from emolab.cli.main import run
from emolab.errors import DataError
from emolab.loop.look.moved_record import read_moved
from emolab.loop.operate.monitor import look_record
from emolab.loop.operate.monitor.audit_round import AUDIT, audit
from emolab.loop.operate.monitor.drift_round import FROM_DRIFT, suggest_from_drift
from emolab.loop.operate.monitor.run_monitor import ALARM, QUIET, monitor
from emolab.records import Sample, Vote
from emolab.workspace import Workspace
from tests.loop.monitor.conftest import EACH, Site
from tests.support.asked import darker, usual, week
from tests.support.learnable import bars, png
from tests.support.servers import LabelStudioServer

Made = Callable[..., Site]
pytestmark = pytest.mark.slow
CLASSES = ("happy", "sad", "neutral")


def collected(workspace: Workspace, images: NDArray[np.uint8], day: str) -> list[str]:
    """The images as samples that came in on that day."""
    found = []
    for image in images:
        data = png(image)
        file = workspace.media / f"{hashlib.sha256(data).hexdigest()}.png"
        file.write_bytes(data)
        media = file.relative_to(workspace.root).as_posix()
        found.append(Sample(id=file.stem, media=media, added_at=f"{day}T10:00:00.000Z"))
    with workspace.catalog() as catalog, catalog.begin() as tx:
        samples.add(tx, found)
    return [one.id for one in found]


def vote(workspace: Workspace, said: dict[str, str], *people: str) -> None:
    """Each of the people says that."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        votes.append(
            tx,
            [
                Vote(sample_id=sample, annotator=who, label=label, origin=f"audit:{who}:{sample}")
                for sample, label in said.items()
                for who in people
            ],
        )


def proposed(workspace: Workspace, number: int) -> list[str]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return [one.sample_id for one in rounds.suggestions(conn, round_number=number)]


def local(site: Site) -> Workspace:
    """The workspace of a team that votes in the app, one person a sample."""
    return site.workspace.with_settings({"cycle.push": False, "labeling.votes": "1"})


@pytest.mark.parametrize("wrong", [0, 40])
def test_an_audit_says_whether_the_estimate_is_right(site: Made, wrong: int) -> None:
    here = site(2)
    workspace = here.workspace = local(here)
    images, truth = bars(90, 3, seed=77)
    ids = collected(workspace, images, "2026-03-11")
    collected(workspace, usual(20, 78), "2026-03-03")
    here.look()
    made = audit(workspace, n=40)
    assert (made.n, made.population, made.new, made.push) == (40, 90, True, None)
    asked = proposed(workspace, made.round)
    assert set(asked) <= set(ids)
    again = audit(workspace, n=10)
    assert (again.round, again.n, again.new) == (made.round, 40, False)
    named = dict(zip(ids, (CLASSES[i] for i in truth.tolist()), strict=True))
    said = {sample: named[sample] for sample in asked}
    vote(workspace, {sample: said[sample] for sample in asked[:30]}, "ann")
    waiting = here.look()
    assert any("waits for votes: 30 of 40 samples are answered" in note for note in waiting.notes)
    if wrong:
        said |= {sample: CLASSES[(CLASSES.index(said[sample]) + 1) % 3] for sample in asked[30:]}
        with workspace.catalog() as catalog, catalog.begin() as tx:
            votes.withdraw(tx, [f"audit:ann:{sample}" for sample in asked[:30]], "test")
        said |= {sample: CLASSES[(CLASSES.index(named[sample]) + 1) % 3] for sample in asked[:30]}
    vote(workspace, said, "bob" if wrong else "ann")
    done = here.look()
    assert done.newest is not None
    found = done.newest.audit
    assert found is not None
    assert found.n == 40
    assert found.difference is not None
    assert found.p is not None
    if wrong:
        assert found.accuracy < 0.1
        assert found.difference > 0.7
        assert done.outcome == ALARM
        (alarm,) = done.alarms
        assert alarm.key == f"audit:{done.model}"
        assert "The estimate is too high" in alarm.words
    else:
        assert found.accuracy > 0.9
        assert done.outcome == QUIET
    assert here.look().looks == done.looks, "an audit is reckoned once"


def test_what_got_no_label_is_told_beside_an_audit_and_the_audit_beside_a_later_look(
    site: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    here = site(2)
    workspace = here.workspace = local(here)
    images, truth = bars(60, 3, seed=77)
    ids = collected(workspace, images, "2026-03-11")
    here.look()
    asked = proposed(workspace, audit(workspace, n=20).round)
    said = {sample: CLASSES[truth[ids.index(sample)]] for sample in asked}
    vote(workspace, said | dict.fromkeys(asked[:3], "unknown") | dict.fromkeys(asked[3:5], "no_face"), "ann")
    emolab.remove(workspace, ids=[asked[5]])
    here.ask()
    done = here.look()
    assert done.newest is not None
    assert done.newest.audit is None
    audited = done.looks[-2].audit
    assert audited is not None
    assert (audited.n, audited.unlabelled) == (14, 5), "a sample that was removed is asked about no more"
    assert look_record.read(workspace, done.model)[-2].audit == audited
    told = next(value for name, value in done.tables()[0].rows if name == "audited accuracy")
    assert f" in {done.looks[-2].window.name}, 14 labels; 5 more got none (skipped or unusable). The estimate " in told
    assert "5 more got none" in Path(str(done.report)).read_text(encoding="utf-8")
    assert run(["-w", str(here.folder), "monitor"]) == 0
    assert "14 labels; 5 more got none" in " ".join(capsys.readouterr().err.split())


def test_samples_that_nobody_is_asked_about_are_told(site: Made, capsys: pytest.CaptureFixture[str]) -> None:
    here = site(2)
    workspace = local(here)
    ids = collected(workspace, usual(30, 77), "2026-03-11")
    here.look()
    with workspace.catalog() as catalog, catalog.begin() as tx:
        tx.execute(sql("UPDATE samples SET quality = :said"), {"said": '{"size": 10}'})
    strict = ["--set", "labeling.min_side=20", "--set", "cycle.push=false"]
    assert run(["-w", str(here.folder), "monitor", "--audit", "9", *strict]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "Nobody would be asked about the 30 samples that came in in 2026-03-09 to 2026-03-15" in said
    with workspace.catalog() as catalog, catalog.begin() as tx:
        tx.execute(sql("UPDATE samples SET quality = :said WHERE id > :id"), {"said": "{}", "id": sorted(ids)[9]})
    assert run(["-w", str(here.folder), "monitor", "--audit", "9", *strict]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "9 samples of 20 as round 1" in said
    assert "10 samples of the window left out: below the bar of [labeling]" in said


def test_an_audit_that_nobody_could_answer_says_so(site: Made) -> None:
    here = site(2)
    workspace = here.workspace = local(here)
    collected(workspace, usual(30, 77), "2026-03-11")
    here.look()
    vote(workspace, dict.fromkeys(proposed(workspace, audit(workspace, n=10).round), "unknown"), "ann")
    note = "tells nothing: 0 samples of 10 got a label, and of some strata of confidence none"
    assert any(note in one for one in here.look().notes)


def test_the_audit_of_a_day_is_not_that_of_the_week_that_begins_with_it(site: Made) -> None:
    here = site(2)
    workspace = local(here)
    images, truth = bars(40, 3, seed=77)
    ids = collected(workspace, images, "2026-03-09")
    tuesday = week(1) + timedelta(days=1, hours=3)
    monitor(workspace, every="day", now=tuesday)
    of_day = audit(workspace, n=20)
    vote(workspace, {one: CLASSES[truth[ids.index(one)]] for one in proposed(workspace, of_day.round)}, "ann")
    assert monitor(workspace, now=tuesday).looks[-1].audit is not None
    weekly = monitor(workspace, every="week", now=here.now())
    assert (of_day.window, weekly.looks[-1].window.begin[:10]) == ("2026-03-09", "2026-03-09")
    assert weekly.looks[-1].audit is None
    of_week = audit(workspace, n=20)
    assert (of_week.new, of_week.window) == (True, "2026-03-09 to 2026-03-15")


def test_nobody_is_asked_about_what_is_not_here(site: Made) -> None:
    here = site(2)
    workspace = local(here)
    with pytest.raises(DataError, match=r"No window of model .* has been looked at yet"):
        audit(workspace)
    here.look()
    with pytest.raises(DataError, match="there is no sample in the workspace to have labelled") as raised:
        audit(workspace)
    assert "emolab collect PATH" in str(raised.value)
    with workspace.catalog() as catalog, catalog.connect() as conn:
        assert rounds.count(conn) == 0


@pytest.mark.labelstudio
def test_an_audit_goes_to_label_studio_without_guesses(
    site: Made, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("EMOLAB_STUDIO_TOKEN", label_studio.token)
    here = site(2)
    workspace = here.workspace.with_settings(
        {"project.name": f"audit {tmp_path.name}", "labeling.show_predictions": True, "labeling.blind": 0.0}
    )
    collected(workspace, usual(40, 79), "2026-03-11")
    here.look()
    from emolab.loop.model.models import find_model
    from emolab.loop.model.predicting.pool_predictions import pool_predictions

    pool_predictions(workspace, find_model(workspace, "champion"))
    made = audit(workspace, n=12)
    assert made.push is not None
    assert made.push.created == 12
    assert audit(workspace).push is not None
    with workspace.catalog() as catalog, catalog.connect() as conn:
        from emolab.catalog.campaign import guesses, remotes

        (project,) = remotes.projects(conn)
        assert not guesses.standing(conn, project)
    assert emolab.pull(workspace).new == 0


def test_what_looks_like_what_moved_is_the_next_round(site: Made, capsys: pytest.CaptureFixture[str]) -> None:
    here = site(3)
    workspace = here.workspace
    with pytest.raises(DataError, match="Nobody has looked"):
        suggest_from_drift(workspace)
    here.look()
    with pytest.raises(DataError, match="No look has an alarm"):
        suggest_from_drift(workspace)
    here.ask(darker(EACH, 7))
    assert here.look().outcome == ALARM
    dark = collected(workspace, darker(20, 300), "2026-03-24")
    light = collected(workspace, usual(40, 301), "2026-03-24")
    made = suggest_from_drift(workspace, n=15)
    assert len(made.suggestions) == 15
    assert {one.sample_id for one in made.suggestions} <= set(dark)
    assert made.strategy == FROM_DRIFT
    assert made.suggestions[0].reason.startswith("like what moved in 2026-03-23 to 2026-03-29 (+")
    assert set(made.doubts) == {one.sample_id for one in made.suggestions}
    assert run(["-w", str(here.folder), "suggest", "--from-drift", "-n", "50"]) == 0
    rest = [one for one in proposed(workspace, made.round + 1) if one in light]
    assert set(proposed(workspace, made.round + 1)) & set(dark) == set(dark) - {s.sample_id for s in made.suggestions}
    assert len(rest) < len(light) / 2
    assert run(["-w", str(here.folder), "suggest", "--from-drift", "--balance"]) == 2


def test_pictures_of_what_moved_are_beside_the_reference_and_listed(site: Made) -> None:
    import json

    here = site(3)
    quiet = here.look()
    assert quiet.report is not None
    assert "Nothing has moved in the newest window" in quiet.report.read_text(encoding="utf-8")
    here.ask(darker(EACH, 7))
    none = here.look()
    assert "no sample came into the workspace in this time" in none.report.read_text(encoding="utf-8")  # type: ignore[union-attr]
    dark = collected(here.workspace, darker(20, 300), "2026-03-24")
    collected(here.workspace, usual(20, 301), "2026-03-24")
    done = here.look(report=here.folder / "out" / "page.html")
    assert done.report == here.folder / "out" / "page.html"
    listed = json.loads((here.folder / "out" / "page.html.samples.json").read_text(encoding="utf-8"))
    assert len(listed) == 24
    assert len(set(listed) & set(dark)) == 12
    kept = read_moved(here.workspace, done.model)  # the same, for the app
    assert kept is not None
    assert (len(kept.loudest), len(kept.beside)) == (12, 12)
    assert {one for one, _, _ in kept.loudest} == set(listed) & set(dark)
    page = done.report.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 24
    assert not any(one in page for one in dark), "pictures are listed beside the page, by no whole id in it"
    assert AUDIT not in page.split("<h2>What moved, in examples")[1].split("</section>")[0]
