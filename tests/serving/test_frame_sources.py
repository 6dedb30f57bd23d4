"""Frames of files, cameras and addresses, with true times; damage ends nothing."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from emolab.errors import DataError, EmolabError
from emolab.serving.live import frame_sources
from emolab.serving.live.frame_sources import AddressSource, CameraSource, VideoSource, open_source
from tests.support import films

av = pytest.importorskip("av")


def stripes(seconds: float) -> np.ndarray:
    """A bar that moves: cheap to draw."""
    pixels = np.full((96, 128, 3), 90, np.uint8)
    left = int(seconds * 40) % 100
    pixels[:, left : left + 20] = (200, 40, 40)
    return pixels


def clip(path: Path, **options: object) -> Path:
    return films.write(path, films.nobody, size=(128, 96), draw=stripes, **options)  # type: ignore[arg-type]


def test_a_file_gives_its_frames_with_their_times(tmp_path: Path) -> None:
    source = open_source(str(clip(tmp_path / "a.mp4", seconds=2.0, rate=10)))
    frames = list(source)
    assert [round(frame.seconds, 3) for frame in frames] == [i / 10 for i in range(20)]
    assert frames[0].pixels.shape == (96, 128, 3)
    assert np.abs(frames[5].pixels.astype(int) - stripes(0.5)).mean() < 12
    assert (source.live, source.damaged, source.notes) == (False, 0, [])


def test_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.05, 0.5, 0.9, 0.95, 1.7, 1.71, 1.8]
    found = VideoSource(str(clip(tmp_path / "a.mkv", times=times)))
    assert [round(frame.seconds, 3) for frame in found] == times


def raw_mpeg4(path: Path) -> Path:
    """A bare stream: no header says how many frames a second there are, and no frame has a time."""
    films.write(path.with_suffix(".mp4"), films.nobody, size=(128, 96), draw=stripes, seconds=2.0, rate=10)
    with av.open(str(path.with_suffix(".mp4"))) as read, path.open("wb") as out:
        stream = read.streams.video[0]
        out.write(bytes(stream.codec_context.extradata))
        for packet in read.demux(stream):
            out.write(bytes(packet))
    return path


def test_a_file_without_a_frame_rate_goes_on_at_an_assumed_one(tmp_path: Path) -> None:
    times = [frame.seconds for frame in VideoSource(str(raw_mpeg4(tmp_path / "a.m4v")))]
    assert len(times) == 20
    assert all(0 < b - a < 0.11 for a, b in itertools.pairwise(times))


def test_an_avi_whose_header_says_no_frames_a_second_is_read_all_the_same(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.avi", seconds=2.0, rate=10)
    data = bytearray(path.read_bytes())
    head = data.index(b"strh") + 8
    data[head + 20 : head + 28] = bytes(8)  # scale and rate
    path.write_bytes(data)
    times = [frame.seconds for frame in VideoSource(str(path))]
    assert len(times) == 20
    assert all(b > a for a, b in itertools.pairwise(times))
    assert times[-1] < 20


class Stream:
    """What a header with a rate of 0 looks like."""

    average_rate = 0
    guessed_rate = None


class Timed:
    """A decoded frame with a time, or none."""

    def __init__(self, time: float | None) -> None:
        self.time = time


def test_times_never_go_back_whatever_the_file_says() -> None:
    from emolab.serving.live.frame_sources import _FileClock

    clock = _FileClock(Stream())
    told = [None, 5.0, 5.2, 5.1, None, 9.0]
    found = [clock(Timed(at)) for at in told]
    assert found[0] == 0.0
    assert all(b > a for a, b in itertools.pairwise(found))
    assert clock.step == 1 / 25
    assert clock.untimed == 4
    assert len(clock.gaps) == 1


@pytest.mark.parametrize("kind", ["mp4", "avi", "mkv"])
def test_damage_ends_nothing_and_is_told(tmp_path: Path, kind: str) -> None:
    path = clip(tmp_path / f"a.{kind}", seconds=8.0, rate=10)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data) // 3, len(data) // 2, 40):
        data[place] = rng.integers(256)
    path.write_bytes(data)
    source = VideoSource(str(path))
    times = [frame.seconds for frame in source]
    assert times[-1] > 7.5
    assert len(times) < 80
    assert source.damaged or any("nothing between" in note for note in source.notes)


def test_a_file_cut_short_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", seconds=8.0, rate=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = VideoSource(str(path))
    assert len(list(source)) > 20
    assert any(note.startswith("the file ends at ") for note in source.notes)


@pytest.mark.parametrize("data", [b"", b"no video", b"\0\0\0\x18ftypmp42" + bytes(50)])
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.mp4 is not a video that can be read"):
        list(VideoSource(str(tmp_path / "a.mp4")))


def test_what_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(DataError, match=r"There is no talk\.mp4\."):
        open_source("talk.mp4")
    with pytest.raises(EmolabError, match="Camera 97 cannot be opened"):
        next(iter(open_source("97")))


def test_a_camera_gives_frames_red_first_until_it_ends(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    source = CameraSource(str(clip(tmp_path / "camera.avi", seconds=1.0, rate=10)))
    frames = list(source)
    assert len(frames) == 10
    assert np.abs(frames[0].pixels.astype(int) - stripes(0.0)).mean() < 12
    assert source.notes[-1].endswith("sends no more pictures")


def test_a_camera_that_opens_and_sends_nothing_is_an_error_and_no_empty_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = []

    class Dark:
        def read(self) -> tuple[bool, None]:
            return False, None

        def release(self) -> None:
            released.append(True)

    monkeypatch.setattr(frame_sources, "open_camera", lambda *_, **__: Dark())
    with pytest.raises(EmolabError, match="camera 0 opened, but sent no picture; is another program using it"):
        list(CameraSource(0))
    assert released == [True]


def test_a_network_camera_is_read_by_its_address_and_called_again_when_it_is_lost(tmp_path: Path) -> None:
    film = clip(tmp_path / "a.ts", seconds=1.0, rate=10).read_bytes()
    waits: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def send() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(film)

        threading.Thread(target=send, daemon=True).start()
        source = AddressSource(f"tcp://127.0.0.1:{port}", options={}, wait=waits.append)
        stream = iter(source)
        times = [next(stream).seconds for _ in range(15)]
        stream.close()  # type: ignore[attr-defined]
    assert times == sorted(times)
    assert waits == [0.5]
    assert source.notes == ["connection lost (the stream ended); trying again"]


def test_a_film_at_an_address_ends_where_it_ends(tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", seconds=1.0, rate=10)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = AddressSource(f"http://127.0.0.1:{server.server_address[1]}/a.mp4", options={})
        assert len(list(source)) == 10
        server.shutdown()
    assert source.notes == []


#: Sends a film to an address where somebody listens, as a camera does.
PUSH = """
import sys, time, av
film, address = sys.argv[1:]
for _ in range(100):
    try:
        with av.open(film) as read, av.open(address, "w", format="rtsp", options={"rtsp_transport": "tcp"}) as out:
            stream = read.streams.video[0]
            copy = out.add_stream_from_template(stream)
            for packet in read.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    out.mux(packet)
        break
    except (av.FFmpegError, OSError):
        time.sleep(0.05)
"""


def test_an_rtsp_camera_is_read(tmp_path: Path) -> None:
    film = clip(tmp_path / "a.mp4", seconds=3.0, rate=10)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"rtsp://127.0.0.1:{free.getsockname()[1]}/live"
    with subprocess.Popen([sys.executable, "-c", PUSH, str(film), address]) as pusher:
        source = AddressSource(address, options={"rtsp_flags": "listen", "listen_timeout": "10"})
        stream = iter(source)
        frames = [next(stream) for _ in range(5)]
        stream.close()  # type: ignore[attr-defined]
        pusher.kill()
    assert frames[0].pixels.shape == (96, 128, 3)


def test_an_address_that_does_not_answer_is_said_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    source = open_source(f"rtsp://ann:secret@127.0.0.1:{port}/live?key=1")
    with pytest.raises(EmolabError) as error:
        next(iter(source))
    assert f"rtsp://127.0.0.1:{port}/live" in error.value.message
    assert "secret" not in str(error.value) + source.name and "key=1" not in source.name
