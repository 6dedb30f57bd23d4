"""From a sketch to the bytes of a picture. All that is random is in the sketch, so any process draws the same bytes.

Pictures are drawn enlarged and scaled down, so edges are smooth.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from emolab.demonstration.face_drawing import Action, Pen, Person, head, shade
from emolab.demonstration.lots import in_lots

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

#: Side of a picture in pixels, and how much larger it is drawn before it is scaled down.
SIZE = 96
_OVER = 3


@dataclass(frozen=True)
class Scene:
    """What changes from picture to picture: pose in shares of the head, roll in degrees, light, background, damage.

    ``blur`` is a radius in pixels, ``noise`` a standard deviation in grey levels.
    """

    yaw: float
    pitch: float
    roll: float
    light: float
    strength: float
    back: tuple[int, int, int]
    noise: float
    blur: float


@dataclass(frozen=True)
class Blob:
    """Something out of focus behind a person: an ellipse, lighter or darker than the background by ``factor``."""

    x: float
    y: float
    rx: float
    ry: float
    factor: float


@dataclass(frozen=True, eq=False)
class Sketch:
    """One picture before it is drawn; without a ``person`` an empty room. ``grain`` (SIZE, SIZE, 1) has deviation 1."""

    scene: Scene
    person: Person | None
    action: Action
    blobs: tuple[Blob, ...]
    grain: NDArray[np.float32]


def sketch(scene: Scene, person: Person | None, action: Action, rng: Generator) -> Sketch:
    """The sketch of ``person`` with the muscles ``action`` in ``scene``."""
    blobs = []
    for _ in range(int(rng.integers(2, 5))):
        x, y, r = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0.05, 0.25)
        blobs.append(Blob(x, y, r, r * rng.uniform(0.5, 1.5), float(rng.uniform(0.8, 1.2))))
    grain = rng.normal(0, 1, (SIZE, SIZE, 1)).astype(np.float32)
    return Sketch(scene, person, action, tuple(blobs), grain)


def pictures(sketches: Iterable[Sketch], *, jobs: int = 1) -> Iterator[bytes]:
    """The PNG of each sketch, in order; with ``jobs`` above 1 drawn by so many processes."""
    return in_lots(draw, sketches, jobs=jobs)


def draw(wanted: Sketch) -> bytes:
    """The picture as PNG."""
    picture, scene = _backdrop(wanted), wanted.scene
    if wanted.person is not None:
        layer = head(picture.width, wanted.person, wanted.action, scene.yaw * 1.6, scene.pitch)
        turned = layer.rotate(scene.roll, resample=Image.Resampling.BICUBIC)
        picture.paste(turned, mask=turned.getchannel("A"))
        picture = _lit(picture, scene)
    small = picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    if scene.blur > 0.05:
        small = small.filter(ImageFilter.GaussianBlur(scene.blur))
    pixels = np.asarray(small, dtype=np.float32) + wanted.grain * scene.noise
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _backdrop(wanted: Sketch) -> Image.Image:
    """An out-of-focus room without anybody, enlarged."""
    side, back = SIZE * _OVER, wanted.scene.back
    row = np.clip(np.linspace(0.75, 1.15, side)[:, None, None] * np.array(back), 0, 255).astype(np.uint8)
    image = Image.fromarray(np.repeat(row, side, axis=1))
    pen = Pen(image)
    for blob in wanted.blobs:
        pen.oval(blob.x, blob.y, blob.rx, blob.ry, shade(back, blob.factor))
    return image.filter(ImageFilter.GaussianBlur(6))


def _lit(picture: Image.Image, scene: Scene) -> Image.Image:
    """``picture`` with light from one side; the light is never negative, so pixels are cut off above only."""
    across = np.linspace(-1, 1, picture.width, dtype=np.float32)
    light = 1 + scene.strength * (np.cos(scene.light) * across[None, :] + np.sin(scene.light) * across[:, None])
    pixels = np.asarray(picture) * light[:, :, None]
    return Image.fromarray(np.minimum(pixels, 255, out=pixels).astype(np.uint8))
