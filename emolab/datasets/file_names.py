"""What a file is by its name, and which files of a folder or an archive nobody asked for: one rule for all commands."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from emolab.errors import DataError
from emolab.modalities.audio.sound_names import SOUNDS
from emolab.modalities.image.image_names import IMAGE_FILES
from emolab.modalities.intake import FileNames

#: The longest name of a source; it is part of the origin of each of its votes.
NAME_LIMIT = 40

#: What columns of files are called in tables, in the order of preference.
FILE_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "clip", "audio", "sound", "image", "video", "name")

#: Files that lie beside samples and are none, whatever their first bytes.
_SIDECAR_SUFFIXES = """
.bib .bin .c .cfg .conf .csv .db .dat .doc .docx .eps .gz .h5 .hdf5 .htm .html .ini .ipynb .js .json .jsonl .lnk .log
.m .mat .md .mp3 .npy .npz .onnx .parquet .pdf .pkl .ps .pt .pth .py .rar .rst .sh .sql .sqlite .svg .tar .tex .tgz
.toml .tsv .txt .url .wav .xls .xlsx .xml .yaml .yml .7z
"""
SIDECARS = frozenset(_SIDECAR_SUFFIXES.split()) | SOUNDS

#: How the files that begin with a dot, or that a tool made, are counted.
HIDDEN = "hidden"

_MADE_BY_TOOLS = frozenset(
    (
        *("__macosx", "icon\r", "network trash folder", "temporary items"),  # macOS
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler"),  # Windows
        "system volume information",
        *("@eadir", "#recycle", "#snapshot", "lost+found"),  # network drives, Linux
        *("__pycache__", "ipynb_checkpoints"),
    )
)


def kind_of(name: str, files: FileNames = IMAGE_FILES) -> str | None:
    """``media``, ``recording``, ``video`` or ``zip`` by the suffix of ``name``, of those ``files``; or ``None``."""
    suffix = suffix_of(name)
    kinds = {"media": files.media, "recording": files.recordings, "video": files.videos, "zip": (".zip",)}
    return next((kind for kind, suffixes in kinds.items() if suffix in suffixes), None)


def suffix_of(name: str) -> str:
    """The suffix of ``name`` in lower case, as other files are counted by it; ``no suffix`` where there is none."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if stem and dot and suffix else "no suffix"


def to_be_opened(name: str, files: FileNames = IMAGE_FILES) -> bool:
    """Whether only its first bytes can tell if the file called ``name`` is one of ``files``."""
    return kind_of(name, files) is None and suffix_of(name) not in SIDECARS


def is_hidden(part: str) -> bool:
    """Whether a file or folder called ``part`` is passed over: hidden, or made by a tool for itself.

    >>> [is_hidden(part) for part in (".git", "__MACOSX", "Thumbs.db", "happy")]
    [True, True, True, False]
    """
    return part.startswith(".") or part.lower() in _MADE_BY_TOOLS


def hidden_part(name: str) -> str | None:
    """The outermost file or folder of the relative path ``name`` that is passed over, as a path; or ``None``.

    >>> hidden_part("set/.git/objects/a.png")
    'set/.git'
    """
    parts = PurePosixPath(name).parts
    at = next((i for i, part in enumerate(parts) if is_hidden(part)), None)
    return None if at is None else "/".join(parts[: at + 1])


def source_name(name: str) -> str:
    """``name`` as that of a source. Raises :class:`DataError` when it is too long or holds other signs than letters,
    digits, ``_-.``.
    """
    if not re.fullmatch(rf"[\w.-]{{1,{NAME_LIMIT}}}", name):
        raise DataError(
            f'"{name}" cannot name a source.', hint=f"Use up to {NAME_LIMIT} letters, digits, dots, - and _."
        )
    return name
