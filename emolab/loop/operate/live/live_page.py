"""The page whose camera a model looks at: where it is, who may come, and until when it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emolab.loop.operate.live.live_session import Listener, LiveSession
    from emolab.serving.live.face_stream import FaceStream
    from emolab.serving.live.pipeline import LiveAnswer

#: Where the page is served where nothing else is asked for; 0 is any free port.
HOST, PORT = "127.0.0.1", 8642


@dataclass(frozen=True, kw_only=True)
class BrowserPage:
    """Where the page is: ``url`` with its token, ``fingerprint`` of a certificate that this machine signed itself."""

    url: str
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """Where to serve it, by which certificate (``tls``: ``self`` or ``CERT,KEY``), and what people must agree to.

    ``model_name`` is shown on it.
    """

    host: str | None = None
    port: int | None = None
    tls: str | None = None
    consent: str | None = None
    model_name: str | None = None


def serve_page(
    session: LiveSession,
    new_stream: Callable[[], FaceStream],
    listeners: Sequence[Listener],
    wanted: PageRequest,
    on_page: Callable[[BrowserPage], None],
) -> None:
    """Serve the page until ``session`` is over; ``on_page`` is told where it is.

    Raises :class:`DataError` where nothing can listen, :class:`ConfigError` for a certificate that is not there.
    """
    import secrets

    from emolab.files import user_cache
    from emolab.serving.live import browser_server
    from emolab.serving.live.browser import LOOPBACK, BrowserRules, create
    from emolab.serving.pauses import short_pauses

    host = wanted.host or HOST
    shown = browser_server.shown_host(host)
    plain = browser_server.is_loopback(host)
    names = ["localhost", "127.0.0.1", *([] if plain else [shown])]
    folder = user_cache() / "certificates"
    tls = browser_server.certificate(wanted.tls, folder=folder, names=names)
    token = None if plain else secrets.token_urlsafe(32)
    rules = BrowserRules(
        names=LOOPBACK if plain else None, token=token, consent=wanted.consent, model_name=wanted.model_name
    )

    def tell(tab: str, answer: LiveAnswer) -> None:
        for listener in listeners:
            listener(tab, answer)

    at = browser_server.listen(host, PORT if wanted.port is None else wanted.port)
    port = at.getsockname()[1]
    fingerprint = browser_server.fingerprint(tls) if tls is not None and wanted.tls == "self" else None
    app = create(new_stream, rules, on_answer=tell)
    with short_pauses(), browser_server.serving(app, at, tls=tls) as running:
        address = f"{'http' if tls is None else 'https'}://{shown}:{port}/"
        on_page(BrowserPage(url=address + (f"#token={token}" if token else ""), fingerprint=fingerprint))
        while running() and not session.over:
            time.sleep(0.1)
