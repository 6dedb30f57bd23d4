"""Gets FiftyOne its database: somebody's MongoDB by address, or one of our own per workspace.

FiftyOne would start one server per user and mix all workspaces in it. Here each workspace has its own data
folder and server, reached through a socket file that only its owner can open. All emolab processes of a
workspace share that server; it stops when the last of them ends (see :mod:`emolab.datasets.inspect.mongod_keeper`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from emolab.errors import EmolabError, MissingExtra

URI = "FIFTYONE_DATABASE_URI"
OWN = "EMOLAB_OWN_DATABASE"  # where emolab set the other one itself: FiftyOne's programs read that, emolab's must not
OLDEST = (6, 0)  # what FiftyOne 1.x accepts
ANSWER_SECONDS = 5.0  # for the server that somebody named; MongoDB's own patience is 30 s, twice
START_SECONDS = 120.0  # recovery after a power cut may take a while
USERS = "users.lock"  # whoever uses the server of a folder shares the lock on this file
CACHE_GB = 1.0  # MongoDB would take half of the machine's memory

#: Addresses of own servers in use by this process, with the descriptor whose lock keeps each of them alive.
_held: dict[str, int] = {}

_SOCKET_BYTES = 100  # the system's limit is 108 on Linux, 104 on macOS
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
_HINT = "Run: emolab doctor. Or start any MongoDB 6.0 or newer and set FIFTYONE_DATABASE_URI=mongodb://HOST:PORT"


@dataclass(frozen=True, slots=True)
class Mongod:
    """A MongoDB server program that runs here; ``libraries`` is a folder it needs on its library path."""

    path: Path
    version: str
    libraries: Path | None = None


def find() -> Mongod:
    """The program to use: ``mongod`` on PATH, else the one that came with FiftyOne.

    FiftyOne's own is linked with OpenSSL 1.1, which newer systems lack; emolab's set-up puts a copy into
    ``share/emolab/openssl-1.1`` of the virtual environment. Raises :class:`EmolabError` that says why none
    will do.
    """
    reasons: list[str] = []
    for path, libraries in _candidates():
        found = _try(path, libraries)
        if isinstance(found, Mongod):
            return found
        reasons.append(f"{path}: {found}")
    tried = "; ".join(reasons) or "there is no mongod on PATH, and FiftyOne brought none"
    raise EmolabError(f"FiftyOne has no database to work with ({tried}).", hint=_HINT)


def database(folder: Path) -> str:
    """The address of a running database for the workspace whose FiftyOne folder is ``folder``.

    ``FIFTYONE_DATABASE_URI`` wins when it is set. Otherwise the server of ``folder`` is started, or shared with the
    processes that use it already, and runs until this process ends: FiftyOne still talks to it on the way out.
    Raises :class:`EmolabError` when there is no usable MongoDB or it does not come up.
    """
    if address := given():
        check(address)
        return address
    try:
        import fcntl
    except ImportError:
        raise EmolabError(f"On {sys.platform} emolab cannot run MongoDB for FiftyOne itself.", hint=_HINT) from None
    folder.mkdir(parents=True, exist_ok=True)
    socket_file = _socket(folder)
    address = f"mongodb://{quote(str(socket_file), safe='')}"
    if address not in _held:
        _held[address] = os.open(folder / USERS, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(_held[address], fcntl.LOCK_SH)
    with (folder / "start.lock").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if not _answers(socket_file):
            _start(find(), folder, socket_file)
    return address


def given() -> str | None:
    """The address of a MongoDB that somebody named, which is not the server of a workspace that emolab started."""
    address = os.environ.get(URI)
    return None if not address or address == os.environ.get(OWN) else address


def share(address: str) -> None:
    """Let FiftyOne in this process, and in those that it starts, use the database at ``address``."""
    os.environ[URI] = address
    if address in _held:
        os.environ[OWN] = address


def check(address: str) -> None:
    """Whether the MongoDB at ``address`` answers and is new enough, within some seconds.

    Raises :class:`EmolabError` that names the address (without its password) when not.
    """
    try:
        from pymongo import MongoClient
        from pymongo.errors import PyMongoError
    except ImportError:
        raise MissingExtra("FiftyOne", "data") from None
    shown = re.sub(r"//[^/@]*@", "//…@", address)
    milliseconds = int(ANSWER_SECONDS * 1000)
    try:
        client: MongoClient[dict[str, object]] = MongoClient(
            address, serverSelectionTimeoutMS=milliseconds, connectTimeoutMS=milliseconds, socketTimeoutMS=milliseconds
        )
        with client:
            version = str(client.server_info()["version"])
    except (PyMongoError, ValueError, OSError) as error:
        reason = " ".join(re.split(r", Timeout: | \(configured timeouts", str(error))[0].split())
        raise EmolabError(
            f"{URI} is {shown}, where no MongoDB can be used: {reason.rstrip('.')}.",
            hint=f"Start it, or correct the address, or let emolab run its own: unset {URI}",
        ) from None
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise EmolabError(
            f"{URI} is {shown}: MongoDB {version} is too old, FiftyOne needs {OLDEST[0]}.{OLDEST[1]}.",
            hint=f"Upgrade it, or let emolab run its own: unset {URI}",
        )


def running(folder: Path) -> int | None:
    """The process id of the server that works in ``folder`` now, if there is one."""
    if not _answers(_socket(folder)):
        return None
    return int((folder / "db" / "mongod.lock").read_text())


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether ``folder`` is nobody's: no process uses its server, and none can while the block runs.

    A server that nobody uses any more is waited for, until it has stopped.
    """
    with (folder / USERS).open("a+") as stream:
        yield _taken(stream.fileno(), _socket(folder))


def _taken(users: int, address: Path) -> bool:
    """Whether the lock on the file ``users`` could be had alone, beside no server at ``address``."""
    import fcntl

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _answers(address):
                return True
            fcntl.flock(users, fcntl.LOCK_UN)  # its keeper wants the lock, to stop it
        except BlockingIOError:
            with suppress(BlockingIOError):  # refused: the keeper holds it alone while the server stops
                fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
        time.sleep(0.1)
    return False


def _candidates() -> Iterator[tuple[Path, Path | None]]:
    on_path = shutil.which("mongod")
    if on_path:
        yield Path(on_path), None
    package = _package_folder()
    own = package / "db" / "bin" / "mongod" if package else None
    if own and own.is_file():
        yield own, None
        libraries = Path(sys.prefix) / "share" / "emolab" / "openssl-1.1"
        if libraries.is_dir():
            yield own, libraries


def _package_folder() -> Path | None:
    package = find_spec("fiftyone")
    return Path(package.origin).parent if package and package.origin else None


def _try(path: Path, libraries: Path | None) -> Mongod | str:
    """The program at ``path`` when it runs and is new enough, otherwise what is wrong with it."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)} if libraries else None
    try:
        said = subprocess.run(
            [path, "--version"], check=False, capture_output=True, text=True, timeout=30, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    match = re.search(r"db version v(\d+)\.(\d+)\.\S*", said.stdout)
    if match is None:
        return (said.stderr or said.stdout).strip().split("\n")[-1].removeprefix(f"{path}: ") or "it says nothing"
    if (int(match[1]), int(match[2])) < OLDEST:
        return f"version {match[1]}.{match[2]} is too old, FiftyOne needs 6.0"
    return Mongod(path, match[0].removeprefix("db version v"), libraries)


def _socket(folder: Path) -> Path:
    """Where the server of ``folder`` listens: in it, or in the temporary folder if that path is no address.

    Socket paths are short by law of the system, and MongoDB addresses take few characters.
    """
    direct = folder / "mongod.sock"
    if len(os.fsencode(direct)) <= _SOCKET_BYTES and _PLAIN_PATH.fullmatch(str(direct)):
        return direct
    private = Path(tempfile.gettempdir()) / f"emolab-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    state = private.lstat()
    if private.is_symlink() or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise EmolabError(
            f"{private} is not a private folder of yours.", hint="Remove it, or set TMPDIR to another one."
        )
    return private / f"{blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()}.sock"


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True


def _start(program: Mongod, folder: Path, address: Path) -> None:
    """Start the server and wait until it answers; the caller holds the start lock and shares the users' lock."""
    data, log, output = folder / "db", folder / "mongod.log", folder / "mongod.out"
    data.mkdir(mode=0o700, exist_ok=True)
    log.unlink(missing_ok=True)
    server = [
        program.path,
        "--dbpath",
        data,
        "--logpath",
        log,
        "--quiet",
        "--wiredTigerCacheSizeGB",
        CACHE_GB,
    ]
    server += ["--bind_ip", address, "--filePermissions", "0600", "--nounixsocket"]
    keep = [sys.executable, "-I", Path(__file__).with_name("mongod_keeper.py")]
    with output.open("wb") as stream:
        keeper = subprocess.Popen(
            [str(word) for word in (*keep, folder / USERS, program.libraries or "", *server)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the command, not for the server others may use
        )
    threading.Thread(target=keeper.wait, daemon=True).start()  # takes its exit code whenever it ends
    deadline = time.monotonic() + START_SECONDS
    while not _answers(address):
        code = keeper.poll()
        if code is not None:
            raise EmolabError(
                f"MongoDB {program.version} ended at once (exit code {code}): {_complaint(log, output)}",
                hint=f"The FiftyOne view can be rebuilt: delete {folder} and run emolab inspect again.",
            )
        if time.monotonic() > deadline:
            keeper.terminate()
            raise EmolabError(f"MongoDB did not answer within {START_SECONDS:.0f} s.", hint=f"Its log: {log}")
        time.sleep(0.05)


def _complaint(log: Path, output: Path) -> str:
    """The last error in the server's log, or the last line it printed."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("s") in ("E", "F"):
            reason = entry.get("attr", {}).get("error") or entry.get("attr", {}).get("message") or ""
            return f"{entry.get('msg')} {reason}".strip()
    said = output.read_text(errors="replace").strip().splitlines() if output.exists() else []
    return said[-1] if said else "it left no message."
