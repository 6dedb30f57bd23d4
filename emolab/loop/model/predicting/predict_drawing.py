"""Pictures with what the model says: a box around each face, and beside it the classes as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.modalities.image.answer_panel import BLUE, DARK, AnswerPanel, Area, free_place

if TYPE_CHECKING:
    from PIL import Image

    from emolab.config import CollectConfig
    from emolab.progress import Progress
    from emolab.serving.given import Media

_QUALITY = 92
_READABLE = 240  # pixels of the longer side; a smaller picture is enlarged, or no word would fit


def draw(
    rows: Sequence[Mapping[str, Any]],
    media: Mapping[str, Media],
    folder: Path,
    config: CollectConfig,
    progress: Progress,
) -> list[Path]:
    """Write every file of ``rows`` with its answers below ``folder``; the new files.

    ``media`` is each file's path or pixels, or reads it out of a zip. Names are kept, in folders as below the one that
    all share. Pictures are JPEG, upright and without metadata. Raises :class:`DataError` before anything is written
    when one of them would replace a picture that was classified.
    """
    from emolab.serving.given import as_bytes

    by_file: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if "probs" in row:
            by_file.setdefault(str(row["file"]), []).append(row)
    targets = drawing_targets(list(by_file), folder)
    with progress.task("Drawing", len(targets), unit="images") as bar:
        for name, target in targets.items():
            data = as_bytes(media[name], limit=config.max_bytes)
            _one(data, by_file[name], target, config.max_pixels)
            bar.advance()
    return list(targets.values())


def drawing_targets(names: list[str], folder: Path) -> dict[str, Path]:
    """Where below ``folder`` the drawing of each file goes, in folders as below the one that all share.

    Raises :class:`DataError` when one of them would replace a picture that was classified.
    """
    import os

    from emolab.errors import DataError

    if not names:
        return {}
    whole = {name: Path(name).resolve() for name in names}
    shared = Path(os.path.commonpath([path.parent for path in whole.values()]))
    found: dict[str, Path] = {}
    for name, path in whole.items():
        kept = path.relative_to(shared)
        jpeg = kept.suffix.lower() in (".jpg", ".jpeg")
        found[name] = folder / (kept if jpeg else kept.with_name(f"{kept.name}.jpg"))
    originals = set(whole.values())
    lost = next((target for target in found.values() if target.resolve() in originals), None)
    if lost is not None:
        raise DataError(f"{lost} is a picture of yours; it would be replaced.", hint="Name another folder to draw to.")
    return found


def _one(data: bytes, rows: Sequence[Mapping[str, Any]], target: Path, max_pixels: int) -> None:
    from PIL import Image, ImageDraw

    from emolab.modalities.image import media as pictures

    picture = pictures.read(data, max_pixels=max_pixels, reduce_to=None).image.convert("RGB")
    scale = max(1.0, _READABLE / max(picture.size))
    if scale > 1:
        enlarged = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(enlarged, Image.Resampling.BICUBIC)
    faces = [(row, _scaled(row["box"], scale)) for row in rows if "box" in row]
    for row in (row for row in rows if "box" not in row):
        picture = _with_foot(picture, AnswerPanel(row["probs"], 14))
    canvas = ImageDraw.Draw(picture, "RGBA")
    for _, area in faces:
        canvas.rectangle(area, outline=BLUE, width=max(2, round(min(picture.size) / 250)))
    taken = [area for _, area in faces]
    for row, area in faces:
        panel = AnswerPanel(row["probs"], max(12, min(22, (area[3] - area[1]) // 8)))
        place = free_place(panel.size, area, picture.size, taken)
        taken.append((*place, place[0] + panel.size[0], place[1] + panel.size[1]))
        panel.draw(canvas, place)
    save_jpeg(picture, target)


def save_jpeg(picture: Image.Image, target: Path) -> None:
    """Write ``picture`` without metadata. Raises :class:`DataError` where the system refuses."""
    from emolab.errors import DataError

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(target, "JPEG", quality=_QUALITY)
    except OSError as error:
        if error.errno is None:
            raise
        raise DataError(
            f"{target} cannot be written: {error.strerror}.", hint="Name another folder to draw to."
        ) from None


def _scaled(box: Mapping[str, int], scale: float) -> Area:
    left, top = box["x"] * scale, box["y"] * scale
    right, bottom = left + box["width"] * scale, top + box["height"] * scale
    return round(left), round(top), round(right), round(bottom)


def _with_foot(picture: Image.Image, panel: AnswerPanel) -> Image.Image:
    """``picture`` with ``panel`` on a strip below it: of a face crop nothing is to be covered."""
    from PIL import Image, ImageDraw

    width = max(picture.width, panel.size[0])
    whole = Image.new("RGB", (width, picture.height + panel.size[1]), DARK)
    whole.paste(picture, ((width - picture.width) // 2, 0))
    panel.draw(ImageDraw.Draw(whole, "RGBA"), (0, picture.height))
    return whole
