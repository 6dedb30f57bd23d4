"""The detector's weights: downloaded once, checked, resumed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emolab.datasets import weights
from emolab.errors import DataError

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Served:
    """A file server on loopback that keeps the Range headers it saw and can hang up early."""

    url: str = ""
    ranges: list[str | None] = field(default_factory=list)
    cut_after: int | None = None
    understands_ranges: bool = True


@pytest.fixture
def served() -> Iterator[Served]:
    state = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.understands_ranges else 0
            if start >= len(BODY):
                self.send_error(416)
                return
            body = BODY[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut_after])

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/net.onnx"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_is_checked_and_made_once(served: Served, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "net.onnx"
    for _ in range(2):
        assert weights.download(served.url, SHA256, target).read_bytes() == BODY
    assert served.ranges == [None]
    assert sorted(file.name for file in target.parent.iterdir()) == ["net.onnx", "net.onnx.lock"]


def test_a_download_that_broke_off_goes_on_where_it_stopped(served: Served, tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    served.cut_after = 100_000
    with pytest.raises(DataError, match="could not be downloaded"):
        weights.download(served.url, SHA256, target)
    assert not target.exists()
    served.cut_after = None
    assert weights.download(served.url, SHA256, target).read_bytes() == BODY
    assert served.ranges[-1] == "bytes=100000-"


def test_a_server_without_ranges_is_asked_for_all_of_it(served: Served, tmp_path: Path) -> None:
    served.understands_ranges = False
    (tmp_path / "net.onnx.part").write_bytes(BODY[:5000])
    assert weights.download(served.url, SHA256, tmp_path / "net.onnx").read_bytes() == BODY


def test_a_left_over_of_another_file_is_replaced(served: Served, tmp_path: Path) -> None:
    (tmp_path / "net.onnx.part").write_bytes(b"x" * 5000)
    assert weights.download(served.url, SHA256, tmp_path / "net.onnx").read_bytes() == BODY


def test_a_complete_left_over_is_taken(served: Served, tmp_path: Path) -> None:
    (tmp_path / "net.onnx.part").write_bytes(BODY)
    assert weights.download(served.url, SHA256, tmp_path / "net.onnx").read_bytes() == BODY


def test_another_file_than_expected_is_thrown_away(served: Served, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"sent a file with sha256 .*, expected 0000000000000000\.\.\.; it was thrown away"
    ):
        weights.download(served.url, "0" * 64, tmp_path / "net.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx.lock"]


def test_a_damaged_copy_is_fetched_again(served: Served, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"damaged")
    assert weights.download(served.url, SHA256, tmp_path / "net.onnx").read_bytes() == BODY


def test_without_a_network_the_error_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        weights.download("http://127.0.0.1:9/net.onnx", SHA256, tmp_path / "net.onnx")
    assert "could not be downloaded from http://127.0.0.1:9/net.onnx: " in error.value.message
    assert "--set collect.detector=PATH" in str(error.value.hint)
    assert "--faces off" in str(error.value.hint)


def test_a_named_file_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"The face detector .*gone\.onnx does not exist"):
        weights.detector(str(tmp_path / "gone.onnx"))


@pytest.mark.shared
def test_the_pinned_checksum_is_that_of_the_known_file(shared_weights: Path) -> None:
    data = (shared_weights / "face_detection_yunet.onnx").read_bytes()
    assert hashlib.sha256(data).hexdigest() == weights.SHA256
