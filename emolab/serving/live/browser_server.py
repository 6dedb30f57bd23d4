"""Serving the live page: on loopback, or with HTTPS for the camera of a phone."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emolab.errors import ConfigError, DataError, MissingExtra
from emolab.serving.live.browser import MOST_BYTES

if TYPE_CHECKING:
    from starlette.applications import Starlette

#: Days for which a certificate is made, and until when it is used again.
_DAYS, _USED = 397, 360


@dataclass(frozen=True)
class Certificate:
    """Files in PEM: ``chain`` and its ``key``."""

    chain: Path
    key: Path


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach ``host``.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("192.168.1.7")
    (True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at ``port`` (0: a free one). Raises :class:`DataError` where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise DataError(
            f"Nothing can listen at {host} port {port}: {error.strerror or error}.", hint="Give another --port, or 0."
        ) from error
    return found


def shown_host(host: str) -> str:
    """What to type in a browser to reach ``host``: the machine's own address where it listens at all of them."""
    if host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened at
        return f"[{host}]" if ":" in host else host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; the system says from where it would
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def certificate(tls: str | None, *, folder: Path, names: Sequence[str]) -> Certificate | None:
    """What ``tls`` means: nothing, ``CERT,KEY``, or ``self``: one made for ``names`` and kept in ``folder``.

    Raises :class:`ConfigError` for files that are not there.
    """
    if not tls:
        return None
    if tls == "self":
        return self_signed(folder, names)
    chain, _, key = tls.partition(",")
    for path in (chain, key):
        if not path or not Path(path).is_file():
            raise ConfigError(
                f'--tls {tls} names no certificate: there is no file "{path}".',
                hint="Give CERT,KEY (two PEM files), or self.",
            )
    return Certificate(Path(chain), Path(key))


def self_signed(folder: Path, names: Sequence[str]) -> Certificate:
    """A certificate for ``names`` (hosts, addresses) that this machine signs itself, with a key only its owner reads.

    It is kept, so that a phone that was told to trust it need not be told again. Raises :class:`MissingExtra` without
    the program openssl.
    """
    mark = hashlib.sha256(",".join(sorted(names)).encode()).hexdigest()[:12]
    made = Certificate(folder / f"live-{mark}.crt", folder / f"live-{mark}.key")
    if made.chain.is_file() and made.key.is_file() and time.time() - made.chain.stat().st_mtime < _USED * 86_400:
        return made
    program = shutil.which("openssl")
    if program is None:
        raise ConfigError(
            "There is no program openssl, which makes the certificate.",
            hint="Install OpenSSL, or give files of your own: --tls CERT,KEY",
        )
    folder.mkdir(parents=True, exist_ok=True)
    made.key.touch(mode=0o600)
    subjects = ",".join(f"IP:{name}" if _is_address(name) else f"DNS:{name}" for name in names)
    done = subprocess.run(
        [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256",
         "-days", str(_DAYS), "-subj", "/CN=emolab live", "-addext", f"subjectAltName={subjects}",
         "-addext", "extendedKeyUsage=serverAuth", "-keyout", str(made.key), "-out", str(made.chain)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise DataError(f"openssl made no certificate: {said[-1] if said else '?'}", hint="Give --tls CERT,KEY.")
    return made


def fingerprint(made: Certificate) -> str:
    """The SHA-256 of the certificate, as browsers show it, to compare on the phone."""
    import ssl

    der = ssl.PEM_cert_to_DER_cert(made.chain.read_text(encoding="ascii"))
    digest = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


@contextlib.contextmanager
def serving(app: Starlette, at: socket.socket, *, tls: Certificate | None = None) -> Iterator[Callable[[], bool]]:
    """Serve ``app`` in a thread while the context lasts; what it gives says whether the server still runs."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("uvicorn", "serve") from error
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            lifespan="off",
            ws_max_size=MOST_BYTES + 64,
            ws_max_queue=2,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
            server_header=False,
            ssl_certfile=None if tls is None else str(tls.chain),
            ssl_keyfile=None if tls is None else str(tls.key),
        )
    )
    failure: list[BaseException] = []

    def run() -> None:
        try:
            server.run(sockets=[at])
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="live-server", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    if failure:
        raise DataError(f"The page cannot be served: {failure[0]}.")
    try:
        yield thread.is_alive
    finally:
        server.should_exit = True
        thread.join(10)
        at.close()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
