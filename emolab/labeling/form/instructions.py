"""The instructions that annotators read first: what to do, the keys, example pictures, and a team's own text.

Example pictures lie in a folder with one folder per class. They are uploaded to the project, for Label Studio takes
pictures out of a text that carries them itself.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import ConfigError, DataError
from emolab.labeling.form import controls, translations
from emolab.labeling.label_studio.retry import patiently
from emolab.taxonomy import resolve

if TYPE_CHECKING:
    from emolab.config import LabelingConfig
    from emolab.labeling.form.translations import Words
    from emolab.labeling.label_studio.client import Studio

#: Pictures shown per class, and their side in pixels.
EACH, SIDE = 3, 96
_FILE = "emolab-example-"
_SOURCE = re.compile(rf'<img [^>]*src="([^"]*{_FILE}[0-9a-f]{{16}}\.jpg)"')
_MARK = re.compile(r'^<div title="emolab ([0-9a-f]{12})">(.*)</div>$', re.DOTALL)


def render(
    classes: Sequence[str], words: Words, *, own: str = "", examples: Mapping[str, Sequence[str]] | None = None
) -> str:
    """The instructions as HTML; ``own`` is a team's text (plain; empty lines part paragraphs), which comes first.

    ``examples`` are addresses of pictures by class. The whole carries a fingerprint of itself, so that a later push can
    tell whether somebody has written another text in Label Studio.
    """

    def button(label: str) -> str:
        return f"<b>{html.escape(words.name(label))}</b>"

    keys = " · ".join(f"<b>{key}</b> {html.escape(words.name(name))}" for name, key in controls.keys(classes).items())
    parts = ["<br>".join(html.escape(line) for line in text.splitlines()) for text in own.strip().split("\n\n") if text]
    parts += [
        html.escape(words.task),
        keys,
        html.escape(words.submit).format("<b>Ctrl + Enter</b>"),
        html.escape(words.cannot).format(button("unknown"), button("no_face")),
    ]
    body = "".join(f"<p>{part}</p>" for part in parts)
    if examples:
        rows = "".join(f"<p>{button(name)}<br>{_pictures(pictures)}</p>" for name, pictures in examples.items())
        body += f"<p><b>{html.escape(words.examples)}</b></p>{rows}"
    return f'<div title="emolab {_print(body)}">{body}</div>'


def asked_for(settings: LabelingConfig) -> bool:
    """Whether the settings want other instructions than emolab's usual ones."""
    return settings.language != "en" or bool(settings.names or settings.instructions or settings.examples)


def is_emolabs(text: str) -> bool:
    """Whether ``text`` is as emolab wrote it, or empty: nobody has written another one in Label Studio."""
    if not text.strip():
        return True
    found = _MARK.match(text.strip())
    return found is not None and found[1] == _print(found[2])


def read_examples(folder: Path, classes: Sequence[str]) -> dict[str, list[bytes]]:
    """Up to :data:`EACH` pictures per class from ``folder/CLASS/``, upright, without metadata, as small JPEGs.

    Raises :class:`ConfigError` when the folder or a class of its folders is not there, :class:`DataError` for a file
    that is no image.
    """
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder} (labeling.examples).", hint="It holds one folder per class.")
    found: dict[str, list[bytes]] = {}
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        name = resolve(below.name, classes)
        if name is None:
            raise ConfigError(
                f'{below} is the folder of no class (labeling.examples): "{below.name}".',
                hint=f"Classes: {', '.join(classes)}.",
            )
        files = sorted(path for path in below.iterdir() if path.is_file() and not path.name.startswith("."))
        if files:
            found[name] = [_small(file) for file in files[:EACH]]
    if not found:
        raise ConfigError(f"{folder} holds no pictures (labeling.examples).", hint="Expected DIR/CLASS/picture.jpg.")
    order = [*classes, *translations.META_STORED]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def _small(file: Path) -> bytes:
    from emolab.modalities.image import reading

    try:
        picture = reading.upright(reading.load(file.read_bytes()))
        shown = reading.shown(picture, picture.info.get("icc_profile")).image.convert("RGB")
    except reading.Unreadable as error:
        raise DataError(f"{file} cannot be shown as an example: {error.message}.") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.") from None
    shown.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=80)
    return out.getvalue()


def place(studio: Studio, project: int, present: str, pictures: Mapping[str, Sequence[bytes]]) -> dict[str, list[str]]:
    """The addresses of ``pictures`` on the server, by class; what ``present`` instructions show is there already."""
    there = {_key(address): address for address in _SOURCE.findall(present)}
    files = {f"{hashlib.sha256(data).hexdigest()[:16]}.jpg": data for each in pictures.values() for data in each}
    missing = [(_FILE + key, data, "image/jpeg") for key, data in files.items() if key not in there]
    if missing:
        staged = patiently(lambda: studio.upload_files(project, missing))
        there |= {_key(upload.path): upload.path for upload in staged}
    keys = {data: key for key, data in files.items()}
    return {label: [there[keys[data]] for data in each] for label, each in pictures.items()}


def _key(address: str) -> str:
    return address.rpartition("-")[2]


def _pictures(addresses: Sequence[str]) -> str:
    return " ".join(f'<img alt="" height="{SIDE}" src="{html.escape(address)}">' for address in addresses)


def _print(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:12]
