"""What decoding JPEGs at a fraction of their size costs in accuracy and saves in time, and what small images are worth.

Faces of FER+ valid (official majority) are enlarged to JPEGs: portraits of 512 px, and photos of 1,024 x 768 with the
noise of a camera. face48, which never learned from them, judges the same files decoded in full, as `predict` does, and
scaled, as the cache of a training may. A head is solved on features of one half, decoded in either way, and judges the
other half in full: what a training on scaled pixels is worth to `predict`. Everything is paired by image. Needs the
test data pack (EMOLAB_TEST_DATA or ../shared).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.ferplus import CLASSES, root
from benchmarks.harness import Result, interleave, main, ratio, summary
from emolab.datasets.benchmark_set import evaluation_set
from emolab.inference.probabilities import softmax
from emolab.modalities.preparing import Preprocessing, decode_many
from emolab.stats import logistic
from emolab.training.networks import bundled
from emolab.training.predict import Predictor, load

#: Faces of the quick run and of the full one; JPEG quality; spread of the camera's noise, in levels.
FEW, MANY, QUALITY, NOISE = 150, 1000, 90, 8
#: Shorter sides to which faces are reduced.
SMALL = (8, 12, 16, 24, 32)
Floats = NDArray[np.float64]


def run(quick: bool) -> list[Result]:
    """Accuracy and log loss of both ways, paired; CPU time of both; accuracy by size."""
    folder = bundled.folder("face48")
    if folder is None:
        sys.exit("face48 is not in this installation.")
    predictor = load(folder, device="cpu")
    judged = evaluation_set(f"ferplus:{root() / 'data' / 'ferplus_valid.zip'}", CLASSES)
    chosen = np.random.default_rng(0).permutation(judged.n)[: FEW if quick else MANY]
    faces = [opened(judged.media[i]) for i in chosen]
    columns = [predictor.checkpoint.classes.index(name) for name in CLASSES]
    truth = np.array(columns)[judged.targets[chosen]]
    forms: dict[str, Callable[[Image.Image, int], bytes]] = {"portrait 512 px": portrait, "photo 1,024 x 768": photo}
    results = []
    for name, make in forms.items():
        with ThreadPoolExecutor(2) as pool:
            files: list[bytes] = list(pool.map(make, faces, range(len(faces))))
        results += compared(name, predictor, files, truth)
        results += timed(name, predictor.checkpoint.preprocessing, files[: 16 if quick else 64], 3 if quick else 9)
    for size in SMALL:
        pixels = decoded([saved(face.resize((size, size), Image.Resampling.BOX), "PNG") for face in faces], predictor)
        right = 100 * (predictor.probabilities(pixels)[0].argmax(axis=1) == truth).mean()
        results.append(Result(f"faces of {size} px: accuracy", float(right), "%", len(truth)))
    return results


def opened(media: bytes | object) -> Image.Image:
    """A face as it is, 48 x 48 gray."""
    return Image.open(io.BytesIO(media) if isinstance(media, bytes) else str(media)).convert("L")


def saved(image: Image.Image, kind: str) -> bytes:
    """``image`` as a file."""
    out = io.BytesIO()
    image.save(out, kind, **({"quality": QUALITY} if kind == "JPEG" else {}))
    return out.getvalue()


def portrait(face: Image.Image, seed: int) -> bytes:
    """A square JPEG in colour, smooth."""
    del seed
    return saved(face.resize((512, 512), Image.Resampling.BICUBIC).convert("RGB"), "JPEG")


def photo(face: Image.Image, seed: int) -> bytes:
    """The middle of a face, 1,024 x 768, in colour, with noise of its own in every pixel."""
    large = np.asarray(face.crop((0, 6, 48, 42)).resize((1024, 768), Image.Resampling.BICUBIC), dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, NOISE, (768, 1024, 3)).astype(np.float32)
    levels = (large[..., None] + noise).clip(0, 255).astype(np.uint8)
    return saved(Image.fromarray(levels), "JPEG")


def decoded(files: list[bytes], predictor: Predictor, *, scaled: bool = False) -> NDArray[np.uint8]:
    """The pixels that the model of ``predictor`` sees of ``files``."""
    wanted = predictor.checkpoint.preprocessing
    with ThreadPoolExecutor(2) as pool:
        return decode_many(list(files), wanted.scaled if scaled else wanted, pool=pool)


def compared(name: str, predictor: Predictor, files: list[bytes], truth: NDArray[np.int64]) -> list[Result]:
    """face48 on both kinds of pixels, and heads solved on both, judged in full."""
    full, scaled = decoded(files, predictor), decoded(files, predictor, scaled=True)
    before, after = (predictor.probabilities(pixels)[0].astype(np.float64) for pixels in (full, scaled))
    n = len(truth)
    moved = np.abs(before - after).max(axis=1)
    rows = [
        Result(f"{name}: face48 in full, accuracy", 100 * float((before.argmax(1) == truth).mean()), "%", n),
        Result(f"{name}: face48 in full, log loss", float(losses(before, truth).mean()), "nats", n),
        *paired(f"{name}: face48 on scaled pixels, against it", before, after, truth),
        Result(f"{name}: another class", 100 * float((before.argmax(1) != after.argmax(1)).mean()), "%", n),
        Result(f"{name}: largest change of a probability", float(moved.max()), "", n, note=f"mean {moved.mean():.4f}"),
        Result(f"{name}: pixels differ by", float(np.abs(full.astype(int) - scaled).mean()), "levels", n, note="mean"),
    ]
    alone = predictor.with_flips(False)
    teach, judge = np.arange(n) % 2 == 0, np.arange(n) % 2 == 1
    targets = np.eye(len(CLASSES))[truth[teach]]
    judges = alone.logits(full[judge])[1].astype(np.float64)
    heads = []
    for pixels in (full, scaled):
        solved, _ = logistic.solve(alone.logits(pixels[teach])[1].astype(np.float64), targets)
        heads.append(softmax(solved.logits(judges)).astype(np.float64))
    rows.append(
        Result(
            f"{name}: head learned in full, accuracy",
            100 * float((heads[0].argmax(1) == truth[judge]).mean()),
            "%",
            int(judge.sum()),
        )
    )
    return [*rows, *paired(f"{name}: head learned from scaled pixels, against it", heads[0], heads[1], truth[judge])]


def paired(name: str, before: Floats, after: Floats, truth: NDArray[np.int64]) -> list[Result]:
    """Change of accuracy and log loss, image by image, with 95 % intervals of the mean."""
    rows = []
    for what, change, unit in (
        ("accuracy", 100.0 * ((after.argmax(1) == truth).astype(int) - (before.argmax(1) == truth)), "points"),
        ("log loss", losses(after, truth) - losses(before, truth), "nats"),
    ):
        wide = 1.96 * float(change.std(ddof=1)) / len(change) ** 0.5
        mean = float(change.mean())
        rows.append(Result(f"{name}: {what}", mean, unit, len(change), spread=(mean - wide, mean + wide)))
    return rows


def losses(probs: Floats, truth: NDArray[np.int64]) -> Floats:
    """Log loss (n,) of each image."""
    found: Floats = -np.log(np.maximum(probs[np.arange(len(truth)), truth], 1e-12))
    return found


def timed(name: str, wanted: Preprocessing, files: list[bytes], repeats: int) -> list[Result]:
    """CPU time of both ways, in turns."""
    many: list[bytes | Path] = list(files)
    taken = interleave(
        {"full": lambda: decode_many(many, wanted), "scaled": lambda: decode_many(many, wanted.scaled)}, repeats
    )
    value, spread = ratio(taken, "full", "scaled")
    each, _ = summary([1e3 * one / len(files) for one in taken["full"]])
    note = f"{each:.1f} ms in full"
    return [Result(f"{name}: CPU time of full against scaled", value, "times", len(files), repeats, spread, note)]


if __name__ == "__main__":
    main(run)
