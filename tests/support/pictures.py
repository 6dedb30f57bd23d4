"""Small images for tests of readers and merging: deterministic, distinct, with structure a hash can see."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def pixels(seed: int) -> np.ndarray:
    """A 48x48 gray picture of soft blobs; different seeds look different."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, size=(12, 12)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((48, 48), Image.Resampling.BICUBIC))


def png(seed: int) -> bytes:
    """The picture of ``seed`` as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels(seed)).save(out, "PNG")
    return out.getvalue()


def put(root: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write ``files`` (relative name to content) below ``root``."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def pack(path: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write ``files`` into a zip at ``path``."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def pixel_text(seed: int) -> str:
    """The picture of ``seed`` as FER2013 writes it."""
    return " ".join(map(str, pixels(seed).ravel().tolist()))
