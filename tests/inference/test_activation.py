"""Class activation maps: read out of the exported file, exact in their sum, and better than chance."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from emolab.config import CollectConfig
from emolab.inference import feature_map, runtime
from emolab.inference.activation import activation
from emolab.inference.saliency import deletion
from emolab.inference.served_model import ServedModel, of_file
from emolab.loop.model import open_model as opening
from emolab.loop.model.predict import predict
from emolab.serving.predictor import Predictor
from emolab.training.export.export import export
from emolab.training.export.graph import Graph, to_onnx
from emolab.training.networks import bundled
from emolab.training.networks.backbones import build
from emolab.training.networks.classifier import Classifier
from emolab.training.predict import load
from tests.support import sensitive_model

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
_, LOGITS, FEATURES = runtime.OUTPUTS


def bundled_file() -> Path:
    folder = bundled.folder("face48")
    assert folder is not None
    return folder / bundled.SERVED


def face48(*, flips: bool = True) -> ServedModel:
    return opening.open_model(None, "face48", threads=1, flips=flips)


def her_face(portrait: Image.Image, model: ServedModel) -> NDArray[np.uint8]:
    (crop,) = Predictor(model, CollectConfig(faces="all")).read("her", portrait).crops
    return crop.pixels


def test_more_outputs_are_added_to_a_file_that_stays_whole() -> None:
    content = bundled_file().read_bytes()
    names = feature_map.find(content, features=FEATURES, logits=LOGITS)
    assert names is not None
    assert (names.weights, names.bias) == ("network.head.weight", "network.head.bias")
    before = onnx.load_from_string(content)
    after = onnx.load_from_string(feature_map.with_outputs(content, [names.features, names.weights]))
    assert [one.name for one in after.graph.output] == [*runtime.OUTPUTS, names.features, names.weights]
    del after.graph.output[3:]
    assert after == before


def by_pytorch(pixels: NDArray[np.uint8], target: int, *, flips: bool) -> NDArray[np.float32]:
    """The same map by the network itself: its last layers' output through the head, at every place."""
    folder = bundled.folder("face48")
    assert folder is not None
    loaded = load(folder, device="cpu").with_flips(flips)
    network, kept = loaded.network, []
    hook = network.backbone.layers[-1].register_forward_hook(lambda *one: kept.append(one[2]))
    with torch.inference_mode():
        sides = [pixels, np.ascontiguousarray(pixels[:, ::-1])] if flips else [pixels]
        logits = torch.stack([network(torch.from_numpy(side).permute(2, 0, 1)[None])[0] for side in sides]).mean(0)
        hook.remove()
        whole = torch.stack([kept[0], kept[1].flip(3)]).mean(0) if flips else kept[0]
        probs = torch.softmax(logits.double() / loaded.checkpoint.temperature, 0)
        weights = network.head.weight.double()
        against = (weights[target] - probs @ weights) / (1 - probs[target])  # the gradient of log p, in another scale
        places = torch.einsum("d,dyx->yx", against.float(), whole[0])
        size = pixels.shape[0]
        wide = torch.nn.functional.interpolate(places[None, None], (size, size), mode="bilinear", align_corners=False)
    return wide[0, 0].numpy()


@pytest.mark.parametrize("flips", [False, True])
def test_the_map_is_the_one_of_the_network_itself(flips: bool, portrait: Image.Image) -> None:
    model = face48(flips=flips)
    look = activation(model)
    assert look is not None
    pixels = her_face(portrait, model)
    for target in range(3):
        np.testing.assert_allclose(look(pixels, target), by_pytorch(pixels, target, flips=flips), atol=1e-3)


@pytest.mark.slow
def test_the_map_of_a_real_face_passes_the_deletion_test(portrait: Image.Image) -> None:
    model = face48()
    pixels = her_face(portrait, model)
    best = int(model.probabilities(pixels[None])[0].argmax())
    look = activation(model)
    assert look is not None
    ours = deletion(model.probabilities, pixels, best, look(pixels, best))
    rng = np.random.default_rng(0)
    coarse = [np.kron(rng.random((6, 6)), np.ones((8, 8))) for _ in range(10)]  # in cells, as the map has them
    chance = [deletion(model.probabilities, pixels, best, one) for one in coarse]
    assert ours < min(chance), (ours, chance)
    backwards = deletion(model.probabilities, pixels, best, -look(pixels, best))
    assert backwards > ours


@pytest.mark.slow
def test_a_file_that_judges_mirror_images_itself_gives_the_same_map(tmp_path: Path, portrait: Image.Image) -> None:
    folder = bundled.folder("face48")
    assert folder is not None
    export(folder, tmp_path / "twice.onnx", to="onnx", flips=True)
    one, two = face48(flips=True), opening.open_model(None, tmp_path / "twice.onnx")
    pixels = her_face(portrait, one)
    maps = [activation(model) for model in (one, two)]
    found = [look(pixels, 0) for look in maps if look is not None]
    assert len(found) == 2
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "expected"), [("resnet18", True), ("mobilenet_v3_small", False)])
def test_networks_whose_features_are_a_mean_have_a_map(tmp_path: Path, name: str, expected: bool) -> None:
    """One with a layer between the mean and the features has none."""
    torch.manual_seed(0)
    network = Classifier(build(name, "none", size=64), 3, dropout=0.0).eval()
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    to_onnx(Graph(network, 1.0), images, tmp_path / "a.onnx")
    content = (tmp_path / "a.onnx").read_bytes()
    names = feature_map.find(content, features=FEATURES, logits=LOGITS)
    assert (names is not None) is expected
    if names is not None:
        session = runtime.plain_session(feature_map.with_outputs(content, names.all))
        whole, features = session.run([names.features, FEATURES], {runtime.INPUT: images})
        np.testing.assert_allclose(whole.mean(axis=(2, 3)), features, rtol=1e-3, atol=1e-4)


def test_a_network_without_a_map_is_explained_by_covering_parts(tmp_path: Path) -> None:
    file = sensitive_model.write(tmp_path / "a.onnx")
    assert activation(of_file(runtime.open_export(file))) is None
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8))
    picture.save(tmp_path / "a.png")
    (drawn,) = predict(file, tmp_path / "a.png", explain_to=tmp_path / "maps").explained or []
    assert Image.open(drawn).size == (480, 266)


def test_values_that_are_not_what_they_were_taken_for_give_no_map(monkeypatch: pytest.MonkeyPatch) -> None:
    names = feature_map.find(bundled_file().read_bytes(), features=FEATURES, logits=LOGITS)
    assert names is not None
    other = feature_map.MapNames(
        "relu_10", names.weights, names.bias
    )  # an earlier map of the same depth, or of another
    monkeypatch.setattr(feature_map, "find", lambda *_, **__: other)
    assert activation(face48()) is None


def test_rubbish_has_no_map_and_raises_nothing() -> None:
    whole = bundled_file().read_bytes()[:20_000]
    rng = random.Random(0)
    for _ in range(300):
        data = bytearray(whole[: rng.randrange(len(whole))])
        for _ in range(min(5, len(data))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        feature_map.find(bytes(data), features=FEATURES, logits=LOGITS)
