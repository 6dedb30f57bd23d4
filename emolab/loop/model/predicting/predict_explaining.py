"""Pictures of where the model looked: each face as the network sees it, and over it what mattered for its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from emolab.progress import Progress
    from emolab.serving.given import Media
    from emolab.serving.predictor import Predictor

#: Pixels of the side of a face in the picture, and of its heading.
_SIDE, _HEAD = 240, 26


def explain(
    predictor: Predictor, pictures: Sequence[tuple[str, Media]], folder: Path, progress: Progress
) -> list[Path]:
    """Write for each picture with an answer what mattered for it into ``folder``; the new files.

    Red raised the probability of the class that is named above, blue lowered it.
    """
    from emolab.inference.explainer import explainer
    from emolab.loop.model.predicting.predict_drawing import drawing_targets, save_jpeg

    targets = drawing_targets([name for name, _ in pictures], folder)
    mapped = explainer(predictor.model).look
    written = []
    with progress.task("Explaining", len(pictures), unit="images") as bar:
        for name, given in pictures:
            reading = predictor.read(name, given)
            if reading.crops:
                probs = predictor.probabilities([reading])[0]
                classes = predictor.model.classes
                rows = [_row(classes, crop.pixels, p, mapped) for crop, p in zip(reading.crops, probs, strict=True)]
                save_jpeg(_stacked(rows), targets[name])
                written.append(targets[name])
            bar.advance()
    return written


def _row(
    classes: Sequence[str],
    pixels: NDArray[np.uint8],
    probs: NDArray[np.float32],
    mapped: Callable[[NDArray[np.uint8], int], NDArray[np.float32]],
) -> Image.Image:
    """A face, the map over it, and above both what the answer is."""
    from PIL import Image, ImageDraw, ImageFont

    best = int(probs.argmax())
    found = mapped(pixels, best)
    face = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    face = face.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    row = Image.new("RGB", (2 * _SIDE, _SIDE + _HEAD), "white")
    words = f"{classes[best]} {probs[best]:.0%}"
    ImageDraw.Draw(row).text((6, 4), words, fill="black", font=ImageFont.load_default(size=15))
    row.paste(face, (0, _HEAD))
    row.paste(_over(face, found), (_SIDE, _HEAD))
    return row


def _over(face: Image.Image, found: NDArray[np.float32]) -> Image.Image:
    """``face`` in gray with the map over it: red where it is positive, blue where it is negative."""
    import numpy as np
    from PIL import Image

    strongest = float(np.abs(found).max()) or 1.0
    scaled = Image.fromarray((found / strongest).astype(np.float32)).resize(face.size, Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(scaled), -1, 1)[..., None]
    gray = np.asarray(face.convert("L").convert("RGB"), np.float32)
    colour = np.where(strength > 0, np.array([214, 40, 40]), np.array([38, 84, 214]))
    mixed = gray + (colour - gray) * np.abs(strength) * 0.75
    return Image.fromarray(mixed.round().astype(np.uint8))


def _stacked(rows: Sequence[Image.Image]) -> Image.Image:
    from PIL import Image

    whole = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)))
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return whole
