"""Taking traces out of one file: of lines, of JSON, of SQLite, of pages with pictures."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emolab.errors import EmolabError
from emolab.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emolab.loop.operate.forgetting.traces import Traces

#: Seconds to wait for others who write.
WAIT = 60
_EMBEDDED = re.compile(rb'src="data:(?:image|audio)/[\w.+-]+;base64,[^"]*"')
_LIMIT = 256 << 20


def scrub(file: Path, traces: Traces) -> None:
    """Take the traces out of ``file``, which holds some; one of no kind that is known here is deleted."""
    if is_sqlite(file):
        scrub_sqlite(file, traces)
    elif file.suffix in (".json", ".jsonl", ".txt", ".log", ".csv", ".out", ".toml") and file.stat().st_size < _LIMIT:
        scrub_text(file, traces)
    else:
        file.unlink()


def scrub_text(file: Path, traces: Traces) -> None:
    """A JSON document loses the values, another text the lines with a trace; permissions stay."""
    if file.suffix == ".log":
        _blank(file, traces)
        return
    data, mode = file.read_bytes(), file.stat().st_mode & 0o777
    document = _json(data, traces) if file.suffix == ".json" else None
    write_bytes(file, _lines(data, traces) if document is None else document, mode=mode)
    file.chmod(mode)


def _blank(file: Path, traces: Traces) -> None:
    """Overwrite lines with a trace by spaces, in place: a server may be writing on, and counts bytes."""
    with file.open("r+b") as stream:
        place = 0
        for line in stream.read().splitlines(keepends=True):
            if traces.inside(line):
                stream.seek(place)
                stream.write(b" " * (len(line) - 1) + (b"\n" if line.endswith(b"\n") else b" "))
            place += len(line)
        stream.flush()
        os.fsync(stream.fileno())


def _json(data: bytes, traces: Traces) -> bytes | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return (json.dumps(traces.cleaned(value), indent=1) + "\n").encode()


def _lines(data: bytes, traces: Traces) -> bytes:
    return b"".join(_kept(data, traces))


def _kept(data: bytes, traces: Traces) -> Iterator[bytes]:
    for line in data.splitlines(keepends=True):
        if not traces.inside(line):
            yield line
            continue
        try:
            value = json.loads(line)
        except ValueError:
            continue
        yield (json.dumps(traces.cleaned(value)) + "\n").encode()


def without_pictures(file: Path) -> int:
    """Take the embedded pictures and sounds out of an HTML page; how many went."""
    data = file.read_bytes()
    made, n = _EMBEDDED.subn(b'src=""', data)
    if n:
        write_bytes(file, made)
    return n


def is_sqlite(file: Path) -> bool:
    """Whether ``file`` is a database of SQLite."""
    with file.open("rb") as stream:
        return stream.read(16) == b"SQLite format 3\x00"


def scrub_sqlite(file: Path, traces: Traces) -> None:
    """Delete every row of a database in which a cell holds an id, as text or as bytes; its pages are written anew.

    For caches, whose rows are made again. Raises :class:`EmolabError` while others hold it.
    """
    raw = {bytes.fromhex(each) for each in traces.known}

    def has(value: object) -> bool:
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        if not isinstance(data, bytes):
            return False
        whole = len(data) % 32 == 0 and any(data[at : at + 32] in raw for at in range(0, len(data), 32))
        return whole or traces.inside(data)

    with closing(sqlite3.connect(file, timeout=WAIT)) as connection:
        connection.create_function("holds_a_trace", 1, has)
        connection.execute("PRAGMA secure_delete=ON")
        for table, columns in tables_of(connection).items():
            for column in columns:
                connection.execute(f'DELETE FROM "{table}" WHERE holds_a_trace("{column}")')  # noqa: S608
        connection.commit()
        rewrite(connection, file)


def tables_of(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns of each table by name."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        name: [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
        for name in names
        if not name.startswith("sqlite_")
    }


def rewrite(connection: Any, file: Path) -> None:
    """Write all pages of the database anew, and empty its journal: nothing deleted is left in either.

    Raises :class:`EmolabError` where another process reads on and the journal cannot be emptied.
    """
    connection.execute(f"PRAGMA busy_timeout={1000 * WAIT}")
    try:
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise EmolabError(f"{file} cannot be written anew: {error}.", hint=_HINT) from error
    if busy:
        raise EmolabError(f"{file} is being read, so its journal still holds what was deleted.", hint=_HINT)


_HINT = 'Stop what uses the workspace (emolab serve, emolab live, other commands), then run "emolab forget".'
