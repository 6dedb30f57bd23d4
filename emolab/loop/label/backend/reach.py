"""Why Label Studio does not reach the server that it is to ask, as far as that can be told from this machine."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from emolab.errors import EmolabError

if TYPE_CHECKING:
    from emolab.labeling.label_studio.records import RemoteBackend

#: Seconds that Label Studio waits for the answer to its set-up.
_SECONDS = 3.0
_START = "Start it in this workspace: emolab serve --studio. If it has another address: emolab studio connect URL"
_KEY = "Make a key: emolab serve keys add studio. Then set EMOLAB_SERVE_KEY to it and type: emolab studio connect URL"


def cause(backend: RemoteBackend) -> EmolabError:
    """What to say about a backend that Label Studio does not call connected: the server is asked from here, too."""
    status, reason = _asked(f"{backend.url.rstrip('/')}/setup")
    told = f" Label Studio says: {backend.problem[:200]}" if backend.problem else ""
    if status is None:
        return EmolabError(f"Nothing answers at {backend.url} ({reason}).", hint=_START)
    if status == 401:
        what = (
            "refuses the key that Label Studio sends" if backend.has_password else "wants a key, Label Studio has none"
        )
        return EmolabError(f"The server at {backend.url} {what}.", hint=_KEY)
    if status in (404, 405):
        return EmolabError(f"The server at {backend.url} is no ML backend (it answers {status}).", hint=_START)
    if status != 200:
        return EmolabError(f"The server at {backend.url} answers {status}.{told}", hint="Look at its log.")
    return EmolabError(
        f"{backend.url} answers this machine, and Label Studio does not reach it.{told}",
        hint="Does that address mean the same machine where Label Studio runs? On a server of your own set "
        "ML_BLOCK_LOCAL_IP=false for a private address. For the embedded one: emolab studio connect URL",
    )


def _asked(url: str) -> tuple[int | None, str]:
    """The status with which a backend answers an empty set-up; ``None`` and the reason where no answer comes."""
    if not url.startswith(("http://", "https://")):
        return None, "no address of a server"
    request = urllib.request.Request(url, data=b"{}", headers={"Content-Type": "application/json"}, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        return error.code, ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return None, str(getattr(reason, "strerror", None) or reason)
