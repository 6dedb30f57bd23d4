"""Which model answers where none is named: the champion, else what comes with emolab for the modality."""

from __future__ import annotations

from pathlib import Path

import pytest

from emolab.config import TrainingConfig
from emolab.errors import DataError
from emolab.loop.model.models import default_model
from emolab.modalities.modality import open_modality
from emolab.plugins import MODALITIES
from emolab.training.networks import backbones, bundled
from emolab.training.runs.recipes import recipe_of
from emolab.workspace import Workspace


@pytest.fixture
def with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a folder for each of emolab's own networks."""
    for name in bundled.OWN:
        (tmp_path / "pretrained" / name).mkdir(parents=True)
        (tmp_path / "pretrained" / name / "model.json").write_text("{}")
    monkeypatch.setattr(bundled, "ROOT", tmp_path / "pretrained")


@pytest.mark.usefixtures("with_both")
def test_the_modality_says_what_comes_with_emolab(tmp_path: Path) -> None:
    assert default_model(None) == "face48"
    for modality, name in (("image", "face48"), ("audio", "voice16")):
        workspace = Workspace.init(tmp_path / modality, classes=("a", "b"), modality=modality)
        assert default_model(workspace) == name
    workspace = Workspace.init(tmp_path / "text", classes=("a", "b"), modality="text")
    with pytest.raises(DataError, match="no champion yet, and no model of sentences comes with emolab") as raised:
        default_model(workspace)
    assert raised.value.hint == "Train one, from labels of your own: emolab train"


def test_a_package_without_the_weights_of_a_network_trains_it_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "ROOT", tmp_path)
    workspace = Workspace.init(tmp_path / "ws", classes=("a", "b"), modality="audio")
    with pytest.raises(DataError, match="no model of clips comes with emolab"):
        default_model(workspace)
    assert backbones.is_blank("voice16")
    assert recipe_of("voice16", "default") == recipe_of("voice16", "none")
    network = backbones.build("voice16", TrainingConfig().weights, size=64)
    assert backbones.is_random("voice16", "default", network.module)


@pytest.mark.usefixtures("with_both")
def test_with_its_weights_a_network_is_tuned_gently() -> None:
    assert not backbones.is_blank("voice16")
    assert recipe_of("voice16", "default").lr < recipe_of("voice16", "none").lr / 10


def test_every_network_of_a_modality_is_one_of_emolabs_own() -> None:
    networks = [open_modality(name).network for name in MODALITIES.names()]
    assert {each.name for each in networks if each is not None} == set(bundled.OWN)
