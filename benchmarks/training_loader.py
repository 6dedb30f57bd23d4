"""From JPEG files to batches: emolab's cache beside the usual DataLoader, per CPU second and by the clock.

Both read the same files of 640 x 480 and give batches of 64 at 224 pixels with two workers. The usual way is a torch
DataLoader over Pillow, Resize, ToTensor and Normalize: floats, made again in every epoch. emolab's gives bytes, which
the network normalises itself (1 ms of a step of 390 on ResNet18 at 64 pixels): its first epoch decodes, writes the
memory-mapped cache and reads it, later ones only read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.harness import Result, main, ratio, summary
from benchmarks.turns import contestants, serve, take_turns
from emolab.modalities.preparing import Preprocessing
from emolab.training.fitting.allocator import keep_freed_memory
from emolab.training.inputs import batches, pixel_cache

MODULE = "benchmarks.training_loader"
WIDTH, HEIGHT, QUALITY = 640, 480, 88
SIZE, BATCH, WORKERS = 224, 64, 2
#: Different photos; a pass goes over them several times, or starting the workers would weigh more than their work.
DRAWN = 128
#: Of ImageNet, which the usual pattern takes off.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FIRST, LATER, USUAL = "emolab, first epoch", "emolab, later epochs", "DataLoader, every epoch"
#: The usual way in a process that keeps freed memory, as emolab's does: what the allocator alone would give it.
KEEPING = "DataLoader, keeping freed memory"


def run(quick: bool) -> list[Result]:
    """Time and CPU of one pass over all images."""
    return loader_vs_dataloader(quick)


def photos(n: int, folder: Path, *, seed: int = 0) -> None:
    """Write n JPEG files of about 65 KB with detail at every scale."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        image = np.full((HEIGHT, WIDTH, 3), 128, np.float32)
        for columns, spread in ((4, 54), (12, 30), (40, 18), (120, 11), (400, 5)):
            grid = rng.normal(0, spread, (columns * HEIGHT // WIDTH, columns, 3)).astype(np.float32)
            image += cv2.resize(grid, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        levels = np.clip(image, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{i:04d}.jpg"), levels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


class Photos(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """What one finds in most tutorials."""

    def __init__(self, files: list[Path]) -> None:
        from torchvision import transforms

        self.files = files
        self.change: Callable[[Image.Image], torch.Tensor] = transforms.Compose(
            [transforms.Resize((SIZE, SIZE)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        )

    def __len__(self) -> int:
        """How many files."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """A normalised image and a label."""
        with Image.open(self.files[index]) as image:
            return self.change(image.convert("RGB")), 0


def play(way: str, folder: Path, n: int) -> None:
    """One pass per turn over the first ``n`` photos in ``folder``, in the given way; in a child."""
    files = sorted((folder / "photos").glob("*.jpg"))[:n]
    torch.set_num_threads(1)
    if way != USUAL:
        keep_freed_memory()
    if way in (USUAL, KEEPING):
        loader = torch.utils.data.DataLoader(Photos(files), batch_size=BATCH, num_workers=WORKERS)
        serve(lambda: expect(len(files), sum(len(images) for images, _ in loader)))
        return
    place = folder / way
    by_id = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in files}

    def work() -> None:
        pixels = pixel_cache.fill(place, list(by_id), by_id.__getitem__, Preprocessing(SIZE, "rgb").scaled)
        walk = batches.in_order(pixels, BATCH)
        expect(len(files), sum(len(batches.as_images(pixels.take(part), torch.device("cpu"))) for part in walk))

    serve(work, (lambda: shutil.rmtree(place)) if way == FIRST else None)


def copied(folder: Path, n: int) -> None:
    """Copy the photos in ``folder`` until there are ``n``; a comment makes every file another one."""
    drawn = sorted(folder.glob("*.jpg"))
    for i in range(len(drawn), n):
        data, comment = drawn[i % len(drawn)].read_bytes(), f"{i:08}".encode()
        head = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (folder / f"copy-{i:06}.jpg").write_bytes(data[:2] + head + data[2:])


def expect(n: int, found: int) -> None:
    """Raise unless all images came."""
    if n != found:
        raise RuntimeError(f"{found} images came instead of {n}")


def loader_vs_dataloader(quick: bool) -> list[Result]:
    """``loader_vs_dataloader``, the ratio of CPU times of a first pass, and what stands behind it."""
    n, repeats = (512, 3) if quick else (2048, 5)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "photos").mkdir()
        photos(DRAWN, Path(name) / "photos")
        copied(Path(name) / "photos", n)
        ways = (FIRST, LATER, USUAL) if quick else (FIRST, LATER, USUAL, KEEPING)
        with contestants({way: (MODULE, [way, name, str(n)]) for way in ways}) as playing:
            cpu, clock = take_turns(playing, repeats)
    threads = min(8, os.cpu_count() or 1)
    data = f"JPEG {WIDTH} x {HEIGHT} to {SIZE} px, batches of {BATCH}, {threads} threads to {WORKERS} workers"
    notes = {
        FIRST: "decodes, writes the cache, gathers batches of bytes",
        LATER: "opens the memory-mapped cache, gathers batches of bytes",
        USUAL: "Pillow, Resize, ToTensor, Normalize",
        KEEPING: "the same after mallopt, which nobody does",
    }
    rows = []
    for label, way, taken, unit in (
        ("loader_vs_dataloader", FIRST, cpu, "times less CPU"),
        ("loader_vs_dataloader, by the clock", FIRST, clock, "times quicker"),
        ("loader_vs_dataloader, later epochs", LATER, cpu, "times less CPU"),
    ):
        value, spread = ratio(taken, USUAL, way)
        rows.append(Result(label, value, unit, n, repeats, spread, data))
    if KEEPING in cpu:
        value, spread = ratio(cpu, KEEPING, FIRST)
        rows.append(
            Result("loader_vs_dataloader, both keeping memory", value, "times less CPU", n, repeats, spread, data)
        )
    for way, seconds in cpu.items():
        value, spread = summary([1e6 * one / n for one in seconds])
        rows.append(Result(way, value, "CPU us per image", n, repeats, spread, notes[way]))
    return rows


if __name__ == "__main__":
    if len(sys.argv) == 4:
        play(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(run)
