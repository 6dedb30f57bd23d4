"""The description of the API (OpenAPI 3.1), as data: ``GET /openapi.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emolab import __version__
from emolab.config import ServeConfig
from emolab.modalities.preparing import COLORS
from emolab.serving.app.errors import JSONAnswer

Document = dict[str, Any]

#: A gray PNG of 2 x 2 pixels.
_PIXELS = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR4nGNgCGBY8AEAA3YB4T1bJLgAAAAASUVORK5CYII="
_FACE: Document = {
    "label": "happiness",
    "confidence": 0.93,
    "probs": {"happiness": 0.93, "sadness": 0.07},
    "unsure": False,
    "note": None,
    "face": 1,
    "box": {"x": 40, "y": 32, "width": 118, "height": 151},
    "landmarks": {"right_eye": [71.2, 90.1], "left_eye": [124.0, 88.7]},
    "score": 0.91,
}
_IMAGE: Document = {
    "name": "a.jpg", "size": [640, 480], "no_face": False, "error": None, "note": None, "faces": [_FACE],
}  # fmt: skip
_STATUS = {
    400: "The body is damaged, or its sender gave up.",
    401: "The key is missing or wrong.",
    403: "A page of another site asks.",
    404: "There is no such model.",
    408: "The request took too long.",
    413: "The body is too large.",
    415: "The type of the body is not understood.",
    421: "The server is not known by this name.",
    422: "A picture, or the form of the request, cannot be used.",
    429: "Too many requests of one caller.",
    503: "As much work as the server can take: try again after Retry-After.",
}


def document(config: ServeConfig) -> Document:
    """The whole description."""
    guarded = (401, 421, 429)
    paths = {
        "/v1/predict": {"post": _predict(config)},
        "/v1/models": {"get": _get("models", "The models at work", "Models", guarded)},
        "/v1/models/{id}": {
            "get": {
                **_get("model", "One model with its card", "Model", (*guarded, 404)),
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1},
                        "description": "Its name, its id, or at least 6 characters of the start of its id.",
                    }
                ],
            }
        },
        "/health": {"get": {**_get("health", "Whether the process answers", "Status", ()), "security": []}},
        "/ready": {"get": {**_get("ready", "Whether requests are taken", "Status", (503,)), "security": []}},
        "/metrics": {"get": {**_get("metrics", "Counters for Prometheus", None, guarded)}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "emolab", "version": __version__, "description": "Emotions of faces in pictures."},
        "paths": paths,
        "security": [{"bearer": []}, {"header": []}, {}],
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": _SCHEMAS,
        },
    }


def _predict(config: ServeConfig) -> Document:
    example = {"model": "0f3a", "request": "5c1e", "images": [_IMAGE]}
    return {
        "operationId": "predict",
        "summary": "Classify one picture or several",
        "description": "Bytes of one picture, files of a form, or JSON with base64; sentences as text or JSON. Of a "
        "request of several, what cannot be read has an error in its answer; a single one like that is refused.",
        "requestBody": {"required": True, "content": _bodies(config.max_images)},
        "responses": {
            **_answer("An answer for each picture, in order.", "Answer", example),
            **_refused((400, 401, 403, 408, 413, 415, 421, 422, 429, 503)),
        },
    }


def _bodies(most: int) -> Document:
    """The three ways to send pictures."""

    def form(items: Document) -> Document:
        many = {"type": "array", "minItems": 1, "maxItems": most, "items": items}
        return {"type": "object", "required": ["images"], "additionalProperties": False, "properties": {"images": many}}

    encoded = {
        "b64": {"type": "string", "contentEncoding": "base64", "description": "The picture's bytes in base64."},
        "name": {"type": "string", "description": "Comes back with the answer."},
    }
    one = {"type": "object", "required": ["b64"], "additionalProperties": False, "properties": encoded}
    return {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {"schema": form({"type": "string", "format": "binary"})},
        "text/plain": {"schema": {"type": "string", "description": "A sentence, where a model of sentences answers."}},
        "application/json": {
            "schema": {"oneOf": [form(one), _object({"text": _TEXT}), _object({"texts": _list(_TEXT)})]},
            "example": {"images": [{"name": "a.png", "b64": _PIXELS}]},
        },
    }


def _get(name: str, summary: str, schema: str | None, statuses: tuple[int, ...]) -> Document:
    text = {"200": {"description": "Text of Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {**(_answer(f"{summary}.", schema) if schema else text), **_refused(statuses)},
    }


def _answer(description: str, schema: str, example: Mapping[str, Any] | None = None) -> Document:
    content: Document = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if example:
        content["example"] = example
    return {"200": {"description": description, "content": {"application/json": content}}}


def _refused(statuses: tuple[int, ...]) -> Document:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refused"}}}
    return {str(status): {"description": _STATUS[status], "content": content} for status in statuses}


def _object(required: Mapping[str, Document], optional: Mapping[str, Document] | None = None) -> Document:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


_TEXT: Document = {"type": "string"}
_MAYBE: Document = {"type": ["string", "null"]}
_YES: Document = {"type": "boolean"}
_SHARE: Document = {"type": "number", "minimum": 0, "maximum": 1}
_WHOLE: Document = {"type": "integer", "minimum": 0}


def _list(items: Document) -> Document:
    return {"type": "array", "items": items}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


_MODEL = {
    "id": _TEXT,
    "name": _TEXT,
    "role": {"enum": ["serving", "shadow"]},
    "classes": _list(_TEXT),
    "input": {
        "oneOf": [_object({"size": _WHOLE, "color": {"enum": sorted(COLORS)}}), _object({"modality": _TEXT})],
        "description": "Of pictures their size and color, else what it answers about.",
    },
    "loaded_at": {"type": "string", "format": "date-time"},
}
_SCHEMAS: Document = {
    "Refused": _object({"error": _object({"kind": _TEXT, "message": _TEXT, "hint": _MAYBE})}),
    "Status": _object({"status": {"enum": ["alive", "ready"]}}),
    "Models": _object({"models": _list(_object(_MODEL))}),
    "Model": _object({**_MODEL, "card": _TEXT}),
    "Answer": {
        "oneOf": [
            _object({"model": _TEXT, "request": _TEXT, "images": _list(_ref("Image"))}),
            _object({"model": _TEXT, "request": _TEXT, "samples": _list(_ref("Sample"))}),
        ]
    },
    "Sample": _object(
        {"name": _TEXT, "error": _MAYBE},
        {
            "sample": {**_TEXT, "description": "What was judged, names and numbers masked."},
            "labels": {**_list(_TEXT), "description": "Every class that applies."},
            "label": _TEXT,
            "confidence": _SHARE,
            "probs": {"type": "object", "additionalProperties": _SHARE},
            "unsure": _YES,
            "note": _MAYBE,
            "among": {**_list(_TEXT), "description": "Holds all labels as often as was asked for."},
        },
    ),
    "Image": _object(
        {
            "name": _TEXT,
            "size": {"type": ["array", "null"], "items": _WHOLE, "description": "Width and height, upright."},
            "no_face": _YES,
            "error": _MAYBE,
            "note": _MAYBE,
            "faces": _list(_ref("Face")),
        }
    ),
    "Face": _object(
        {
            "label": _TEXT,
            "confidence": _SHARE,
            "probs": {"type": "object", "additionalProperties": _SHARE},
            "unsure": _YES,
            "note": _MAYBE,
        },
        {
            "among": {**_list(_TEXT), "description": "Holds the right class as often as was asked for."},
            "face": {**_WHOLE, "description": "Counts the faces of a picture from 1, the largest first."},
            "box": _object(dict.fromkeys(("x", "y", "width", "height"), _WHOLE)),
            "landmarks": {"type": "object", "additionalProperties": _list({"type": "number"})},
            "score": {**_SHARE, "description": "How sure the detector of faces is."},
        },
    ),
}


async def openapi(request: Request) -> Response:
    """This description."""
    return JSONAnswer(document(request.app.state.service.config))


ROUTES = [Route("/openapi.json", openapi, methods=["GET"])]
