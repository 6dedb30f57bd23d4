"""Which images a model has learned from, in a small file beside it: ``learned.safetensors``.

Figures on images that a network has learned flatter it, and nobody can keep all of them beside a model. So their
fingerprints (see :mod:`emolab.training.learned.fingerprints`) go into two Bloom filters, one for contents and one for
perceptual hashes, 5 bytes per image. A filter never misses an image of its own; it takes others for one at a rate that
is stated.

A network has also learned what its start, its teachers and its pretraining have learned. Their filters are kept as
further layers, and a new layer holds only what none of them has. Each further layer has half the rate of the one
before, so the sum stays below twice the first (scalable Bloom filters, Almeida et al. 2007).

What was never recorded stays named as unknown: a missing or damaged filter is never taken for an empty one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from emolab.files import write_bytes
from emolab.modalities.image.look import PROBES
from emolab.training.learned import fingerprints
from emolab.training.learned.bloom_filter import BloomFilter

FILE = "learned.safetensors"
FORMAT = "emolab-learned/1"
#: Share of other images that the first layer takes for learned ones: by content, and by the perceptual hash with all
#: the hashes looked for.
CONTENT_RATE, PERCEPTUAL_RATE = 1e-4, 1e-3
#: The rate is halved from layer to layer, so many times at most.
MOST_HALVINGS = 10


@dataclass(frozen=True, eq=False)
class Layer:
    """Filters of ``n`` images that ``what`` names in words; ``content_rate`` and ``perceptual_rate`` as built.

    ``labelled`` tells whether their labels were learned too; a pretraining sees images alone.
    """

    what: str
    n: int
    content: BloomFilter
    perceptual: BloomFilter
    content_rate: float
    perceptual_rate: float
    labelled: bool = True

    @property
    def key(self) -> str:
        """The same for the same filters."""
        kind = b"" if self.labelled else b"without labels"
        return hashlib.sha256(self.content.bits.tobytes() + self.perceptual.bits.tobytes() + kind).hexdigest()


@dataclass(frozen=True, eq=False)
class Learned:
    """What a model has learned: ``layers``, what it started from first, and in words what is ``unknown``."""

    layers: tuple[Layer, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """How many images are recorded."""
        return sum(layer.n for layer in self.layers)

    @property
    def rates(self) -> tuple[float, float]:
        """Shares of other images taken for learned ones at most: by content, by perceptual hash."""
        return sum(one.content_rate for one in self.layers), sum(one.perceptual_rate for one in self.layers)

    @property
    def answers(self) -> Learned:
        """The same without images of which no label was learned."""
        return replace(self, layers=tuple(layer for layer in self.layers if layer.labelled))

    def has(self, prints: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which of the images with the fingerprints ``prints`` (n, 31) were learned, as far as is known: (n,)."""
        found = self._content(prints)
        found &= ~fingerprints.unread(prints)
        left = np.flatnonzero(~found & fingerprints.usable(prints))
        if self.layers and len(left):
            for keys in fingerprints.probes(prints[left]):
                for layer in self.layers:
                    found[left] |= layer.perceptual.has(keys)
        return found

    def _content(self, prints: NDArray[np.uint8]) -> NDArray[np.bool_]:
        found = np.zeros(len(prints), dtype=bool)
        for layer in self.layers:
            found |= layer.content.has(fingerprints.content_keys(prints))
        return found

    def also(self, other: Learned) -> Learned:
        """What both have learned, each layer once."""
        mine = {layer.key for layer in self.layers}
        more = tuple(layer for layer in other.layers if layer.key not in mine)
        return Learned((*self.layers, *more), tuple(dict.fromkeys((*self.unknown, *other.unknown))))

    def with_images(self, prints: NDArray[np.uint8], what: str, *, labelled: bool = True) -> Learned:
        """This and the images with the fingerprints ``prints`` (n, 31), those it has by content left out."""
        before = self.answers if labelled else self
        new = np.unique(prints[~before._content(prints)], axis=0) if len(prints) else prints
        if not len(new):
            return self
        halved = 0.5 ** min(len(self.layers), MOST_HALVINGS)
        content, perceptual = CONTENT_RATE * halved, PERCEPTUAL_RATE * halved
        hashed = np.unique(fingerprints.perceptual_keys(new[fingerprints.usable(new)]), axis=0)
        layer = Layer(
            what=what,
            n=len(new),
            content=BloomFilter.of(fingerprints.content_keys(new), rate=content),
            perceptual=BloomFilter.of(hashed, rate=perceptual / PROBES),
            content_rate=content,
            perceptual_rate=perceptual,
            labelled=labelled,
        )
        return replace(self, layers=(*self.layers, layer))


def write(file: Path, learned: Learned) -> None:
    """Write ``learned`` to ``file``."""
    tensors: dict[str, NDArray[np.uint8]] = {}
    told = []
    for number, layer in enumerate(learned.layers):
        tensors[f"content.{number}"], tensors[f"perceptual.{number}"] = layer.content.bits, layer.perceptual.bits
        told.append(
            {
                "what": layer.what,
                "n": layer.n,
                "hashes": [layer.content.hashes, layer.perceptual.hashes],
                "rates": [layer.content_rate, layer.perceptual_rate],
                "labelled": layer.labelled,
                "sha256": layer.key,
            }
        )
    about = json.dumps({"format": FORMAT, "layers": told, "unknown": learned.unknown})
    write_bytes(file, save(tensors, metadata={"emolab": about}))


def read(file: Path, *, of: str) -> Learned:
    """What ``file`` records about ``of``, a model in words; where it is missing or damaged, that is what is unknown."""
    if not file.is_file():
        return Learned(unknown=(f"{of} has no record of what it learned from (an earlier emolab made it)",))
    try:
        with safe_open(file, framework="numpy") as opened:
            about = json.loads((opened.metadata() or {}).get("emolab", "{}"))
            if about.get("format") != FORMAT:
                return Learned(unknown=(f"the record of what {of} learned from is of another emolab",))
            layers = tuple(
                Layer(
                    what=str(row["what"]),
                    n=int(row["n"]),
                    content=BloomFilter(opened.get_tensor(f"content.{number}"), int(row["hashes"][0])),
                    perceptual=BloomFilter(opened.get_tensor(f"perceptual.{number}"), int(row["hashes"][1])),
                    content_rate=float(row["rates"][0]),
                    perceptual_rate=float(row["rates"][1]),
                    labelled=bool(row.get("labelled", True)),
                )
                for number, row in enumerate(about["layers"])
            )
            whole = all(layer.key == row["sha256"] for layer, row in zip(layers, about["layers"], strict=True))
            unknown = tuple(map(str, about["unknown"]))
    except (OSError, SafetensorError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        whole, layers, unknown = False, (), ()
    if not whole:
        return Learned(unknown=(f"the record of what {of} learned from is damaged ({file})",))
    return Learned(layers, unknown)


def together(several: Iterable[Learned]) -> Learned:
    """What all of ``several`` have learned."""
    found = Learned()
    for one in several:
        found = found.also(one)
    return found
