"""The cache of embeddings computes once per backbone and image, keeps order, and survives being cut off anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emolab.errors import DataError
from emolab.modalities.preparing import Preprocessing
from emolab.training.inputs import feature_cache
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.networks import backbones
from emolab.training.networks.classifier import Classifier
from tests.support.learnable import SIZE, bars, identifiers

IMAGES, _ = bars(10, 3)
PIXELS, IDS = Pixels.of(IMAGES), identifiers(10)
ALL = np.arange(10)


def network(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(backbones.build("tiny", "none", size=SIZE), 3, dropout=0.0).eval()


def fill(folder: Path, model: Classifier, ids: list[str] = IDS, pixels: Pixels = PIXELS) -> feature_cache.Embeddings:
    return feature_cache.fill(folder, ids, pixels, model, name="tiny", wanted=Preprocessing(SIZE, "gray"))


def expected(model: Classifier) -> NDArray[np.float32]:
    with torch.inference_mode():
        found: NDArray[np.float32] = model.features(torch.from_numpy(IMAGES).permute(0, 3, 1, 2)).numpy()
    return found


def test_gives_the_features_in_the_order_asked_for(tmp_path: Path) -> None:
    model = network()
    fill(tmp_path, model, IDS[:4], Pixels.of(IMAGES[:4]))
    found = fill(tmp_path, model, IDS[::-1], Pixels.of(IMAGES[::-1]))
    assert found.take(ALL) == pytest.approx(expected(model)[::-1], abs=2e-3, rel=1e-3)


def test_a_new_head_keeps_the_features_and_new_weights_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = network(), network(1)
    fill(tmp_path, model)
    torch.nn.init.normal_(model.head.weight)
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "features", lambda *_: pytest.fail("nothing is new"))
        fill(tmp_path, model)
    assert fill(tmp_path, other).take(ALL) == pytest.approx(expected(other), abs=2e-3, rel=1e-3)
    assert len(list(tmp_path.glob("embeddings-*"))) == 2


@pytest.mark.parametrize("file", [feature_cache.FILE, "keys.txt"])
@pytest.mark.parametrize("lost", [1, 300])
def test_a_file_cut_off_by_a_crash_is_mended(tmp_path: Path, file: str, lost: int) -> None:
    model = network()
    whole = np.array(fill(tmp_path, model).take(ALL))
    victim = next(tmp_path.glob(f"*/{file}"))
    victim.write_bytes(victim.read_bytes()[:-lost])
    assert fill(tmp_path, model).take(ALL) == pytest.approx(whole, abs=2e-3, rel=1e-3)


@pytest.mark.parametrize("bad", [float("nan"), 1e6])
def test_features_that_half_precision_cannot_hold_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    monkeypatch.setattr(Classifier, "features", lambda _, images: torch.full((len(images), 128), bad))
    with pytest.raises(DataError, match=r"tiny gives features for 10 of 10 images that are not numbers or beyond"):
        fill(tmp_path, network())
    monkeypatch.undo()
    assert np.isfinite(fill(tmp_path, network()).take(ALL)).all()
