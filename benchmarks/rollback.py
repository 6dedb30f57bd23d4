"""A champion that moves a hundred times while callers ask on and on: requests that fail, and how soon a move is seen.

`emolab serve` runs in a process of its own with a workspace of two models, copies of face48 under two ids. Callers ask
without a pause, each on one connection. One process promotes, and every third time rolls back, as the command does; it
moves again when the first answer of the other model has come. A request fails that gets another status than 200, or
whose connection is dropped.
"""

from __future__ import annotations

import http.client
import io
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

import emolab
from benchmarks.harness import Result, main, summary
from emolab.catalog import models
from emolab.records import Model
from emolab.training.networks import bundled
from emolab.workspace import Workspace

MOVES, QUICK_MOVES = 100, 20
CALLERS = 4
#: Seconds within which a move must be seen, and a server must stand.
PATIENCE = 60.0


def run(quick: bool) -> list[Result]:
    """Moves under load; the quick form makes a fifth of them."""
    moves = QUICK_MOVES if quick else MOVES
    with tempfile.TemporaryDirectory() as folder:
        workspace = made(Path(folder) / "faces")
        with served(workspace) as address, asking(address) as load:
            seen = [moved(workspace, load, number) for number in range(moves)]
    failed = sum(n for status, n in load.statuses.items() if status != 200) + len(load.dropped)
    middle, ends = summary(seen)
    return [
        Result("failed requests", failed, "", n=sum(load.statuses.values()) + len(load.dropped), note=faults(load)),
        Result("moves that a server followed", len(seen), "", n=moves, note="every third one a rollback"),
        Result("from a move to the first answer of the other model", middle, "s", n=len(seen), spread=ends,
               note=f"{CALLERS} callers; loading face48 and warming it up included"),
    ]  # fmt: skip


def headline(results: Sequence[Result]) -> Mapping[str, object]:
    """The figure that a script asks for, by its key."""
    return {"failed_requests": int(results[0].value), "requests": results[0].n, "moves": int(results[1].value)}


@dataclass
class Asked:
    """What callers were told: how often which status came, and which model (first letter of its id) answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    dropped: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def moved(workspace: Workspace, load: Asked, number: int) -> float:
    """Move the name for the ``number``-th time; the seconds until the model answers that has it then."""
    letter = "ab"[number % 2]
    before, began = load.models[letter], time.perf_counter()
    if number % 3 == 2:
        emolab.rollback(workspace, to=letter, reason=f"move {number}")
    else:
        emolab.promote(workspace, letter, reason=f"move {number}")
    while load.models[letter] == before:
        if time.perf_counter() - began > PATIENCE:
            raise TimeoutError(f"move {number} to {letter} was not seen within {PATIENCE:.0f} s")
        time.sleep(0.01)
    return time.perf_counter() - began


def faults(load: Asked) -> str:
    """What failed, in words."""
    other = {status: n for status, n in load.statuses.items() if status != 200}
    return f"by status {other}, dropped {load.dropped[:3]}" if other or load.dropped else ""


# -- the material ------------------------------------------------------------------------------------------------------


def made(root: Path) -> Workspace:
    """A workspace with the models aaa... and bbb..., of which the second one is the champion."""
    workspace = Workspace.init(root, classes=_face48()[1]["classes"])
    for letter in "ab":
        emolab.promote(workspace, twin(workspace, letter))
    return workspace


def twin(workspace: Workspace, letter: str) -> str:
    """A model like face48 in ``workspace``, under an id of 64 ``letter``s; its id."""
    found, described = _face48()
    model, folder = letter * 64, workspace.models / letter
    folder.mkdir(parents=True)
    for name in ("model.json", "model.onnx"):  # ids are equally long, so that what is around one stays whole
        (folder / name).write_bytes((found / name).read_bytes().replace(described["id"].encode(), model.encode()))
    record = Model(
        id=model, path=folder.relative_to(workspace.root).as_posix(), classes=tuple(described["classes"]),
        config={"backbone": "face48"}, snapshot="s" * 64, metrics={"valid": {"n": 0}, "n_train": 0},
        created_at=described["created_at"],
    )  # fmt: skip
    with workspace.catalog() as catalog, catalog.begin() as tx:
        models.add(tx, record)
    return model


def _face48() -> tuple[Path, dict[str, Any]]:
    """The folder of face48 and what its model.json says."""
    found = bundled.folder("face48")
    if found is None:
        raise FileNotFoundError("face48")
    return found, json.loads((found / "model.json").read_text())


@contextmanager
def served(workspace: Workspace) -> Iterator[tuple[str, int]]:
    """``emolab serve`` on a free port, its host and port; it looks into the catalog by itself once an hour only."""
    words = [sys.executable, "-m", "emolab", "-w", str(workspace.root), "serve", "--port", "0", "--json"]
    words += ["--set", "serve.watch=3600"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield first_line(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def first_line(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Where the server answers, which it prints as JSON when it is ready."""
    assert process.stdout is not None
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("}"):
            late.cancel()
            address = urlsplit(json.loads(text)["url"])
            return str(address.hostname), int(address.port or 80)
    late.cancel()
    raise TimeoutError(f"no server: {text!r}")


@contextmanager
def asking(address: tuple[str, int]) -> Iterator[Asked]:
    """Callers that ask the server at ``address`` until the block ends."""
    load, stop = Asked(), threading.Event()
    threads = [threading.Thread(target=ask, args=(address, picture(n), load, stop)) for n in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def ask(address: tuple[str, int], body: bytes, load: Asked, stop: threading.Event) -> None:
    """One caller on one connection, a new one where it was dropped."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    while not stop.is_set():
        try:
            connection.request("POST", "/v1/predict", body)
            response = connection.getresponse()
            told = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            with load.lock:
                load.dropped.append(f"{type(error).__name__}: {error}")
            connection.close()
            continue
        with load.lock:
            load.statuses[response.status] += 1
            load.models[str(told.get("model", ""))[:1]] += 1
    connection.close()


def picture(seed: int) -> bytes:
    """A small gray picture."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 48), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


if __name__ == "__main__":
    main(run, headline=headline)
