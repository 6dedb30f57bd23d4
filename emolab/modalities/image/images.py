"""Images as a modality. OpenCV, which an installation without extras lacks, is imported where an image is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.errors import DataError
from emolab.modalities.modality import FormElement, Measures, OwnNetwork

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emolab.modalities.preparing import Prepared, Preprocessing

MAGIC = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpg"), (b"GIF8", "gif"), (b"BM", "bmp"))


class ImageModality:
    """Pictures of faces, and frames of videos."""

    name = "image"
    noun = "image"
    settings: Mapping[str, str] = {}
    speakers = False
    network: OwnNetwork | None = OwnNetwork("face48", "the votes of FER+", ("ferplus", "fer2013"))
    form = FormElement("Image", {"zoom": "true", "zoomControl": "false", "rotateControl": "false", "maxHeight": "70vh"})
    endings = ".jpg, .png"
    in_fiftyone = True
    several_labels = False
    drawing: Callable[[bytes, tuple[int, int]], bytes] | None = None
    disguise: Callable[[bytes, float], bytes] | None = None
    measures: Measures | None = None
    shown = "PNG, JPEG, GIF, BMP or WebP image"
    thumbnail_type = "image/jpeg"

    def file_type(self, data: bytes) -> tuple[str, str] | None:
        """What the bytes themselves show."""
        kind = next((kind for magic, kind in MAGIC if data.startswith(magic)), None)
        if kind is None and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            kind = "webp"
        return None if kind is None else (kind, "image/jpeg" if kind == "jpg" else f"image/{kind}")

    def thumbnail(self, data: bytes, *, max_pixels: int) -> bytes:
        """See :func:`emolab.modalities.image.thumbnail.thumbnail`."""
        from emolab.modalities.image.thumbnail import thumbnail

        return thumbnail(data, max_pixels=max_pixels)

    def recognises(self, head: bytes) -> bool:
        """Whether ``head`` is how the usual formats begin; what nothing recognises is opened as an image too."""
        return self.file_type(head) is not None

    def gray(self, media: bytes | Path) -> NDArray[np.uint8]:
        """The picture upright, 8 bits, on white, in gray."""
        import numpy as np

        from emolab.modalities.image import decode, reading
        from emolab.modalities.preparing import name_of

        try:
            opened = reading.load(media if isinstance(media, bytes) else media.read_bytes())
            image = reading.shown(reading.upright(opened), opened.info.get("icc_profile")).image
        except reading.Unreadable as error:
            raise decode.UnreadableImage(name_of(media), f"{error.kind}: {error.message}") from error
        except OSError as error:
            raise decode.UnreadableImage(name_of(media), (error.strerror or str(error)).lower()) from error
        return np.asarray(image if image.mode == "L" else image.convert("L"))

    def color(self, media: Sequence[bytes | Path]) -> str:
        """``gray`` when all that can be read store one channel; what cannot is found where it is decoded."""
        from emolab.modalities.image import decode

        known = False
        for item in media:
            with suppress(DataError):
                if not decode.is_gray(item):
                    return "rgb"
                known = True
        return "gray" if known else "rgb"

    def prepare(self, media: bytes | Path, wanted: Preprocessing, *, max_pixels: int | None = None) -> Prepared:
        """See :func:`emolab.modalities.image.decode.prepare`."""
        from emolab.modalities.image import decode

        return decode.prepare(media, wanted, max_pixels=max_pixels)

    def decode(self, media: bytes | Path, wanted: Preprocessing) -> NDArray[np.uint8]:
        """See :func:`emolab.modalities.image.decode.decode`."""
        from emolab.modalities.image import decode

        return decode.decode(media, wanted)

    def described(self, wanted: Preprocessing) -> dict[str, Any]:
        """See :func:`emolab.modalities.image.decode.described`."""
        from emolab.modalities.image import decode

        return decode.described(wanted)
