"""Label Studio's own settings, on a SQLite that several people can write to at once.

As it comes, Label Studio begins a transaction by reading and asks for the write lock later. When another request has
written in between, SQLite refuses with "database is locked" at once, however long the timeout is. Label Studio then
carries out the whole request again, up to 15 times, minutes later, when its sender has long given up: the cause of
double tasks and of projects of one name. Here a transaction that may write asks for the lock before it reads, waits
for its turn, and no request is carried out twice.

A release of Label Studio that these settings do not fit ends with ``ImproperlyConfigured``, in one line that emolab
shows (see ``emolab.labeling.server.installation``).
"""

from __future__ import annotations

import importlib
import os
import re
import sys

import django
from django.core.exceptions import ImproperlyConfigured

STOCK = "label_studio.core.settings.label_studio"
#: Seconds that a statement waits for the write lock. The longest write of emolab's own takes about a second.
BUSY_SECONDS = 60
#: Printed to the log, where emolab looks for it: without these settings the server is stopped again.
MARK = "emolab's settings are in force: one writer at a time, no request twice"
RETRY = "DatabaseIsLockedRetryMiddleware"
#: FULL: a commit is on the disk before the page says "submitted", so that a power cut loses no vote.
#: With a write-ahead log that is one flush for each commit.
PRAGMAS = "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864"


def __getattr__(name: str) -> object:
    """Every setting that is not changed below, also while Label Studio's module is being read: it looks at its own."""
    try:
        return getattr(sys.modules[STOCK], name)
    except KeyError:
        raise AttributeError(name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(sys.modules.get(STOCK))})


if django.VERSION < (5, 1):
    raise ImproperlyConfigured(
        f"The embedded server needs Django 5.1 or newer, found {django.get_version()}: update label-studio to 1.20 "
        "or newer"
    )
stock = importlib.import_module(STOCK)
_CHANGED = ("DATABASES", "MIDDLEWARE", "INSTALLED_APPS")
if not all(hasattr(stock, name) for name in _CHANGED):
    raise ImproperlyConfigured(
        f"This label-studio lacks one of the settings {', '.join(_CHANGED)}, which emolab changes"
    )

_database = dict(stock.DATABASES["default"])
if _database.get("ENGINE") != "django.db.backends.sqlite3":
    raise ImproperlyConfigured(f"The embedded server keeps its data in SQLite, found {_database.get('ENGINE')}")
_database["ENGINE"] = "emolab_studio"
_database["OPTIONS"] = {
    **_database.get("OPTIONS", {}),
    "transaction_mode": "IMMEDIATE",
    "timeout": BUSY_SECONDS,
    "init_command": PRAGMAS,
}
DATABASES = {**stock.DATABASES, "default": _database}

MIDDLEWARE = [name for name in stock.MIDDLEWARE if not name.endswith(f".{RETRY}")]
_others = [name for name in MIDDLEWARE if re.search("retry|locked", name, re.IGNORECASE)]
if _others:
    raise ImproperlyConfigured(f"This label-studio repeats requests in a way that emolab does not know: {_others[0]}")
MIDDLEWARE.append("emolab_studio.read_only_exports.ReadingOnly")

INSTALLED_APPS = [*stock.INSTALLED_APPS, "emolab_studio.server_app.ServerApp"]

if os.environ.get("EMOLAB_CREATES_DATABASE"):
    from emolab_studio.migrations_speed import speed_up

    speed_up()
if os.environ.get("EMOLAB_EMPTY_DATABASE"):
    from emolab_studio.keep_empty import write

    write(os.environ["EMOLAB_EMPTY_DATABASE"])

print(MARK, file=sys.stderr, flush=True)  # noqa: T201 (the log of the server)
