"""Clips in FiftyOne: spectrograms in the grid, and a link on each that plays it, in a real browser."""

from __future__ import annotations

import hashlib
import io
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import emolab
from emolab.datasets.inspect import drawn_samples, fiftyone_view
from emolab.modalities.audio.clip_picture import clip_picture
from emolab.modalities.problems import Refused
from emolab.workspace import Workspace
from tests.datasets.test_fiftyone_view import CHROMIUM, SHARP
from tests.support.sounds import chatter, sound_file, voice

CLASSES = ("anger", "fear")
N = 24


@pytest.fixture
def voices(tmp_path: Path) -> Workspace:
    """24 clips of two speakers, half of them angry."""
    workspace = Workspace.init(tmp_path / "voices & all", classes=CLASSES, modality="audio")
    for number in range(N):
        file = tmp_path / "set" / CLASSES[number % 2] / f"{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sound_file(chatter(1.0 + number / 20, seed=number)))
    emolab.merge(workspace, "image_folder", tmp_path / "set", near=False)
    return workspace


def test_a_clip_is_drawn_from_its_first_moment_to_its_last() -> None:
    quiet = np.zeros(16_000, np.float32)
    sound = np.concatenate([quiet, voice(1.0, pitch=200.0), quiet, quiet])
    found = np.asarray(Image.open(io.BytesIO(clip_picture(sound_file(sound), (512, 256)))).convert("L")).astype(float)
    assert found.shape == (256, 512)
    bright = found.mean(axis=0)
    heard = np.flatnonzero(bright > bright.max() / 3)
    assert heard.min() / 512 == pytest.approx(0.25, abs=0.05)  # the second of four seconds
    assert heard.max() / 512 == pytest.approx(0.5, abs=0.08)
    assert found[-64:].mean() > 1.4 * found[:64].mean(), "low tones at the foot"
    with pytest.raises(Refused):
        clip_picture(b"no sound", (512, 256))


@pytest.mark.fiftyone
def test_a_picture_is_shown_and_the_file_is_a_link(voices: Workspace, fiftyone_database: str) -> None:
    sample = written(voices, fiftyone_database).first()
    assert sample.media_type == "image"
    assert Image.open(sample.filepath).size == (sample.metadata.width, sample.metadata.height) == (512, 256)
    assert Path(sample.file).suffix == ".flac"
    assert hashlib.sha256(Path(sample.file).read_bytes()).hexdigest() == sample.uid
    assert sample.play.startswith("http://127.0.0.1:5151/media?filepath=")
    again = fiftyone_view.write(voices, fiftyone_database)
    assert (again.tally.unchanged, again.tally.changed) == (N, 0)
    assert written(voices, fiftyone_database).first().play == sample.play
    folder = drawn_samples.folder_of(voices)
    assert folder is not None
    assert len([*folder.glob("*/*.png")]) == N
    (folder / "ff").mkdir(exist_ok=True)
    (folder / "ff" / f"{'f' * 64}.png").write_bytes(b"a sample that is gone")
    fiftyone_view.write(voices, fiftyone_database)
    assert len([*folder.glob("*/*.png")]) == N


@pytest.mark.fiftyone
@pytest.mark.browser
def test_a_clip_plays_from_the_app_in_a_real_browser(voices: Workspace, fiftyone_database: str, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH")
    written(voices, fiftyone_database)
    with fiftyone_view.app(voices, fiftyone_database) as url, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.route("**/*", _local_only)
        page.goto(url)
        page.get_by_text(f"{N} samples").wait_for(timeout=90_000)
        page.wait_for_function(SHARP, timeout=60_000)
        if page.get_by_text("Dismiss", exact=True).count():
            page.get_by_text("Dismiss", exact=True).click()
        page.screenshot(path=tmp_path / "grid.png")
        link = page.locator("a[href*='/media?filepath=']").first
        deadline = time.monotonic() + 180
        while not link.is_visible():  # the grid is laid out again while it loads: a click may hit nothing
            assert time.monotonic() < deadline, "no sample opens"
            if not page.locator("[data-cy=modal]").count():
                page.mouse.click(450, 250)
            time.sleep(2)
        page.screenshot(path=tmp_path / "sample.png")
        target = link.get_attribute("href")
        assert target is not None
        with urllib.request.urlopen(target) as answer:
            kind, data = answer.headers["content-type"], answer.read()
        assert (kind.partition(";")[0], data[:4]) == ("audio/flac", b"fLaC") or kind == "audio/x-flac"
        other = browser.new_page()
        other.goto(target)
        other.wait_for_function("document.querySelector('video, audio')?.readyState >= 2", timeout=60_000)
        played = other.evaluate("document.querySelector('video, audio').duration")
        browser.close()
    assert 0.5 < played < 3


def written(workspace: Workspace, fiftyone_database: str) -> Any:
    """The FiftyOne dataset of ``workspace``."""
    return fiftyone_view.connect(fiftyone_database).load_dataset(
        fiftyone_view.write(workspace, fiftyone_database).dataset
    )


def _local_only(route: Any) -> None:
    here = "//127.0.0.1:" in route.request.url or route.request.url.startswith(("data:", "blob:"))
    route.continue_() if here else route.abort()
