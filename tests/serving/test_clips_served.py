"""``emolab serve`` answers about clips: whatever way a sound comes in, and as ``emolab predict`` does."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from emolab.training.networks import bundled
from tests.support.serve_process import ServeProcess, serving
from tests.support.sounds import chatter, sound_file

pytest.importorskip("soundfile")
pytestmark = [
    pytest.mark.serve,
    pytest.mark.slow,
    pytest.mark.skipif(bundled.is_missing("voice16"), reason="this package was built without the weights of voice16"),
]

CLIP = sound_file(chatter(3, 48_000, seed=1), 48_000)
OGG = sound_file(chatter(3, seed=1), format="OGG", subtype="VORBIS")


@pytest.fixture(scope="module")
def server() -> Iterator[ServeProcess]:
    with serving("serve", "voice16", "--port", "0") as found:
        yield found


def ask(server: ServeProcess, body: bytes, kind: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{server.url}/v1/predict", data=body, headers={"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def form(*clips: bytes) -> tuple[bytes, str]:
    """The clips as a form, and its type."""
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="images"; filename="{n}.wav"\r\n\r\n'.encode()
        + clip
        + b"\r\n"
        for n, clip in enumerate(clips)
    ]
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def test_a_clip_is_answered_as_predict_answers_whatever_way_it_comes(server: ServeProcess) -> None:
    from emolab.loop.model.predict import predict

    said = predict("voice16", [CLIP]).predictions[0]
    encoded = json.dumps({"images": [{"b64": base64.b64encode(CLIP).decode()}]}).encode()
    kinds = ("audio/wav", "audio/x-wav; codecs=1", "application/octet-stream", "")
    for body, kind in (*((CLIP, kind) for kind in kinds), form(CLIP), (encoded, "application/json")):
        status, told = ask(server, body, kind)
        assert status == 200, (kind, told)
        (face,) = told["images"][0]["faces"]
        assert face["label"] == said["label"], kind
        assert face["probs"] == pytest.approx(said["probs"], abs=1e-4), kind


@pytest.mark.parametrize("kind", ["audio/ogg", "application/ogg", "video/ogg"])
def test_what_a_sound_is_its_bytes_say_and_not_its_type(server: ServeProcess, kind: str) -> None:
    status, told = ask(server, OGG, kind)
    assert (status, told["images"][0]["error"]) == (200, None)


def test_what_is_no_sound_is_refused_in_words(server: ServeProcess) -> None:
    broken = chatter(2, seed=1)
    broken[16_000] = np.nan
    for body, said in (
        (sound_file(broken, subtype="FLOAT"), "at 1.00 s it holds a value that is no number"),
        (CLIP[: len(CLIP) // 2], "truncated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG picture"),
        (sound_file(np.zeros(16_000, np.float32)), "silence"),
    ):
        status, told = ask(server, body, "audio/wav")
        assert (status, told["error"]["kind"]) == (422, "unreadable"), said
        assert said in told["error"]["message"] + str(told["error"]["hint"])
    body, kind = form(CLIP, b"no sound")
    status, told = ask(server, body, kind)
    assert status == 200
    assert [bool(one["error"]) for one in told["images"]] == [False, True]
    status, told = ask(server, CLIP, "text/html")
    assert (status, told["error"]["kind"]) == (415, "unknown_type")
    assert "picture or sound" in told["error"]["hint"]
