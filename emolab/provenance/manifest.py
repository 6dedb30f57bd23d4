"""A state of the data under the hash of its content: a manifest that lists chunks, and the chunks.

Rows of a part (:mod:`emolab.provenance.data_rows`) go into chunks by the hash of what tells them apart. So a change of
few rows writes few chunks, and two snapshots share the others. A chunk is JSON lines, compressed, under the sha256 of
the lines. The manifest is one JSON file; its id is the sha256 of all that it says but when and under which name.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emolab.catalog.storage.engine import now
from emolab.errors import DataError, UnknownName
from emolab.files import write_bytes, write_text
from emolab.provenance.data_rows import PARTS, Row

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.workspace import Workspace

_FORMAT = 1
#: Rows of a part from which it has as many chunks.
_CHUNKS = ((100_000, 256), (4_000, 16), (0, 1))


@dataclass(frozen=True, slots=True)
class DataSnapshot:
    """A state of the data: its ``id``, the ``name`` it was given, and by part the hashes of its chunks and its rows.

    ``forgotten``: rows of it were erased since it was taken, so it cannot be brought back.
    """

    id: str
    name: str | None
    created_at: str
    parts: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, int]
    forgotten: bool = False


def folder_of(workspace: Workspace) -> Path:
    """Where data snapshots lie."""
    return workspace.snapshots / "data"


def write(
    workspace: Workspace, rows: Mapping[str, Sequence[Row]], name: str | None = None
) -> tuple[DataSnapshot, bool]:
    """Keep ``rows``; returns the snapshot, and whether it is new. The same rows again are the same snapshot.

    Raises :class:`DataError` for a name that another snapshot has.
    """
    folder = folder_of(workspace)
    before = {one.name: one for one in listed(workspace) if one.name}
    parts = {part: tuple(_write_chunks(folder, part, rows[part])) for part in PARTS}
    counts = {part: len(rows[part]) for part in PARTS}
    said = {"format": _FORMAT, "parts": parts, "rows": counts}
    identity = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    if name in before and before[name].id != identity:
        raise DataError(
            f'"{name}" is the name of snapshot {before[name].id[:12]} already.', hint="Give another: --name"
        )
    file = folder / f"{identity}.json"
    if file.exists() and not _read(file).forgotten:
        kept = _read(file)
        if name is None or kept.name == name:
            return kept, False
        if kept.name is not None:
            raise DataError(
                f'The data are as in the snapshot "{kept.name}" ({identity[:12]}), which keeps its name.',
                hint=f"Use that one: emolab snapshot diff {kept.name} now",
            )
    new = not file.exists()
    snapshot = DataSnapshot(identity, name, now() if new else kept.created_at, parts, counts)
    document = {**said, "id": identity, "name": snapshot.name, "created_at": snapshot.created_at}
    write_text(file, json.dumps(document, indent=1) + "\n")
    return snapshot, new


def listed(workspace: Workspace) -> list[DataSnapshot]:
    """Every data snapshot, oldest first."""
    found = [_read(file) for file in sorted(folder_of(workspace).glob("*.json"))]
    return sorted(found, key=lambda one: (one.created_at, one.id))


def find(workspace: Workspace, name: str) -> DataSnapshot:
    """The snapshot of this name, id or start of an id; ``latest`` is the newest.

    Raises :class:`UnknownName` where there is none and :class:`DataError` where several ids begin so.
    """
    found = listed(workspace)
    if name == "latest" and found:
        return found[-1]
    matches = [one for one in found if one.name == name] or [one for one in found if one.id.startswith(name)]
    if len(matches) > 1:
        raise DataError(f"{len(matches)} snapshots begin with {name}.", hint="Give more of the id.")
    if not matches or not name:
        known = [one.name or one.id[:12] for one in found]
        raise UnknownName("snapshot", name, known, hint=None if known else "Make one with: emolab snapshot create")
    return matches[0]


def read(workspace: Workspace, snapshot: DataSnapshot) -> dict[str, list[Row]]:
    """The rows of ``snapshot`` by part, proven. Raises :class:`DataError` for a chunk that is gone or was changed."""
    folder, rows = folder_of(workspace), {}
    for part, key in PARTS.items():
        found = [row for chunk in snapshot.parts[part] for row in _read_chunk(folder, chunk)]
        rows[part] = sorted(found, key=lambda row, key=key: [str(row[name]) for name in key])  # type: ignore[misc]
    return rows


def _write_chunks(folder: Path, part: str, rows: Sequence[Row]) -> Iterable[str]:
    """Write the rows of a part where they are not there yet, and give the hash of each chunk."""
    number = next(chunks for least, chunks in _CHUNKS if len(rows) >= least)
    buckets: list[list[str]] = [[] for _ in range(number)]
    for row in rows:
        told = "\n".join(str(row[name]) for name in PARTS[part])
        place = hashlib.sha256(told.encode()).digest()[0] % number
        buckets[place].append(json.dumps(row, sort_keys=True, ensure_ascii=False))
    for lines in buckets:
        if digest := write_chunk(folder, lines):
            yield digest


def write_chunk(folder: Path, lines: Sequence[str]) -> str | None:
    """Write a chunk of these ``lines`` where it is not there yet; its hash, ``None`` where there are none."""
    if not lines:
        return None
    data = ("\n".join(lines) + "\n").encode()
    digest = hashlib.sha256(data).hexdigest()
    file = _chunk(folder, digest)
    if not _whole(file, digest):  # a disk may have damaged what an earlier snapshot wrote
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, gzip.compress(data, 6, mtime=0))
    return digest


def replace_chunks(
    file: Path, renamed: Mapping[str, str | None], cleaned: Callable[[Any], Any], *, forgotten: bool = True
) -> bool:
    """Let the manifest in ``file`` name other chunks where it names one of ``renamed`` (to ``None``: none any more).

    Returns whether it did.

    ``forgotten``: from then on it cannot be brought back. ``cleaned`` is applied to its name.
    """
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if not any(chunk in renamed for chunks in told["parts"].values() for chunk in chunks):
        return False
    for part, chunks in told["parts"].items():
        told["parts"][part] = [new for chunk in chunks if (new := renamed.get(chunk, chunk))]
        rows = (len(_read_chunk(file.parent, chunk)) for chunk in told["parts"][part])
        told["rows"][part] = sum(rows)
    told["name"] = cleaned(told["name"])
    if forgotten:
        told["forgotten"] = True
    write_text(file, json.dumps(told, indent=1) + "\n")
    return True


def check_whole(snapshot: DataSnapshot) -> None:
    """Raise :class:`DataError` for a snapshot of which something was forgotten."""
    if snapshot.forgotten:
        raise DataError(
            f"Samples of snapshot {snapshot.name or snapshot.id[:12]} were forgotten, so it cannot be brought back.",
            hint="Choose one that was made later: emolab snapshot list",
        )


def _chunk(folder: Path, digest: str) -> Path:
    return folder / "chunks" / digest[:2] / f"{digest}.jsonl.gz"


def _whole(file: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest() == digest
    except (OSError, EOFError, ValueError, zlib.error):
        return False


def _read_chunk(folder: Path, digest: str) -> list[Row]:
    file = _chunk(folder, digest)
    try:
        data = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{file} cannot be read: {error}.", hint="Bring it back from a backup.") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise DataError(f"{file} was changed: it is no longer what its name says.", hint="Bring it back from a backup.")
    return [json.loads(line) for line in data.decode().split("\n") if line]


def _read(file: Path) -> DataSnapshot:
    try:
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        parts = {part: tuple(told["parts"][part]) for part in PARTS}
        return DataSnapshot(
            told["id"], told["name"], told["created_at"], parts, told["rows"], bool(told.get("forgotten"))
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is no snapshot: {error}.", hint="Bring it back from a backup.") from error
