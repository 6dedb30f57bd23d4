"""``emolab live``: a file, a camera, a page with its own camera, and frames that are kept to be voted on."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from emolab.catalog import samples
from emolab.workspace import Workspace
from tests.support import films
from tests.support.studio_screen import CHROMIUM, QUIET

av = pytest.importorskip("av")
pytest.importorskip("cv2")
pytest.importorskip("onnxruntime")
pytest.importorskip("uvicorn")
RunCli = Callable[..., subprocess.CompletedProcess[str]]
CONSENT = "My pictures may be used to train a model."


def two(at: float) -> list[tuple[int, float, float, int]]:
    return [(0, 20 + 10 * at, 120, 200), (2, 380, 150, 200)]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write(tmp_path_factory.mktemp("films") / "talk.mp4", two, seconds=2.0, rate=10)


@pytest.mark.slow
def test_a_file_is_recorded_with_boxes_and_a_timeline(talk: Path, tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli(
        "live", str(talk), "face48", "--record", "r.mp4", "--timeline", "t.jsonl", "--json", cwd=tmp_path, check=True
    )
    told = json.loads(done.stdout)
    assert (told["frames"], told["dropped"], told["damaged"]) == (20, 0, 0)
    assert told["age_ms"]["median"] is not None
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert {row["track"] for row in rows} == {1, 2}
    assert len(rows) == told["faces"]
    with av.open(str(tmp_path / "r.mp4")) as container:
        frames = [(round(frame.time, 2), frame.to_image()) for frame in container.decode(video=0)]
    assert [at for at, _ in frames] == [i / 10 for i in range(20)]
    x, y, _, h = rows[-1]["box"]
    red, green, blue = frames[-1][1].getpixel((x, y + h // 2))
    assert blue > red + 40 and blue > 150 and green > red  # the box


@pytest.mark.slow
def test_it_says_how_it_goes_and_how_old_frames_are(talk: Path, tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli("live", str(talk), "face48", "--timeline", "t.csv", cwd=tmp_path, check=True)
    assert re.search(r"20 frames in [\d.]+ s \([\d.]+ fps\), age when they left: median \d+ ms", done.stderr)
    assert len(list(csv.DictReader((tmp_path / "t.csv").open()))) > 30


@pytest.mark.slow
def test_a_network_camera_is_watched_for_some_seconds_and_recorded(tmp_path: Path, run_cli: RunCli) -> None:
    film = films.write(tmp_path / "a.ts", two, seconds=8.0, rate=10).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                while True:  # a camera does not end; the session does
                    for begin in range(0, len(film), 20_000):
                        connection.sendall(film[begin : begin + 20_000])
                        time.sleep(0.02)

        threading.Thread(target=send, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        words = ("face48", "--seconds", "1", "--record", "r.mp4", "--timeline", "t.csv", "--json")
        told = json.loads(run_cli("live", address, *words, cwd=tmp_path, check=True).stdout)
    assert told["source"] == address
    assert told["frames"] > 0
    assert 0 < told["age_ms"]["median"] <= told["age_ms"]["p95"]
    # what came faster than it could be written is counted and told
    left_out = [int(note.split()[0].replace(",", "")) for note in told["notes"] if "came faster than" in note]
    with av.open(str(tmp_path / "r.mp4")) as container:
        assert len(list(container.decode(video=0))) == told["frames"] - sum(left_out) > 0
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert len(rows) == told["faces"] if not left_out else 0 < len(rows) <= told["faces"]


def test_what_does_not_go_together_is_refused(talk: Path, workspace: Workspace, run_cli: RunCli) -> None:
    for words, message, code in [
        (("97", "face48"), "Camera 97 cannot be opened", 1),
        (("none.mp4", "face48"), "There is no none.mp4.", 1),
        (("--browser", "--headless"), "Give --browser or --headless, not both.", 2),
        (("--browser", "face48", "0"), "give --browser and a MODEL, no SOURCE", 2),
        (("--browser", "face48", "--record", "a.mp4"), "A browser's picture is not recorded.", 1),
        ((str(talk), "face48", "--record", "a.txt"), "a.txt is no name of a video.", 1),
        ((str(talk), "face48", "--timeline", "a.txt"), "a.txt says no form of a timeline.", 1),
        ((str(talk), "face48", "--collect-uncertain"), "kept only with their consent", 1),
        ((str(talk), "face48", "--collect-uncertain", "--consent", "  "), "kept only with their consent", 1),
        ((str(talk), "face48", "--collect-uncertain", "--consent", CONSENT), "Once they have agreed, give --yes.", 1),
    ]:
        done = run_cli("live", *words, cwd=workspace.root)
        assert (done.returncode, message in done.stderr) == (code, True), (words, done.stderr)
    assert stored(workspace) == []


def stored(workspace: Workspace) -> list[tuple[str | None, str | None, str | None, str]]:
    with workspace.catalog() as catalog, catalog.connect() as conn:
        return [(one.group, one.consent, one.name, one.source) for one in samples.iterate(conn)]


@pytest.mark.slow
def test_frames_that_deserve_a_vote_become_samples_of_one_group_with_their_consent(
    tmp_path: Path, workspace: Workspace, run_cli: RunCli
) -> None:
    """One person is replaced by another look, again and again: that is sudden. Twice the same film adds nothing."""

    def changing(at: float) -> list[tuple[int, float, float, int]]:
        return [(int(at / 2) % 4, 200 + 3 * at, 120, 220)]

    film = films.write(tmp_path / "a.mp4", changing, seconds=8.0, rate=10)
    words = ("live", str(film), "face48", "--collect-uncertain", "--consent", CONSENT, "--yes", "--json")
    config = ("--set", "collect.min_face=32", "--smooth", "2")
    from emolab.serving.live import noteworthy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noteworthy.NoteworthyRules, "__init__", eager(noteworthy.NoteworthyRules.__init__))
        first = json.loads(run_cli(*words, *config, cwd=workspace.root, check=True).stdout)["collected"]
        second = json.loads(run_cli(*words, *config, cwd=workspace.root, check=True).stdout)["collected"]
    kept = stored(workspace)
    assert first["added"] == len(kept) > 0
    assert (second["added"], second["already_known"]) == (0, first["added"])
    assert {(group, consent, source) for group, consent, _, source in kept} == {(first["session"], CONSENT, "live")}
    assert sum(first["reasons"].values()) > 0


def eager(made: Callable[..., None]) -> Callable[..., None]:
    """Rules that find more frames worth a vote: drawn faces are too plain to be uncertain about."""

    def init(self: object, **given: object) -> None:
        made(self, **{"unsure": 0.05, "sudden": 0.05, **given})

    return init


@contextmanager
def page(folder: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a page that ``emolab live`` serves in a process of its own."""
    command = [sys.executable, "-m", "emolab", "live", "--browser", "face48", "--port", "0", *words]
    env = {**os.environ, "COLUMNS": "200"}
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as run:
        try:
            assert run.stderr is not None
            said = ""
            while not (found := re.search(r"https?://\S+", said)):
                line = run.stderr.readline()
                assert line, f"it ended: {said}"
                said += line
            yield found[0], run
        finally:
            if run.poll() is None:
                run.send_signal(signal.SIGINT)
            run.wait(30)


@contextmanager
def camera(film: Path) -> Iterator[object]:
    """A Chromium whose camera shows ``film``."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=[*QUIET, *fake, f"--use-file-for-fake-video-capture={film}"]
        )
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def webcam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    with path.open("wb") as out:
        for i in range(30):
            picture = io.BytesIO()
            Image.fromarray(films.frame(two(i / 15))).save(picture, "JPEG", quality=90)
            out.write(picture.getvalue())
    return path


def until(said: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for the page: it may not be asked by code of ours, which its policy forbids."""
    end = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < end, "the page did not get there"
        time.sleep(0.05)


def answers(shown: object) -> int:
    return int(shown.locator("body").get_attribute("data-answers") or 0)  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_shows_ones_own_face_with_bars(webcam: Path, tmp_path: Path) -> None:
    errors: list[str] = []
    with page(tmp_path) as (url, run), camera(webcam) as browser:
        shown = browser.new_page()  # type: ignore[attr-defined]
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.goto(url)
        shown.get_by_role("button", name="Open the camera").click()
        until(lambda: answers(shown) > 10 and shown.locator(".face").count() == 2)
        assert shown.locator(".face .row.first").first.inner_text().startswith("happiness")
        assert shown.locator("#state").inner_text() == "live"
        assert shown.locator("#model").inner_text() == "face48"
        assert re.fullmatch(r"\d+ ms", shown.locator("#age").inner_text())
        other = browser.new_page()  # type: ignore[attr-defined]
        other.goto(url)
        other.get_by_role("button", name="Open the camera").click()
        until(lambda: answers(other) > 3)
        other.close()
        before = answers(shown)
        until(lambda: answers(shown) > before + 3)
        run.send_signal(signal.SIGINT)
        until(lambda: "connection lost" in shown.locator("#state").inner_text())
        assert run.wait(30) == 0
    assert errors == []


@pytest.mark.slow
@pytest.mark.browser
def test_the_consent_is_on_the_page_before_the_camera_opens(webcam: Path, workspace: Workspace) -> None:
    with page(workspace.root, "--collect-uncertain", "--consent", CONSENT) as (url, _), camera(webcam) as browser:
        shown = browser.new_page()  # type: ignore[attr-defined]
        shown.goto(url)
        shown.get_by_text(CONSENT).wait_for()
        assert shown.evaluate("document.getElementById('video').srcObject") is None
        shown.get_by_role("button", name="I agree, open the camera").click()
        until(lambda: answers(shown) > 5)


@pytest.mark.slow
@pytest.mark.browser
def test_at_another_address_the_page_needs_its_token_and_https(webcam: Path, tmp_path: Path) -> None:
    words = ("--host", "0.0.0.0", "--tls", "self")
    with page(tmp_path, *words) as (url, _), camera(webcam) as browser:
        assert re.match(r"https://[^/]+/#token=\S{40}", url)
        context = browser.new_context(ignore_https_errors=True)  # type: ignore[attr-defined]
        shown = context.new_page()
        shown.goto(url)
        shown.get_by_role("button", name="Open the camera").click()
        until(lambda: answers(shown) > 5)
        assert "#" not in shown.url
        shown.reload()
        shown.get_by_role("button", name="Open the camera").click()
        until(lambda: answers(shown) > 5)
        stranger = browser.new_context(ignore_https_errors=True).new_page()  # type: ignore[attr-defined]
        stranger.goto(url)
        until(lambda: "has been used" in stranger.locator("#state").inner_text())


@pytest.mark.slow
def test_no_heavy_package_is_loaded(talk: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom emolab.cli.main import run\n"
        f"assert run(['live', {str(talk)!r}, 'face48', '--json', '--record', 'r.mp4']) == 0\n"
        "assert run(['live', '--browser', 'face48', '--port', '0', '--seconds', '0.2', '--json']) == 0\n"
        "print([m for m in ('torch', 'pandas', 'sklearn', 'fiftyone') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("[]")
