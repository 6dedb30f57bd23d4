"""What may be classified, in every form in which it may be given, and the files behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from emolab.config import CollectConfig
    from emolab.loop.model.predicting.predict_files import File
    from emolab.modalities.problems import Problem
    from emolab.serving.given import Media

    #: What may be classified: a path (file, folder, zip, or a pattern such as "photos/*.jpg"), the bytes of an image, a
    #: Pillow image, an array (h, w) or (h, w, 3) of 0..255, or one of these with a name.
    Picture = str | Path | bytes | Image.Image | NDArray[np.uint8] | File


def find_files(
    images: Picture | Iterable[Picture], config: CollectConfig, modality: str
) -> tuple[list[File | Problem], list[Problem], Counter[str]]:
    """The files behind ``images``, notes about them, and how many others were passed over.

    Raises :class:`DataError` where there is none.
    """
    from emolab.errors import DataError
    from emolab.loop.model.predicting.predict_files import File, files_of, matching
    from emolab.modalities.modality import open_modality

    ignored: Counter[str] = Counter()
    notes: list[Problem] = []
    files: list[File | Problem] = []
    paths: list[Path] = []
    for number, one in enumerate(as_sequence(images), start=1):
        if isinstance(one, str | Path):
            paths += matching(Path(one))
        elif isinstance(one, File):
            files.append(one)
        else:
            files.append(File(name=f"{open_modality(modality).noun} {number}", media=_checked(one)))
    if paths:
        files += files_of(paths, modality, max_bytes=config.max_bytes, ignored=ignored, notes=notes)
    if not files:
        kind = open_modality(modality)
        raise DataError(
            f"There are no {kind.noun}s in these paths.",
            hint=f"Files are taken as they are; in folders and zips, names must end in {kind.endings} and so on.",
        )
    return files, notes, ignored


def as_sequence(images: Picture | Iterable[Picture]) -> Sequence[Picture]:
    """``images`` as a sequence, also where it is a single one."""
    import numpy as np
    from PIL import Image

    from emolab.loop.model.predicting.predict_files import File

    if isinstance(images, str | bytes | Path | Image.Image | File):
        return [images]
    if isinstance(images, np.ndarray) and images.ndim < 4:
        return [images]
    return list(images)


def _checked(image: bytes | Image.Image | NDArray[np.uint8]) -> Media:
    """``image`` as it is. Raises :class:`DataError` for what is none."""
    import numpy as np
    from PIL import Image

    from emolab.errors import DataError
    from emolab.serving.given import as_image

    if not isinstance(image, bytes | np.ndarray | Image.Image):
        raise DataError(
            f"{type(image).__name__} is no image.",
            hint="Give a path, the bytes of a file, a Pillow image or an array of numpy.uint8.",
        )
    as_image(image)
    return image


def pictures_of(files: Sequence[File | Problem]) -> list[tuple[str, Media]]:
    """Name and content of those that can be looked at."""
    from emolab.loop.model.predicting.predict_files import File

    return [(file.name, file.media) for file in files if isinstance(file, File)]
