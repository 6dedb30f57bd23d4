"""The exact samples, label distributions and splits that a model saw, kept under the hash of their content.

A snapshot is a folder of plain arrays (``.npy``, no pickle) and one JSON file. Its id is the sha256 over classes and,
in the order of sample ids, id, split, distribution and supported classes. So the same data gives the same id on any
machine, in any order. :func:`verify` checks that a folder is still what its name says. :func:`diff` says how the data
of two models differ.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolab.catalog import snapshots
from emolab.catalog.storage.engine import now
from emolab.errors import DataError
from emolab.files import write_bytes, write_text
from emolab.provenance.identity import SPLIT_CODES, data_identity
from emolab.records import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from emolab.workspace import Workspace

_NAMES = {code: name for name, code in SPLIT_CODES.items()}
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a snapshot holds, n samples and k classes, in the order of ``ids``.

    ``targets`` (n, k) float32, rows sum to 1; ``supported`` (n, k) bool: classes the sample's source can show;
    ``splits`` (n,) names.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    targets: NDArray[np.float32]
    supported: NDArray[np.bool_]
    splits: tuple[str | None, ...]

    @property
    def id(self) -> str:
        """Hex sha256 of the content, independent of the order of the samples."""
        return data_identity(self.classes, self.ids, self.codes, self.targets, self.supported)

    @property
    def codes(self) -> NDArray[np.uint8]:
        """(n,) the splits as :data:`~emolab.provenance.identity.SPLIT_CODES`."""
        return np.array([SPLIT_CODES[split] for split in self.splits], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Difference:
    """From one snapshot to another: sample ids ``added``, ``removed``, ``moved`` to another split, ``relabelled``.

    ``flipped`` are those of the relabelled whose likeliest class is another one; ``leaked`` moved from valid or test
    into train, so figures of the two models cannot be compared on them.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[str, ...]
    relabelled: tuple[str, ...]
    flipped: tuple[str, ...]
    leaked: tuple[str, ...]
    classes_changed: bool

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.removed or self.moved or self.relabelled or self.classes_changed)


def take(
    workspace: Workspace,
    tx: Connection,
    *,
    classes: Sequence[str],
    ids: Sequence[str],
    targets: NDArray[np.floating[Any]],
    splits: Sequence[str | None],
    supported: NDArray[np.bool_] | None = None,
    label_version: str = "",
) -> Snapshot:
    """Write the snapshot of this data below ``.emolab/snapshots`` and record it; the same data again changes nothing.

    Raises :class:`DataError` when the columns do not have the same length or a sample occurs twice.
    """
    n, k = len(ids), len(classes)
    mask = np.ones((n, k), dtype=bool) if supported is None else supported
    if np.shape(targets) != (n, k) or mask.shape != (n, k) or len(splits) != n:
        raise DataError(
            f"A snapshot of {n} samples and {k} classes got {np.shape(targets)} targets and {len(splits)} splits."
        )
    if n == 0:
        raise DataError("There is nothing to take a snapshot of: no samples.")
    if len(set(ids)) != n:
        raise DataError(f"{n - len(set(ids))} samples occur more than once in one snapshot.")
    content = Content(
        classes=tuple(classes),
        ids=tuple(ids),
        targets=np.asarray(targets, dtype=np.float32),
        supported=np.asarray(mask, dtype=bool),
        splits=tuple(splits),
    )
    identity = content.id
    folder = workspace.snapshots / identity[:16]
    if not (folder / "snapshot.json").exists():
        _write(folder, content, identity, label_version)
    snapshot = Snapshot(
        id=identity,
        path=folder.relative_to(workspace.root).as_posix(),
        n=n,
        label_version=label_version,
        created_at=now(),
    )
    snapshots.add(tx, snapshot)
    return snapshot


def read(folder: Path) -> Content:
    """The content of the snapshot in ``folder``. Raises :class:`DataError` when a part is missing or broken."""
    try:
        about = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
        arrays = {
            name: np.load(folder / f"{name}.npy", allow_pickle=False)
            for name in ("ids", "targets", "supported", "splits")
        }
        return Content(
            classes=tuple(about["classes"]),
            ids=tuple(bytes(row).hex() for row in arrays["ids"]),
            targets=arrays["targets"],
            supported=arrays["supported"],
            splits=tuple(_NAMES[int(code)] for code in arrays["splits"]),
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"The snapshot in {folder} cannot be read: {error}.", hint="Restore it from a backup."
        ) from error


def read_split(folder: Path, split: str) -> tuple[tuple[str, ...], list[str], NDArray[np.int64]]:
    """The classes of the snapshot in ``folder``, and of one ``split`` the ids and the likeliest class (n,) of each.

    Little more than these is read. Raises :class:`DataError` when a part is missing or broken.
    """
    try:
        about = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
        found = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "targets", "splits")}
        rows = np.flatnonzero(found["splits"] == SPLIT_CODES[split])
        names, letters = found["ids"][rows].tobytes().hex(), 2 * found["ids"].shape[1]
        ids = [names[at : at + letters] for at in range(0, len(names), letters)]
        return tuple(about["classes"]), ids, found["targets"][rows].argmax(axis=1)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"The snapshot in {folder} cannot be read: {error}.", hint="Restore it from a backup."
        ) from error


def verify(workspace: Workspace, snapshot: Snapshot) -> Content:
    """The content of ``snapshot``, proven: raises :class:`DataError` when it is not what the id says."""
    folder = workspace.root / snapshot.path
    content = read(folder)
    if gone := forgotten_in(folder):
        raise DataError(
            f"{gone:,} of the {snapshot.n:,} samples in the snapshot {snapshot.path} were forgotten: it cannot be what "
            "it was.",
            hint="Train again on the data of now: emolab train",
        )
    if content.id != snapshot.id:
        raise DataError(
            f"The snapshot in {snapshot.path} was changed: its content has the id {content.id[:16]}, "
            f"expected {snapshot.id[:16]}.",
            hint="Restore the folder from a backup; a model's figures hold for the original data only.",
        )
    return content


def forgotten_in(folder: Path) -> int:
    """How many samples of the snapshot in ``folder`` were forgotten since it was taken."""
    told = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
    return int(told.get("forgotten", 0))


def diff(old: Content, new: Content, *, tolerance: float = 1e-4) -> Difference:
    """In what ``new`` differs from ``old``; distributions differ when a share moved by more than ``tolerance``.

    Classes are compared by name: a class that one of them lacks counts as share 0.
    """
    rows_old = {sample: row for row, sample in enumerate(old.ids)}
    rows_new = {sample: row for row, sample in enumerate(new.ids)}
    both = sorted(rows_old.keys() & rows_new.keys())
    a, b = [rows_old[i] for i in both], [rows_new[i] for i in both]
    names = list(dict.fromkeys((*old.classes, *new.classes)))
    before, after = _by_name(old, names)[a], _by_name(new, names)[b]
    changed = np.abs(before - after).max(axis=1, initial=0.0) > tolerance
    flipped = changed & (before.argmax(axis=1) != after.argmax(axis=1)) if both else changed
    moved = [i for i, x, y in zip(both, a, b, strict=True) if old.splits[x] != new.splits[y]]
    leaked = [i for i in moved if old.splits[rows_old[i]] in ("valid", "test") and new.splits[rows_new[i]] == "train"]
    return Difference(
        added=tuple(sorted(rows_new.keys() - rows_old.keys())),
        removed=tuple(sorted(rows_old.keys() - rows_new.keys())),
        moved=tuple(moved),
        relabelled=tuple(i for i, yes in zip(both, changed, strict=True) if yes),
        flipped=tuple(i for i, yes in zip(both, flipped, strict=True) if yes),
        leaked=tuple(leaked),
        classes_changed=old.classes != new.classes,
    )


def composition(content: Content) -> dict[str, dict[str, int]]:
    """Samples per split and likeliest class."""
    best = content.targets.argmax(axis=1)
    counts = Counter((split or "none", content.classes[k]) for split, k in zip(content.splits, best, strict=True))
    table: dict[str, dict[str, int]] = {}
    for (split, name), number in sorted(counts.items()):
        table.setdefault(split, {})[name] = number
    return table


def _write(folder: Path, content: Content, identity: str, label_version: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arrays: Mapping[str, NDArray[Any]] = {
        "ids": np.frombuffer(bytes.fromhex("".join(content.ids)), dtype=np.uint8).reshape(len(content.ids), -1),
        "targets": np.ascontiguousarray(content.targets, dtype="<f4"),
        "supported": content.supported,
        "splits": content.codes,
    }
    for name, array in arrays.items():
        write_bytes(folder / f"{name}.npy", as_npy(array))
    about = {
        "format": _FORMAT,
        "id": identity,
        "classes": content.classes,
        "n": len(content.ids),
        "label_version": label_version,
        "composition": composition(content),
    }
    write_text(folder / "snapshot.json", json.dumps(about, indent=2) + "\n")


def as_npy(array: NDArray[Any]) -> bytes:
    """``array`` as the bytes of a ``.npy`` file."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _by_name(content: Content, names: Sequence[str]) -> NDArray[np.float32]:
    wide = np.zeros((len(content.ids), len(names)), dtype=np.float32)
    wide[:, [names.index(name) for name in content.classes]] = content.targets
    return wide
