"""Labels as a folder of files, one folder a class: what most programs train from."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from emolab.errors import DataError


def write_folder(folder: Path, labelled: Iterable[tuple[str, str, Path]]) -> int:
    """Copy each ``(class, sample, file)`` to ``folder/class/sample.type`` and return how many there were.

    Made beside ``folder`` and moved there at the end. Raises :class:`DataError` where something is in ``folder``, for a
    class that cannot be a folder's name, and for a file that cannot be copied.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there already.", hint="Name a folder that is empty or not there.")
    n = 0
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror}.") from error
    try:
        part.chmod(0o777 & ~_umask())
        for name, sample, file in labelled:
            if name in (".", "..") or any(mark in name for mark in "/\\\0"):
                raise DataError(f'The class "{name}" cannot be the name of a folder.')
            (part / name).mkdir(exist_ok=True)
            shutil.copyfile(file, part / name / f"{sample}{file.suffix}")
            n += 1
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be copied: {error.strerror}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return n


def _umask() -> int:
    os.umask(mask := os.umask(0o077))
    return mask


def read_folder(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each file of each class's folder as a row: its sample is the hash of its bytes, so names may have changed."""
    for place in sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")):
        for file in sorted(one for one in place.iterdir() if not one.name.startswith(".")):
            if not file.is_file():
                raise DataError(f"{file} is no file.", hint="Expected FOLDER/CLASS/FILE.")
            sample = hashlib.sha256(file.read_bytes()).hexdigest()
            yield f"{place.name}/{file.name}", {"sample": sample, "label": place.name}
