"""A client of `emolab serve` in one file, without any package: copy it, or run it.

$ python emolab_client.py http://127.0.0.1:8000 photo.jpg
photo.jpg: happiness 93 %

In Python:

    with Client("http://127.0.0.1:8000") as client:
        answer = client.predict(["photo.jpg"])
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


class Refused(Exception):
    """The server did not answer: `status`, `kind` for programs, `message` and `hint` for people."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(f"{error['message']} {error['hint'] or ''}".strip())
        self.status, self.kind = status, error["kind"]
        self.message, self.hint = error["message"], error["hint"]


class Client:
    """Asks the server at `url`, with a `key` where it demands one [$EMOLAB_SERVE_KEY].

    A server that has too much to do is asked again, `tries` times at most, when it says that it will have time.
    """

    def __init__(self, url: str, *, key: str | None = None, tries: int = 5, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
        self._key, self._tries = key or os.environ.get("EMOLAB_SERVE_KEY"), tries

    def predict(self, pictures: Sequence[str | Path | bytes]) -> dict[str, Any]:
        """What the model says about `pictures` (files, or bytes): one of "images" for each, in order."""
        images = []
        for number, picture in enumerate(pictures):
            data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
            name = f"picture {number}" if isinstance(picture, bytes) else str(picture)
            images.append({"name": name, "b64": base64.b64encode(data).decode()})
        return self._ask("POST", "/v1/predict", {"images": images})

    def models(self) -> list[dict[str, Any]]:
        """The models that answer."""
        found: list[dict[str, Any]] = self._ask("GET", "/v1/models")["models"]
        return found

    def card(self, model: str = "champion") -> str:
        """The card of a model, in Markdown."""
        return str(self._ask("GET", f"/v1/models/{model}")["card"])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, method: str, path: str, content: object = None) -> dict[str, Any]:
        headers = {"content-type": "application/json"} if content is not None else {}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        body = None if content is None else json.dumps(content)
        for attempt in range(1, self._tries + 1):
            try:
                self._connection.request(method, path, body, headers)
                response = self._connection.getresponse()
                told: dict[str, Any] = json.loads(response.read())
            except (ConnectionError, http.client.BadStatusLine):  # the server ended an idle connection
                self._connection.close()
                if attempt == self._tries:
                    raise
                continue
            if response.status == 200:
                return told
            if response.status not in (429, 503) or attempt == self._tries:
                raise Refused(response.status, told["error"])
            time.sleep(float(response.headers.get("retry-after", "1")))
        raise AssertionError("tries must be at least 1")


def main() -> int:
    """Print one line for each face in the files that are named."""
    if len(sys.argv) < 3:
        print("usage: emolab_client.py URL PICTURE...", file=sys.stderr)
        return 2
    with Client(sys.argv[1]) as client:
        try:
            images = client.predict(sys.argv[2:])["images"]
        except Refused as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    for image in images:
        if not image["faces"]:
            print(f"{image['name']}: {image['error'] or 'no face'}")
        for face in image["faces"]:
            print(f"{image['name']}: {face['label']} {face['confidence']:.0%}".replace("%", " %"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
