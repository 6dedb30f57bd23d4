"""The pages of the app and their parts, with the headers that keep foreign scripts and frames out; and who is it."""

from __future__ import annotations

import functools
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from emolab.ranges import WORDS
from emolab.serving.app.errors import JSONAnswer, RequestRefused
from emolab.serving.people import Person
from emolab.serving.service import Service
from emolab.serving.workbench import session
from emolab.serving.workbench.session import APP, Workbench, allowed

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"content-security-policy": POLICY, "permissions-policy": "camera=(self), microphone=(), geolocation=()"}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
#: Pages of the navigation, and who may open them, in their order.
PAGES: dict[str, str] = {
    "vote": "annotator", "data": "reader", "suggest": "reader", "model": "reader", "monitor": "reader",
    "team": "reader", "try": "reader",
}  # fmt: skip


def routes(bench: Workbench) -> list[BaseRoute]:
    """The page, its parts, and who is it; with :mod:`session`, all that other routes of the app stand on."""
    held = parts()
    return [
        Route("/", to_app, methods=["GET"]),
        Route(APP, functools.partial(part, held=held, name="index.html"), methods=["GET"]),
        Route(f"{APP}/static/{{name:path}}", functools.partial(part, held=held), methods=["GET"]),
        Route(f"{APP}/api/me", functools.partial(me, bench=bench), methods=["GET"]),
        *session.routes(bench),
    ]


def parts() -> dict[str, bytes]:
    """Every file of the pages, by its path among them."""
    return dict(_files(files("emolab.serving") / "pages" / "workbench"))


def _files(folder: Traversable, before: str = "") -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files(entry, f"{before}{entry.name}/")
        elif f".{entry.name.rpartition('.')[2]}" in TYPES:
            found.append((before + entry.name, entry.read_bytes()))
    return found


async def to_app(request: Request) -> Response:
    """Lead whoever asks for the bare address to the app."""
    del request
    return RedirectResponse(APP, 307)


async def part(request: Request, *, held: dict[str, bytes], name: str | None = None) -> Response:
    """One file of the pages. It holds nothing of the workspace, so everybody may read it."""
    name = name or request.path_params["name"]
    if name not in held:
        raise RequestRefused(404, "unknown_path", "There is no such page.", f"The app is at {APP}.")
    return Response(held[name], headers=HEADERS, media_type=TYPES[f".{name.rpartition('.')[2]}"])


@allowed("annotator")
async def me(request: Request, bench: Workbench, person: Person) -> Response:
    """Who it is, what the pages speak, and which of them there are for this role."""
    service: Service = request.app.state.service
    config = bench.workspace.config
    return JSONAnswer(
        {
            "name": person.name,
            "role": person.role,
            "project": config.project.name,
            "samples": config.project.modality,
            "language": person.language or config.labeling.language,
            "languages": list(WORDS["labeling.language"]),
            "expires_at": person.expires_at,
            "pictures": service.host.version.predictor.takes_pictures,
            "pages": [page for page, role in PAGES.items() if person.may(role)],
        }
    )
