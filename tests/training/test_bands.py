"""Computed features of sounds: the same wherever a clip stands, enough to tell voices apart from few labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from emolab.config import TrainingConfig
from emolab.errors import ConfigError, DataError
from emolab.modalities.preparing import Preprocessing, decode_many
from emolab.training.fitting.head_fit import fit_head
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import training_set
from emolab.training.networks import backbones
from emolab.training.networks.bands import build
from emolab.training.runs.champion_start import COMPUTED
from emolab.training.runs.recipes import plan
from tests.modalities.audio.test_spectrogram import encoded, tone
from tests.support.learnable import identifiers


def test_a_clip_that_stands_elsewhere_has_the_same_features() -> None:
    rng = np.random.default_rng(0)
    clip = torch.from_numpy(rng.integers(1, 256, (1, 1, 64, 90))).float() / 255
    here, there = torch.zeros(1, 1, 64, 256), torch.zeros(1, 1, 64, 256)
    here[..., 20:110], there[..., 140:230] = clip, clip
    network = backbones.build("bands", "default", size=64)
    one, other = network.module(here), network.module(there)
    assert one.shape == (1, network.width) == (1, 4 * 64 + 33)
    assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(one, network.module(here.roll(9, dims=2)), atol=0.1)
    assert torch.isfinite(network.module(torch.zeros(1, 1, 64, 256))).all()


def test_its_head_tells_low_from_high_voices(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(32) % 2
    clips = [encoded(tone(float(rng.uniform(150, 250) if low else rng.uniform(1500, 2500)), 0.8)) for low in truth]
    data = training_set(
        classes=("high", "low"), ids=identifiers(32), probs=np.eye(2)[truth], splits=["valid"] * 8 + ["train"] * 24
    )
    pixels = Pixels.of(decode_many(clips, Preprocessing(64, "sound")))
    made = plan(TrainingConfig(backbone="bands", mode="head", threads=1), n_train=24, color="sound")
    fitted = fit_head(pixels, data, made, tmp_path)
    assert (fitted.logits.argmax(axis=1) == truth[:8]).all()


def test_there_is_nothing_to_load_and_what_is_too_small_is_said() -> None:
    assert "bands" in COMPUTED
    with pytest.raises(ConfigError, match="bands has no weights"):
        backbones.build("bands", "somewhere", size=64)
    with pytest.raises(DataError, match="at least 8 bands"):
        backbones.build("bands", "none", size=4)


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_features_are_as_many_on_a_square_as_on_a_spectrogram(size: int) -> None:
    module = build("bands", "none", size=size)
    square, wide = (module(torch.rand(2, 1, size, width)) for width in (size, 4 * size))
    assert square.shape == wide.shape == (2, 4 * size + 33)
