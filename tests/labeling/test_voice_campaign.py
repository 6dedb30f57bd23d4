"""A team votes on clips: one person in Label Studio's page, one in the app, with real servers and a real browser."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import emolab
from emolab.catalog import samples, settings
from emolab.labeling.label_studio.accounts import invitation
from emolab.labeling.sync.pull import pull
from emolab.labeling.sync.push import push
from emolab.modalities.audio.reading.sound import load
from emolab.modalities.disguise import disguised, speaker_of
from emolab.records import Sample
from emolab.workspace import Workspace
from tests.support.app_page import Voter, app_server, arrive, votes_of
from tests.support.servers import LabelStudioServer
from tests.support.sounds import chatter, sound_file, voice
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


SPEAKERS = ("annabella", "bobsleigh", "cydonia")
#: Every address of media that the page knows: of its tasks and of what it plays.
SOUND = "() => document.querySelector('audio').currentSrc"


def speakers(root: Path) -> Workspace:
    """A workspace with a clip of each of three speakers, whose file names and tags tell who it is; voices disguised."""
    made = Workspace.init(root / "voices", classes=CLASSES, modality="audio")
    for number, who in enumerate(SPEAKERS):
        file = root / "recordings" / who / f"{who}-interview.wav"
        file.parent.mkdir(parents=True)
        file.write_bytes(tagged(sound_file(voice(1.5, pitch=130.0 + 30 * number, seed=number)), f"{who} herself"))
    with (made.root / "emolab.toml").open("a") as settings_file:
        title = f"voices {uuid.uuid4().hex[:8]}"
        settings_file.write(f'\n[labeling]\nproject = "{title}"\ndisguise_voice = true\n')
    made = Workspace.open(made.root)
    assert emolab.collect(made, [root / "recordings"], group_by="folder").report.added == len(SPEAKERS)
    return made


def tagged(wav: bytes, artist: str) -> bytes:
    """A WAV file that says who is heard."""
    words = artist.encode() + bytes(2 - len(artist) % 2)
    info = b"INFOIART" + struct.pack("<I", len(words)) + words
    body = wav[8:] + b"LIST" + struct.pack("<I", len(info)) + info
    return b"RIFF" + struct.pack("<I", len(body)) + body


def heard_as(workspace: Workspace) -> dict[str, tuple[Sample, bytes]]:
    """The samples with the copies that annotators are to get, by the SHA-256 of the copy."""
    with workspace.catalog() as catalog, catalog.begin() as tx:
        secret, found = settings.secret(tx), list(samples.iterate(tx))
    copies = [
        disguised(each.modality, workspace.locate(each.media).read_bytes(), secret=secret, speaker=speaker_of(each))
        for each in found
    ]
    return {hashlib.sha256(data).hexdigest(): (each, data) for each, data in zip(found, copies, strict=True)}


def addresses(texts: Sequence[str], base: str) -> set[str]:
    """Every address that stands in ``texts``, whole."""
    found = {match for text in texts for match in re.findall(r"(?:https?://|/)[\w.~%:@/?&=+,;!*()\[\]-]+", text)}
    return {one if "://" in one else base + one for one in found if one.startswith((base, "/data/", "/api/"))}


def voices_of(workspace: Workspace, copies: Mapping[str, tuple[Sample, bytes]]) -> dict[str, bytes]:
    """The files of the samples as they are, by id."""
    return {each.id: workspace.locate(each.media).read_bytes() for each, _ in copies.values()}


def watched(browser: Any) -> tuple[Any, set[str]]:  # noqa: F811
    """A new session of the browser, and every address that its pages ask for from now on."""
    context, asked = browser.new_context(viewport=SIZE), set[str]()
    context.on("request", lambda request: asked.add(request.url) if request.method == "GET" else None)
    return context, asked


def test_of_a_disguised_voice_the_page_gets_nothing_but_the_copy(
    browser: Any,  # noqa: F811
    label_studio: LabelStudioServer,
    tmp_path: Path,
) -> None:
    made = speakers(tmp_path)
    copies = heard_as(made)
    originals = voices_of(made, copies)
    with label_studio.client() as studio:
        project = int(push(made, studio, n=3, overlap=1).url.rpartition("/")[2])
        (context, asked), journal = watched(browser), list[Press]()
        here = Annotator(context, journal)
        here.enter(invitation(studio, project))
        here.open_queue()
        chosen, played = dict[str, str](), list[str]()
        for label in CLASSES:
            here.front().page.keyboard.press("Space")
            here.page.wait_for_function(PLAYS, polling=100)
            assert here.sample in copies, "what is played is a disguised copy"
            sample, data = copies[here.sample]
            played.append(str(here.page.evaluate(SOUND)))
            seconds = float(here.page.evaluate("() => document.querySelector('audio').duration"))
            assert seconds == pytest.approx(len(load(originals[sample.id]).samples) / 16_000, abs=0.05)
            assert load(data).samples.std() > 0.01
            screenshot_of(here, f"disguised-{label}")
            chosen[sample.id] = label
            here.choose_by_key(label)
            here.submit()
        assert {press.sample for press in journal} == copies.keys()
        everything = all_that_is_there(context, label_studio.url, project, asked, played)
        check_tells_nothing(originals, everything)
        check_names(originals, everything)
        sent = [one for one in everything.values() if hashlib.sha256(one).hexdigest() in copies]
        assert len(sent) >= len(SPEAKERS), "the copies are among what was fetched"
        folder = label_studio.server.folder / "data" / "media" / "upload" / str(project)
        assert sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()) == sorted(copies)
        pull(made, studio)
        context.close()
    (said,) = votes_of(made).values()
    assert said == chosen


def test_the_app_plays_the_copy_too_and_keeps_the_voice_from_those_who_vote(
    browser: Any,  # noqa: F811
    label_studio: LabelStudioServer,
    tmp_path: Path,
) -> None:
    made = speakers(tmp_path)
    copies = heard_as(made)
    originals = voices_of(made, copies)
    with label_studio.client() as studio, app_server(made, label_studio.url, label_studio.token) as server:
        push(made, studio, n=3, overlap=1)
        context, asked = watched(browser)
        there = Voter.come(context, server, made, "carl")
        there.page.wait_for_function("() => document.querySelector('.stage audio')")
        for key, label in zip("123", CLASSES, strict=True):
            there.page.keyboard.press("Space")
            there.page.wait_for_function(PLAYS, polling=100)
            there.press(key, label)
        everything = {
            one: context.request.get(one).body()
            for one in asked | {f"{server.url}/app/api/{what}" for what in ("vote/last", "vote/form", "me")}
            if one.startswith(server.url)
        }
        check_tells_nothing(originals, everything)
        assert copies.keys() <= {hashlib.sha256(data).hexdigest() for data in everything.values()}
        for sample in originals:
            for place in ("api/data/samples", "pictures/small", "pictures"):
                assert context.request.get(f"{server.url}/app/{place}/{sample}").status == 403, place
        arrive(made, there)
        context.close()
    assert not [text for text in there.heard if "error" in text.lower() and "403" not in text]


def all_that_is_there(context: Any, base: str, project: int, asked: set[str], played: list[str]) -> dict[str, bytes]:
    """What the session can fetch: all that the page asked for, the tasks, and every address of media in any of it."""
    wanted = {
        *asked, *played, f"{base}/api/projects/{project}", f"{base}/api/projects/{project}/tasks/?page_size=100",
        f"{base}/api/tasks?project={project}&fields=all", f"{base}/api/projects/{project}/file-uploads",
        f"{base}/api/projects/{project}/export?exportType=JSON",
    }  # fmt: skip
    found: dict[str, bytes] = {}
    while new := wanted - found.keys():
        for address in sorted(new):
            if not address.startswith(base):
                found[address] = b""  # of the network beyond, which Label Studio asks for news
                continue
            answer = context.request.get(address)
            found[address] = answer.body()
            kind = answer.headers.get("content-type", "")
            if "json" in kind:
                wanted |= {one for one in addresses([answer.text()], base) if "/data/" in one}
    return found


def check_tells_nothing(originals: dict[str, bytes], found: dict[str, bytes]) -> None:
    """No address and no answer holds bytes of an original, the name of a speaker, of a file or of a recording."""
    words = [*SPEAKERS, "interview", "herself"]
    pieces = [data[at : at + 64] for data in originals.values() for at in (len(data) // 3, len(data) // 2)]
    for address, data in found.items():
        assert hashlib.sha256(data).hexdigest() not in originals, address
        assert not any(piece in data for piece in pieces), address
        told = [word for word in words if word.encode() in data.lower() or word in address.lower()]
        assert not told, (address, told)


def check_names(originals: dict[str, bytes], found: dict[str, bytes]) -> None:
    """A task holds the id of its sample and the address of a file that is named after it, and nothing else."""
    tasks = [task for address, data in found.items() if "/tasks/?page_size" in address for task in json.loads(data)]
    assert {tuple(sorted(task["data"])) for task in tasks} == {("audio", "emolab_uid")}
    assert {task["data"]["emolab_uid"] for task in tasks} == originals.keys()
    for task in tasks:
        name = task["data"]["audio"].rpartition("/")[2]
        assert re.fullmatch(rf"[0-9a-f]{{8}}-{task['data']['emolab_uid']}\.flac", name), name


def screenshot_of(here: Annotator, name: str) -> None:
    """Keep what is on the screen where ``EMOLAB_SCREENSHOTS`` names a folder."""
    if folder := os.environ.get("EMOLAB_SCREENSHOTS"):
        here.page.screenshot(path=Path(folder) / f"{name}.png")
