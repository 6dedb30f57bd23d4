"""Sounds take the same way through training as images: one plan, one cache, one kind of model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emolab.config import TrainingConfig
from emolab.errors import ConfigError
from emolab.modalities.preparing import Preprocessing, decode_many
from emolab.training.fitting.fit import fit
from emolab.training.inputs.pixel_cache import Pixels
from emolab.training.inputs.training_set import training_set
from emolab.training.runs.recipes import Plan, plan
from tests.modalities.audio.test_spectrogram import encoded, tone
from tests.support.learnable import identifiers


def planned(**settings: object) -> Plan:
    return plan(TrainingConfig(**{"backbone": "voice16", **settings}), n_train=24, color="sound")  # type: ignore[arg-type]


def test_a_network_learns_low_from_high_voices(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(32) % 2
    clips = [
        encoded(tone(float(rng.uniform(150, 250) if low else rng.uniform(1500, 2500)), float(rng.uniform(0.5, 2))))
        for low in truth
    ]
    data = training_set(
        classes=("high", "low"), ids=identifiers(32), probs=np.eye(2)[truth], splits=["valid"] * 8 + ["train"] * 24
    )
    pixels = Pixels.of(decode_many(clips, Preprocessing(32, "sound")))
    made = planned(weights="none", size=32, epochs=8, batch=4, threads=1, precision="float32", lr=0.02, average=0.0)
    fitted = fit(pixels, data, made, tmp_path)
    assert (fitted.logits.argmax(axis=1) == truth[:8]).all()
    assert fitted.mirrored is None  # a sound that runs backwards is no second look at it


def test_what_is_made_for_pictures_is_refused_for_sounds() -> None:
    made = planned()
    assert (made.color, made.size, made.augmentation, made.flips) == ("sound", 64, "spectrogram", False)
    assert planned(backbone="resnet18", weights="none").color == "sound"
    assert planned(backbone="face48").augmentation == "spectrogram"
    for settings, why in (
        ({"color": "gray"}, "training.color is gray, but the samples are sound"),
        ({"flips": True}, "mirrored, a sound runs backwards"),
        ({"augmentation": "warp"}, "warp, which is not made for sound samples"),
        ({"backbone": "vit_b_16"}, "takes square pictures only"),
    ):
        with pytest.raises(ConfigError, match=why):
            planned(**settings)


def test_what_is_made_for_sounds_is_refused_for_pictures() -> None:
    for settings, why in (
        ({"color": "sound"}, "training.color is sound, but the samples are gray"),
        ({"augmentation": "spectrogram"}, "spectrogram, which is not made for gray samples"),
    ):
        with pytest.raises(ConfigError, match=why):
            plan(TrainingConfig(backbone="tiny", **settings), n_train=24, color="gray")  # type: ignore[arg-type]


def test_samples_made_up_for_a_model_have_its_shape() -> None:
    from emolab.training.export import parity

    assert parity.synthetic(3, Preprocessing(32, "sound")).shape == (3, 32, 128, 1)
    assert parity.synthetic(3, Preprocessing(48, "gray")).shape == (3, 48, 48, 1)


def test_a_model_of_voices_looks_for_sounds_in_folders(tmp_path: Path) -> None:
    from collections import Counter

    from emolab.loop.model.predicting.predict_files import File, files_of

    (tmp_path / "voice.wav").write_bytes(encoded(tone(300, 1), "WAV"))
    (tmp_path / "face.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = {}
    for modality in ("audio", "image"):
        ignored: Counter[str] = Counter()
        files = files_of([tmp_path], modality, max_bytes=1 << 20, ignored=ignored, notes=[])
        found[modality] = ([Path(file.name).name for file in files if isinstance(file, File)], dict(ignored))
    assert found == {"audio": (["voice.wav"], {".png": 1}), "image": (["face.png"], {".wav": 1})}


def test_what_is_made_for_faces_is_refused_for_a_model_of_voices() -> None:
    from emolab.modalities.preparing import require_faces

    require_faces(Preprocessing(48, "gray"), "emolab live")
    with pytest.raises(ConfigError, match="emolab live is for models of faces, and this one answers about clips"):
        require_faces(Preprocessing(64, "sound"), "emolab live")


def test_what_a_network_is_shown_is_said_in_words() -> None:
    assert Preprocessing(48, "gray").words == "gray images of 48 x 48 pixels"
    assert Preprocessing(64, "sound").words == "spectrograms of 64 bands and 256 frames"


def test_a_picture_given_to_a_model_of_voices_is_an_error_in_its_answer() -> None:
    from types import SimpleNamespace

    from emolab.config import CollectConfig
    from emolab.serving.predictor import Predictor

    model = SimpleNamespace(preprocessing=Preprocessing(64, "sound"), classes=("a", "b"), id="x", conformal={})
    reading = Predictor(model, CollectConfig()).read("shot", np.zeros((64, 64, 3), np.uint8))
    assert reading.error is not None and "this model answers about audio" in reading.error
    assert Predictor(model, CollectConfig()).read("clip", encoded(tone(300, 1))).error is None


def test_workspaces_of_voices_are_not_pretrained_as_pictures(tmp_path: Path) -> None:
    import emolab

    made = emolab.init(tmp_path / "voices", modality="audio")
    with pytest.raises(ConfigError, match=r"FiftyOne's App shows no sentences\.") as caught:
        emolab.inspect(emolab.init(tmp_path / "words", modality="text"))
    assert "serve --app" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="which says nothing about sounds"):
        emolab.pretrain(made)


def test_copies_among_the_clips_of_a_dataset_are_one_unit() -> None:
    from emolab.datasets.voted_dataset import units
    from tests.support.sounds import chatter, sound_file

    one, other = chatter(3.0, seed=1), chatter(3.0, seed=2)
    found = units([sound_file(one), sound_file(other), sound_file(one * np.float32(0.3), format="FLAC")]).tolist()
    assert found[0] == found[2] != found[1]


def test_edges_of_a_clip_are_those_of_its_quarters_on_average() -> None:
    import torch

    from emolab.training.networks.hog import Hog

    pictures = torch.rand(2, 3, 64, 256, generator=torch.Generator().manual_seed(0))
    quarters = torch.stack([Hog()(part) for part in pictures.chunk(4, dim=3)])
    assert Hog()(pictures).shape == Hog()(pictures[..., :64]).shape
    torch.testing.assert_close(Hog()(pictures), quarters.mean(dim=0))
