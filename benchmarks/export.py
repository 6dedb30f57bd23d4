"""What a prediction costs, batch 1 and in batches, on one core: PyTorch against exported models.

Weights are random and int8 is calibrated on noise: these figures are about speed. What precision costs in accuracy
is printed by `emolab export` itself, and below for face48 on FER+ where the test data pack is there.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch loads OpenMP

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.harness import Result, interleave, main, ratio, summary
from emolab.inference.model_document import Checkpoint
from emolab.inference.runtime import open_export
from emolab.modalities.preparing import Preprocessing, decode
from emolab.training.export import engine, formats, graph, parity, quantise
from emolab.training.networks import backbones, bundled
from emolab.training.networks.classifier import Classifier

FRAME_MS = 33.0
MODELS = (("resnet50", 224), ("mobilenet_v2", 224), ("vgg19", 224), ("face48", 48))
QUICK = ("resnet50", "face48")
KINDS = (("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8"))
FITTED = 64
CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


class Eager(nn.Module):
    """The same network as anybody would run it: float32, contiguous, eager, PyTorch's own allocator settings."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.contiguous_format)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of (n, h, w, c) bytes."""
        x = (images.permute(0, 3, 1, 2).float().contiguous() - self.network.mean) * self.network.scale
        return self.network.head(self.network.backbone(x))  # type: ignore[no-any-return]


def built(name: str, size: int) -> tuple[Classifier, Checkpoint]:
    """The network `name` with random weights for `size` pixels, and what an export needs to know about it."""
    torch.manual_seed(0)
    backbone = backbones.build(name, "none", size=size)
    made = Checkpoint(
        id=f"{name:x<64}", classes=CLASSES, backbone=name, size=size, color="gray" if size == 48 else "rgb",
        mean=backbone.mean, std=backbone.std, temperature=1.0, plan={}, snapshot="", created_at="",
    )  # fmt: skip
    return Classifier(backbone, len(CLASSES), dropout=0.0).eval(), made


def latency(name: str, size: int, place: Path, *, repeats: int) -> list[Result]:
    """CPU milliseconds per image, batch 1, of eager PyTorch and of every export, and their ratios."""
    network, made = built(name, size)
    images = parity.synthetic(8, made.preprocessing)
    one = images[:1]
    eager = Eager(network)

    def by_torch() -> None:
        with torch.inference_mode():
            eager(torch.from_numpy(one))

    contestants: dict[str, Callable[[], object]] = {"eager fp32": by_torch}
    for file in written(network, made, images, place):
        runner = open_export(file, threads=1)
        contestants[kind_of(runner.document)] = lambda runner=runner: runner.compute(one)  # type: ignore[misc]
        file.unlink()
    calls = 20 if size == 48 else 1
    taken = interleave({key: many(value, calls) for key, value in contestants.items()}, repeats, warm_up=2)
    rows: list[Result] = []
    for kind, seconds in taken.items():
        value, spread = summary([1e3 * s / calls for s in seconds])
        note = "batch 1, one core" + ("" if value < FRAME_MS else f"; above the {FRAME_MS:.0f} ms of a live camera")
        rows.append(Result(f"{name} {size} px, {kind}", value, "CPU ms", seeds=repeats, spread=spread, note=note))
    for kind in list(taken)[1:]:
        value, spread = ratio(taken, kind, "eager fp32")
        rows.append(Result(f"{name}_{kind.replace(' ', '_')}_vs_eager", value, "x", seeds=repeats, spread=spread))
    return rows


def written(network: Classifier, made: Checkpoint, images: NDArray[np.uint8], place: Path) -> Iterator[Path]:
    """One file per kind, from one graph."""
    whole, small = place / "whole.onnx", place / "small.onnx"
    graph.to_onnx(graph.Graph(network, made.temperature, flips=made.flips), images[:2], whole)
    quantise.quantise(whole, small, images)
    for to, precision in KINDS:
        document = formats.describe(made, to=to, precision=precision, width=network.head.in_features)
        file = place / f"{made.backbone}-{precision}{formats.SUFFIX[to]}"
        if to == "onnx":
            shutil.copyfile(small if precision == "int8" else whole, file)
            graph.describe_onnx(file, document, "")
        else:
            graph.to_openvino(small if precision == "int8" else whole, file, document, "")
        yield file


def kind_of(document: Mapping[str, Any]) -> str:
    """What a file is, in two words."""
    return f"{document['to']} {document['precision']}"


def many(call: Callable[[], object], times: int) -> Callable[[], None]:
    """`call`, that many times."""

    def repeated() -> None:
        for _ in range(times):
            call()

    return repeated


def mirrored(place: Path, *, repeats: int) -> list[Result]:
    """How many times the CPU time of an export of face48 one takes that looks at the mirror image too, batch 1."""
    network, made = built("face48", 48)
    images = parity.synthetic(8, made.preprocessing)
    contestants: dict[str, Callable[[], object]] = {}
    for flips in (False, True):
        for file in written(network, replace(made, flips=flips), images, place):
            runner = open_export(file, threads=1)
            contestants[f"{kind_of(runner.document)}{' flips' if flips else ''}"] = many(
                partial(runner.compute, images[:1]), 20
            )
            file.unlink()
    taken = interleave(contestants, repeats, warm_up=2)
    rows: list[Result] = []
    for kind in [kind for kind in taken if f"{kind} flips" in taken]:
        value, spread = ratio(taken, f"{kind} flips", kind)
        name = f"face48_{kind.replace(' ', '_')}_with_flips"
        rows.append(Result(name, value, "x", seeds=repeats, spread=spread, note="batch 1, one core"))
    return rows


def throughput(place: Path, *, n: int, repeats: int) -> list[Result]:
    """Images per CPU second that `emolab predict` gets from resnet50 at 224 pixels, against eager PyTorch."""
    network, made = built("resnet50", 224)
    images, truth = drawn(FITTED + n, made.preprocessing)
    eager = Eager(network)
    fit_head(network, images[:FITTED], truth[:FITTED])

    def by_torch(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            parts = [
                torch.softmax(eager(torch.from_numpy(part)), 1)
                for part in np.array_split(pixels, -(-len(pixels) // 16))
            ]
        return torch.cat(parts).numpy()

    runner = engine.runner(
        network, made, engine="auto", n=1 << 20, images=lambda k: images[: min(k, 32)], reference=by_torch,
        cache=place, threads=1,
    )  # fmt: skip
    if runner is None:
        raise SystemExit("Neither OpenVINO nor ONNX Runtime is installed.")
    rest = images[FITTED:]
    answers: dict[str, NDArray[np.float32]] = {}

    def eagerly() -> None:
        answers["eager"] = by_torch(rest)

    def quickly() -> None:
        answers["engine"] = runner(rest, batch=16)[0]

    taken = interleave({"eager": eagerly, "engine": quickly}, repeats, warm_up=0)
    told = f"{runner.document['to']} {runner.document['precision']}, batch 16, one core"
    value, spread = ratio(taken, "eager", "engine")
    rows = [Result("predict_vs_eager", value, "x", n=n, seeds=repeats, spread=spread, note=f"resnet50, 224 px, {told}")]
    for kind, seconds in taken.items():
        value, spread = summary([n / s for s in seconds])
        rows.append(Result(f"resnet50 224 px, {kind}", value, "images/s", n=n, seeds=repeats, spread=spread))
    same = float((answers["eager"].argmax(1) == answers["engine"].argmax(1)).mean())
    right = float((answers["eager"].argmax(1) == truth[FITTED:]).mean())
    told = f"random backbone, head fitted to {FITTED} drawn images; eager is right on {right:.0%}"
    return [*rows, Result("predict_same_top1", same, "share", n=n, note=told)]


def drawn(n: int, wanted: Preprocessing) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """n images on noise, class i with a bright bar at height i, and their classes."""
    truth = np.arange(n) % len(CLASSES)
    images = parity.synthetic(n, wanted) // 3
    for image, label in zip(images, truth.tolist(), strict=True):
        top = label * wanted.size // len(CLASSES)
        image[top : top + wanted.size // len(CLASSES)] += 150
    return images, truth


def fit_head(network: Classifier, images: NDArray[np.uint8], truth: NDArray[np.int64]) -> None:
    """Give the head weights that tell the classes apart, by ridge regression on standardised features."""
    with torch.inference_mode():
        features = network.features(torch.from_numpy(images).permute(0, 3, 1, 2)).double()
    mean, std = features.mean(dim=0), features.std(dim=0) + 1e-6
    x = (features - mean) / std
    targets = 8.0 * torch.eye(len(CLASSES), dtype=torch.float64)[torch.from_numpy(truth)]
    kernel = x @ x.T + 0.1 * x.shape[1] * torch.eye(len(x), dtype=torch.float64)
    weights = x.T @ torch.linalg.solve(kernel, targets - targets.mean(dim=0)) / std[:, None]
    with torch.no_grad():
        network.head.weight.copy_(weights.T)
        network.head.bias.copy_(targets.mean(dim=0) - mean @ weights)


def accuracy(place: Path, *, most: int) -> list[Result]:
    """What each precision costs the bundled face48 on FER+ valid, against the network itself."""
    from emolab.datasets.benchmark_set import evaluation_set
    from emolab.training.predict import load

    root = Path(os.environ.get("EMOLAB_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
    data, folder = root / "data" / "ferplus_valid.zip", bundled.folder("face48")
    if folder is None or not data.is_file():
        return []
    predictor = load(folder, device="cpu").with_flips(False)
    made = predictor.checkpoint
    chosen = evaluation_set(f"ferplus:{data}", made.classes, protocol=None, split=None)
    order = np.random.default_rng(0).permutation(len(chosen.media))[: most + 256]
    media = [chosen.media[i] for i in order]
    pixels = np.stack([decode(item() if callable(item) else item, made.preprocessing) for item in media])
    judged, truth = pixels[256:], chosen.targets[order][256:].astype(np.int64)
    before = predictor.probabilities(judged)[0]
    rows: list[Result] = []
    for file in written(predictor.network, made, pixels[:256], place):
        runner = open_export(file, threads=1)
        kind = kind_of(runner.document).replace(" ", "_")
        after = runner(judged)[0]
        found = parity.compare(before, after, images="valid", truth=truth, classes=made.classes)
        told = f"FER+ valid; largest change of a probability {found.largest_difference:.4f}"
        rows.append(Result(f"face48_same_top1_{kind}", found.agreement, "share", n=found.n, note=told))
        told = f"{found.macro_f1_before:.4f} -> {found.macro_f1_after:.4f}"
        rows.append(Result(f"face48_f1_fall_{kind}", found.fall or 0.0, "points", n=found.n, note=told))
    return rows


def run(quick: bool) -> list[Result]:
    """Measure all models (quick: ResNet50 and face48) on one thread."""
    torch.set_num_threads(1)
    rows: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, size in MODELS:
            if not quick or name in QUICK:
                rows += latency(name, size, place, repeats=5 if quick else 15)
        rows += mirrored(place, repeats=3 if quick else 15)
        rows += throughput(place, n=16 if quick else 128, repeats=2 if quick else 3)
        if not quick:
            rows += accuracy(place, most=4096)
    return rows


if __name__ == "__main__":
    main(run)
