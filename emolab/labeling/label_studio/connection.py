"""A connection to one Label Studio: the HTTP client, and the official SDK on top of it where that serves."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from emolab.errors import MissingExtra
from emolab.labeling.label_studio.response_shapes import JsonResponse

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from emolab.labeling.label_studio.http import Http

#: Options for every request of the SDK that writes: nothing is ever sent twice by itself.
ONCE: Any = {"max_retries": 0}


class Connection:
    """One server seen with one user's token; a context manager."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self.url = http.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    @functools.cached_property
    def sdk(self) -> LabelStudio:
        """The official SDK on emolab's HTTP client (which replaces the placeholder token on each request)."""
        try:
            from label_studio_sdk import LabelStudio
        except ModuleNotFoundError as error:
            if error.name != "label_studio_sdk":
                raise
            raise MissingExtra("label-studio-sdk", "label") from None
        make: Any = LabelStudio  # its constructor has no annotations
        client: LabelStudio = make(base_url=self.url, api_key="set-by-emolab", httpx_client=self.http.client)
        return client

    @contextlib.contextmanager
    def _explained(self, request: str) -> Iterator[None]:
        """Give what the SDK raises for ``request`` (method and path) the same words as every other request."""
        from label_studio_sdk.core.api_error import ApiError

        from emolab.labeling.label_studio.http_errors import explained, no_data, status_error

        before = self.http.answered
        try:
            with explained(self.url, self.http.kind):
                yield
        except ApiError as error:
            status = error.status_code or 0
            if 200 <= status < 300:  # the SDK found no JSON in it
                raise no_data(self.url, status, write=True) from None
            raise status_error(self.url, self.http.kind, status, error.body) from None
        except (TypeError, ValueError, RecursionError):  # what the SDK does with JSON that is no object
            if self.http.answered == before:
                raise
            raise JsonResponse(None, request, self.url).wrong("an object", "something else") from None

    def _answer(self, model: Any, request: str) -> JsonResponse:
        """What the SDK made of an answer, to be looked at through checks: its own types are not enforced."""
        return JsonResponse(model.dict() if hasattr(model, "dict") else model, request, self.url)
