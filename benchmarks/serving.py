"""What `emolab serve` costs beside the bare runtime and a plain FastAPI handler: images per CPU second, start, memory.

All callers, the server and the bare runtime share this machine. CPU time is that of the server's process alone, as the
system counts it. The bare runtime gets decoded pixels in batches of 32, from the same file, with as many threads;
"with decoding" also turns the bytes into pixels, as the server must. ResNet50 has random weights: speed alone counts.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.harness import Result, cpu_seconds, main, summary
from emolab.config import CollectConfig
from emolab.inference.runtime import open_export
from emolab.inference.served_model import of_file
from emolab.loop.model.open_model import open_model
from emolab.serving.predictor import Model, Predictor

TICKS = os.sysconf("SC_CLK_TCK")
#: Cores of the model, the same for all contestants: small networks waste CPU time on more than one.
SMALL, LARGE = 1, os.cpu_count() or 1
BATCH = 32
CLIENTS, QUICK_CLIENTS = 200, 12
PLAIN = """
import io, sys
import numpy as np, uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from emolab.inference.runtime import open_export

model = open_export(__import__("pathlib").Path(sys.argv[1]), threads=int(sys.argv[2]))
app = FastAPI()

def answer(data):
    image = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224))
    probs = model(np.asarray(image)[None])[0][0]
    best = int(probs.argmax())
    return {"label": model.classes[best], "probs": dict(zip(model.classes, map(float, probs)))}

@app.post("/v1/predict")
async def predict(request: Request):
    from starlette.concurrency import run_in_threadpool
    return await run_in_threadpool(answer, await request.body())

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="critical", access_log=False)
"""
BARE = """
import resource, sys, time
import numpy as np
from benchmarks.serving import bare_model
model = bare_model(sys.argv[1], int(sys.argv[2]))
wanted = model.preprocessing
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
for line in sys.stdin:
    n, seconds = int(line.split()[0]), float(line.split()[1])
    pixels = np.random.default_rng(0).integers(0, 255, (n, wanted.size, wanted.size, wanted.channels), dtype=np.uint8)
    model.probabilities(pixels)
    before, until, images = cpu(), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        model.probabilities(pixels)
        images += n
    print(images / (cpu() - before), flush=True)
"""


@dataclass(slots=True)
class Server:
    """A server's process and port."""

    process: subprocess.Popen[str]
    port: int

    def cpu(self) -> float:
        """CPU seconds of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@contextmanager
def emolab_server(model: str, folder: Path, threads: int, *settings: str) -> Iterator[Server]:
    """`emolab serve MODEL` on a free port, ready."""
    words = [
        word for setting in (f"serve.threads={threads}", "collect.faces=off", *settings) for word in ("--set", setting)
    ]
    command = [sys.executable, "-m", "emolab", "-w", str(folder), "serve", model, "--port", "0", "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            told += process.stdout.readline()
        yield Server(process, int(json.loads(told)["url"].rpartition(":")[2]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def plain_server(file: Path, port: int, threads: int) -> Iterator[Server]:
    """A FastAPI handler as anybody would write it, with the same file and threads."""
    process = subprocess.Popen([sys.executable, "-c", PLAIN, str(file), str(threads), str(port)], text=True)
    try:
        for _ in range(300):
            try:
                asyncio.run(one_request(port, request_of(b"x")))
                break
            except OSError:
                time.sleep(0.1)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(60)


def bare_model(name: str, threads: int) -> Model:
    """The model as the server opens it."""
    return (
        of_file(open_export(Path(name), threads=threads))
        if name.endswith(".onnx")
        else open_model(None, name, threads=threads)
    )


@contextmanager
def bare_runtime(model: str, threads: int) -> Iterator[Callable[[int, float], float]]:
    """What gives images per CPU second of the bare runtime, in a process of its own: (images of a batch, seconds)."""
    command = [sys.executable, "-c", BARE, model, str(threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    asked, told = process.stdin, process.stdout

    def measure(n: int, seconds: float) -> float:
        asked.write(f"{n} {seconds}\n")
        asked.flush()
        return float(told.readline())

    try:
        yield measure
    finally:
        asked.close()
        process.wait(60)


def decoding(model: str, images: Sequence[bytes]) -> float:
    """CPU seconds to turn the bytes of one image into pixels, the way that the server does."""
    predictor = Predictor(bare_model(model, 1), CollectConfig(faces="off"))
    before = cpu_seconds()
    for _ in range(3):
        for image in images:
            predictor.read("image", image)
    return (cpu_seconds() - before) / (3 * len(images))


# -- callers -----------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """What callers heard: how long answers and refusals took, and connections that broke."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    dropped: int = 0


def request_of(body: bytes, content_type: str = "application/octet-stream") -> bytes:
    """A whole request."""
    lines = (
        "POST /v1/predict HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


def form_of(images: Sequence[bytes]) -> bytes:
    """A request with several images."""
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n' + image + b"\r\n"
        for image in images
    )
    return request_of(parts + b"--b--\r\n", "multipart/form-data; boundary=b")


async def one_request(port: int, request: bytes) -> int:
    """The status of one request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    status = await status_of(reader)
    writer.close()
    return status


async def status_of(reader: asyncio.StreamReader) -> int:
    """Read one answer; its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head[9:12])


async def callers(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Told:
    """`clients` ask on and on for so many seconds, each on one connection; answers that come later still count."""
    told, until = Told(), time.monotonic() + seconds

    async def ask(number: int) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while time.monotonic() < until:
                began = time.monotonic()
                writer.write(requests[number % len(requests)])
                status = await status_of(reader)
                (told.answered if status == 200 else told.refused).append(time.monotonic() - began)
                if status != 200:
                    await asyncio.sleep(1.0)  # what Retry-After says
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            told.dropped += 1

    await asyncio.gather(*(ask(number) for number in range(clients)))
    return told


def under_load(server: Server, requests: Sequence[bytes], clients: int, seconds: float) -> tuple[Told, float, float]:
    """What callers heard, the server's CPU seconds, and the seconds it took."""
    asyncio.run(callers(server.port, requests, min(clients, 4), min(1.0, seconds)))
    before, began = server.cpu(), time.monotonic()
    told = asyncio.run(callers(server.port, requests, clients, seconds))
    return told, server.cpu() - before, time.monotonic() - began


# -- pictures and models -----------------------------------------------------------------------------------------------


def pictures(n: int, size: int, kind: str) -> list[bytes]:
    """Pictures with shapes and noise, as bytes."""
    rng, found = np.random.default_rng(0), []
    for _ in range(n):
        small = rng.integers(0, 255, (8, 8) if size < 100 else (12, 12, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC).filter(ImageFilter.SMOOTH)
        noisy = np.clip(np.asarray(image, np.int16) + rng.normal(0, 6, np.asarray(image).shape), 0, 255)
        stream = io.BytesIO()
        Image.fromarray(noisy.astype(np.uint8)).save(stream, kind, quality=90)
        found.append(stream.getvalue())
    return found


def write_resnet50(place: str) -> None:
    """Write `resnet50.onnx` with random weights into a folder."""
    from benchmarks.export import built
    from emolab.training.export import formats, graph, parity

    network, made = built("resnet50", 224)
    file = Path(place) / "resnet50.onnx"
    graph.to_onnx(
        graph.Graph(network, made.temperature, flips=made.flips), parity.synthetic(2, made.preprocessing), file
    )
    described = formats.describe(made, to="onnx", precision="fp32", width=network.head.in_features)
    graph.describe_onnx(file, described, "")


def resnet50(place: Path) -> Path:
    """The file, written by a process of its own: this one must not load PyTorch."""
    code = "import sys; from benchmarks.serving import write_resnet50; write_resnet50(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(place)], check=True, capture_output=True)
    return place / "resnet50.onnx"


# -- what is measured --------------------------------------------------------------------------------------------------


def start(folder: Path, repeats: int) -> list[Result]:
    """CPU seconds until the server is ready, and its memory after it has answered."""
    cpu, memory = [], []
    (image,) = pictures(1, 48, "PNG")
    for _ in range(repeats):
        with emolab_server("face48", folder, SMALL) as server:
            cpu.append(server.cpu())
            asyncio.run(callers(server.port, [request_of(image)], 4, 1.0))
            memory.append(server.memory_mb())
    ready, ready_spread = summary(cpu)
    rss, rss_spread = summary(memory)
    return [
        Result(
            "ready_cpu_s", ready, "CPU s", seeds=repeats, spread=ready_spread, note="emolab serve face48, to /ready"
        ),
        Result("rss_mb", rss, "MiB", seeds=repeats, spread=rss_spread, note="resident, after a second of requests"),
    ]


def face48(folder: Path, repeats: int, seconds: float) -> list[Result]:
    """Batches of 32 in one request, and single images; server and bare runtime take turns."""
    images = pictures(BATCH, 48, "PNG")
    form, requests = [form_of(images)], [request_of(image) for image in images]
    read = decoding("face48", images)
    batches, decoded, single, many = [], [], [], []
    with emolab_server("face48", folder, SMALL) as server, bare_runtime("face48", SMALL) as bare:
        for _ in range(repeats):
            whole = bare(BATCH, seconds)
            told, cpu, _ = under_load(server, form, 4, seconds)
            batches.append(BATCH * len(told.answered) / cpu / whole)
            decoded.append(batches[-1] * (1 + read * whole))
            alone = bare(1, seconds)
            told, cpu, _ = under_load(server, requests, 1, seconds)
            single.append(1e3 * (cpu / len(told.answered) - 1 / alone))
            told, cpu, _ = under_load(server, requests, 16, seconds)
            many.append(1e3 * (cpu / len(told.answered) - 1 / whole))
    return [
        row("face48_batch_goodput", batches, "x", "32 PNGs a form, 4 callers, beside the bare runtime on pixels"),
        row("face48_batch_goodput, with decoding", decoded, "x", "beside the bare runtime and the same decoding"),
        row(
            "face48_overhead_ms", single, "CPU ms", "a request of 1 image, 1 caller, above the bare runtime at batch 1"
        ),
        row("face48_overhead_ms, 16 callers", many, "CPU ms", "above the bare runtime at batch 32"),
    ]


def resnet(folder: Path, repeats: int, seconds: float, clients: int) -> list[Result]:
    """Single images of many callers, and a plain handler with the same file and threads."""
    file = resnet50(folder)
    images = pictures(16, 224, "JPEG")
    requests, read = [request_of(image) for image in images], decoding(str(file), images)
    goodput, decoded, versus, per_cpu, waits, dropped = [], [], [], [], [], 0
    with (
        emolab_server(str(file), folder, LARGE, f"serve.queue={clients + 8}") as server,
        plain_server(file, server.port + 1, LARGE) as plain,
        bare_runtime(str(file), LARGE) as bare,
    ):
        for _ in range(repeats):
            whole = bare(BATCH, seconds)
            told, cpu, wall = under_load(server, requests, clients, seconds)
            rival, rival_cpu, rival_wall = under_load(plain, requests, clients, seconds)
            goodput.append(len(told.answered) / cpu / whole)
            decoded.append(goodput[-1] * (1 + read * whole))
            versus.append((len(told.answered) / wall) / (len(rival.answered) / rival_wall))
            per_cpu.append((len(told.answered) / cpu) / (len(rival.answered) / rival_cpu))
            waits.append(statistics.median(told.answered))
            dropped += told.dropped
        refused = refusals(server, requests, 2 * clients, seconds)
    return [
        *refused,
        row("resnet50_goodput", goodput, "x", f"{clients} callers, single JPEGs, beside the bare runtime on pixels"),
        row("resnet50_goodput, with decoding", decoded, "x", "beside the bare runtime and the same decoding"),
        row("vs_plain_fastapi", versus, "x", "images per second, ResNet50, same file and threads"),
        row("vs_plain_fastapi, per CPU second", per_cpu, "x", "the same"),
        row("resnet50, median wait", waits, "s", f"of {clients} callers"),
        Result("dropped connections", dropped, "", n=clients * repeats),
    ]


def refusals(server: Server, requests: Sequence[bytes], clients: int, seconds: float) -> list[Result]:
    """How soon callers are refused above the capacity."""
    told, _, _ = under_load(server, requests, clients, seconds)
    wait = 1e3 * statistics.median(told.refused) if told.refused else float("nan")
    note = f"median of {clients} callers; {len(told.answered)} answered, {told.dropped} connections dropped"
    return [Result("refused_after_ms", wait, "ms", n=len(told.refused), note=note)]


def row(name: str, values: Sequence[float], unit: str, note: str) -> Result:
    """The median of `values` and their range."""
    value, spread = summary(values)
    return Result(name, value, unit, seeds=len(values), spread=spread, note=note)


def run(quick: bool) -> list[Result]:
    """Measure the start, face48, ResNet50, and what is refused."""
    from emolab.workspace import Workspace

    repeats, seconds = (3, 1.0) if quick else (9, 5.0)
    with tempfile.TemporaryDirectory(prefix="emolab-serving-") as name:
        folder = Path(name)
        Workspace.init(folder, classes=("happiness", "sadness"))
        rows = start(folder, 1 if quick else 5)
        rows += face48(folder, repeats, seconds)
        return rows + resnet(folder, 1 if quick else 5, 2.0 if quick else 15.0, QUICK_CLIENTS if quick else CLIENTS)


if __name__ == "__main__":
    main(run)
