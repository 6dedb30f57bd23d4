"""A frame with what is said about it: a box around each face, and the likeliest classes as bars beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from emolab.modalities.image.answer_panel import BLUE, AnswerPanel, free_place
from emolab.serving.live.frame_answers import named

if TYPE_CHECKING:
    from emolab.serving.live.frame_answers import FrameAnswer


def drawn(pixels: NDArray[np.uint8], answer: FrameAnswer, classes: Sequence[str]) -> NDArray[np.uint8]:
    """``pixels`` (height, width, 3), red first, with the faces of ``answer``; what was given is left as it is."""
    if not answer.faces:
        return pixels
    picture = Image.fromarray(pixels)
    canvas = ImageDraw.Draw(picture, "RGBA")
    areas = []
    for face in answer.faces:
        x, y, w, h = face.box
        areas.append((x, y, x + w, y + h))
        canvas.rectangle(areas[-1], outline=BLUE, width=max(2, round(min(picture.size) / 250)))
    taken = list(areas)
    for face, area in zip(answer.faces, areas, strict=True):
        probs = named(face.smoothed, classes)
        if probs is None:
            continue
        panel = AnswerPanel(probs, max(12, min(22, (area[3] - area[1]) // 8)))
        place = free_place(panel.size, area, picture.size, taken)
        taken.append((*place, place[0] + panel.size[0], place[1] + panel.size[1]))
        panel.draw(canvas, place)
    return np.array(picture)
