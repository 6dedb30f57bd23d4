"""Whose rows the reference of a watch has, so that those of a forgotten sample can be taken out."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.files import write_bytes, write_text
from emolab.monitoring.reference import FEWEST

if TYPE_CHECKING:
    from pathlib import Path

#: The ids of the rows of each part of a reference, beside it; none of rows that were served.
FILE = "reference.ids.json"
#: What says that there is a reference, and the columns with a row a sample.
REFERENCE = "reference.json"
#: Why accuracy is not estimated where most of the judged samples went.
TOO_FEW = f"fewer than {FEWEST} judged samples are left"
_COLUMNS = {"seen": ("probs", "embeddings", "quality"), "judged": ("probs", "embeddings", "quality", "truth")}


def write(home: Path, ids: Mapping[str, Sequence[str]]) -> None:
    """Keep whose rows the parts of the reference in ``home`` have, by the name of the part."""
    write_text(home / FILE, json.dumps({part: list(ids[part]) for part in _COLUMNS}))


def read(home: Path) -> dict[str, list[str]] | None:
    """The ids by part; ``None`` where they were not kept."""
    if not (home / FILE).is_file():
        return None
    found: dict[str, list[str]] = json.loads((home / FILE).read_text(encoding="utf-8"))
    return found


def count(home: Path, samples: Collection[str]) -> int:
    """How many rows of ``samples`` the reference in ``home`` has; all of them where nobody knows whose they are."""
    if not (home / REFERENCE).is_file():
        return 0
    told, ids = _told(home), read(home)
    if ids is None:
        return int(told["n"]) if _of_samples(told) else 0
    return sum(name in samples for names in ids.values() for name in names)


def drop(home: Path, samples: Collection[str]) -> int:
    """Take the rows of ``samples`` out of the reference in ``home``; how many went.

    Where too few are left, or nobody knows whose they are, the reference goes and the next look begins a new watch. A
    kill at any instant leaves what a further call ends.
    """
    n, ids = count(home, samples), read(home)
    if not n:
        return 0
    told = _told(home)
    if ids is None:
        end(home)
        return n
    by_samples = bool(ids["seen"])
    for part, columns in _COLUMNS.items():
        stay = np.array([name not in samples for name in ids[part]], dtype=bool)
        if not stay.all():
            for column in columns:
                _cut(home / f"{part}.{column}.npy", stay)
            ids[part] = [name for name in ids[part] if name not in samples]
    if by_samples and len(ids["seen"]) < FEWEST:
        end(home)
        return n
    if told["judged"] and len(ids["judged"]) < FEWEST:
        told |= {"judged": False, "unjudged": TOO_FEW}
    write_text(home / REFERENCE, json.dumps({**told, "n": len(ids["seen"]) or told["n"]}))
    write(home, ids)
    return n


def end(home: Path) -> None:
    """Take the reference in ``home`` away: first what says that there is one."""
    for name in (REFERENCE, *(f"{part}.*.npy" for part in _COLUMNS), FILE):
        for file in home.glob(name):
            file.unlink()


def _cut(file: Path, stay: Sequence[bool] | np.ndarray[Any, Any]) -> None:
    """Keep the rows ``stay`` of an array; one that was cut before stays."""
    array = np.load(file, allow_pickle=False)
    if len(array) == len(stay):
        out = io.BytesIO()
        np.save(out, array[np.asarray(stay)])
        write_bytes(file, out.getvalue())


def _told(home: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((home / REFERENCE).read_text(encoding="utf-8"))
    return told


def _of_samples(told: Mapping[str, Any]) -> bool:
    """Whether a reference has rows of samples: it is no time in the log, or accuracy is estimated by it."""
    return bool(told["judged"]) or not (told["reference"] == "first" or ".." in told["reference"])
