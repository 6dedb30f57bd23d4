"""Prometheus, where it is installed: on the path, or unpacked by scripts/setup.sh."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emolab.labeling.server.daemon import free_port

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "monitoring"
_UNPACKED = Path(sys.prefix) / "share" / "emolab" / "prometheus"


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``; the test is skipped where there is none."""
    found = shutil.which(name) or shutil.which(name, path=str(_UNPACKED))
    if found is None:
        pytest.skip(f"no {name}: scripts/setup.sh test unpacks it, or apt-get install prometheus")
    return found


def promtool(*words: str | Path, folder: Path = EXAMPLES) -> tuple[int, str]:
    """The exit status of promtool, and what it said."""
    done = subprocess.run(
        [program("promtool"), *map(str, words)], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


class Reader:
    """A Prometheus that runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Whether it answers questions: its port is open before its log is read, and then it refuses them."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        """What the API says, its refusals included."""
        words = urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{words}", timeout=10) as answer:
                return json.load(answer)  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)  # type: ignore[no-any-return]

    def values(self, query: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Labels -> value of a query now. Fails where Prometheus cannot read it."""
        told = self.ask("query", query=query)
        assert told["status"] == "success", f"{query}: {told}"
        return {
            tuple(sorted(row["metric"].items())): float(row["value"][1])
            for row in told["data"]["result"]
        }  # fmt: skip

    def wait_for(self, query: str, *, seconds: float = 60) -> dict[tuple[tuple[str, str], ...], float]:
        """The values of ``query``, as soon as it has some."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := self.values(query):
                return found
            time.sleep(0.2)
        raise AssertionError(f"{query} stays empty; targets: {self.ask('targets')}")


@contextmanager
def reading(folder: Path, changes: Sequence[tuple[str, str]]) -> Iterator[Reader]:
    """A Prometheus with the files of the examples, in which each of ``changes`` is made once."""
    text = (EXAMPLES / "prometheus.yml").read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    shutil.copy(EXAMPLES / "emolab.rules.yml", folder)
    port = free_port()
    words = [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*words, f"--web.listen-address=127.0.0.1:{port}"], cwd=folder, stdout=log, stderr=log
        )
    try:
        reader, until = Reader(port), time.monotonic() + 60
        while not reader.ready():
            assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.1)
        yield reader
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
