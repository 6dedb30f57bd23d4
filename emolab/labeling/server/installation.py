"""The ``label-studio`` program: where it is, the environment it runs in, its database and its administrator.

Nothing secret is ever on its command line (``ps`` shows those to everybody): the first password travels in the
environment of a process that ends after creating the database, a new one through standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from emolab.errors import EmolabError, MissingExtra, ServerError
from emolab.labeling.server import daemon, empty_database
from emolab.progress import SILENT, Progress

ADMIN = "admin@emolab.local"
DATABASE = "label_studio.sqlite3"
#: The folder that holds emolab's settings for the program, and the first words they print when they are in force.
SETTINGS = Path(__file__).parent.parent / "server_settings"
IN_FORCE = b"emolab's settings are in force"
STEPS = 396  # migrations of release 1.23; only the progress bar depends on it
#: With it the page says "4 of 12" (answered so far and now, of all that is there for this person), else "4 of 4".
COUNTER = "fflag_fix_all_optic_79_task_count_is_wrong_short"
_PASS_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
#: Lies in the folder where Label Studio's guard against addresses of this machine is off: it would refuse emolab's own.
_CALLS_HERE = "calls-this-machine"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # no i, l, o, 0, 1: people type passwords from screens


class PortTaken(EmolabError):
    """Another program took the port between the look at it and Label Studio's own."""


def find_program() -> str:
    """Return the path of ``label-studio``: beside this Python, or on the search path."""
    beside = Path(sys.executable).with_name("label-studio")
    found = str(beside) if beside.is_file() else shutil.which("label-studio")
    if found is None:
        raise MissingExtra("label-studio", "studio")
    return found


def new_password() -> str:
    """Return a password of four groups of four letters and digits (79 bits), easy to copy from a screen."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def may_call_this_machine(folder: Path) -> bool:
    """Whether the program may call servers on this machine: its ML backend, and where it sends webhooks."""
    return (folder / _CALLS_HERE).exists()


def let_call_this_machine(folder: Path) -> None:
    """Let the program call servers on this machine from its next start on."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _CALLS_HERE).touch()


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the program's whole environment; nothing else of the caller's leaks in (a stray HOST or DEBUG would)."""
    kept = {k: v for k, v in os.environ.items() if k in _PASS_ON or k.startswith("LC_")}
    guards = dict.fromkeys(("ML_BLOCK_LOCAL_IP", "SSRF_PROTECTION_ENABLED"), "false")
    return {
        **kept,
        **(guards if may_call_this_machine(folder) else {}),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(SETTINGS),
        "DJANGO_SETTINGS_MODULE": "emolab_studio.settings",
        "DJANGO_RUNSERVER_HIDE_WARNING": "true",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "share"),
        "LABEL_STUDIO_BASE_DATA_DIR": str(data_folder(folder)),
        "LABEL_STUDIO_DJANGO_DB": "sqlite",
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
        "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
        "LABEL_STUDIO_SENTRY_DSN": "",
        "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_FEATURE_FLAGS_OFFLINE": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false",
        "LABEL_STUDIO_DEBUG": "false",
        "LABEL_STUDIO_LOG_LEVEL": "WARNING",
        COUNTER: "true",
        "LABEL_STUDIO_TASK_LOCK_TTL": "3600",  # who walks away blocks a task for an hour, not for a day
        **more,
    }


def data_folder(folder: Path) -> Path:
    """Return where the program keeps database, key and uploads; it exists only once it is whole."""
    return folder / "data"


def create_database(
    program: str, folder: Path, password: str, *, log: Path, end: float, progress: Progress = SILENT
) -> None:
    """Create the data folder with the database and the administrator, whole or not at all.

    ``end`` is a time of ``time.monotonic`` to give up at. What an interrupted run left, even one that still runs, is
    thrown away: not every migration can be resumed. The first workspace of a user has to wait for the migrations; the
    others begin with a copy of what they made.
    """
    unfinished, note = folder / "unfinished", folder / "unfinished.json"
    with contextlib.suppress(FileNotFoundError):
        left = json.loads(note.read_text(encoding="utf-8"))
        daemon.stop(left["pid"], left["born"], grace=0.0)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    database = unfinished / DATABASE
    kept = empty_database.place(program)
    copied = kept is not None and empty_database.copy(kept, database)
    part = None if kept is None or copied else empty_database.part_of(kept)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # kept in the file: readers no longer block writers
    start, done = daemon.begin_log(log), 0
    settings = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(unfinished),
        "LABEL_STUDIO_USERNAME": ADMIN,
        "LABEL_STUDIO_PASSWORD": password,
        "EMOLAB_CREATES_DATABASE": "true",
        "EMOLAB_EMPTY_DATABASE": str(part or ""),
    }
    with progress.task("Creating Label Studio's database, once", total=STEPS, unit="steps") as task:
        process = daemon.spawn(
            [program, "init", "--quiet"], env=environment(folder, **settings), cwd=folder, log=log, note=note
        )
        try:
            while process.poll() is None:
                if time.monotonic() > end:
                    raise ServerError("Label Studio did not create its database in time.", hint=f"The log is {log}.")
                now = _steps(database, done)
                task.advance(now - done)
                done = now
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if kept is not None and part is not None:
                empty_database.keep(part, kept)
    if process.returncode != 0:
        raise crashed("while creating its database", log, start)
    unfinished.rename(data_folder(folder))
    note.unlink()


def set_password(program: str, folder: Path, password: str) -> None:
    """Change the administrator's password; the server may be running."""
    done = subprocess.run(
        [program, "reset_password", "--username", ADMIN],
        env=environment(folder),
        cwd=folder,
        input=password + "\n",
        capture_output=True,
        text=True,
        start_new_session=True,  # no terminal, so that it reads standard input
        timeout=120,
        check=False,
    )
    if "successfully changed" not in done.stdout:
        words = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ServerError(f"Label Studio did not change the password of {ADMIN}: {words[-1] if words else '?'}")


def crashed(when: str, log: Path, start: int) -> EmolabError:
    """Return the error for a program that ended by itself, with the end of its log (from byte ``start``)."""
    text = daemon.tail(log, start=start)
    where = f"The whole log is {log}."
    if "No space left" in text or "disk is full" in text:
        return EmolabError(f"Label Studio stopped {when}: the disk is full.", hint=f"Free some space. {where}")
    if "already in use" in text:
        return PortTaken(f"Label Studio stopped {when}: its port was taken.", hint=f"Run this again. {where}")
    if refused := re.search(r"ImproperlyConfigured: (.+)", text):
        return EmolabError(f"Label Studio stopped {when}: {refused[1].rstrip('.')}.", hint=where)
    if "No module named 'emolab_studio'" in text:
        return without_settings(log)
    quoted = "\n".join("  | " + line for line in text.splitlines()) or "  | (nothing)"
    return EmolabError(f"Label Studio stopped {when}. The end of its log:\n{quoted}\n", hint=where)


def without_settings(log: Path) -> EmolabError:
    """Return the error for a program that runs with other settings than emolab's, or cannot find them."""
    return EmolabError(
        "The label-studio program does not use emolab's settings, without which it carries out requests twice "
        f"(it should read them from {SETTINGS}).",
        hint="Is it started by a script of your own, or by Python with -E or -I? Install it beside emolab with: "
        f'pip install "emolab[studio]". The whole log is {log}.',
    )


def settings_in_force(log: Path, start: int) -> bool:
    """Whether the program whose part of the log begins at byte ``start`` said that it uses emolab's settings.

    A log that somebody has removed since speaks neither for nor against; then it is believed.
    """
    try:
        with log.open("rb") as stream:
            stream.seek(start)
            return IN_FORCE in stream.read(65536)
    except FileNotFoundError:
        return True


def _steps(database: Path, done: int) -> int:
    """Return how many migrations are applied so far; ``done`` when that cannot be read just now."""
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
            return int(connection.execute("SELECT count(*) FROM django_migrations").fetchone()[0])
    except sqlite3.Error:  # not created yet, or locked just now
        return done
