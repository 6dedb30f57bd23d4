"""A team votes on clips: one person in Label Studio's page, one in the app, with real servers and a real browser."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.labeling.label_studio.accounts import invitation
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.workspace import Workspace
from tests.support.app_page import Voter, app_server, arrive, votes_of
from tests.support.servers import LabelStudioServer
from tests.support.sounds import chatter, sound_file
from tests.support.studio_page import Annotator
from tests.support.studio_screen import SIZE, Press, browser  # noqa: F401 (fixture)

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser, pytest.mark.serve, pytest.mark.slow]
pytest.importorskip("soundfile", reason="the extra audio is not installed")

CLASSES = ("anger", "sadness", "happiness")
#: Of the player on the screen: whether it plays, and how far it is.
PLAYS = "() => { const one = document.querySelector('audio'); return !one.paused && one.currentTime > 0; }"


def campaign(root: Path, n: int) -> Workspace:
    """A workspace of ``n`` clips."""
    made = Workspace.init(root / "campaign", classes=CLASSES, modality="audio")
    folder = root / "recordings"
    folder.mkdir()
    for seed in range(n):
        (folder / f"clip_{seed}.wav").write_bytes(sound_file(chatter(1.5, seed=seed)))
    with (made.root / "emolab.toml").open("a") as file:
        file.write(f'\n[labeling]\nproject = "voices {uuid.uuid4().hex[:8]}"\n')
    made = Workspace.open(made.root)
    assert emolab.collect(made, [folder]).report.added == n
    return made


def test_clips_are_heard_and_judged_in_label_studio_and_in_the_app(
    browser: Any,  # noqa: F811
    label_studio: LabelStudioServer,
    tmp_path: Path,
) -> None:
    made = campaign(tmp_path, 3)
    with label_studio.client() as studio, app_server(made, label_studio.url, label_studio.token) as server:
        project = int(push(made, studio, n=3, overlap=2).url.rpartition("/")[2])
        context, other = browser.new_context(viewport=SIZE), browser.new_context(viewport=SIZE)
        journal: list[Press] = []
        here = Annotator(context, journal)
        here.enter(invitation(studio, project))
        here.open_queue()
        assert "Which emotion do you hear?" in here.page.inner_text("body")
        there = Voter.come(other, server, made, "ann")
        there.page.wait_for_function("() => document.querySelector('.stage audio')")
        for label in CLASSES:
            here.front().page.keyboard.press("Space")
            here.page.wait_for_function(PLAYS, polling=100)
            here.choose_by_key(label)
            here.submit()
            there.page.bring_to_front()
            there.page.keyboard.press("Space")
            there.page.wait_for_function(PLAYS, polling=100)
            there.press("2", "sadness")
        arrive(made, there)
        pull(made, studio)
        context.close()
        other.close()
    votes = votes_of(made)
    (said,) = [said for name, said in votes.items() if name != "ann"]
    assert sorted(str(label) for label in said.values()) == sorted(CLASSES)
    assert votes["ann"] == dict.fromkeys(said, "sadness")
    assert not [text for text in there.heard if "error" in text.lower()]
