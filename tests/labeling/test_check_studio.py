"""``emolab serve --check-studio``: each step on the way of a guess, on a real Label Studio and in a real browser."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from emolab.catalog import samples
from emolab.labeling.server.daemon import free_port
from emolab.labeling.server.embedded import EmbeddedServer
from emolab.labeling.sync.push import push
from emolab.labeling.sync.task_payload import stays_blind
from emolab.loop.label.backend.check_backend import NAMES, StudioCheckStep, check_studio
from emolab.loop.label.backend.connect_backend import connect_studio
from emolab.workspace import Workspace
from tests.support.backends import Backend, answering, backend, client_of, show_guesses_of_the_backend, team  # noqa: F401
from tests.support.calling import emolab
from tests.support.studio_screen import CHROMIUM
from tests.support.syncing import add_samples, half_blind

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.slow]


def steps(workspace: Workspace) -> Mapping[str, StudioCheckStep]:
    """What each step came to; those behind the first that does not hold are not tried."""
    found = check_studio(workspace)
    assert [step.name for step in found.steps] == list(NAMES)
    states = [step.state for step in found.steps]
    assert found.holds == (states == ["holds"] * 5)
    if not found.holds:
        first = next(i for i, state in enumerate(states) if state != "holds")
        assert states[first + 1 :] == ["not tried"] * (4 - first)
    return {step.name: step for step in found.steps}


def broken(workspace: Workspace) -> tuple[str, str, str]:
    """Name, detail and way out of the step that does not hold."""
    found = next(step for step in steps(workspace).values() if step.state == "fails")
    return found.name, found.detail, found.fix or ""


def test_every_step_says_whether_it_holds_and_what_to_do(
    team: Workspace,  # noqa: F811
    embedded: EmbeddedServer,
    backend: Backend,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("playwright")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    assert broken(team)[:2] == ("Label Studio", "Label Studio is not running.")
    embedded.start(port=free_port(), timeout=400.0)
    title = team.config.labeling.project
    assert broken(team) == ("project", f'There is no project "{title}" yet.', "Send samples with: emolab label push")
    with client_of(embedded) as client:
        push(team, client)
        project = client.find_project(title)
        assert project is not None
        assert broken(team)[:2] == ("connect", f'The project "{title}" asks no emolab.')
        connect_studio(team, backend.url, key=backend.key)
    with client_of(embedded) as client:
        assert broken(team)[:2] == ("shown in a browser", "The project shows no guesses.")
        show_guesses_of_the_backend(client, project.id)
        found = steps(team)
        assert {step.state for step in found.values()} == {"holds"}, found
        shown = found["shown in a browser"].detail
        assert 'shows "sadness"' in shown and "stays empty, as it has to" in shown and "of this server" in shown
        assert '"sadness" for' in found["predict"].detail and "which stays blind" in found["predict"].detail
        assert client.project(project.id).annotation_number == 0, "nobody has answered"
        assert not [p for p in client.http.get("/api/tasks/", project=project.id, fields="all")["tasks"] if p["drafts"]]

        done = emolab("-w", team.root, "serve", "--check-studio", "--json", "--set", "labeling.blind=0.5")
        assert done.code == 0 and json.loads(done.out)["holds"]
        other = half_blind(team, 1.0)
        name, detail, _ = broken(other)
        assert name in {"predict", "shown in a browser"} and "has to stay empty" in detail, "by which task is drawn"

        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "playwright.sync_api", None)
            missing = steps(team)["shown in a browser"]
            assert (missing.state, missing.fix) == ("not tried", 'Install it: pip install "emolab[browser]"')
            done = emolab("-w", team.root, "serve", "--check-studio", "--set", "labeling.blind=0.5")
            assert done.code == 1 and "shown in a browser (not tried)" in done.err
        with monkeypatch.context() as patch:
            patch.setattr("emolab.labeling.browser.form_on_screen.PROGRAMS", ("no-such-browser",))
            patch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "none"))
            assert "apt install chromium" in (steps(team)["shown in a browser"].fix or "")

        add_samples(team, 1, first=50)  # with nothing to send a push leaves the forms as they are
        with team.catalog() as catalog, catalog.connect() as conn:
            ids = [sample.id for sample in samples.iterate(conn)]
        push(team, client, n=1, show_predictions=True, guesses=dict.fromkeys(ids, "neutral"))
    seen = steps(team)["shown in a browser"]
    assert seen.state == "holds" and 'shows "neutral"' in seen.detail and "of the last push" in seen.detail

    backend.keys.revoke("studio")
    assert broken(team)[:2] == ("connect", f"The server at {backend.url} refuses the key that Label Studio sends.")
    backend.stop()
    name, detail, fix = broken(team)
    assert name == "connect" and detail.startswith(f"Nothing answers at {backend.url} (")
    assert "emolab serve --studio" in fix


def test_a_blind_form_that_shows_a_guess_and_a_server_without_studio_are_found(
    team: Workspace,  # noqa: F811
    embedded: EmbeddedServer,
    tmp_path: Path,
) -> None:
    pytest.importorskip("playwright")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    embedded.start(port=free_port(), timeout=400.0)
    german = replace(team.config, labeling=replace(team.config.labeling, language="de"))
    team = Workspace(team.root, german)  # what stands on a button is not what is stored for it
    open_to_all = half_blind(team, 0.0)
    with client_of(embedded) as client, answering(open_to_all, tmp_path / "served", embedded) as server:
        with team.catalog() as catalog, catalog.connect() as conn:
            ids = [sample.id for sample in samples.iterate(conn)]
        push(open_to_all, client, show_predictions=True, guesses=dict.fromkeys(ids, "neutral"))
        connect_studio(open_to_all, server.url, key=server.key)
        assert {step.state for step in steps(open_to_all).values()} == {"holds"}
    assert any(stays_blind(name, 0.5) for name in ids)
    with answering(team, tmp_path / "again", embedded) as server:  # it keeps forms blind, the push has not
        connect_studio(team, server.url, key=server.key)
        name, detail, fix = broken(team)
        assert name == "shown in a browser" and 'shows "neutral" and has to stay empty' in detail, detail
        assert "emolab label push" in fix


def test_check_studio_stands_alone(team: Workspace) -> None:  # noqa: F811
    said = emolab("-w", team.root, "serve", "--check-studio", "--studio")
    assert said.code == 2 and "stands alone" in said.err
