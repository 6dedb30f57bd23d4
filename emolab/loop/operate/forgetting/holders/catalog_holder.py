"""The catalog: rows deleted, texts cleaned, and its pages written anew."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, make_url

from emolab.catalog.storage import sqlite_file
from emolab.loop.operate.forgetting import scrub
from emolab.loop.operate.forgetting.holder import Erased, Held, Holder, Scene, holds

if TYPE_CHECKING:
    from pathlib import Path

    from emolab.catalog import Catalog
    from emolab.loop.operate.forgetting.traces import Traces

_PLACES = ("catalog.db*",)


def catalog() -> Holder:
    """Samples, votes, labels, suggestions, tasks, answers, consents, events."""
    return Holder(
        name="catalog", about="samples, votes, labels, suggestions, consents, events", places=_PLACES, find=_find,
        erase=_erase, verify=_verify,
    )  # fmt: skip


def _find(scene: Scene) -> Held:
    from emolab.catalog.privacy import erased_rows

    with scene.workspace.catalog() as catalog, catalog.connect() as conn:
        found = erased_rows.count_rows(conn, scene.traces.ids)
        consents = erased_rows.count_consents(conn, subjects=scene.traces.subjects, ids=scene.traces.ids)
    found |= {"consents": consents} if consents else {}
    return Held(sum(found.values()), _in_words(found))


def _in_words(found: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in found.items()) or "nothing"


def _erase(scene: Scene) -> Erased:
    from emolab.catalog import Catalog
    from emolab.datasets.near_copies import groups

    workspace = scene.workspace
    with workspace.catalog() as catalog:
        gone = _deleted(catalog, scene.traces)
        compared = groups.find(workspace, catalog, progress=scene.progress)
        with catalog.begin() as tx:
            groups.mark(tx, compared)
        commands = _written_anew(catalog)
        server = _server(catalog)
    for file in _left_over(scene):
        with Catalog(URL.create("sqlite", database=str(file))) as old:
            _deleted(old, scene.traces)
            _written_anew(old)
    return Erased(
        sum(gone.values()), _in_words(gone), to_do=commands, unreached=_elsewhere(server, refused=bool(commands))
    )


def _deleted(catalog: Catalog, traces: Traces) -> dict[str, int]:
    """Delete the rows of ``traces`` and clean what others say of them; how many went of each table."""
    from emolab.catalog import events
    from emolab.catalog.privacy import erased_rows, renamed_annotators

    with catalog.begin() as tx:
        if tx.dialect.name == "sqlite":
            tx.exec_driver_sql("PRAGMA secure_delete=ON")
        gone = erased_rows.delete_samples(tx, traces.ids)
        consents = erased_rows.delete_consents(tx, subjects=traces.subjects, ids=traces.ids)
        sources = erased_rows.delete_sources(tx, traces.sources)
        renamed_annotators.rename(tx, dict(traces.renamed))
        texts = erased_rows.clean_texts(tx, traces.cleaned)
        gone |= {name: n for name, n in (("consents", consents), ("sources", sources), ("texts", texts)) if n}
        if gone:
            events.record(tx, "forget", {"samples": gone.get("samples", 0)})
    return gone


def _written_anew(catalog: Catalog) -> list[str]:
    """Write every page anew; what somebody else has to type on the server of the database for that."""
    from emolab.catalog.privacy import server_pages

    url = make_url(catalog.url)
    file = sqlite_file.file_of(url)
    if file is None:
        statements = server_pages.rewrite(catalog, wait=scrub.WAIT)
        return [_psql(url, statements)] if statements else []
    with catalog.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        raw.rollback()
        scrub.rewrite(raw, file)
    return []


def _psql(url: URL, statements: Sequence[str]) -> str:
    """What runs ``statements`` as the owner of the database at ``url``, up to one that fails."""
    where = {"-h": url.host, "-p": url.port, "-d": url.database, "-v": "ON_ERROR_STOP=1"}
    parts = [part for option, value in where.items() if value for part in (option, str(value))]
    parts += [part for statement in statements for part in ("-c", statement)]
    return f"As the owner of the catalog's database: psql -U OWNER {shlex.join(parts)}"


def _server(catalog: Catalog) -> str | None:
    """The server of the catalog's database in words; ``None``: it is a file."""
    url = make_url(catalog.url)
    return None if sqlite_file.file_of(url) else f"{url.host or 'this machine'}, database {url.database}"


def _elsewhere(server: str | None, *, refused: bool) -> list[str]:
    """What emolab cannot reach of a catalog on a ``server``; ``refused``: its pages neither."""
    if server is None:
        return []
    pages = [f"Old pages of the catalog on {server}: emolab's role may not write them anew."] if refused else []
    log = (
        f"The write-ahead log of the PostgreSQL server of the catalog ({server}) has the deleted rows until it is "
        "overwritten; its archive, its own logs, standby servers and dumps are yours to delete."
    )
    return [*pages, log]


def _left_over(scene: Scene) -> list[Path]:
    """The file of a catalog that is not used any more, because the settings name another database."""
    url, file = scene.workspace.config.catalog.url, scene.workspace.catalog_file
    used = sqlite_file.file_of(make_url(url)) if url else file
    return [file] if file.is_file() and (used is None or not used.exists() or not file.samefile(used)) else []


def _verify(scene: Scene) -> list[str]:
    """Rows that are there, texts that name a trace, and traces in the bytes of files and of their journals."""
    from emolab.catalog.privacy import erased_rows

    with scene.workspace.catalog() as catalog:
        with catalog.connect() as conn:
            rows = erased_rows.count_rows(conn, scene.traces.ids)
            named = erased_rows.other_samples_named(conn, scene.traces.ids)
            left = [f"{n:,} rows of {name}" for name, n in rows.items()]
            left += erased_rows.dirty_texts(conn, scene.traces.cleaned)
            left += erased_rows.counts_of_gone(conn, scene.traces.sources)
            left += [f"{named:,} samples that name one"] if named else []
        used = sqlite_file.file_of(make_url(catalog.url))
    for file in [*([used] if used else []), *_left_over(scene)]:
        parts = [file.with_name(file.name + end) for end in ("", "-wal", "-journal")]
        left += [part.name for part in parts if part.exists() and holds(part, scene.traces)]
    return left
