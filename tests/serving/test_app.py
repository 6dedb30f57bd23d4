"""The API in this process: three ways to send pictures, one form of refusal, and who may ask."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from emolab.serving.app.application import create
from emolab.serving.model_host import Batching
from emolab.serving.service import Service
from tests.support.serving import FakeModel, client, picture, service


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Service]:
    found = service(tmp_path, max_images=4, max_bytes=20_000)
    yield found
    found.close()


@pytest.fixture
def api(made: Service) -> TestClient:
    return client(made)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def kind(response) -> str:  # type: ignore[no-untyped-def]
    """The kind of a refusal, which must have the one form that all have."""
    error = response.json()["error"]
    assert set(error) == {"kind", "message", "hint"}
    assert error["message"]
    return error["kind"]  # type: ignore[no-any-return]


# -- pictures in, answers out ------------------------------------------------------------------------------------------


def test_bytes_a_form_and_json_give_the_same_answer(api: TestClient) -> None:
    data = picture(200)
    ways = [
        api.post("/v1/predict", content=data),
        api.post("/v1/predict", content=data, headers={"content-type": "image/png"}),
        api.post("/v1/predict", files={"images": ("a.png", data)}),
        api.post("/v1/predict", json={"images": [{"b64": b64(data), "name": "a.png"}]}),
    ]
    assert [way.status_code for way in ways] == [200] * 4
    faces = [way.json()["images"][0]["faces"] for way in ways]
    assert faces[0][0]["label"] == "happiness"
    assert faces[0][0]["probs"] == {"happiness": 0.784314, "sadness": 0.215686}
    assert all(face == faces[0] for face in faces)
    assert [way.json()["images"][0]["name"] for way in ways] == ["image", "image", "a.png", "a.png"]


def test_a_batch_is_answered_in_order_and_one_bad_picture_spoils_no_other(api: TestClient) -> None:
    files = [("images", (name, data)) for name, data in (("a", picture(0)), ("b", b"no"), ("c", picture(255)))]
    images = api.post("/v1/predict", files=files).json()["images"]
    assert [image["name"] for image in images] == ["a", "b", "c"]
    assert [bool(image["error"]) for image in images] == [False, True, False]
    assert [image["faces"][0]["label"] for image in images if image["faces"]] == ["sadness", "happiness"]


@pytest.mark.parametrize(
    ("status", "expected", "sent"),
    [
        (422, "no_image", {"content": b""}),
        (422, "unreadable", {"content": b"no picture"}),
        (422, "unreadable", {"content": picture()[:40]}),
        (422, "unreadable", {"content": picture(size=(1100, 1000))}),
        (413, "too_large", {"content": b"x" * 20_001}),
        (415, "unknown_type", {"content": b"x", "headers": {"content-type": "text/html"}}),
        (415, "packed", {"content": b"x", "headers": {"content-encoding": "gzip"}}),
        (400, "malformed", {"content": b"{", "headers": {"content-type": "application/json"}}),
        (400, "malformed", {"content": b"[" * 9_000, "headers": {"content-type": "application/json"}}),
        (400, "malformed", {"content": b"\xff", "headers": {"content-type": "application/json"}}),
        (422, "wrong_form", {"json": []}),
        (422, "wrong_form", {"json": {"images": "x"}}),
        (422, "wrong_form", {"json": {"images": [1]}}),
        (422, "wrong_form", {"json": {"images": [{"b64": 1}]}}),
        (422, "wrong_form", {"json": {"images": [{"b64": "", "url": "http://x"}]}}),
        (422, "wrong_form", {"json": {"images": [], "more": 1}}),
        (422, "no_image", {"json": {"images": []}}),
        (422, "no_base64", {"json": {"images": [{"b64": "*"}]}}),
        (422, "no_base64", {"json": {"images": [{"b64": "é"}]}}),
        (422, "too_many_images", {"json": {"images": [{"b64": ""}] * 5}}),
        (422, "too_many_images", {"files": [("images", ("a", b"x"))] * 5}),
        (422, "unknown_field", {"files": {"images": ("a", b"x")}, "data": {"model": "face48"}}),
        (400, "malformed", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}),
        (400, "malformed", {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}),
        (400, "malformed", {"content": b"--b\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}),
        (422, "unknown_parameter", {"content": picture(), "params": {"key": "secret"}}),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_reason(
    api: TestClient, made: Service, status: int, expected: str, sent: dict[str, object]
) -> None:
    response = api.post("/v1/predict", **sent)  # type: ignore[arg-type]
    assert (response.status_code, kind(response)) == (status, expected)
    assert (made.capacity.held_images, made.capacity.held_bytes) == (0, 0)


def test_a_form_that_ends_early_is_refused(api: TestClient) -> None:
    whole = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n' + picture() + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert api.post("/v1/predict", content=whole, headers=headers).status_code == 200
    assert kind(api.post("/v1/predict", content=whole[:-12], headers=headers)) == "malformed"
    long = whole.replace(b'name="images"', b'name="images"; x="' + b"y" * 70_000 + b'"')
    assert api.post("/v1/predict", content=long[:19_000], headers=headers).status_code == 400


def test_unknown_paths_and_methods_are_refused_in_the_same_form(api: TestClient) -> None:
    assert kind(api.get("/nope")) == "unknown_path"
    response = api.put("/v1/predict")
    assert (response.status_code, kind(response), response.headers["allow"]) == (405, "wrong_method", "POST")


def test_a_failure_of_the_server_says_nothing_of_its_inside(tmp_path: Path) -> None:
    class Broken(FakeModel):
        def probabilities(self, pixels):  # type: ignore[no-untyped-def]
            raise ValueError("a secret")

    made = service(tmp_path, Broken())
    response = client(made, raise_server_exceptions=False).post("/v1/predict", content=picture())
    assert (response.status_code, kind(response)) == (500, "internal")
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in response.text
    assert made.capacity.held_images == 0
    made.close()


# -- models, health, metrics -------------------------------------------------------------------------------------------


def test_models_are_listed_with_their_cards(api: TestClient) -> None:
    listed = api.get("/v1/models").json()["models"]
    assert [(model["name"], model["role"], model["input"]) for model in listed] == [
        ("champion", "serving", {"size": 8, "color": "gray"})
    ]
    for name in ("champion", "a" * 64, "aaaaaa"):
        assert api.get(f"/v1/models/{name}").json()["card"] == "# A card"
    for name in ("a", "zzzzzzz", "aaaaab"):
        assert kind(api.get(f"/v1/models/{name}")) == "unknown_model"


def test_a_server_that_stops_is_alive_but_not_ready(api: TestClient, made: Service) -> None:
    assert api.get("/ready").json() == {"status": "ready"}
    made.ready = False
    assert api.get("/health").status_code == 200
    response = api.get("/ready")
    assert (response.status_code, kind(response)) == (503, "not_ready")


def test_metrics_count_by_model_version(api: TestClient) -> None:
    api.post("/v1/predict", files=[("images", ("a", picture(0))), ("images", ("b", b"no"))])
    text = api.get("/metrics").text
    model = "a" * 64
    for line in (
        f'emolab_faces_total{{label="sadness",model="{model}"}} 1.0',
        f'emolab_images_total{{model="{model}",outcome="error"}} 1.0',
        f'emolab_batch_size_count{{model="{model}"}} 1.0',
        f'emolab_model_serving{{model="{model}"}} 1.0',
        'emolab_requests_total{route="predict",status="200"} 1.0',
        "emolab_images_under_way 0.0",
    ):
        assert line in text, line


def test_every_route_is_described_and_every_example_holds(api: TestClient) -> None:
    described = api.get("/openapi.json").json()
    routes = {route.path for route in create(service_of(api)).routes} - {"/openapi.json"}  # type: ignore[attr-defined]
    assert set(described["paths"]) == routes
    body = described["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert api.post("/v1/predict", json=body).status_code == 200


def service_of(api: TestClient) -> Service:
    return api.app.state.service  # type: ignore[attr-defined, no-any-return]


# -- who may ask -------------------------------------------------------------------------------------------------------


def test_a_key_is_demanded_but_for_whether_the_server_lives(tmp_path: Path) -> None:
    made = service(tmp_path, keys=True)
    key = made.keys.add("ann")
    api = client(made)
    for path in ("/v1/models", "/metrics", "/openapi.json", "/nope"):
        refused = api.get(path)
        assert (refused.status_code, kind(refused)) == (401, "key_missing")
        assert refused.headers["www-authenticate"] == "Bearer"
    assert [api.get(path).status_code for path in ("/health", "/ready")] == [200, 200]
    wrong = [{"authorization": f"Bearer {key}x"}, {"authorization": "Bearer "}, {"x-api-key": key[:-1]},
             {"authorization": "Basic !"}, {"authorization": f"Basic {b64(b'ann:')}"}]  # fmt: skip
    assert [kind(api.get("/v1/models", headers=one)) for one in wrong] == ["key_wrong"] * len(wrong)
    right = [{"authorization": f"Bearer {key}"}, {"authorization": f"bearer {key}"}, {"x-api-key": key},
             {"authorization": f"Basic {b64(f'any:{key}'.encode())}"}]  # fmt: skip
    assert [api.get("/v1/models", headers=one).status_code for one in right] == [200] * len(right)
    made.keys.revoke("ann")
    assert kind(api.get("/v1/models", headers=right[0])) == "key_wrong"
    made.close()


def test_a_wrong_key_is_refused_where_none_is_needed(api: TestClient) -> None:
    assert api.get("/v1/models").status_code == 200
    assert kind(api.get("/v1/models", headers={"x-api-key": "nonsense"})) == "key_wrong"


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("LOCALHOST:8000", 200), ("127.0.0.1:8000", 200), ("[::1]:8000", 200), ("10.0.0.7", 200),
     ("faces.example.org", 200), ("evil.example", 421), ("localhost.evil.example", 421), ("", 421)],
)  # fmt: skip
def test_only_names_of_this_server_are_answered(tmp_path: Path, host: str, status: int) -> None:
    made = service(tmp_path, hosts=("faces.example.org",))
    api = client(made)
    assert api.get("/v1/models", headers={"host": host}).status_code == status
    assert api.get("/health", headers={"host": host}).status_code == 200
    made.close()


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost", 200), ("https://pages.example.org", 200), ("https://evil.example", 403), ("null", 403),
     ("http://localhost:9000", 403)],
)  # fmt: skip
def test_pages_of_other_sites_may_not_call(tmp_path: Path, origin: str, status: int) -> None:
    made = service(tmp_path, origins=("https://pages.example.org",))
    api = client(made)
    response = api.post("/v1/predict", content=picture(), headers={"origin": origin})
    assert response.status_code == status
    allowed = response.headers.get("access-control-allow-origin")
    assert allowed == (origin if origin == "https://pages.example.org" else None)
    made.close()


def test_a_browser_that_asks_before_it_sends_is_told(tmp_path: Path) -> None:
    made = service(tmp_path, keys=True, origins=("https://pages.example.org",))
    asked = {"origin": "https://pages.example.org", "access-control-request-method": "POST"}
    told = client(made).options("/v1/predict", headers=asked)
    assert (told.status_code, told.headers["access-control-allow-methods"]) == (204, "GET, POST")
    assert "authorization" in told.headers["access-control-allow-headers"]
    made.close()


def test_a_web_socket_of_a_foreign_page_is_not_opened(api: TestClient) -> None:
    for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
        with pytest.raises(WebSocketDisconnect) as refused, api.websocket_connect("/v1/live", headers=headers):
            pass
        assert refused.value.code == 1008


def test_every_answer_protects_the_browser_and_has_an_id(api: TestClient) -> None:
    for response in (
        api.get("/health"),
        api.get("/nope"),
        api.post("/v1/predict"),
        api.get("/", headers={"host": "x"}),
    ):
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert len(response.headers["x-request-id"]) == 16
    assert api.get("/health", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert api.get("/health", headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


def test_a_caller_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    made = service(tmp_path, rate=0.5)
    api = client(made)
    assert api.get("/v1/models").status_code == 200
    refused = api.get("/v1/models")
    assert (refused.status_code, kind(refused), refused.headers["retry-after"]) == (429, "too_often", "2")
    assert api.get("/health").status_code == 200
    made.close()


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_the_audit_log_says_who_when_which_model_and_class_counts_and_nothing_else(tmp_path: Path) -> None:
    made = service(tmp_path, keys=True)
    key = made.keys.add("ann")
    files = [("images", ("private.png", picture(level))) for level in (0, 255, 250)]
    client(made).post("/v1/predict", files=files, headers={"x-api-key": key, "x-request-id": "r1"})
    made.close()
    (file,) = (tmp_path / "audit").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    line = json.loads(file.read_text())
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "request": "r1", "who": "key ann", "model": "a" * 64, "images": 3, "errors": 0,
        "classes": {"sadness": 1, "happiness": 2},
    }  # fmt: skip
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key.encode() not in kept
    assert b"private" not in kept


# -- limits of work ----------------------------------------------------------------------------------------------------


def test_above_its_capacity_the_server_refuses_at_once(tmp_path: Path) -> None:
    made = service(tmp_path, queue=2)
    api = client(made)
    made.capacity.enter(images=2)
    refused = api.post("/v1/predict", content=picture())
    assert (refused.status_code, kind(refused), refused.headers["retry-after"]) == (503, "overloaded", "1")
    made.capacity.leave(images=1, answered=False)
    too_many = api.post("/v1/predict", files=[("images", (str(n), picture())) for n in range(2)])
    assert (too_many.status_code, kind(too_many)) == (503, "overloaded")
    assert made.capacity.held_images == 1, "what was taken for it is given back"
    assert api.post("/v1/predict", content=picture()).status_code == 200
    made.close()


def test_bodies_held_at_once_are_bounded(tmp_path: Path) -> None:
    made = service(tmp_path, max_bytes=1024)
    made.capacity.enter(size=16 * 1024 - 10)
    refused = client(made).post("/v1/predict", content=picture())
    assert (refused.status_code, kind(refused)) == (503, "overloaded")
    assert made.capacity.held_images == 0
    made.close()


def test_a_request_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    gate = threading.Event()
    made = service(tmp_path, FakeModel(gate=gate), timeout=0.1)
    response = client(made).post("/v1/predict", content=picture())
    assert (response.status_code, kind(response)) == (408, "timeout")
    gate.set()
    made.close()


def test_more_faces_than_allowed_are_refused(tmp_path: Path) -> None:
    made = service(tmp_path, batching=Batching(faces=2))
    response = client(made).post("/v1/predict", files=[("images", (str(n), picture())) for n in range(3)])
    assert (response.status_code, kind(response)) == (422, "too_many_faces")
    made.close()


# -- platforms ---------------------------------------------------------------------------------------------------------


def test_vertex_ai_finds_its_routes_and_forms(tmp_path: Path) -> None:
    made = service(tmp_path)
    app = create(
        made, environment={"AIP_HEALTH_ROUTE": "/v1/health/ok", "AIP_PREDICT_ROUTE": "/v1/endpoints/1:predict"}
    )
    api = TestClient(app, base_url="http://localhost")
    assert api.get("/v1/health/ok", headers={"host": "anything"}).status_code == 200
    instances = {"instances": [{"b64": b64(picture(0))}, {"b64": b64(picture(255))}], "parameters": {"any": 1}}
    predictions = api.post("/v1/endpoints/1:predict", json=instances).json()["predictions"]
    assert [one["faces"][0]["label"] for one in predictions] == ["sadness", "happiness"]
    assert kind(api.post("/v1/endpoints/1:predict", json={"images": []})) == "wrong_form"
    made.close()


def test_an_answer_reaches_its_caller_also_when_the_audit_log_cannot_be_written(
    api: TestClient, made: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(line: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(made.audit, "write", full)
    answer = api.post("/v1/predict", content=picture())
    assert (answer.status_code, len(answer.json()["images"])) == (200, 1)
    assert "is not in the audit log: No space left on device" in caplog.text
    assert "emolab_audit_lines_lost_total 1.0" in api.get("/metrics").text
