"""What `emolab serve` costs beside the bare runtime, plain FastAPI and LitServe: images per CPU second, start, memory.

All callers, the server and the bare runtime share this machine; each server has a session of its own, for Linux shares
cores among sessions first. CPU time is that of the server's processes, as the
system counts it. The bare runtime gets decoded pixels in batches of 32, from the same file, with as many threads;
"with decoding" also turns the bytes into pixels, as the server must. ResNet50 has random weights: speed alone counts.
"""

from __future__ import annotations

import asyncio
import base64
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.harness import Result, cpu_seconds, main, summary
from emolab.config import CollectConfig
from emolab.files import user_cache
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
#: LitServe with batches as large and waits as long as ours; a picture comes in JSON, as in its own examples.
LITSERVE = """
import base64, io, sys
from pathlib import Path
import litserve
import numpy as np
from PIL import Image
from emolab.inference.runtime import open_export

class Faces(litserve.LitAPI):
    def setup(self, device):
        self.model = open_export(Path(sys.argv[1]), threads=int(sys.argv[2]))

    def decode_request(self, request):
        image = Image.open(io.BytesIO(base64.b64decode(request["image"]))).convert("RGB").resize((224, 224))
        return np.asarray(image)

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, pixels):
        return self.model(pixels)[0]

    def unbatch(self, output):
        return list(output)

    def encode_response(self, probs):
        best = int(probs.argmax())
        return {"label": self.model.classes[best], "probs": dict(zip(self.model.classes, map(float, probs)))}

if __name__ == "__main__":
    faces = Faces(max_batch_size=32, batch_timeout=0.005, api_path="/v1/predict")
    server = litserve.LitServer(faces, accelerator="cpu", workers_per_device=1, timeout=False, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[3]), log_level="critical", generate_client_file=False)
"""
#: Its environment, in the user's cache; what is installed beside it is of the same release as here.
LITSERVE_HOME = user_cache() / "benchmarks" / "litserve"
BESIDE = ("onnxruntime", "numpy", "scipy", "pillow", "filelock", "opencv-python-headless")
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
        """CPU seconds so far of the process and of all that it has started."""
        return sum(int(fields[11]) + int(fields[12]) for fields in self._family()) / TICKS

    def _family(self) -> Iterator[list[str]]:
        """What the system counts of each process: fields of ``stat`` behind the name, from the state on."""
        for file in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = file.read_text().rpartition(")")[2].split()
                if self.process.pid in (int(file.parent.name), int(fields[2])):  # itself, or of its group
                    yield fields

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
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"emolab serve {model} did not start; status {process.wait(60)}")
            told += line
        yield Server(process, int(json.loads(told)["url"].rpartition(":")[2]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def plain_server(file: Path, port: int, threads: int) -> Iterator[Server]:
    """A FastAPI handler as anybody would write it, with the same file and threads."""
    command = [sys.executable, "-c", PLAIN, str(file), str(threads), str(port)]
    process = subprocess.Popen(command, text=True, start_new_session=True)
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


def litserve_python(quick: bool) -> Path:
    """Python with LitServe, in an environment of its own, which a full run makes once.

    Raises :class:`RuntimeError` where it cannot be made, or in a quick run where it is not there.
    """
    python = LITSERVE_HOME / "bin" / "python"
    if python.exists():
        return python
    if quick:
        raise RuntimeError("its environment is made by a full run")
    part = LITSERVE_HOME.with_name("litserve-part")
    packages = ["litserve>=0.2.19,<0.3", *(f"{name}=={version(name)}" for name in BESIDE)]
    uv = [sys.executable, "-m", "uv"]
    for command in (
        [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(part)],
        [*uv, "pip", "install", "--quiet", "--python", str(part / "bin" / "python"), *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"its environment cannot be made: {done.stderr.strip().splitlines()[-1:]}")
    part.rename(LITSERVE_HOME)
    return python


@contextmanager
def litserve_server(python: Path, file: Path, folder: Path, port: int, threads: int) -> Iterator[Server]:
    """LitServe with the same file and threads, in processes of its own that make a group."""
    script = folder / "litserve_faces.py"
    script.write_text(LITSERVE)
    place = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    process = subprocess.Popen(
        [str(python), str(script), str(file), str(threads), str(port)],
        text=True, env=place, cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                if asyncio.run(one_request(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")) == 200:
                    break
            except (OSError, asyncio.IncompleteReadError):
                pass
            if process.poll() is not None:
                raise RuntimeError(f"LitServe ended with status {process.returncode}")
            time.sleep(0.1)
        else:
            raise RuntimeError("LitServe did not begin to answer within a minute")
        yield Server(process, port)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
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


def json_of(image: bytes) -> bytes:
    """A request with the picture in JSON."""
    body = json.dumps({"image": base64.b64encode(image).decode()}).encode()
    return request_of(body, "application/json")


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
    asyncio.run(callers(server.port, requests, min(clients, 4), min(1.0, seconds / 2)))
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


def resnet(folder: Path, repeats: int, seconds: float, clients: int, *, quick: bool) -> list[Result]:
    """Single images of many callers; a plain handler and LitServe take turns with the same file and threads."""
    file = resnet50(folder)
    images = pictures(16, 224, "JPEG")
    requests, read = [request_of(image) for image in images], decoding(str(file), images)
    goodput, decoded, waits, dropped = [], [], [], 0
    versus: dict[str, list[tuple[float, float]]] = {}
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        server = stack.enter_context(emolab_server(str(file), folder, LARGE, f"serve.queue={clients + 8}"))
        plain = pool.submit(stack.enter_context, plain_server(file, server.port + 1, LARGE))
        opened = pool.submit(stack.enter_context, bare_runtime(str(file), LARGE))
        missing = []
        try:
            lit = stack.enter_context(litserve_server(litserve_python(quick), file, folder, server.port + 2, LARGE))
        except RuntimeError as error:
            missing.append(Result("not run: vs_litserve", 0, "", note=str(error)))
        bare, rivals = opened.result(), {"plain_fastapi": (plain.result(), requests)}
        if not missing:
            rivals["litserve"] = lit, [json_of(image) for image in images]
        for _ in range(repeats):
            whole = bare(BATCH, seconds)
            told, cpu, wall = under_load(server, requests, clients, seconds)
            goodput.append(len(told.answered) / cpu / whole)
            decoded.append(goodput[-1] * (1 + read * whole))
            waits.append(statistics.median(told.answered))
            dropped += told.dropped
            for name, (rival, theirs) in rivals.items():
                other, rival_cpu, rival_wall = under_load(rival, theirs, clients, seconds)
                if other.refused or not other.answered:
                    raise RuntimeError(f"{name} refused {len(other.refused)} and answered {len(other.answered)}")
                by_clock = (len(told.answered) / wall) / (len(other.answered) / rival_wall)
                by_cpu = (len(told.answered) / cpu) / (len(other.answered) / rival_cpu)
                versus.setdefault(name, []).append((by_clock, by_cpu))
        refused = refusals(server, requests, 2 * clients, seconds)
    return [
        *refused,
        row("resnet50_goodput", goodput, "x", f"{clients} callers, single JPEGs, beside the bare runtime on pixels"),
        row("resnet50_goodput, with decoding", decoded, "x", "beside the bare runtime and the same decoding"),
        *(each for name, pairs in versus.items() for each in beside(name, pairs)),
        *missing,
        row("resnet50, median wait", waits, "s", f"of {clients} callers"),
        Result("dropped connections", dropped, "", n=clients * repeats),
    ]


def beside(name: str, pairs: Sequence[tuple[float, float]]) -> list[Result]:
    """How many times as many images as `name` emolab answers, by the clock and by CPU time of all its processes."""
    by_clock, by_cpu = zip(*pairs, strict=True)
    return [
        row(f"vs_{name}", by_clock, "x", "images per second, ResNet50, same file and threads"),
        row(f"vs_{name}, per CPU second", by_cpu, "x", "the same"),
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

    repeats, seconds = (3, 0.4) if quick else (9, 5.0)
    with tempfile.TemporaryDirectory(prefix="emolab-serving-") as name:
        folder = Path(name)
        Workspace.init(folder, classes=("happiness", "sadness"))
        rows = start(folder, 1 if quick else 5)
        rows += face48(folder, repeats, seconds)
        times, length, clients = (1, 1.0, QUICK_CLIENTS) if quick else (5, 15.0, CLIENTS)
        rows += resnet(folder, times, length, clients, quick=quick)
        return [*rows, Result("load", os.getloadavg()[0], "processes", note="of the machine, callers included")]


if __name__ == "__main__":
    main(run)
