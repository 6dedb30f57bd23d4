"""A small picture of each face of a video, for its report."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.serving.live.frame_answers import FrameAnswer

#: Faces of which a picture is kept, and its side in pixels.
MOST, SIDE = 200, 112
#: Another frame must show a face so much better to be taken instead.
_BETTER = 1.5


class Portraits:
    """The best picture of each face so far: ``found`` maps its track to a JPEG file."""

    def __init__(self) -> None:
        self.found: dict[int, bytes] = {}
        self._worth: dict[int, float] = {}

    def see(self, pixels: NDArray[np.uint8], answer: FrameAnswer) -> None:
        """Take the faces of a frame that are larger and surer than before."""
        from PIL import Image

        from emolab.modalities.image.faces import Face

        for face in answer.faces:
            worth = face.box[2] * face.box[3] * (face.score or 0.0) ** 2
            known = self._worth.get(face.track)
            if (known is None and len(self._worth) >= MOST) or worth <= _BETTER * (known or 0.0):
                continue
            x, y, w, h = (float(v) for v in face.box)
            left, top, right, bottom = Face((x, y, w, h), (), 1.0).crop(answer.size, margin=0.25)
            out = io.BytesIO()
            crop = Image.fromarray(pixels[top:bottom, left:right].copy())
            crop.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(out, "JPEG", quality=85)
            self.found[face.track], self._worth[face.track] = out.getvalue(), worth
