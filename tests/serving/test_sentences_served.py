"""``emolab serve`` answers about sentences too: without PyTorch for a model of n-grams, with all labels that apply."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emolab.modalities.text.learn import TextSettings, learn
from emolab.modalities.text.ngrams import NgramConfig
from tests.support.serve_process import ServeProcess, serving

pytestmark = [pytest.mark.serve, pytest.mark.slow]

TEXTS = ["so glad", "how glad", "furious oh", "oh so furious", "glad and furious", "furious and glad"] * 5
TARGETS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [1, 1]] * 5, np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "m"
    settings = TextSettings(ngrams=NgramConfig(bits=16), strength=5)
    learn(TEXTS, TARGETS, ("joy", "anger"), settings=settings).model.save(folder)
    return folder


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[ServeProcess]:
    with serving("serve", model, "--port", "0") as found:
        yield found


def ask(server: ServeProcess, body: bytes, kind: str = "application/json") -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{server.url}/v1/predict", data=body, headers={"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_sentence_is_answered_with_all_its_labels_and_masked(server: ServeProcess) -> None:
    status, told = ask(server, json.dumps({"text": "So glad, Sarah, and furious"}).encode())
    (sample,) = told["samples"]
    assert status == 200
    assert (sample["sample"], sample["labels"], sample["error"]) == (
        "So glad, [NAME], and furious",
        ["joy", "anger"],
        None,
    )
    assert set(sample["probs"]) == {"joy", "anger"}
    assert sample["confidence"] == max(sample["probs"].values())


def test_it_answers_as_predict_does_whatever_way_the_sentence_comes(server: ServeProcess, model: Path) -> None:
    from emolab.loop.model.predict import predict

    said = predict(model, [b"so glad", b"furious"]).predictions
    status, told = ask(server, json.dumps({"texts": ["so glad", "furious"]}).encode())
    assert (status, [one["label"] for one in told["samples"]]) == (200, ["joy", "anger"])
    assert [one["probs"] for one in told["samples"]] == [pytest.approx(row["probs"], abs=1e-5) for row in said]
    for body, kind in ((b"so glad", "text/plain"), (b'{"images": [{"text": "so glad"}]}', "application/json")):
        assert ask(server, body, kind)[1]["samples"][0]["probs"] == told["samples"][0]["probs"]


def test_what_is_no_sentence_is_refused_in_words(server: ServeProcess) -> None:
    for body, kind, said in (
        (b'{"text": " "}', "unreadable", "the file holds no text"),
        (b'{"text": 3}', "wrong_form", '"text" is no text'),
        (b'{"texts": []}', "no_image", ""),
        (json.dumps({"text": "a" * 3000}).encode(), "unreadable", "3,000 characters"),
        (b'{"images": [{"b64": "iVBORw0KGgo="}]}', "unreadable", "it is an image"),
    ):
        status, told = ask(server, body)
        assert (status, told["error"]["kind"]) == (422, kind), body
        assert said in told["error"]["message"] + str(told["error"]["hint"])
    status, told = ask(server, b'{"texts": ["glad", ""]}')
    assert status == 200
    assert [one.get("label") for one in told["samples"]] == ["joy", None]


def test_the_model_says_what_it_takes_and_loads_no_torch(server: ServeProcess) -> None:
    with urllib.request.urlopen(f"{server.url}/v1/models", timeout=30) as answer:
        (told,) = json.load(answer)["models"]
    assert (told["classes"], told["input"]) == (["joy", "anger"], {"modality": "text"})
    maps = Path(f"/proc/{server.process.pid}/maps")
    if maps.exists():
        assert "libtorch" not in maps.read_text()
