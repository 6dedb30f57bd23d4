"""What a database says, in words a person can act on: addresses that are none, locks, full disks, damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError

from emolab.catalog.storage import sqlite_file
from emolab.errors import ConfigError, DataError, EmolabError

#: How long a writer waits for another one, in seconds.
BUSY_SECONDS = 60

#: PostgreSQL's codes for a right that is missing, and classes of codes that are about the server and no statement: who
#: may connect, which database, what it has left, whether it is going down.
NOT_ALLOWED, _ABOUT_THE_SERVER = "42501", ("28", "3D", "53", "57")

#: The way out of a catalog that is lost or damaged.
RESTORE = "Bring it back from a backup with: emolab restore FILE"


def address_of(url: str | URL) -> URL:
    """The address of a database; :class:`ConfigError` for a text that is none."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise unusable(error) from error


def unusable(error: Exception) -> ConfigError:
    """The error about an address that cannot be used."""
    return ConfigError(
        f"catalog.url is not a usable database address: {error}.",
        hint="Example: postgresql+psycopg://user@host/emolab",
    )


def shown(where: URL | Path) -> str:
    """An address without its password; a file by its path."""
    if isinstance(where, Path):
        return str(where)
    return str(sqlite_file.file_of(where) or where.render_as_string(hide_password=True))


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn what the database says inside the block into words."""
    try:
        yield
    except sqlite3.Error as error:  # before SQLAlchemy has a connection
        raise DataError(f"The catalog {shown(url)} cannot be read: {error}.", hint=RESTORE) from error
    except OperationalError as error:
        raise _in_words(url, message_of(error)) from error
    except DatabaseError as error:
        if "not a database" in str(error.orig) or "malformed" in str(error.orig):
            raise DataError(
                f"The catalog {shown(url)} is damaged: {error.orig}.",
                hint=f"{RESTORE}; media and models are not affected.",
            ) from error
        code = code_of(error)
        if code == NOT_ALLOWED or code[:2] in _ABOUT_THE_SERVER:
            raise _in_words(url, message_of(error)) from error
        raise
    except InterfaceError as error:
        if url.drivername.startswith("sqlite"):
            raise
        raise _in_words(url, message_of(error)) from error


def code_of(error: DBAPIError) -> str:
    """PostgreSQL's code of an error, such as 42501, whichever driver tells it; empty where there is none."""
    told = _told(error)
    if told:
        return str(told.get("C", ""))
    return str(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or "")


def message_of(error: DBAPIError) -> str:
    """What the database says, in one line without its full stop."""
    return " ".join(str(_told(error).get("M") or error.orig).split()).rstrip(". ")


def _told(error: DBAPIError) -> Mapping[str, str]:
    """The fields of a message of PostgreSQL, which pg8000 gives as a dictionary."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return first if isinstance(first, dict) else {}


def _in_words(url: URL, reason: str) -> EmolabError:
    """What an operational error of the database means for a person."""
    if "locked" in reason:
        return EmolabError(
            f"The catalog stayed locked by another process for {BUSY_SECONDS} s.",
            hint="Wait for the other emolab command to end and run this again.",
        )
    if "disk" in reason and "full" in reason:
        return EmolabError(
            "The disk is full: the catalog could not be written; nothing of this step was kept.",
            hint="Free some space and run the same command again.",
        )
    if "readonly" in reason or "read-only" in reason:
        return EmolabError(
            f"The catalog {shown(url)} cannot be written: it is read-only here.",
            hint="Run the command as its owner, or in a copy of the workspace that you own.",
        )
    file = sqlite_file.file_of(url)
    if "unable to open" in reason and file is not None:
        why = (
            "it is a folder" if file.is_dir() else "no permission" if file.parent.is_dir() else "its folder is missing"
        )
        reason = f"{reason} ({why})"
    return EmolabError(f"The catalog {shown(url)} cannot be used: {reason}.", hint="Check with: emolab doctor")
